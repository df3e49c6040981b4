"""Procedural scans: written to disk by seed, read back as captures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import yaml

from sightline.captures.capture import Capture, Frame
from sightline.captures.images import write_rgb_png, write_uint16_png
from sightline.captures.procedural.model import build_room, render
from sightline.captures.procedural.options import RoomsOptions, SensorOptions
from sightline.captures.procedural.walk import walk
from sightline.captures.records import objects_as_json, objects_from_json, structure_as_json, structure_from_json
from sightline.config import as_mapping, build, read_yaml
from sightline.errors import CaptureError, ConfigError, DataError
from sightline.files import FINISHED, fingerprint, mark_finished, read_json, replacing_folder, write_json, write_text
from sightline.geometry.cameras import Intrinsics

__all__ = ["RoomsOptions", "RoomsReader", "SensorOptions", "room_scan_ids", "write_room_scan"]

DEPTH_SCALE_M = 0.00025  # 16 bits reach 16.4 m at an eighth of a millimetre
LAYOUT = "sightline-rooms"
LAYOUT_VERSION = 1
FRAME_INTERVAL_S = 0.5


def room_scan_ids(num_scans: int) -> list[str]:
    """`rooms_0000`, `rooms_0001`, ..."""
    return [f"rooms_{index:04d}" for index in range(num_scans)]


def scan_seed(seed: int, scan_id: str) -> int:
    """The seed of one scan's flat."""
    return int(fingerprint([seed, scan_id]), 16)


def write_room_scan(scan_id: str, *, out: str, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """Draw one scan into `out/<scan_id>`. The bytes depend on the scan id, the seed and the options alone."""
    settings = build(RoomsOptions, options, where="rooms options")
    flat_seed = scan_seed(seed, scan_id)
    room = build_room(flat_seed, settings)
    poses = walk(room, np.random.default_rng([flat_seed, 1]), num_frames=settings.num_frames)
    intrinsics = Intrinsics.from_field_of_view(horizontal_deg=settings.horizontal_fov_deg, width=settings.width, height=settings.height)
    with replacing_folder(Path(out) / scan_id) as folder:
        for name in ("color", "depth", "instances"):
            (folder / name).mkdir()
        for index, pose in enumerate(poses):
            picture = render(room, intrinsics, pose)
            stored = np.rint(np.nan_to_num(picture.depth_m, nan=0.0) / DEPTH_SCALE_M)
            stored[stored >= 65535] = 0
            write_rgb_png(folder / "color" / f"{index:06d}.png", picture.rgb)
            write_uint16_png(folder / "depth" / f"{index:06d}.png", stored.astype(np.uint16))
            write_uint16_png(folder / "instances" / f"{index:06d}.png", (picture.object_ids + 1).astype(np.uint16))
        write_text(folder / "poses.txt", "".join(" ".join(repr(float(x)) for x in pose.ravel()) + "\n" for pose in poses))
        write_text(folder / "K.txt", "".join(" ".join(repr(float(x)) for x in row) + "\n" for row in intrinsics.K))
        write_json(folder / "objects.json", objects_as_json(room.objects))
        write_json(folder / "structure.json", structure_as_json(room.structure))
        about = {
            "layout": LAYOUT,
            "layout_version": LAYOUT_VERSION,
            "scan_id": scan_id,
            "place_id": scan_id,
            "licence": "CC0-1.0",
            "seed": seed,
            "width": settings.width,
            "height": settings.height,
            "num_frames": len(poses),
            "frame_interval_s": FRAME_INTERVAL_S,
            "depth_scale_m": DEPTH_SCALE_M,
            "options": as_mapping(settings),
        }
        write_text(folder / "capture.yaml", yaml.safe_dump(about, sort_keys=False))
        mark_finished(folder, made_from=fingerprint([scan_id, seed, as_mapping(settings)]))
    return {"frames": len(poses), "objects": len(room.objects), "rooms": len(room.structure.rooms)}


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
        return sorted(_scan_folders(self.root))

    def read(self, scan_id: str) -> Capture:
        """Raises CaptureError for a scan that is unknown, unfinished or damaged."""
        folder = _scan_folders(self.root).get(scan_id)
        if folder is None:
            raise CaptureError(f"{self.root}: no procedural scan called '{scan_id}'")
        if not (folder / FINISHED).is_file():
            raise CaptureError(f"{folder}: expected {FINISHED}, found none: the scan was not written to its end; write it again")
        try:
            about = read_yaml(folder / "capture.yaml")
            objects = objects_from_json(read_json(folder / "objects.json"), where=str(folder / "objects.json"))
            structure = structure_from_json(read_json(folder / "structure.json"), where=str(folder / "structure.json"))
        except (ConfigError, DataError) as error:
            raise CaptureError(str(error)) from error
        poses = _matrix(folder / "poses.txt", rows=about["num_frames"], columns=16).reshape(-1, 4, 4)
        K = _matrix(folder / "K.txt", rows=3, columns=3)
        intrinsics = Intrinsics.from_K(K, width=about["width"], height=about["height"])
        frames = []
        for index, pose in enumerate(poses):
            paths = [folder / kind / f"{index:06d}.png" for kind in ("color", "depth", "instances")]
            for path in paths:
                if not path.is_file():
                    raise CaptureError(f"{path}: expected an image, found no file")
            frames.append(
                Frame(
                    frame_id=f"{index:06d}",
                    time_s=index * about["frame_interval_s"],
                    rgb_path=paths[0],
                    depth_path=paths[1],
                    depth_scale_m=about["depth_scale_m"],
                    intrinsics=intrinsics,
                    depth_intrinsics=intrinsics,
                    world_from_camera=pose,
                    instance_path=paths[2],
                )
            )
        return Capture(
            scan_id=scan_id,
            place_id=about["place_id"],
            source=self.name,
            licence=about["licence"],
            frames=tuple(frames),
            objects=objects,
            structure=structure,
            notes={"seed": about["seed"], "options": about["options"]},
        )


def _scan_folders(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        return {}
    if _is_rooms_folder(root):
        return {root.name: root}
    return {
        child.name: child
        for child in sorted(root.iterdir())
        if child.is_dir() and not child.name.startswith(".") and _is_rooms_folder(child)
    }


def _is_rooms_folder(folder: Path) -> bool:
    about = folder / "capture.yaml"
    return about.is_file() and about.read_bytes()[:64].startswith(f"layout: {LAYOUT}\n".encode())


def _matrix(path: Path, *, rows: int, columns: int) -> np.ndarray:
    try:
        values = np.array([[float(word) for word in line.split()] for line in path.read_text(encoding="utf-8").splitlines()])
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise CaptureError(f"{path}: expected {rows} lines of {columns} numbers, found {error}") from error
    if values.shape != (rows, columns) or not np.isfinite(values).all():
        raise CaptureError(f"{path}: expected {rows} lines of {columns} finite numbers, found shape {values.shape}")
    return values
