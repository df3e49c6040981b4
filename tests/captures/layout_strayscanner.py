"""Writes the true room as recordings of the Stray Scanner app, of an older and a newer version, held in different ways."""

from pathlib import Path

import cv2
import numpy as np
import true_room as true
from layout_arkitscenes import FULL, stored_camera, stored_pixels, stored_pose
from PIL import Image
from scipy.spatial.transform import Rotation

from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import rigid

START_S, STEP_S = 53412.733, 0.0166
FIRST = 2  # the first frames of a recording have no depth yet
PORTRAIT = Intrinsics(fx=236.0, fy=234.0, cx=117.0, cy=163.0, width=240, height=320)
WORLD_FROM_ARKIT = rigid(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]), np.zeros(3))  # (x, y, z) -> (x, -z, y)


def arkit_pose(world_from_camera: np.ndarray) -> np.ndarray:
    """The same camera in ARKit's world, whose +y points up."""
    return np.linalg.inv(WORLD_FROM_ARKIT) @ world_from_camera


def depth_camera(camera: Intrinsics) -> Intrinsics:
    return camera.resized(width=camera.width // 4, height=camera.height // 4)


def write_video(path: Path, pictures: list[np.ndarray]) -> None:
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 60.0, (width, height))
    for rgb in pictures:
        writer.write(np.ascontiguousarray(rgb[:, :, ::-1]))
    writer.release()


def write(folder: Path, *, camera: Intrinsics, quarters: int, camera_columns: bool, confidence: bool) -> None:
    """Frames before `FIRST` look at the first pose and have neither depth nor confidence."""
    stored = stored_camera(camera, quarters)
    poses = [true.poses()[0]] * FIRST + list(true.poses())
    for name in ("depth", "confidence") if confidence else ("depth",):
        (folder / name).mkdir(parents=True)
    pictures, lines = [], []
    for index, pose in enumerate(poses):
        rgb = true.shoot(camera, pose).rgb
        pictures.append(stored_pixels(rgb if index >= FIRST else 255 - rgb, quarters))
        held = arkit_pose(stored_pose(pose, quarters))
        numbers = [*held[:3, 3], *Rotation.from_matrix(held[:3, :3]).as_quat()]
        if camera_columns:
            numbers += [stored.fx, stored.fy, stored.cx, stored.cy]
        lines.append(f"{START_S + STEP_S * index:.6f}, {index:06d}, " + ", ".join(repr(float(number)) for number in numbers))
        if index >= FIRST:
            depth_mm = true.stored_depth(true.shoot(depth_camera(camera), pose))
            Image.fromarray(stored_pixels(depth_mm, quarters)).save(folder / "depth" / f"{index:06d}.png")
        if index >= FIRST and confidence:
            levels = np.full(depth_mm.shape, 2, dtype=np.uint8)
            levels[-2:, :8] = 0
            Image.fromarray(stored_pixels(levels, quarters)).save(folder / "confidence" / f"{index:06d}.png")
    header = "timestamp, frame, x, y, z, qx, qy, qz, qw" + (", fx, fy, cx, cy" if camera_columns else "")
    (folder / "odometry.csv").write_text("\n".join([header, *lines]) + "\n")
    (folder / "imu.csv").write_text("timestamp, a_x, a_y, a_z, alpha_x, alpha_y, alpha_z\n")
    K = stored.K if not camera_columns else np.diag([9.0, 9.0, 1.0])  # of the last frame, and not read beside the columns
    (folder / "camera_matrix.csv").write_text("\n".join(", ".join(repr(float(value)) for value in row) for row in K))
    write_video(folder / "rgb.mp4", pictures)


def written(source: Path, scan_id: str, *, camera: Intrinsics, options: dict) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(
            frame_id=f"{index:06d}", world_from_camera=pose, intrinsics=camera, depth_intrinsics=depth_camera(camera), pixels="close"
        )
        for index, pose in enumerate(true.poses(), start=FIRST)
    )
    return true.Written(
        source=source,
        reader="strayscanner",
        scan_id=scan_id,
        place_id=scan_id,
        frames=frames,
        options=options,
        boxes=None,
        licence="own recording",
    )


def older(folder: Path) -> true.Written:
    """One camera for the whole recording, held level; a folder of recordings."""
    write(folder / "71de12f9", camera=FULL, quarters=0, camera_columns=False, confidence=False)
    return written(folder, "71de12f9", camera=FULL, options={"frame_step": 1})


def newer(folder: Path) -> true.Written:
    """A camera per frame, held upright so that the video lies on its side; confidence maps."""
    write(folder / "0d1c6e9a44", camera=PORTRAIT, quarters=1, camera_columns=True, confidence=True)
    return written(folder / "0d1c6e9a44", "0d1c6e9a44", camera=PORTRAIT, options={})


VARIANTS = {"older": older, "newer": newer}
