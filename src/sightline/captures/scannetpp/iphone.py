"""The phone's recording of a ScanNet++ scene: video, depth.bin and pose_intrinsic_imu.json, all in the mesh's world."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.assemble import StoredConvention, StoredFrame
from sightline.captures.capture import SkippedFrame
from sightline.captures.containers.videos import extract_frames
from sightline.captures.depth_packs import SUFFIX, DepthPackWriter
from sightline.captures.float_depth import QUANTISED_M
from sightline.captures.image_lists import named_image, refuse_mostly_skipped
from sightline.captures.images import image_size
from sightline.captures.intrinsics import MAX_SKEW
from sightline.captures.poses import pose_problem
from sightline.captures.scannetpp.depth_bin import HEIGHT, WIDTH, depth_maps, encoding
from sightline.captures.scannetpp.frames import ScanNetPPOptions, SensorFrames
from sightline.errors import CaptureError, DataError, ShapeError
from sightline.files import read_json
from sightline.geometry.cameras import Intrinsics

POSES = "pose_intrinsic_imu.json"
VIDEOS = ("rgb.mkv", "rgb.mp4")
MAX_FILE_BYTES = 2_000_000_000
_FRAME = re.compile(r"frame_(\d{1,9})")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Entry:
    """One frame of the json: its place in video and depth file, and its camera matrix at the size of the video."""

    frame_id: str
    index: int
    time_s: float
    world_from_camera: np.ndarray | None  # (4, 4) `aligned_pose`: an OpenCV camera in the mesh's world; may hold infinity
    K: np.ndarray
    where: str


def iphone_files(scene: Path) -> list[Path]:
    """Every file that the phone's frames are read from."""
    folder = scene / "iphone"
    images = sorted((folder / "rgb").glob("*.jpg")) if (folder / "rgb").is_dir() else []
    return [path for path in (folder / POSES, *(folder / name for name in VIDEOS), folder / "depth.bin") if path.is_file()] + images


def read_iphone(scene: Path, options: ScanNetPPOptions, *, workspace: Path) -> SensorFrames:
    """The chosen frames; pictures come out of the video into the workspace, depth into a pack. Raises CaptureError."""
    folder = scene / "iphone"
    entries = _entries(folder / POSES)
    chosen = [entries[place] for place in options.chosen(len(entries))]
    skipped = [SkippedFrame(frame_id=one.frame_id, reason="pose_missing") for one in chosen if one.world_from_camera is None]
    posed = [one for one in chosen if one.world_from_camera is not None]
    usable = [one for one in posed if pose_problem(one.world_from_camera) is None]
    unusable = {one.index for one in posed} - {one.index for one in usable}
    pack_path, units = workspace / f"depth{SUFFIX}", {}
    places: dict[int, int] = {}
    with DepthPackWriter(pack_path) as pack:
        for index, stored in depth_maps(folder / "depth.bin", [one.index for one in usable]):
            places[index], units[index] = pack.append(stored.values), stored.unit_m
    skipped += [SkippedFrame(frame_id=one.frame_id, reason="depth_missing") for one in usable if one.index not in places]
    refuse_mostly_skipped(skipped, count=len(chosen), where=str(folder))
    usable = [one for one in usable if one.index in places]
    colour, reencoded = _colour(folder, usable, workspace)
    stored_frames = []
    for one in posed:
        if one.index in unusable:
            stored_frames.append(_frame(one, Path(folder / POSES), None, None, 1.0, camera=None))
        elif one.index in places:
            camera = _camera(one, image_size(colour[one.index]))
            stored_frames.append(_frame(one, colour[one.index], pack_path, places[one.index], units[one.index], camera=camera))
    is_float = QUANTISED_M in units.values()
    return SensorFrames(
        stored=stored_frames,
        skipped=skipped,
        convention=StoredConvention(pose_direction="world_from_camera", camera_axes="opencv", up_axis="+z", world_from_stored=np.eye(4)),
        where=str(folder / POSES),
        notes={
            "sensor": "iphone",
            "depth_encoding": encoding(folder / "depth.bin"),
            **({"depth_quantised_m": QUANTISED_M} if is_float else {}),
            **reencoded,
        },
    )


