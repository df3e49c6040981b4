"""Procedural scans: written to disk by seed, read back as captures."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import yaml

from sightline.captures.capture import Capture, Frame, PointTracks
from sightline.captures.images import SATURATED, image_size, write_rgb_png, write_uint16_png
from sightline.captures.layouts import files_below
from sightline.captures.options import CAPTURE_FILE, check_scan_id, read_options
from sightline.captures.procedural.model import Rendering, RoomModel, build_room, render
from sightline.captures.procedural.motion import follow, plan_motions, read_tracks, rooms_in_time, write_tracks
from sightline.captures.procedural.options import RoomsOptions, SensorOptions
from sightline.captures.procedural.sensor import jittered, sensed_depth_m
from sightline.captures.procedural.walk import walk
from sightline.captures.records import objects_as_json, objects_from_json, structure_as_json, structure_from_json
from sightline.config import as_mapping, build
from sightline.errors import CaptureError, ConfigError, DataError
from sightline.files import FINISHED, fingerprint, mark_finished, read_json, replacing_folder, write_json, write_text
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import ROTATION_TOLERANCE, apply, inverse, rigidity_error

__all__ = ["RoomsOptions", "RoomsReader", "SensorOptions", "room_scan_ids", "write_room_scan"]

DEPTH_UNIT_M = 0.00025  # 16 bits reach 16.4 m at a quarter of a millimetre
FRAME_RATE_HZ = 2.0
HEADER = "# A procedural scan of Sightline, layout 1\n"  # what the reader knows its folders by
TRACKS_FILE = "tracks.npz"
KINDS = ("color", "depth", "instances")


def room_scan_ids(num_scans: int) -> list[str]:
    """`rooms_0000`, `rooms_0001`, ..."""
    return [f"rooms_{index:04d}" for index in range(num_scans)]


def scan_seed(seed: int, scan_id: str) -> int:
    """The seed of one scan's flat."""
    return int(fingerprint([seed, scan_id]), 16)


