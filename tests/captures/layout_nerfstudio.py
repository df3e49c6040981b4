"""Writes the true room as nerfstudio folders: one camera or one per frame, depth as PNG or arrays, applied transforms, lenses."""

from pathlib import Path

import numpy as np
import true_room as true
from lens_pictures import distorted_view
from PIL import Image

from sightline.files import write_json
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import rigid, yaw_matrix

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
RADIAL_LENS = {"k1": -0.18, "k2": 0.05, "p1": -0.0012, "p2": 0.002, "k3": 0.004}
FISHEYE_LENS = {"k1": -0.02, "k2": 0.004, "k3": -0.002, "k4": 0.0005}
APPLIED = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])  # what nerfstudio's own COLMAP conversion applies


def camera_values(camera: Intrinsics) -> dict:
    """nerfstudio shares COLMAP's pixel centres at +0.5."""
    return {
        "fl_x": camera.fx,
        "fl_y": camera.fy,
        "cx": camera.cx + 0.5,
        "cy": camera.cy + 0.5,
        "w": camera.width,
        "h": camera.height,
    }


def stored_poses(stored_from_world: np.ndarray) -> np.ndarray:
    return stored_from_world @ true.poses() @ OPENGL


def save_image(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path, **({} if path.suffix == ".png" else {"quality": 95}))


def written(folder: Path, *, ids, cameras=None, depth=None, options=None, pixels="same") -> true.Written:
    cameras = cameras or [true.SMALL] * true.NUM_FRAMES
    frames = tuple(
        true.ExpectedFrame(
            frame_id=ids[index],
            world_from_camera=pose,
            intrinsics=cameras[index],
            depth_intrinsics=None if depth is None else depth[index],
            pixels=pixels,
        )
        for index, pose in enumerate(true.poses())
    )
    return true.Written(
        source=folder, reader="nerfstudio", scan_id=folder.name, place_id=folder.name, frames=frames, options=options or {}, boxes=None
    )


def usual(folder: Path) -> true.Written:
    """One camera for the file, PNG depth in millimetres, +z up, a COLMAP folder beside as `ns-process-data` leaves it, one bad frame."""
    project, frames, ids = folder / "my_flat", [], []
    for index, pose in enumerate(stored_poses(np.eye(4))):
        view = true.shoot(true.SMALL, true.poses()[index])
        save_image(project / f"images/frame_{index + 1:05d}.png", view.rgb)
        Image.fromarray(true.stored_depth(view)).save(_made(project / "depth") / f"frame_{index + 1:05d}.png")
        frames.append(
            {
                "file_path": f"images/frame_{index + 1:05d}.png",
                "depth_file_path": f"depth/frame_{index + 1:05d}.png",
                "transform_matrix": pose.tolist(),
                "colmap_im_id": index,
            }
        )
        ids.append(f"frame_{index + 1:05d}")
    bad = {"file_path": "images/frame_00100.png", "transform_matrix": np.eye(4).tolist(), "is_bad": True}
    whole = {**camera_values(true.SMALL), "camera_model": "OPENCV", "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0}
    write_json(project / "transforms.json", {**whole, "frames": [*frames[3:], bad, *frames[:3]]})
    for name in ("cameras.bin", "images.bin", "points3D.bin"):
        (_made(project / "colmap/sparse/0") / name).write_bytes(b"\0" * 8)
    return written(project, ids=ids, depth=[true.SMALL] * true.NUM_FRAMES)


def applied(folder: Path) -> true.Written:
    """A camera for each frame, depth arrays, and a transform and scale that are undone; the world before them is -y up."""
    project, frames = folder / "applied_flat", []
    scale = 0.37
    before_from_world = rigid(np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]), np.zeros(3))
    applied_from_before = rigid(APPLIED, np.array([0.3, -0.2, 1.1]))
    cameras = [Intrinsics(fx=110.0 + i, fy=111.0 + i, cx=80.0 + i / 4, cy=59.0, width=160, height=120) for i in range(true.NUM_FRAMES)]
    small = [camera.resized(width=80, height=60) for camera in cameras]
    for index, pose in enumerate(stored_poses(applied_from_before @ before_from_world)):
        pose[:3, 3] *= scale
        save_image(project / f"images/{index}.png", true.shoot(cameras[index], true.poses()[index]).rgb)
        depth_m = np.nan_to_num(true.shoot(small[index], true.poses()[index]).depth_m, nan=0.0)
        np.save(_made(project / "depths") / f"{index}.npy", (depth_m * scale).astype(np.float32))
        frames.append(
            {
                **camera_values(cameras[index]),
                "file_path": f"./images/{index}.png",
                "depth_file_path": f"depths/{index}.npy",
                "transform_matrix": pose.tolist(),
            }
        )
    whole = {"applied_transform": applied_from_before[:3].tolist(), "applied_scale": scale, "depth_unit_scale_factor": 1.0}
    write_json(project / "transforms.json", {"camera_model": "PINHOLE", **whole, "frames": frames})
    ids = [str(index) for index in range(true.NUM_FRAMES)]
    return written(project, ids=ids, cameras=cameras, depth=small, options={"undo_applied": True})


def _lens(folder: Path, *, kind: str, model: str | None, lens: dict, coefficients, suffix: str) -> true.Written:
    frames = []
    quarter = rigid(yaw_matrix(0.0), np.zeros(3))
    for index, pose in enumerate(stored_poses(quarter)):
        rgb, _ = distorted_view(true.SMALL, kind, coefficients, true.poses()[index])
        save_image(folder / f"images/{index:03d}{suffix}", rgb)
        frames.append({"file_path": f"images/{index:03d}{suffix}", "transform_matrix": pose.tolist()})
    named = {} if model is None else {"camera_model": model}
    write_json(folder / "transforms.json", {**camera_values(true.SMALL), **lens, **named, "frames": frames})
    ids = [f"{index:03d}" for index in range(true.NUM_FRAMES)]
    return written(folder, ids=ids, options={"undistort": True, "up_axis": "+z"}, pixels="close")


def distorted(folder: Path) -> true.Written:
    """Radial coefficients without a camera model's name."""
    k1, k2, p1, p2, k3 = RADIAL_LENS.values()
    return _lens(
        folder / "bent", kind="radial", model=None, lens=RADIAL_LENS, coefficients=(k1, k2, p1, p2, k3, 0.0, 0.0, 0.0), suffix=".png"
    )


def fisheye(folder: Path) -> true.Written:
    return _lens(
        folder / "fish",
        kind="fisheye",
        model="OPENCV_FISHEYE",
        lens=FISHEYE_LENS,
        coefficients=tuple(FISHEYE_LENS.values()),
        suffix=".jpg",
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


VARIANTS = {"usual": usual, "applied": applied, "distorted": distorted, "fisheye": fisheye}