def _colour(folder: Path, entries: list[_Entry], workspace: Path) -> tuple[dict[int, Path], dict[str, str]]:
    """Index -> picture: files where the video was unpacked already, else frames decoded into the workspace."""
    video = next((folder / name for name in VIDEOS if (folder / name).is_file()), None)
    if (folder / "rgb").is_dir():
        files = {one.index: named_image(folder / "rgb", f"{one.frame_id}.jpg", where=str(folder / "rgb")) for one in entries}
        if all(path is not None for path in files.values()):
            return {index: path for index, path in files.items() if path is not None}, {}
        if video is None:
            gone = next(one.frame_id for one in entries if files[one.index] is None)
            raise CaptureError(f"{folder / 'rgb'}: expected {gone}.jpg, found none, and no {' or '.join(VIDEOS)} to take it from")
    if video is None:
        raise CaptureError(f"{folder}: expected the recording {' or '.join(VIDEOS)}, found neither")
    if not entries:
        return {}, {}
    names = [f"{one.frame_id}.jpg" for one in entries]
    taken = extract_frames(video, [one.index for one in entries], workspace / "color", names=names)
    return taken, {"reencoded": f"colour: decoded from {video.name}, JPEG quality 95"}


def _frame(
    one: _Entry, rgb_path: Path, depth_path: Path | None, depth_index: int | None, unit_m: float, *, camera: Intrinsics | None
) -> StoredFrame:
    """`camera` is None for a frame whose pose cannot be used: it is left out and counted before anyone looks at its images."""
    assert one.world_from_camera is not None
    camera = camera or Intrinsics(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=1, height=1)
    return StoredFrame(
        frame_id=one.frame_id,
        time_s=one.time_s,
        rgb_path=rgb_path,
        depth_path=depth_path,
        depth_scale_m=unit_m,
        intrinsics=camera,
        depth_intrinsics=camera.resized(width=WIDTH, height=HEIGHT),
        stored_pose=one.world_from_camera,
        pose_place=one.where,
        depth_index=depth_index,
    )


def _camera(one: _Entry, size: tuple[int, int]) -> Intrinsics:
    """ARKit counts pixels from the centre of the first one, as we do."""
    try:
        return Intrinsics.from_K(one.K, width=size[0], height=size[1])
    except ShapeError as error:
        raise CaptureError(f"{one.where}: key 'intrinsic': {error}") from error


def _entries(path: Path) -> list[_Entry]:
    """Every frame in the order of its number. Raises CaptureError naming the frame and the key."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise CaptureError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {path.stat().st_size}")
        values = read_json(path)
    except DataError as error:
        raise CaptureError(str(error)) from error
    except (OSError, RecursionError) as error:
        raise CaptureError(f"{path}: expected JSON, found a file that cannot be read ({error})") from error
    if not isinstance(values, dict) or not values:
        raise CaptureError(
            f"{path}: expected an object with one entry per frame, found {'none' if values == {} else type(values).__name__}"
        )
    entries = [_entry(name, value, where=f"{path}: {name[:40]}") for name, value in values.items()]
    numbers: set[int] = set()
    for one in entries:
        if one.index in numbers:
            raise CaptureError(f"{one.where}: expected every frame number once, found {one.index} again")
        numbers.add(one.index)
    return sorted(entries, key=lambda one: one.index)


def _entry(name: str, value: Any, *, where: str) -> _Entry:
    match = _FRAME.fullmatch(name)
    if match is None or not isinstance(value, dict):
        raise CaptureError(f"{where}: expected an object called frame_<number>, found {type(value).__name__}")
    K = _matrix(value.get("intrinsic"), 3, where=f"{where}: key 'intrinsic'")
    if not np.isfinite(K).all() or abs(K[0, 1]) > MAX_SKEW * abs(K[0, 0]):
        raise CaptureError(f"{where}: key 'intrinsic': expected rows `fx 0 cx`, `0 fy cy`, `0 0 1`, found {K.tolist()}")
    pose = None if value.get("aligned_pose") is None else _matrix(value["aligned_pose"], 4, where=f"{where}: key 'aligned_pose'")
    time_s = value.get("timestamp", 0.0)
    if not isinstance(time_s, (int, float)) or not np.isfinite(time_s):
        raise CaptureError(f"{where}: key 'timestamp': expected seconds, found {str(time_s)[:40]!r}")
    return _Entry(frame_id=name, index=int(match[1]), time_s=float(time_s), world_from_camera=pose, K=K, where=where)


def _matrix(value: Any, side: int, *, where: str) -> np.ndarray:
    rows = value if isinstance(value, list) else []
    good = len(rows) == side and all(isinstance(row, list) and len(row) == side for row in rows)
    if not good or any(type(number) not in (int, float) for row in rows for number in row):
        raise CaptureError(f"{where}: expected {side} rows of {side} numbers, found {str(value)[:60]}")
    return np.array(rows, dtype=np.float64)
