"""Writes the true room in the layout of the TUM RGB-D benchmark and of ICL-NUIM."""

from pathlib import Path

import numpy as np
import true_room as true
from PIL import Image
from scipy.spatial.transform import Rotation

from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import rigid

START_S = 1305031102.175304
FREIBURG_1 = Intrinsics(fx=517.3, fy=516.5, cx=318.6, cy=255.3, width=640, height=480).resized(width=160, height=120)
OWN = (112.0, 113.5, 81.0, 58.0)
COLOUR_AFTER_DEPTH_S = 0.011
TICK_S = 0.0123  # of the motion capture


def times_s() -> np.ndarray:
    return START_S + 0.5 * np.arange(true.NUM_FRAMES)


def quaternion_line(time_s: str, pose: np.ndarray) -> str:
    numbers = [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
    return f"{time_s} " + " ".join(repr(float(value)) for value in numbers) + "\n"


def write_images(folder: Path, camera: Intrinsics, rgb_names: list[str], depth_names: list[str]) -> None:
    for place in ("rgb", "depth"):
        (folder / place).mkdir(parents=True)
    for pose, rgb_name, depth_name in zip(true.poses(), rgb_names, depth_names):
        view = true.shoot(camera, pose)
        Image.fromarray(view.rgb).save(folder / "rgb" / rgb_name)
        Image.fromarray(true.stored_depth(view, unit_m=1.0 / 5000.0)).save(folder / "depth" / depth_name)


def steady_trajectory(world_from_camera: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """A dense trajectory whose neighbours, evenly interpolated, give the true pose at each colour time and at no neighbour."""
    rows = []
    for time_s, pose in zip(times_s(), world_from_camera):
        for step in (-2.3, -0.7, 0.4, 1.9):  # a steady turn about the camera's own axis while it moves on a line
            away_s = step * TICK_S
            turn = Rotation.from_rotvec(np.array([0.2, -0.9, 0.4]) * away_s).as_matrix()
            rows.append((time_s + away_s, rigid(pose[:3, :3] @ turn, pose[:3, 3] + np.array([0.5, 0.3, -0.1]) * away_s)))
    return rows


def written(source: Path, scan_id: str, camera: Intrinsics, ids: list[str], options: dict, licence: str) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(frame_id=frame_id, world_from_camera=pose, intrinsics=camera, depth_intrinsics=camera)
        for frame_id, pose in zip(ids, true.poses())
    )
    return true.Written(
        source=source, reader="tum", scan_id=scan_id, place_id=scan_id, frames=frames, options=options, boxes=None, licence=licence
    )


def write_lists(folder: Path, rgb: list[tuple[str, str]], depth: list[tuple[str, str]]) -> None:
    for name, rows in (("rgb", rgb), ("depth", depth)):
        head = f"# {name} images\n# file: 'room.bag'\n# timestamp filename\n"
        (folder / f"{name}.txt").write_text(head + "".join(f"{time_s} {name}/{file}\n" for time_s, file in rows))


def freiburg(folder: Path) -> true.Written:
    """A sequence of the benchmark: three clocks, comments, 1/5000 m, poses only between the images."""
    scan = folder / "rgbd_dataset_freiburg1_room"
    ids = [f"{time_s:.6f}" for time_s in times_s()]
    depth_ids = [f"{time_s - COLOUR_AFTER_DEPTH_S:.6f}" for time_s in times_s()]
    write_images(scan, FREIBURG_1, [f"{one}.png" for one in ids], [f"{one}.png" for one in depth_ids])
    extra = [(f"{times_s()[2] - 0.05:.6f}", f"{depth_ids[2]}.png")]  # a depth image that no colour image is near
    write_lists(scan, [(one, f"{one}.png") for one in ids], [(one, f"{one}.png") for one in depth_ids] + extra)
    rows = steady_trajectory(true.poses())
    head = "# ground truth trajectory\n# file: 'room.bag'\n# timestamp tx ty tz qx qy qz qw\n"
    (scan / "groundtruth.txt").write_text(head + "".join(quaternion_line(f"{time_s:.6f}", pose) for time_s, pose in rows))
    (scan / "accelerometer.txt").write_text("# timestamp ax ay az\n")
    return written(folder, scan.name, FREIBURG_1, ids, {}, "TUM")


def own_camera(folder: Path) -> true.Written:
    """Anybody's recording in this layout: the camera is an option, depth in millimetres, a world whose y axis points down."""
    scan = folder / "office"
    ids = [f"{index:06d}" for index in range(true.NUM_FRAMES)]
    write_images(scan, true.SMALL, [f"{one}.png" for one in ids], [f"{one}.png" for one in ids])
    for path in (scan / "depth").iterdir():
        index = int(path.stem)
        Image.fromarray(true.stored_depth(true.shoot(true.SMALL, true.poses()[index]))).save(path)
    rows = [(f"{index / 2.0:.6f}", f"{one}.png") for index, one in enumerate(ids)]
    write_lists(scan, rows[::-1], rows)  # the order of the lines means nothing
    y_down_from_world = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    lines = [quaternion_line(time_s, y_down_from_world @ pose) for (time_s, _), pose in zip(rows, true.poses())]
    (scan / "groundtruth.txt").write_text("".join(lines))
    return written(scan, "office", true.SMALL, ids, {"intrinsics": list(OWN), "depth_unit_m": 0.001}, "unknown")


def icl_nuim(folder: Path) -> true.Written:
    """A rendered sequence: camera x right, y up, z forward in a left-handed world whose y points up; depth stands first."""
    scan = folder / "living_room_traj2_frei_png"
    ids = [str(index) for index in range(true.NUM_FRAMES)]
    camera = Intrinsics(fx=481.2, fy=480.0, cx=319.5, cy=239.5, width=640, height=480).resized(width=160, height=120)
    write_images(scan, camera, [f"{one}.png" for one in ids], [f"{one}.png" for one in ids])
    (scan / "associations.txt").write_text("".join(f"{one} depth/{one}.png {one} rgb/{one}.png\n" for one in ids))
    left_handed_from_world = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])  # x, z, y: y is up
    lines = []
    for one, pose in zip(ids, true.poses()):
        stored = rigid(left_handed_from_world @ pose[:3, :3] @ np.diag([1.0, -1.0, 1.0]), left_handed_from_world @ pose[:3, 3])
        assert abs(np.linalg.det(stored[:3, :3]) - 1.0) < 1e-9  # a proper rotation, of a mirrored world
        lines.append(quaternion_line(one, stored))
    (scan / "livingRoom2.gt.freiburg").write_text("".join(lines))
    return written(scan, scan.name, camera, ids, {}, "ICL-NUIM")


VARIANTS = {"freiburg": freiburg, "own_camera": own_camera, "icl_nuim": icl_nuim}
