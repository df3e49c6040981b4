"""Writes the true room in the layout of Redwood and Open3D: numbered pose blocks and a camera whose matrix runs column by column."""

import json
from pathlib import Path

import numpy as np
import true_room as true
from PIL import Image

from sightline.geometry.cameras import Intrinsics

PRIMESENSE = Intrinsics(fx=525.0, fy=525.0, cx=319.5, cy=239.5, width=640, height=480).resized(width=160, height=120)


Y_DOWN_FROM_WORLD = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def write_log(path: Path, poses: list[np.ndarray], indices: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = []
    for index, pose in zip(indices, poses):
        rows = "".join(" ".join(f"{value:.8f}" for value in row) + "\n" for row in pose.tolist())
        blocks.append(f"{index} {index} {index + 1}\n{rows}")
    path.write_text("".join(blocks))


def write_images(folder: Path, camera: Intrinsics, *, color: str, names: list[str], depth_names: list[str] | None = None) -> None:
    for place in (color, "depth"):
        (folder / place).mkdir(parents=True)
    for name, depth_name, pose in zip(names, depth_names or names, true.poses()):
        view = true.shoot(camera, pose)
        Image.fromarray(view.rgb).save(folder / color / f"{name}.png")
        Image.fromarray(true.stored_depth(view)).save(folder / "depth" / f"{depth_name}.png")


def camera_json(camera: Intrinsics) -> dict:
    return {
        "width": camera.width,
        "height": camera.height,
        "intrinsic_matrix": [camera.fx, 0.0, 0.0, 0.0, camera.fy, 0.0, camera.cx, camera.cy, 1.0],
    }


def written(source: Path, scan_id: str, camera: Intrinsics, ids: list[str], **more) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(frame_id=frame_id, world_from_camera=pose, intrinsics=camera, depth_intrinsics=camera)
        for frame_id, pose in zip(ids, true.poses())
    )
    return true.Written(
        source=source, reader="redwood", scan_id=scan_id, place_id=scan_id, frames=frames, **{"options": {}, "boxes": None, **more}
    )


def open3d(folder: Path) -> true.Written:
    """Open3D's reconstruction: `color/ depth/ scene/trajectory.log`, a camera JSON of its own, a drifting odometry beside."""
    scan = folder / "living_room"
    ids = [f"{index:05d}" for index in range(true.NUM_FRAMES)]
    write_images(scan, true.SMALL, color="color", names=ids)
    write_log(scan / "scene" / "trajectory.log", [Y_DOWN_FROM_WORLD @ pose for pose in true.poses()], list(range(len(ids))))
    write_log(scan / "odometry.log", [np.eye(4) for _ in ids], list(range(len(ids))))
    (scan / "camera_intrinsic.json").write_text(json.dumps(camera_json(true.SMALL)))
    return written(folder, "living_room", true.SMALL, ids)


def recorder(folder: Path) -> true.Written:
    """Redwood's recorder: names of number and time, colour and depth at times of their own, the default camera."""
    scan = folder / "apartment"
    ids = [f"{index + 1:06d}" for index in range(true.NUM_FRAMES)]
    names = [f"{one}-{33369 * index:012d}" for index, one in enumerate(ids)]
    depth_names = [f"{one}-{33369 * index + 812:012d}" for index, one in enumerate(ids)]
    write_images(scan, PRIMESENSE, color="image", names=names, depth_names=depth_names)
    write_log(scan / "apartment_trajectory.log", list(true.poses()), list(range(1, len(ids) + 1)))
    return written(scan, "apartment", PRIMESENSE, ids)


def indoor(folder: Path) -> true.Written:
    """A Redwood room as Open3D unpacks it: `colors/`, two kinds of depth, a trajectory called `.txt`, the default camera."""
    scan = folder / "RedwoodIndoorOffice1"
    ids = [f"{index:05d}" for index in range(true.NUM_FRAMES)]
    write_images(scan, PRIMESENSE, color="colors", names=ids)
    (scan / "depth_noisy").mkdir()
    (scan / "dist-model.txt").write_text("% a noise model\n0.1 0.2\n")
    write_log(scan / "office1-traj.txt", list(true.poses()), list(range(len(ids))))
    return written(folder, "RedwoodIndoorOffice1", PRIMESENSE, ids)


def chosen_names(folder: Path) -> true.Written:
    """Folders of other names, said by options; the camera's JSON is of twice the size."""
    ids = [f"{index:05d}" for index in range(true.NUM_FRAMES)]
    scan = folder / "livingroom1"
    write_images(scan, true.SMALL, color="livingroom1-color", names=ids)
    (scan / "depth").rename(scan / "livingroom1-depth-clean")
    write_log(scan / "livingroom1-traj.txt", list(true.poses()), list(range(len(ids))))
    big = true.SMALL.resized(width=320, height=240)
    (scan / "sensor.json").write_text(json.dumps({"intrinsic": camera_json(big), "extrinsic": []}))
    options = {"color": "livingroom1-color", "depth": "livingroom1-depth-clean", "intrinsics": "sensor.json"}
    return written(scan, "livingroom1", true.SMALL, ids, options=options, auto_detected=False)


VARIANTS = {"open3d": open3d, "recorder": recorder, "indoor": indoor, "chosen_names": chosen_names}
