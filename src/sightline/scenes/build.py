"""Imports one scan: every image decoded once, conventions checked, point cloud built, the scene written."""

import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sightline import __version__
from sightline.captures.capture import READERS, Capture, SkippedFrame
from sightline.captures.images import read_rgb
from sightline.captures.poses import convention_of_notes
from sightline.captures.records import objects_as_json, structure_as_json
from sightline.config import as_mapping, build
from sightline.errors import CaptureError
from sightline.files import fingerprint
from sightline.scenes.clouds import CloudOptions, build_cloud
from sightline.scenes.depth_maps import DepthMaps
from sightline.scenes.scene import Scene
from sightline.scenes.store import FORMAT, SceneStore, verification_as_json
from sightline.scenes.verify import verify_capture
from sightline.scenes.vocabulary import VOCABULARY_VERSION, with_canonical_category

MIN_DEPTH_SHARE = 0.01  # a frame with fewer readings shows nothing
MAX_SKIPPED_SHARE = 0.2
WORKSPACES = ".workspaces"  # hidden folder of a store for what is taken out of containers while a scan is imported


def cloud_option_names() -> frozenset[str]:
    """Options of an import that are about the point cloud, not the reader."""
    return frozenset(field.name for field in fields(CloudOptions))


def reader_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an import that its reader takes."""
    return {key: value for key, value in options.items() if key not in cloud_option_names()}


def import_scan(
    scan_id: str, *, source: str, reader: str, options: dict[str, Any], store: str, copy_images: bool, verify: bool
) -> dict[str, Any]:
    """Import one scan of `source` into `store` and return the verdict as JSON-able values (see `verdict_lines`).

    A scan that was imported from the same images with the same options is left as it is. Raises CaptureError, ConfigError;
    nothing is written then.
    """
    started = time.perf_counter()
    cloud_options = build(CloudOptions, {key: options[key] for key in options if key in cloud_option_names()}, where="import options")
    with workspace_for(scan_id, Path(store)) as workspace:
        return _imported(
            READERS[reader](Path(source), reader_options(options)).read(scan_id, workspace=workspace),
            cloud_options,
            store=Path(store),
            copy_images=copy_images,
            verify=verify,
            started=started,
        )


@contextmanager
def workspace_for(scan_id: str, store: Path) -> Iterator[Path]:
    """An empty folder on the file system of the store, gone when the block ends."""
    folder = store / WORKSPACES / f"{scan_id}.{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        remove_if_empty(folder.parent)
        remove_if_empty(store)


def remove_if_empty(folder: Path) -> None:
    """Leave no trace of an import that was refused, and no folder that another worker is using."""
    try:
        folder.rmdir()
    except OSError:  # not empty
        pass


def _imported(
    capture: Capture, cloud_options: CloudOptions, *, store: Path, copy_images: bool, verify: bool, started: float
) -> dict[str, Any]:
    scan_id = capture.scan_id
    if capture.objects is not None:
        capture = replace(capture, objects=tuple(with_canonical_category(one) for one in capture.objects))
    scenes = SceneStore(store)
    made_from = _made_from(capture, cloud_options, copy_images=copy_images, verify=verify)
    marker = scenes.marker(scan_id)
    if marker is not None and marker.get("made_from") == made_from:
        return _verdict(scenes.read(scan_id), status="unchanged", seconds=time.perf_counter() - started)
    depths = DepthMaps(capture)
    capture = _decoded(capture, depths)
    verification = verify_capture(capture, depths=depths) if verify else None
    cloud = build_cloud(capture, depths, cloud_options)
    notes = {
        "cloud": as_mapping(cloud_options),
        "median_depth_m": round(depths.coverage().median_m, 4),
        "frames_skipped": dict(sorted(Counter(skipped.reason for skipped in capture.skipped).items())),
    }
    scenes.write(capture, cloud, verification=verification, made_from=made_from, copy_images=copy_images, notes=notes)
    return _verdict(scenes.read(scan_id), status="imported", seconds=time.perf_counter() - started)


def _made_from(capture: Capture, cloud: CloudOptions, *, copy_images: bool, verify: bool) -> str:
    """Fingerprint of everything the stored scene depends on; images count by size and time of change."""
    frames = []
    for frame in capture.frames:
        paths = [path for path in (frame.rgb_path, frame.depth_path, frame.instance_path) if path is not None]
        stats = [path.stat() for path in paths]
        images = [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in zip(paths, stats)]
        cameras = [str(frame.intrinsics), str(frame.depth_intrinsics), frame.depth_scale_m]
        frames.append([frame.frame_id, frame.time_s, images, cameras, frame.world_from_camera.tolist()])
    return fingerprint(
        {
            "versions": [__version__, FORMAT, VOCABULARY_VERSION],
            "scan": [capture.scan_id, capture.place_id, capture.source, capture.licence],
            "frames": frames,
            "skipped": [[skipped.frame_id, skipped.reason] for skipped in capture.skipped],
            "objects": None if capture.objects is None else objects_as_json(capture.objects),
            "structure": None if capture.structure is None else structure_as_json(capture.structure),
            "notes": capture.notes,
            "cloud": as_mapping(cloud),
            "copy_images": copy_images,
            "verify": verify,
        }
    )


def _decoded(capture: Capture, depths: DepthMaps) -> Capture:
    """Decode every image, so that a damaged one is found now and not in training; leave out frames without depth."""
    empty = []
    for index, frame in enumerate(capture.frames):
        rgb = read_rgb(frame.rgb_path)
        if rgb.shape[:2] != (frame.intrinsics.height, frame.intrinsics.width):
            wanted, found = f"{frame.intrinsics.width}x{frame.intrinsics.height}", f"{rgb.shape[1]}x{rgb.shape[0]}"
            raise CaptureError(f"{frame.rgb_path}: expected a colour image of {wanted}, found {found}")
        if depths.share(index) < MIN_DEPTH_SHARE:
            empty.append(index)
    if not empty:
        return capture
    if len(empty) > MAX_SKIPPED_SHARE * len(capture.frames):
        raise CaptureError(
            f"{capture.scan_id}: expected depth readings, found {len(empty)} of {len(capture.frames)} depth images with hardly any "
            f"(first: {capture.frames[empty[0]].depth_path}); stored 0 and 65535 count as none"
        )
    kept = tuple(frame for index, frame in enumerate(capture.frames) if index not in set(empty))
    skipped = tuple(SkippedFrame(frame_id=capture.frames[index].frame_id, reason="depth_empty") for index in empty)
    depths.leave_out(empty)
    return replace(capture, frames=kept, skipped=(*capture.skipped, *skipped))


def _verdict(scene: Scene, *, status: str, seconds: float) -> dict[str, Any]:
    checked = None if scene.verification is None else verification_as_json(scene.verification)
    residual_m = None if checked is None else checked["residual_m"]
    return {
        "scan_id": scene.scan_id,
        "status": status,
        "frames_used": len(scene.frames),
        "frames_skipped": scene.notes["frames_skipped"],
        "pairs_checked": None if checked is None else checked["pairs_checked"],
        "agreement": None if checked is None else checked["agreement"],
        "residual_cm": None if residual_m is None else 100.0 * residual_m,
        "depth_coverage": None if checked is None else checked["depth_coverage"],
        "median_depth_m": scene.notes["median_depth_m"],
        "gravity_tilt_deg": None if checked is None else checked["gravity_tilt_deg"],
        "depth_unit_checked": None if checked is None else checked["depth_unit_checked"],
        "up_axis": convention_of_notes(scene.notes).up_axis,
        "points": len(scene.points_world),
        "objects": None if scene.objects is None else len(scene.objects),
        "seconds": round(seconds, 2),
    }


def verdict_lines(result: Mapping[str, Any]) -> list[str]:
    """The verdict of `import_scan` for people: one line with the essentials, one for each thing worth knowing."""
    skipped = sum(result["frames_skipped"].values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in result["frames_skipped"].items())
    known = "objects not known" if result["objects"] is None else f"{result['objects']} objects"
    head = f"{result['scan_id']}: {result['frames_used']} frames, {skipped} skipped{f' ({reasons})' if reasons else ''}, "
    lines = [
        f"{head}{result['points']} points, {known}, {result['seconds']:.1f} s{' (unchanged)' if result['status'] == 'unchanged' else ''}"
    ]
    if result["pairs_checked"] is None:
        return [*lines, "  conventions not checked (--no-verify)"]
    lines.append(
        f"  conventions fit: agreement {result['agreement']:.3f}, residual {result['residual_cm']:.2f} cm "
        f"over {result['pairs_checked']} pairs; "
        f"depth on {result['depth_coverage']:.0%} of the pixels, median {result['median_depth_m']:.2f} m"
    )
    tilt = result["gravity_tilt_deg"]
    floor = "no floor seen" if tilt is None else f"floor tilted {tilt:.1f} degrees against it"
    if not result["depth_unit_checked"]:
        lines.append("  depth unit not checked: the camera turns but hardly moves")
    return [*lines, f"  up: {result['up_axis']} of the source world; {floor}"]
