"""Writes the true room as COLMAP projects: text and binary models, distorted cameras, dense depth maps, folders of depth images."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import true_room as true
from lens_pictures import distorted_view
from PIL import Image
from scipy.spatial.transform import Rotation

from sightline.geometry.cameras import Intrinsics

STORED_FROM_WORLD = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])  # y down, as COLMAP's worlds often are
NAMES = tuple(f"frame_{index + 1:05d}.png" for index in range(true.NUM_FRAMES))
MODEL_IDS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "RADIAL": 3, "OPENCV": 4, "OPENCV_FISHEYE": 5, "FULL_OPENCV": 6}
OPENCV_LENS = (-0.21, 0.06, 0.002, -0.0015)
FISHEYE_LENS = (-0.02, 0.004, -0.002, 0.0005)


def stored_images(*, names=NAMES, camera_ids=(1,) * true.NUM_FRAMES, unit_m: float = 1.0):
    """(image id, wxyz, translation, camera id, name) in an order that is not that of the names."""
    rows = []
    for index, pose in enumerate(true.poses()):
        camera_from_stored = np.linalg.inv(STORED_FROM_WORLD @ pose)
        x, y, z, w = Rotation.from_matrix(camera_from_stored[:3, :3]).as_quat()
        rows.append((index + 7, (w, x, y, z), tuple(camera_from_stored[:3, 3] / unit_m), camera_ids[index], names[index]))
    return rows[3:] + rows[:3]


def pinhole_parameters(camera: Intrinsics) -> tuple[float, ...]:
    """COLMAP's pixel centres lie at +0.5."""
    return (camera.fx, camera.fy, camera.cx + 0.5, camera.cy + 0.5)


def write_text(folder: Path, cameras, images, *, points_lines: bool = True) -> None:
    """Cameras are (id, model, width, height, parameters)."""
    folder.mkdir(parents=True)
    lines = [f"{number} {model} {w} {h} {' '.join(map(repr, map(float, values)))}\n" for number, model, w, h, values in cameras]
    (folder / "cameras.txt").write_text("# Camera list with one line of data per camera:\n" + "".join(lines))
    rows = []
    for number, (image_id, quat, translation, camera_id, name) in enumerate(images):
        rows.append(f"{image_id} {' '.join(map(repr, map(float, (*quat, *translation))))} {camera_id} {name}\n")
        if points_lines:
            rows.append("\n" if number % 2 else "12.5 30.25 -1 40.0 50.5 17 60.25 7.5 -1 80.0 81.0 9\n")
    (folder / "images.txt").write_text("# Image list with two lines of data per image:\n" + "".join(rows))
    (folder / "points3D.txt").write_text("# 3D point list\n# Number of points: 2, mean track length: 3.5\n17 0 0 0 1 2 3 0.5 7 1\n")


def write_binary(folder: Path, cameras, images) -> None:
    folder.mkdir(parents=True)
    data = struct.pack("<Q", len(cameras))
    for number, model, width, height, values in cameras:
        data += struct.pack(f"<IiQQ{len(values)}d", number, MODEL_IDS[model], width, height, *values)
    (folder / "cameras.bin").write_bytes(data)
    data = struct.pack("<Q", len(images))
    for number, (image_id, quat, translation, camera_id, name) in enumerate(images):
        data += struct.pack("<I7dI", image_id, *quat, *translation, camera_id) + name.encode() + b"\0"
        data += struct.pack("<Q", number) + struct.pack("<ddQ", 1.5, 2.5, 2**64 - 1) * number
    (folder / "images.bin").write_bytes(data)
    (folder / "points3D.bin").write_bytes(struct.pack("<Q", 12345))


