"""Written layouts as scans that can be spoilt the same way: each knows where its images, poses and camera lie, and has a good neighbour."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import layout_folder
import layout_redwood
import layout_sevenscenes
import layout_tum
import numpy as np
import true_room as true

NEIGHBOUR_FRAMES = 4
CAMERA_NUMBERS = (true.SMALL.fx, true.SMALL.fy, true.SMALL.cx, true.SMALL.cy)


@dataclass(frozen=True, kw_only=True)
class Scans:
    """One layout with a scan to spoil and a good one beside it."""

    layout: str
    source: Path  # given to the import
    scan: Path  # folder of the scan to spoil
    scan_id: str
    neighbour_id: str
    options: tuple[str, ...]  # of the import, as the command takes them
    color: Sequence[Path]
    depth: Sequence[Path]
    poses: np.ndarray  # (N, 4, 4) as they stand in the files
    write_poses: Callable[[Sequence[np.ndarray]], None]
    write_camera: Callable[[float, float, float, float], None] | None  # None: the layout has no file for it


def folder(root: Path) -> Scans:
    layout_folder.usual(root)
    scan = root / "my_room"
    shutil.copytree(scan, root / "neighbour")
    for place in ("color", "depth", "instances"):
        for index in range(NEIGHBOUR_FRAMES, true.NUM_FRAMES):
            (root / "neighbour" / place / f"{index}.png").unlink()
    lines = (scan / "poses.txt").read_text().splitlines(keepends=True)
    (root / "neighbour" / "poses.txt").write_text("".join(lines[:NEIGHBOUR_FRAMES]))

    def write_poses(poses: Sequence[np.ndarray]) -> None:
        (scan / "poses.txt").write_text("".join(" ".join(map(repr, np.ravel(pose).tolist())) + "\n" for pose in poses))

    return Scans(
        layout="folder",
        source=root,
        scan=scan,
        scan_id="my_room",
        neighbour_id="neighbour",
        options=(),
        color=[scan / "color" / f"{index}.png" for index in range(true.NUM_FRAMES)],
        depth=[scan / "depth" / f"{index}.png" for index in range(true.NUM_FRAMES)],
        poses=true.poses(),
        write_poses=write_poses,
        write_camera=lambda *numbers: _write_numbers(scan / "K.txt", numbers),
    )


def redwood(root: Path) -> Scans:
    layout_redwood.open3d(root)
    scan, log = root / "living_room", Path("scene") / "trajectory.log"
    shutil.copytree(scan, root / "neighbour")
    for place in ("color", "depth"):
        for index in range(NEIGHBOUR_FRAMES, true.NUM_FRAMES):
            (root / "neighbour" / place / f"{index:05d}.png").unlink()
    stored = layout_redwood.Y_DOWN_FROM_WORLD @ true.poses()
    layout_redwood.write_log(root / "neighbour" / log, list(stored[:NEIGHBOUR_FRAMES]), list(range(NEIGHBOUR_FRAMES)))

    def write_camera(fx: float, fy: float, cx: float, cy: float) -> None:
        camera = {"width": 160, "height": 120, "intrinsic_matrix": [fx, 0.0, 0.0, 0.0, fy, 0.0, cx, cy, 1.0]}
        (scan / "camera_intrinsic.json").write_text(json.dumps(camera))

    return Scans(
        layout="redwood",
        source=root,
        scan=scan,
        scan_id="living_room",
        neighbour_id="neighbour",
        options=(),
        color=[scan / "color" / f"{index:05d}.png" for index in range(true.NUM_FRAMES)],
        depth=[scan / "depth" / f"{index:05d}.png" for index in range(true.NUM_FRAMES)],
        poses=stored,
        write_poses=lambda poses: layout_redwood.write_log(scan / log, list(poses), list(range(len(poses)))),
        write_camera=write_camera,
    )


def sevenscenes(root: Path) -> Scans:
    scene = root / "chess"
    layout_sevenscenes.write_sequence(scene / "seq-01", true.poses())
    layout_sevenscenes.write_sequence(scene / "seq-02", true.poses()[:NEIGHBOUR_FRAMES])
    scan = scene / "seq-01"

    def write_poses(poses: Sequence[np.ndarray]) -> None:
        for index, pose in enumerate(poses):
            text = "".join(" ".join(map(repr, row)) + "\n" for row in pose.tolist())
            (scan / f"frame-{index:06d}.pose.txt").write_text(text)

    return Scans(
        layout="sevenscenes",
        source=scene,
        scan=scan,
        scan_id="chess_seq-01",
        neighbour_id="chess_seq-02",
        options=(),
        color=[scan / f"frame-{index:06d}.color.png" for index in range(true.NUM_FRAMES)],
        depth=[scan / f"frame-{index:06d}.depth.png" for index in range(true.NUM_FRAMES)],
        poses=layout_sevenscenes.first_camera_from_world() @ true.poses(),
        write_poses=write_poses,
        write_camera=None,
    )


def tum(root: Path) -> Scans:
    wrote = layout_tum.own_camera(root)
    scan = wrote.source
    _write_numbers(scan / "K.txt", CAMERA_NUMBERS)
    lines = (scan / "groundtruth.txt").read_text().splitlines()
    times = [line.split()[0] for line in lines]
    shutil.copytree(scan, root / "neighbour")
    for name in ("rgb.txt", "depth.txt"):
        rows = [line for line in (scan / name).read_text().splitlines() if line.split()[0] in times[:NEIGHBOUR_FRAMES]]
        (root / "neighbour" / name).write_text("\n".join(rows) + "\n")

    def write_poses(poses: Sequence[np.ndarray]) -> None:
        rows = [
            layout_tum.quaternion_line(time_s, pose) if np.isfinite(pose).all() else f"{time_s} nan -inf 0 0 0 0 1\n"
            for time_s, pose in zip(times, poses)
        ]
        (scan / "groundtruth.txt").write_text("".join(rows))

    y_down = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    return Scans(
        layout="tum",
        source=root,
        scan=scan,
        scan_id="office",
        neighbour_id="neighbour",
        options=("depth_unit_m=0.001",),
        color=[scan / "rgb" / f"{index:06d}.png" for index in range(true.NUM_FRAMES)],
        depth=[scan / "depth" / f"{index:06d}.png" for index in range(true.NUM_FRAMES)],
        poses=y_down @ true.poses(),
        write_poses=write_poses,
        write_camera=lambda *numbers: _write_numbers(scan / "K.txt", numbers),
    )


def _write_numbers(path: Path, numbers: Sequence[float]) -> None:
    path.write_text(" ".join(map(repr, map(float, numbers))) + "\n")


LAYOUTS: dict[str, Callable[[Path], Scans]] = {"folder": folder, "redwood": redwood, "sevenscenes": sevenscenes, "tum": tum}
