"""Writes the true room as `.r3d` files of Record3D, of a newer and an older version."""

import importlib.util
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import true_room as true
from layout_strayscanner import arkit_pose
from PIL import Image
from scipy.spatial.transform import Rotation

from sightline.geometry.cameras import Intrinsics

OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
PORTRAIT = Intrinsics(fx=236.0, fy=234.0, cx=117.0, cy=163.0, width=240, height=320)
LIDAR = PORTRAIT.resized(width=192, height=256)  # the size that older apps did not write down
ICON = b"\x89PNG\r\n\x1a\n not needed"


def jpeg(rgb: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, format="JPEG", quality=96, subsampling=0)
    return stream.getvalue()


def pose_row(world_from_camera: np.ndarray) -> list[float]:
    """`qx qy qz qw x y z` of the OpenGL camera in ARKit's world."""
    held = arkit_pose(world_from_camera) @ OPENGL_FROM_OPENCV
    return [*map(float, Rotation.from_matrix(held[:3, :3]).as_quat()), *map(float, held[:3, 3])]


def members(
    *, camera: Intrinsics, said: Intrinsics, depth_camera: Intrinsics, newer: bool, poses: list[list[float]] | None = None
) -> dict[str, bytes]:
    """Everything in one recording. `said` is the camera at the size that the metadata speak of."""
    import liblzfse

    metadata = {
        "w": said.width,
        "h": said.height,
        "fps": 60,
        "K": said.K.T.reshape(-1).tolist(),
        "poses": poses or [pose_row(pose) for pose in true.poses()],
        "initPose": [0, 0, 0, 1, 0, 0, 0],
    }
    if newer:
        metadata |= {"dw": depth_camera.width, "dh": depth_camera.height}
        metadata["frameTimestamps"] = [0.5 + 0.25 * index for index in range(true.NUM_FRAMES)]
        metadata["perFrameIntrinsicCoeffs"] = [[said.fx, said.fy, said.cx, said.cy]] * true.NUM_FRAMES
        metadata["K"] = (said.K * np.array([[1.01, 1.0, 1.0], [1.0, 1.01, 1.0], [1.0, 1.0, 1.0]])).T.reshape(-1).tolist()
    found = {"metadata": json.dumps(metadata).encode(), "icon": ICON}
    for index, pose in enumerate(true.poses()):
        depth_m = np.nan_to_num(true.shoot(depth_camera, pose).depth_m, nan=np.nan).astype("<f4")
        levels = np.full(depth_m.shape, 2, dtype=np.uint8)
        levels[:3, -6:] = 0
        found[f"rgbd/{index}.jpg"] = jpeg(true.shoot(camera, pose).rgb)
        found[f"rgbd/{index}.depth"] = liblzfse.compress(depth_m.tobytes())
        if newer:
            found[f"rgbd/{index}.conf"] = liblzfse.compress(levels.tobytes())
    return found


def write(path: Path, found: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, payload in found.items():
            archive.writestr(name, payload)
    return path


def written(source: Path, scan_id: str, *, camera: Intrinsics, depth_camera: Intrinsics) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(frame_id=str(index), world_from_camera=pose, intrinsics=camera, depth_intrinsics=depth_camera, pixels="close")
        for index, pose in enumerate(true.poses())
    )
    return true.Written(
        source=source,
        reader="record3d",
        scan_id=scan_id,
        place_id=scan_id,
        frames=frames,
        options={},
        boxes=None,
        licence="own recording",
    )


def newer(folder: Path) -> true.Written:
    """A file held level, with a camera, a time and confidences per frame; the depth of its own size."""
    depth_camera = true.SMALL.resized(width=80, height=60)
    path = write(folder / "2024-05-01--10-11-12.r3d", members(camera=true.SMALL, said=true.SMALL, depth_camera=depth_camera, newer=True))
    return written(path, "2024-05-01--10-11-12", camera=true.SMALL, depth_camera=depth_camera)


def older(folder: Path) -> true.Written:
    """A folder with one file held upright: pictures of twice the size that is written, no size of the depth, no confidence."""
    said = PORTRAIT.resized(width=120, height=160)
    write(folder / "my room.r3d", members(camera=PORTRAIT, said=said, depth_camera=LIDAR, newer=False))
    return written(folder, "my_room", camera=PORTRAIT, depth_camera=LIDAR)


VARIANTS = {"newer": newer, "older": older} if importlib.util.find_spec("liblzfse") else {}  # the extra `record3d`
