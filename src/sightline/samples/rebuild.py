"""How to make the images of a data set again: it holds annotations only, so it names its scans, commands and checksums."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sightline.errors import DataError
from sightline.files import fingerprint, read_json
from sightline.scenes.scene import Scene
from sightline.scenes.store import SceneStore

NOT_TO_BE_PASSED_ON = "no redistribution"  # words in the licence line of every reader whose data must stay with who obtained it


def is_gated(licence: str) -> bool:
    """Whether images under this licence, and pictures made from them, may not be passed on."""
    return NOT_TO_BE_PASSED_ON in licence.lower()


def rebuild_command(scene: Scene) -> str:
    """The import that makes the scene again from the scan that its owner gives out."""
    made = scene.notes.get("import", {})
    options = "".join(f" {key}={_plain(value)}" for key, value in sorted(made.get("options", {}).items()))
    return f"sightline import SOURCE STORE --format {scene.source}{options}"


def _plain(value: Any) -> str:
    return "[" + ",".join(map(str, value)) + "]" if isinstance(value, list | tuple) else str(value)


def sources_of(store: SceneStore, scan_ids: Sequence[str]) -> list[dict[str, Any]]:
    """One entry per layout, licence and command: its scans, each with the fingerprint of the SHA-256 of all its images."""
    groups: dict[tuple[str, str, str], dict[str, str]] = {}
    for scan_id in sorted(scan_ids):
        scene = store.read(scan_id)
        groups.setdefault((scene.source, scene.licence, rebuild_command(scene)), {})[scan_id] = fingerprint(store.image_hashes(scan_id))
    return [
        {"layout": layout, "licence": licence, "may_be_passed_on": not is_gated(licence), "command": command, "images_sha256": scans}
        for (layout, licence, command), scans in sorted(groups.items())
    ]


def check_images(dataset: Path, store: SceneStore, *, scan_ids: Collection[str] | None) -> int:
    """Compare the images of a store with those that a data set was made from; how many scans were compared.

    Only `scan_ids` where they are given. Nothing is hashed again: the store's own hashes are compared. Raises DataError naming the
    first scan that differs or is missing.
    """
    wanted: dict[str, tuple[str, str]] = {}
    for source in _sources(dataset):
        used = {scan_id: sha256 for scan_id, sha256 in source["images_sha256"].items() if scan_ids is None or scan_id in scan_ids}
        wanted |= {scan_id: (sha256, source["command"]) for scan_id, sha256 in used.items()}
    there = set(store.scan_ids())
    for scan_id, (sha256, command) in wanted.items():
        if scan_id not in there:
            raise DataError(f"{store.root}: expected scan '{scan_id}' of {dataset}, found none. Fix: {command}")
        if fingerprint(store.image_hashes(scan_id)) != sha256:
            raise DataError(f"{store.root / scan_id}: expected the images that {dataset} was made from, found others. Fix: {command}")
    return len(wanted)


def _sources(dataset: Path) -> Sequence[Mapping[str, Any]]:
    """The sources a data set names; none for one that was written before it did, or that is a single file."""
    path = dataset / "dataset.json"
    return read_json(path).get("sources", []) if path.is_file() else []