def write_images(folder: Path, names=NAMES, cameras=(true.SMALL,) * true.NUM_FRAMES) -> None:
    for name, camera, pose in zip(names, cameras, true.poses()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(true.shoot(camera, pose).rgb).save(folder / name)


def written(folder: Path, *, cameras=(true.SMALL,) * true.NUM_FRAMES, depth=None, options=None, pixels="same", ids=None) -> true.Written:
    """`depth` holds the depth cameras, None where there is no depth."""
    frames = tuple(
        true.ExpectedFrame(
            frame_id=ids[index] if ids else Path(NAMES[index]).stem,
            world_from_camera=pose,
            intrinsics=cameras[index],
            depth_intrinsics=None if depth is None else depth[index],
            pixels=pixels,
        )
        for index, pose in enumerate(true.poses())
    )
    return true.Written(
        source=folder, reader="colmap", scan_id=folder.name, place_id=folder.name, frames=frames, options=options or {}, boxes=None
    )


def text(folder: Path) -> true.Written:
    """`sparse/0` as text, one pinhole, no depth: up is measured from the way the cameras are held."""
    project = folder / "my_flat"
    write_text(project / "sparse/0", [(1, "PINHOLE", 160, 120, pinhole_parameters(true.SMALL))], stored_images())
    write_images(project / "images")
    return written(project, options={"up_axis": "-y"})


def binary_stereo(folder: Path) -> true.Written:
    """A dense workspace: binary `sparse/`, depth maps of COLMAP's own at a smaller size, a world unit of 0.4 m."""
    project, unit_m = folder / "dense_flat", 0.4
    write_binary(project / "sparse", [(1, "PINHOLE", 160, 120, pinhole_parameters(true.SMALL))], stored_images(unit_m=unit_m))
    write_images(project / "images")
    small = true.SMALL.resized(width=120, height=90)
    (project / "stereo/depth_maps").mkdir(parents=True)
    for index, (name, pose) in enumerate(zip(NAMES, true.poses())):
        depth = np.nan_to_num(true.shoot(small, pose).depth_m / unit_m, nan=0.0).astype("<f4")
        kind = "geometric" if index else "photometric"
        (project / f"stereo/depth_maps/{name}.{kind}.bin").write_bytes(b"120&90&1&" + depth.tobytes())
    return written(project, depth=[small] * true.NUM_FRAMES, options={"world_unit_m": unit_m})


def depth_images(folder: Path) -> true.Written:
    """A binary model in the folder itself, two cameras of two sizes in subfolders, 16-bit depth images beside."""
    project = folder / "two_cameras"
    other = Intrinsics(fx=140.0, fy=140.0, cx=91.0, cy=63.0, width=180, height=130)
    cameras = [true.SMALL if index % 2 else other for index in range(true.NUM_FRAMES)]
    names = [f"cam{index % 2}/shot{index // 2}.png" for index in range(true.NUM_FRAMES)]
    stored = [
        (1, "SIMPLE_PINHOLE", 180, 130, (other.fx, other.cx + 0.5, other.cy + 0.5)),
        (2, "PINHOLE", 160, 120, pinhole_parameters(true.SMALL)),
    ]
    write_binary(project, stored, stored_images(names=names, camera_ids=[1 + index % 2 for index in range(true.NUM_FRAMES)]))
    write_images(project / "images", names, cameras)
    for name, camera, pose in zip(names, cameras, true.poses()):
        path = project / "depth" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(true.stored_depth(true.shoot(camera, pose), unit_m=0.0005)).save(path)
    order = sorted(range(true.NUM_FRAMES), key=lambda index: (index % 2, index // 2))
    wrote = written(
        project, cameras=cameras, depth=cameras, options={"depth_unit_m": 0.0005}, ids=[n.replace("/", "_")[:-4] for n in names]
    )
    return replace(wrote, frames=tuple(wrote.frames[index] for index in order))


def _lens(folder: Path, *, model: str, kind: str, coefficients, parameters, place: str, suffix: str) -> true.Written:
    names = [Path(name).with_suffix(suffix).name for name in NAMES]
    write_text(folder / place, [(1, model, 160, 120, parameters)], stored_images(names=names), points_lines=kind == "radial")
    for name, pose in zip(names, true.poses()):
        rgb, _ = distorted_view(true.SMALL, kind, coefficients, pose)
        (folder / "images").mkdir(exist_ok=True)
        Image.fromarray(rgb).save(folder / "images" / name, **({"quality": 95} if suffix == ".jpg" else {}))
    return written(folder, options={"undistort": True, "up_axis": "-y"}, pixels="close")


def distorted(folder: Path) -> true.Written:
    """The OPENCV model under `colmap/sparse/0`, PNG pictures, undistorted on request."""
    return _lens(
        folder / "bent_flat",
        model="OPENCV",
        kind="radial",
        coefficients=(*OPENCV_LENS, 0.0, 0.0, 0.0, 0.0),
        parameters=(*pinhole_parameters(true.SMALL), *OPENCV_LENS),
        place="colmap/sparse/0",
        suffix=".png",
    )


def fisheye(folder: Path) -> true.Written:
    """The OPENCV_FISHEYE model, JPEG pictures, no second lines in images.txt."""
    return _lens(
        folder / "fish_flat",
        model="OPENCV_FISHEYE",
        kind="fisheye",
        coefficients=FISHEYE_LENS,
        parameters=(*pinhole_parameters(true.SMALL), *FISHEYE_LENS),
        place="sparse",
        suffix=".jpg",
    )


VARIANTS = {
    "text": text,
    "binary_stereo": binary_stereo,
    "depth_images": depth_images,
    "distorted": distorted,
    "fisheye": fisheye,
}
