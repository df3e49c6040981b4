"""Where weights come from: a local folder, or a hub id at a revision that cannot move."""

import re
from dataclasses import dataclass
from pathlib import Path

from sightline.errors import ModelError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FILES = ("*.safetensors", "*.json", "*.txt", "*.jinja", "*.model")  # nothing that runs code


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A local folder, or `owner/name` on the hub with a commit hash or tag."""

    place: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Source":
        """`FOLDER`, or `owner/name@revision`."""
        if Path(text).exists():
            return cls(place=text)
        place, _, revision = text.partition("@")
        return cls(place=place, revision=revision or None)

    @property
    def is_local(self) -> bool:
        return Path(self.place).is_dir()

    def folder(self) -> Path:
        """The files, fetched from the hub where they are not local. Raises ModelError."""
        if self.is_local:
            if self.revision is not None:
                raise ModelError(f"{self.place}: expected no revision for a local folder, found '{self.revision}'. Fix: leave it out")
            return Path(self.place)
        if not _HUB_ID.fullmatch(self.place):
            raise ModelError(f"{self.place}: expected a folder that exists, or a hub id (owner/name), found neither")
        commit = self._commit()
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            return Path(snapshot_download(self.place, revision=commit, allow_patterns=list(_FILES)))
        except LocalEntryNotFoundError as error:
            raise ModelError(
                f"{self.place}@{self.revision}: expected a copy on this machine or a hub that answers, found neither. "
                "Fix: go online, or name a local folder"
            ) from error
        except (HfHubHTTPError, HFValidationError) as error:
            raise ModelError(f"{self.place}@{self.revision}: expected a repository to read, found: {_first_line(error)}") from error

    def record(self) -> dict[str, str]:
        """What is kept of it in a config: the place, and the commit."""
        return {"place": self.place} if self.is_local else {"place": self.place, "revision": str(self.revision), "commit": self._commit()}

    def _commit(self) -> str:
        """The commit that the revision names, now and ever. Raises ModelError for a branch, which moves."""
        if self.revision is None:
            raise ModelError(
                f"{self.place}: expected a pinned revision, found none. "
                f"Fix: {self.place}@COMMIT (40 hex digits, shown under 'Files' on the hub) or a tag"
            )
        if _COMMIT.fullmatch(self.revision):
            return self.revision
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        try:
            refs = HfApi().list_repo_refs(self.place)
        except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
            raise ModelError(
                f"{self.place}@{self.revision}: expected a hub that says which commit this tag is, found: {_first_line(error)}. "
                "Fix: the commit itself (40 hex digits)"
            ) from error
        tags = {tag.name: tag.target_commit for tag in refs.tags}
        if self.revision in tags:
            return tags[self.revision]
        branches = {branch.name: branch.target_commit for branch in refs.branches}
        if self.revision in branches:
            raise ModelError(
                f"{self.place}@{self.revision}: expected a pinned revision, found a branch, which moves. "
                f"Fix: {self.place}@{branches[self.revision]} (where it points now)"
            )
        known = ", ".join(sorted(tags)) or "none"
        raise ModelError(f"{self.place}@{self.revision}: expected a commit (40 hex digits) or a tag, found neither. Known tags: {known}")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
