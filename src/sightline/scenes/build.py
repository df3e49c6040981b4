"""Imports one scan: every image decoded once, conventions checked, point cloud built, the scene written."""

import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from sightline import __version__
from sightline.captures.capture import READERS, Capture, CaptureReader
from sightline.captures.poses import convention_of_notes
from sightline.captures.roomplan.captured_room import moved, read_captured_room
from sightline.config import as_mapping, build
from sightline.errors import CaptureError, ConfigError
from sightline.files import fingerprint
from sightline.scenes.clouds import CloudOptions, build_cloud
from sightline.scenes.prepare import Prepared, prepare
from sightline.scenes.scene import Verification
from sightline.scenes.store import FORMAT, SceneStore
from sightline.scenes.verdict import verdict, verdict_lines, verdict_of_scene
from sightline.scenes.verify import verify_capture
from sightline.scenes.vocabulary import VOCABULARY_VERSION, with_canonical_category

__all__ = ["check_scan", "cloud_option_names", "import_scan", "reader_options", "verdict_lines"]

ROOM_PLAN = "room_plan"
WORKSPACES = ".workspaces"  # hidden folder of a store for what is taken out of containers while a scan is imported


def cloud_option_names() -> frozenset[str]:
    """Options of an import that are about the point cloud, not the reader."""
    return frozenset(field.name for field in fields(CloudOptions))


def reader_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an import that its reader takes."""
    return {key: value for key, value in options.items() if key not in cloud_option_names() and key != ROOM_PLAN}


def cloud_options(options: Mapping[str, Any]) -> CloudOptions:
    """The options of an import that are about the point cloud. Raises ConfigError."""
    return build(CloudOptions, {key: options[key] for key in options if key in cloud_option_names()}, where="import options")


def room_plan_of(options: Mapping[str, Any]) -> Path | None:
    """The RoomPlan file that an import adds to its scan: walls, openings and boxes of the same ARKit session."""
    path = options.get(ROOM_PLAN)
    if path is not None and not isinstance(path, str):
        raise ConfigError(f"import options: {ROOM_PLAN}: expected the path of a CapturedRoom JSON, found {path!r}")
    return None if path is None else Path(path)


def import_scan(
    scan_id: str, *, source: str, reader: str, options: dict[str, Any], store: str, copy_images: bool, verify: bool
) -> dict[str, Any]:
    """Import one scan of `source` into `store` and return the verdict as JSON-able values (see `verdict_lines`).

    A scan that was imported from the same files with the same options is left as it is. Raises CaptureError, ConfigError;
    nothing is written then.
    """
    started = time.perf_counter()
    cloud_settings = cloud_options(options)
    chosen = READERS[reader](Path(source), reader_options(options))
    made_from = _made_from(chosen, scan_id, options, copy_images=copy_images, verify=verify)
    scenes = SceneStore(Path(store))
    marker = scenes.marker(scan_id)
    if marker is not None and marker.get("made_from") == made_from:
        return verdict_of_scene(scenes.read(scan_id), status="unchanged", seconds=time.perf_counter() - started)
    with _workspace_in(Path(store), scan_id) as workspace:
        checked = _checked(chosen, scan_id, workspace, room_plan=room_plan_of(options), verify=verify)
        scenes.write(
            checked.prepared.capture,
            build_cloud(checked.prepared.capture, checked.prepared.depths, cloud_settings),
            verification=checked.verification,
            made_from=made_from,
            copy_images=copy_images,
            depth_images=checked.prepared.depth_images,
            workspace=workspace,
            notes={**_notes(checked.prepared), "cloud": as_mapping(cloud_settings), "import": {"options": dict(options)}},
        )
    return verdict_of_scene(scenes.read(scan_id), status="imported", seconds=time.perf_counter() - started)


def check_scan(scan_id: str, *, source: str, reader: str, options: dict[str, Any], verify: bool) -> dict[str, Any]:
    """The verdict that an import would give; nothing is kept. Raises as `import_scan`."""
    started = time.perf_counter()
    cloud_settings = cloud_options(options)
    chosen = READERS[reader](Path(source), reader_options(options))
    with tempfile.TemporaryDirectory(prefix="sightline-check-") as folder:
        checked = _checked(chosen, scan_id, Path(folder), room_plan=room_plan_of(options), verify=verify)
        capture, depths = checked.prepared.capture, checked.prepared.depths
        cloud = build_cloud(capture, depths, cloud_settings)
    return verdict(
        capture,
        {**capture.notes, **_notes(checked.prepared)},
        checked.verification,
        num_points=len(cloud.points_world),
        status="checked",
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Checked:
    prepared: Prepared
    verification: Verification | None


def _checked(reader: CaptureReader, scan_id: str, workspace: Path, *, room_plan: Path | None, verify: bool) -> _Checked:
    capture = reader.read(scan_id, workspace=workspace)
    if room_plan is not None:
        capture = _with_room_plan(capture, room_plan)
    if capture.objects is not None:
        capture = replace(capture, objects=tuple(with_canonical_category(one) for one in capture.objects))
    prepared = prepare(capture, workspace)
    can_verify = verify and prepared.depths is not None and capture.has_poses
    return _Checked(prepared=prepared, verification=verify_capture(prepared.capture, depths=prepared.depths) if can_verify else None)


def _with_room_plan(capture: Capture, path: Path) -> Capture:
    """The capture with what RoomPlan found in the same ARKit session. Raises CaptureError where the scan has objects of its own."""
    if capture.objects is not None or capture.structure is not None:
        raise CaptureError(f"{capture.scan_id}: expected a scan without objects and walls of its own to add {path} to, found one with them")
    plan = moved(read_captured_room(path), convention_of_notes(capture.notes).world_from_stored)
    notes = {**capture.notes, ROOM_PLAN: dict(plan.notes)}
    return replace(capture, objects=plan.objects, structure=plan.structure, notes=notes)


def _notes(prepared: Prepared) -> dict[str, Any]:
    depths = prepared.depths
    return {
        "median_depth_m": None if depths is None else round(depths.coverage().median_m, 4),
        "frames_skipped": dict(sorted(Counter(skipped.reason for skipped in prepared.capture.skipped).items())),
    }


def _made_from(reader: CaptureReader, scan_id: str, options: Mapping[str, Any], *, copy_images: bool, verify: bool) -> str:
    """Fingerprint of everything the stored scene depends on; files count by size and time of change."""
    files = []
    plan = room_plan_of(options)
    for path in [*reader.source_files(scan_id), *([] if plan is None else [plan])]:
        try:
            stat = path.stat()
        except OSError as error:
            raise CaptureError(f"{path}: expected a file of scan '{scan_id}', found none that can be read ({error})") from error
        files.append([str(path), stat.st_size, stat.st_mtime_ns])
    return fingerprint(
        {
            "versions": [__version__, FORMAT, VOCABULARY_VERSION],
            "scan": [reader.name, scan_id, dict(options)],
            "files": files,
            "copy_images": copy_images,
            "verify": verify,
        }
    )


@contextmanager
def _workspace_in(store: Path, scan_id: str) -> Iterator[Path]:
    """An empty folder on the file system of the store, gone when the block ends."""
    folder = store / WORKSPACES / f"{scan_id}.{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        _remove_if_empty(folder.parent)
        _remove_if_empty(store)


def _remove_if_empty(folder: Path) -> None:
    """Leave no trace of an import that was refused, and no folder that another worker is using."""
    try:
        folder.rmdir()
    except OSError:  # not empty
        pass
