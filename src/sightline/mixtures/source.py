"""The contract of a source layout: published rows in, conversations or named bad rows out, one row in memory at a time."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from sightline.catalog import Catalog
from sightline.samples.conversation import Conversation


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What every row of a source shares."""

    source: str  # the registered name
    split: str
    licence: str
    media_root: Path | None = None  # absolute paths of pictures are made relative to it; None: they are refused


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it stands in the file. `value` is None where it could not be read; `problem` then says why."""

    found_at: str  # "<file>: line 12" or "<file>: row 3", counted from 1; the file as below the folder of all files
    name: str  # "<file>/12": the id of a row that has none of its own
    value: Any
    problem: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """A row, or a part of one, that cannot be taken as it is: counted and named, never replaced by another."""

    found_at: str
    field: str
    kind: str  # a key of PROBLEMS
    message: str
    sample_id: str = ""  # where it got that far


PROBLEMS: Mapping[str, str] = {
    "unreadable": "not JSON, or not an object",
    "malformed": "a key is missing or holds another kind of value",
    "unsupported": "something the layout allows and a conversation cannot hold",
    "broken_turns": "turns that do not go user, assistant, user, assistant",
    "empty_answer": "an answer without words",
    "empty_question": "a question without words and without pictures",
    "placeholder_mismatch": "placeholders that do not match the pictures",
    "bad_path": "a picture outside the media root",
    "missing_picture": "a picture that is not there",
    "duplicate_id": "an id that an earlier row has",
    "answer_holds_question": "an answer that contains its question",
    "scene_mismatch": "a picture of another scene than the row's",
    "outside_split": "a scene that does not belong to the split",
}


class SourceLayout(Protocol):
    """One published layout. Made with its options; the same files and options give the same conversations in the same order."""

    version: ClassVar[int]  # of the converter: a change makes finished imports run again
    file_names: ClassVar[tuple[str, ...]]  # globs of the files in a folder of this layout, for folders without a registry entry
    shows_scans: ClassVar[bool]  # rows name a scan and no pictures: which frames of it are shown, the recipe says

    def __init__(self, options: Mapping[str, Any]) -> None: ...

    def read(self, files: Sequence[Path], *, skip: int = 0) -> Iterator[RawRow]:
        """Rows of the files in order, without the first `skip`. Raises DataError for a file that is missing or of another layout."""
        ...

    def convert(self, raw: RawRow, origin: Origin) -> Iterator[Conversation | BadRow]:
        """What a row says: one conversation, several (of alternatives), or what is wrong with it."""
        ...


SOURCES: Catalog[type[SourceLayout]] = Catalog(
    "source layout",
    {
        "llava": "sightline.mixtures.sources.chats:Llava",
        "sharegpt": "sightline.mixtures.sources.chats:ShareGpt",
        "alpaca": "sightline.mixtures.sources.alpaca:Alpaca",
        "qwen_vl": "sightline.mixtures.sources.chats:QwenVl",
        "openai": "sightline.mixtures.sources.chats:OpenAi",
        "video_3d_llm": "sightline.mixtures.sources.chats:Video3dLlm",
        "multispa": "sightline.mixtures.sources.multispa:MultiSpa",
        "mindcube": "sightline.mixtures.sources.mindcube:MindCube",
        "scanqa": "sightline.mixtures.sources.scanqa:ScanQa",
        "sqa3d": "sightline.mixtures.sources.sqa3d:Sqa3d",
        "vsi_bench": "sightline.mixtures.sources.vsi_bench:VsiBench",
        "sightline": "sightline.mixtures.sources.generated:Generated",
    },
)

SCANNET = re.compile(r"(?<![0-9A-Za-z])(scene[0-9]{4})_[0-9]{2}(?![0-9A-Za-z])")
SCANNETPP = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{10}(?![0-9A-Za-z])")
ARKITSCENES = re.compile(r"(?<![0-9A-Za-z])[0-9]{8}(?![0-9A-Za-z])")
SCANNETPP_WORD = re.compile(r"scannet(\+\+|pp|_pp|plusplus)", re.IGNORECASE)
ARKITSCENES_WORD = re.compile(r"arkit", re.IGNORECASE)


def scan_named(text: str, *, dataset: str = "") -> str:
    """The scan that a path or an id names: of ScanNet by its form, of ScanNet++ and ARKitScenes where path or `dataset` says so; or ""."""
    found = SCANNET.search(text)
    if found:
        return found[0]
    said = f"{dataset} {text}"
    if SCANNETPP_WORD.search(said) and (found := SCANNETPP.search(text)):
        return found[0]
    if ARKITSCENES_WORD.search(said) and (found := ARKITSCENES.search(text)):
        return found[0]
    return ""


def place_of(scan_id: str) -> str:
    """The room of a scan, named as the readers of scans name it; scans of other data sets are their own place. "" for none.

    ARKitScenes videos of one visit show the same rooms; only the visit tables beside the recordings know it.
    """
    if found := SCANNET.fullmatch(scan_id):
        return f"scannet_{found[1]}"
    if ARKITSCENES.fullmatch(scan_id):
        return f"arkitscenes_{scan_id}"
    return f"scannetpp_{scan_id}" if SCANNETPP.fullmatch(scan_id) else scan_id
