"""Writes the true room as anybody's own scan folder, in some of the conventions that people have."""

from pathlib import Path

import numpy as np
import true_room as true
from PIL import Image

from sightline.captures.records import objects_as_json
from sightline.files import write_json


def _write(folder: Path, *, stored_poses: np.ndarray, unit_m: float) -> None:
    for place in ("color", "depth", "instances"):
        (folder / place).mkdir(parents=True)
    for index, pose in enumerate(true.poses()):
        view = true.shoot(true.SMALL, pose)
        Image.fromarray(view.rgb).save(folder / "color" / f"{index}.png")
        Image.fromarray(true.stored_depth(view, unit_m=unit_m)).save(folder / "depth" / f"{index}.png")
        Image.fromarray((view.object_ids + 1).astype(np.uint16)).save(folder / "instances" / f"{index}.png")
    (folder / "poses.txt").write_text("".join(" ".join(map(repr, pose.ravel().tolist())) + "\n" for pose in stored_poses))
    (folder / "K.txt").write_text("".join(" ".join(map(repr, row)) + "\n" for row in true.SMALL.K.tolist()))
    write_json(folder / "objects.json", objects_as_json(true.objects()))


def _written(folder: Path, options: dict) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(frame_id=str(index), world_from_camera=pose, intrinsics=true.SMALL, depth_intrinsics=true.SMALL)
        for index, pose in enumerate(true.poses())
    )
    return true.Written(
        source=folder,
        reader="folder",
        scan_id=folder.name,
        place_id=folder.name,
        frames=frames,
        options=options,
        boxes="own",
        instances="pixels",
        licence="unknown",
    )


def usual(folder: Path) -> true.Written:
    """Millimetres, OpenCV, world from camera, +z up."""
    _write(folder / "my_room", stored_poses=true.poses(), unit_m=0.001)
    return _written(folder / "my_room", {})


def opengl(folder: Path) -> true.Written:
    """Camera from world of an OpenGL camera, quarter millimetres."""
    stored = np.linalg.inv(true.poses() @ np.diag([1.0, -1.0, -1.0, 1.0]))
    _write(folder / "gl_room", stored_poses=stored, unit_m=0.00025)
    given = {"camera_axes": "opengl", "pose_direction": "camera_from_world", "depth_unit_m": 0.00025, "up_axis": "+z"}
    return _written(folder / "gl_room", given)


VARIANTS = {"usual": usual, "opengl": opengl}