def write_room_scan(scan_id: str, *, out: str, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """Draw one scan into `out/<scan_id>`. The bytes depend on the scan id, the seed and the options alone."""
    check_scan_id(scan_id, where="rooms")
    settings = build(RoomsOptions, options, where="rooms options")
    flat_seed = scan_seed(seed, scan_id)
    room = build_room(flat_seed, settings)
    intrinsics = Intrinsics.from_field_of_view(horizontal_deg=settings.horizontal_fov_deg, width=settings.width, height=settings.height)
    poses = walk(room, np.random.default_rng([flat_seed, 1]), num_frames=settings.num_frames)
    rooms = [room] * len(poses)
    notes: dict[str, Any] = {"seed": seed, "options": as_mapping(settings)}
    with replacing_folder(Path(out) / scan_id) as folder:
        if settings.second_pass:
            rng = np.random.default_rng([flat_seed, 2])
            again = walk(room, rng, num_frames=settings.num_frames)
            motions = plan_motions(room, again, intrinsics, rng)
            rooms += rooms_in_time(room, motions, len(again))
            poses += again
            tracks = follow(rooms, poses, intrinsics, motions, rng)
            write_tracks(tracks, folder / TRACKS_FILE)
            notes["second_pass"] = {
                "first_frame": len(poses) - len(again),
                "moved_object_ids": tracks.moved_object_ids.tolist(),
                "tracks": TRACKS_FILE,
            }
        stored_poses = _write_images(folder, rooms, poses, intrinsics, settings, flat_seed)
        write_text(folder / "poses.txt", "".join(_row(pose.ravel()) for pose in stored_poses))
        write_text(folder / "K.txt", "".join(_row(row) for row in intrinsics.K))
        write_json(folder / "objects.json", objects_as_json(room.objects))
        write_json(folder / "structure.json", structure_as_json(room.structure))
        about = {
            "scan_id": scan_id,
            "place_id": scan_id,
            "licence": "CC0-1.0",
            "depth_unit_m": DEPTH_UNIT_M,
            "up_axis": "+z",
            "frame_rate_hz": FRAME_RATE_HZ,
            "notes": notes,
        }
        write_text(folder / CAPTURE_FILE, HEADER + yaml.safe_dump(about, sort_keys=False))
        mark_finished(folder, made_from=fingerprint([scan_id, seed, as_mapping(settings)]))
    return {"frames": len(poses), "objects": len(room.objects), "rooms": len(room.structure.rooms)}


def _row(values: np.ndarray) -> str:
    return " ".join(repr(float(value)) for value in values) + "\n"


def _write_images(
    folder: Path, rooms: Sequence[RoomModel], poses: Sequence[np.ndarray], intrinsics: Intrinsics, settings: RoomsOptions, flat_seed: int
) -> list[np.ndarray]:
    """Colour, depth and instances of every frame; returns the poses as the tracker reports them."""
    for kind in KINDS:
        (folder / kind).mkdir()
    reported = []
    for index, (room, pose) in enumerate(zip(rooms, poses)):
        picture: Rendering = render(room, intrinsics, pose)
        depth_m = picture.depth_m
        if settings.sensor.enabled:
            rng = np.random.default_rng([flat_seed, 3, index])
            depth_m = sensed_depth_m(picture, intrinsics, pose, settings.sensor, rng)
            pose = jittered(pose, settings.sensor, rng)
        stored = np.rint(np.nan_to_num(depth_m, nan=0.0) / DEPTH_UNIT_M)
        assert stored.max() < SATURATED, "a flat is smaller than the depth range of its images"
        write_rgb_png(folder / "color" / f"{index:06d}.png", picture.rgb)
        write_uint16_png(folder / "depth" / f"{index:06d}.png", stored.astype(np.uint16))
        write_uint16_png(folder / "instances" / f"{index:06d}.png", (picture.object_ids + 1).astype(np.uint16))
        reported.append(pose)
    return reported


class RoomsReader:
    """Reads folders that `write_room_scan` wrote. The root is one scan, or a folder of scans. Takes no options."""

    name: ClassVar[str] = "rooms"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        if options:
            raise CaptureError(f"rooms reader: expected no options, found '{next(iter(options))}'")
        self.root = Path(root)
        if not self.root.is_dir():
            raise CaptureError(f"{self.root}: expected a folder of procedural scans, found none")

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether `root` is a procedural scan or holds one."""
        return bool(_scan_folders(Path(root)))

    def scan_ids(self, split: str) -> Sequence[str]:
        """All scans, sorted; procedural scans know no split but `all`."""
        if split != "all":
            raise CaptureError(f"{self.root}: expected the split 'all', found '{split}'; procedural scans are split by place later")
        return sorted(self._folders)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """Every file below the scan's folder."""
        return files_below(self._folder(scan_id))

    @cached_property
    def _folders(self) -> dict[str, Path]:
        return _scan_folders(self.root)

    def _folder(self, scan_id: str) -> Path:
        folder = self._folders.get(scan_id)
        if folder is None:
            raise CaptureError(f"{self.root}: expected a procedural scan called '{scan_id}', found none")
        return folder

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """Raises CaptureError for a scan that is unknown, unfinished or damaged."""
        folder = self._folder(scan_id)
        if not (folder / FINISHED).is_file():
            raise CaptureError(f"{folder}: expected {FINISHED}, found none: the scan was not written to its end; write it again")
        try:
            about = read_options(folder, {})
            objects = objects_from_json(read_json(folder / "objects.json"), where=str(folder / "objects.json"))
            structure = structure_from_json(read_json(folder / "structure.json"), where=str(folder / "structure.json"))
        except (ConfigError, DataError) as error:
            raise CaptureError(str(error)) from error
        poses = _matrix(folder / "poses.txt", columns=16).reshape(-1, 4, 4)
        frames = _frames(folder, poses, depth_scale_m=about.depth_unit_m, frame_rate_hz=about.frame_rate_hz)
        return Capture(
            scan_id=scan_id,
            place_id=about.place_id or scan_id,
            source=self.name,
            licence=about.licence,
            frames=frames,
            objects=objects,
            structure=structure,
            tracks=_point_tracks(folder / TRACKS_FILE, frames) if (folder / TRACKS_FILE).is_file() else None,
            notes=about.notes,
        )


def _point_tracks(path: Path, frames: Sequence[Frame]) -> PointTracks:
    """The exact tracks of a second pass, in the camera of each frame. Raises CaptureError where they are of other frames."""
    tracks = read_tracks(path)
    if len(tracks.points_world) != len(frames):
        raise CaptureError(f"{path}: expected tracks of {len(frames)} frames, found {len(tracks.points_world)}")
    points = [apply(inverse(frame.world_from_camera), points) for frame, points in zip(frames, tracks.points_world)]
    return PointTracks(
        frame_ids=tuple(frame.frame_id for frame in frames),
        points_camera=np.array(points, dtype=np.float32),
        visible=tracks.visible,
        object_ids=tracks.object_ids,
    )


def _frames(folder: Path, poses: np.ndarray, *, depth_scale_m: float, frame_rate_hz: float) -> tuple[Frame, ...]:
    for index, pose in enumerate(poses):
        error = rigidity_error(pose)
        if error > ROTATION_TOLERANCE:
            raise CaptureError(
                f"{folder / 'poses.txt'}:{index + 1}: expected a rigid 4x4, found one that is off by {error:.3g}; write the scan again"
            )
    found = {kind: {path.stem: path for path in sorted((folder / kind).glob("*.png"))} for kind in KINDS}
    names = [f"{index:06d}" for index in range(len(poses))]
    for kind in KINDS:
        missing = [name for name in names if name not in found[kind]]
        if missing:
            raise CaptureError(f"{folder / kind / missing[0]}.png: expected one image per pose ({len(names)}), found {len(found[kind])}")
    if not names:
        raise CaptureError(f"{folder / 'poses.txt'}: expected at least one pose, found none")
    width, height = image_size(found["color"][names[0]])
    intrinsics = Intrinsics.from_K(_matrix(folder / "K.txt", columns=3, rows=3), width=width, height=height)
    return tuple(
        Frame(
            frame_id=name,
            time_s=index / frame_rate_hz,
            rgb_path=found["color"][name],
            depth_path=found["depth"][name],
            depth_scale_m=depth_scale_m,
            intrinsics=intrinsics,
            depth_intrinsics=intrinsics,
            world_from_camera=pose,
            instance_path=found["instances"][name],
        )
        for index, (name, pose) in enumerate(zip(names, poses))
    )


def _scan_folders(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        return {}
    if _is_rooms_folder(root):
        return {root.name: root}
    return {child.name: child for child in sorted(root.iterdir()) if not child.name.startswith(".") and _is_rooms_folder(child)}


def _is_rooms_folder(folder: Path) -> bool:
    about = folder / CAPTURE_FILE
    if not about.is_file():
        return False
    with about.open("rb") as stream:
        return stream.read(len(HEADER)) == HEADER.encode()


def _matrix(path: Path, *, columns: int, rows: int | None = None) -> np.ndarray:
    wanted = f"{'lines' if rows is None else f'{rows} lines'} of {columns} finite numbers"
    try:
        values = np.array([[float(word) for word in line.split()] for line in path.read_text(encoding="utf-8").splitlines()])
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise CaptureError(f"{path}: expected {wanted}, found {error}") from error
    if values.ndim != 2 or values.shape[1] != columns or rows not in (None, len(values)) or not np.isfinite(values).all():
        raise CaptureError(f"{path}: expected {wanted}, found shape {values.shape}")
    return values
