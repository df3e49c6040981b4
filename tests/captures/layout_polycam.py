"""Writes the true room as raw exports of Polycam, in a folder and in an archive, with and without its corrected pictures."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import true_room as true
from layout_arkitscenes import FULL, stored_camera, stored_pixels, stored_pose
from layout_strayscanner import PORTRAIT, arkit_pose, depth_camera
from PIL import Image

from sightline.geometry.cameras import Intrinsics

OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
START_US, STEP_US = 9_998_500_000, 412_345  # later names have more digits


def stamps() -> list[str]:
    return [str(START_US + STEP_US * index) for index in range(true.NUM_FRAMES)]


def image_bytes(pixels: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format=kind, **({"quality": 96, "subsampling": 0} if kind == "JPEG" else {}))
    return stream.getvalue()


def camera_file(camera: Intrinsics, world_from_camera: np.ndarray, index: int) -> bytes:
    """The pose is that of the OpenGL camera in ARKit's world, without its last row."""
    held = arkit_pose(world_from_camera) @ OPENGL_FROM_OPENCV
    values = {f"t_{row}{column}": float(held[row, column]) for row in range(3) for column in range(4)}
    values |= {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy, "width": camera.width, "height": camera.height}
    values |= {
        "blur_score": 100.0 + index,
        "center_depth": 1.5,
        "neighbors": [],
        "timestamp": int(stamps()[index]),
        "manual_keyframe": False,
    }
    return json.dumps(values).encode()


def members(*, camera: Intrinsics, quarters: int, prefix: str, confidence: bool) -> dict[str, bytes]:
    """Everything below `keyframes/`. With a prefix the pictures without it are negatives, and their cameras elsewhere."""
    found = {}
    stored = stored_camera(camera, quarters)
    for index, (stamp, pose) in enumerate(zip(stamps(), true.poses())):
        rgb = stored_pixels(true.shoot(camera, pose).rgb, quarters)
        held = stored_pose(pose, quarters)
        found[f"{prefix}images/{stamp}.jpg"] = image_bytes(rgb, "JPEG")
        found[f"{prefix}cameras/{stamp}.json"] = camera_file(stored, held, index)
        if prefix:
            found[f"images/{stamp}.jpg"] = image_bytes(255 - rgb, "JPEG")
            found[f"cameras/{stamp}.json"] = camera_file(stored, held @ np.diag([-1.0, -1.0, 1.0, 1.0]), index)
        depth_mm = true.stored_depth(true.shoot(depth_camera(camera), pose))
        found[f"depth/{stamp}.png"] = image_bytes(stored_pixels(depth_mm, quarters), "PNG")
        if confidence:
            levels = np.full(depth_mm.shape, 255, dtype=np.uint8)
            levels[:1, :6] = 127
            levels[-1:, :6] = 0
            found[f"confidence/{stamp}.png"] = image_bytes(stored_pixels(levels, quarters), "PNG")
    return found


def write_folder(folder: Path, found: dict[str, bytes]) -> Path:
    for name, payload in found.items():
        (folder / "keyframes" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "keyframes" / name).write_bytes(payload)
    identity = np.eye(4).reshape(-1).tolist()
    (folder / "mesh_info.json").write_text(json.dumps({"alignmentTransform": identity, "numFaces": 0}))
    (folder / "raw.glb").write_bytes(b"glTF")
    return folder


def write_archive(path: Path, found: dict[str, bytes], *, inside: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{inside}mesh_info.json", "{}")
        for name, payload in found.items():
            archive.writestr(f"{inside}keyframes/{name}", payload)
            archive.writestr(f"__MACOSX/{inside}keyframes/{name}", b"")
    return path


def written(source: Path, scan_id: str, *, camera: Intrinsics) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(frame_id=stamp, world_from_camera=pose, intrinsics=camera, depth_intrinsics=depth_camera(camera), pixels="close")
        for stamp, pose in zip(stamps(), true.poses())
    )
    return true.Written(
        source=source,
        reader="polycam",
        scan_id=scan_id,
        place_id=scan_id,
        frames=frames,
        options={},
        boxes=None,
        licence="own recording",
    )


def corrected(folder: Path) -> true.Written:
    """A folder with corrected pictures and cameras beside the others, held level; confidences."""
    write_folder(folder / "kitchen", members(camera=FULL, quarters=0, prefix="corrected_", confidence=True))
    return written(folder / "kitchen", "kitchen", camera=FULL)


def plain(folder: Path) -> true.Written:
    """A folder of exports; long recordings have no corrected pictures. Held upright."""
    write_folder(folder / "hall 2", members(camera=PORTRAIT, quarters=3, prefix="", confidence=False))
    return written(folder, "hall_2", camera=PORTRAIT)


def archive(folder: Path) -> true.Written:
    """The archive as the app shares it, with one folder around everything and a Mac's own entries; held upside down."""
    found = members(camera=FULL, quarters=2, prefix="corrected_", confidence=True)
    path = write_archive(folder / "poly_room.zip", found, inside="poly_room/")
    return written(path, "poly_room", camera=FULL)


def archive_level(folder: Path) -> true.Written:
    """An archive without a folder around, held level: pictures come out as they are."""
    found = members(camera=FULL, quarters=0, prefix="", confidence=False)
    return written(write_archive(folder / "level.zip", found, inside=""), "level", camera=FULL)


VARIANTS = {"corrected": corrected, "plain": plain, "archive": archive, "archive_level": archive_level}
