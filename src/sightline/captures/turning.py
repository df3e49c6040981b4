"""Turns recordings upright in quarter turns: pictures, depth, cameras and poses together, so that no world point moves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.arrays import expect
from sightline.captures.images import read_rgb, write_rgb_png
from sightline.files import replacing
from sightline.geometry.cameras import Intrinsics

JPEG_QUALITY = 95
TELLING = 0.35  # share of the world's up that lies in the picture plane; below (20 degrees off the vertical) a view tells no side


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """How a recording is to be turned: `quarters` counter-clockwise as the picture is looked at, and who voted otherwise."""

    quarters: int  # 0 to 3, as numpy.rot90 counts
    frames_told: int  # frames that look level enough to tell
    frames_otherwise: int  # of those, the ones that would be turned another way

    def as_notes(self) -> dict[str, int]:
        """JSON-able values for `Capture.notes["upright"]`."""
        return {
            "turned_counter_clockwise_deg": 90 * self.quarters,
            "frames_told": self.frames_told,
            "frames_otherwise": self.frames_otherwise,
        }


NO_TURN = Turn(quarters=0, frames_told=0, frames_otherwise=0)


def upright_turn(world_from_camera: np.ndarray, *, up_world: Sequence[float]) -> Turn:
    """The quarter turns that bring up to the top in most of these views, one for all of them since a scan has one image size.

    `world_from_camera (N, 4, 4)` of OpenCV cameras in a world whose unit vector `up_world` points up. Poses that are not finite,
    and views steeply up or down, have no vote.
    """
    expect(world_from_camera=(world_from_camera, "N 4 4"))
    good = world_from_camera[np.isfinite(world_from_camera).all(axis=(1, 2))]
    up_camera = np.einsum("nij,i->nj", good[:, :3, :3], np.asarray(up_world, dtype=np.float64))
    up_camera = up_camera[np.hypot(up_camera[:, 0], up_camera[:, 1]) > TELLING]
    x, y = up_camera[:, 0], up_camera[:, 1]
    wanted = np.where(np.abs(y) >= np.abs(x), np.where(y < 0, 0, 2), np.where(x > 0, 1, 3))
    counts = np.bincount(wanted, minlength=4)
    quarters = int(counts.argmax())
    return Turn(quarters=quarters, frames_told=len(wanted), frames_otherwise=int(len(wanted) - counts[quarters]))


def turned_pixels(pixels: np.ndarray, quarters: int) -> np.ndarray:
    """`(H, W, ...)` turned counter-clockwise; no value changes."""
    return np.ascontiguousarray(np.rot90(pixels, quarters))


def turned_camera(camera: Intrinsics, quarters: int) -> Intrinsics:
    """The camera of the turned picture; pixel centres stay pixel centres."""
    for _ in range(quarters % 4):  # pixel (u, v) goes to (v, width - 1 - u)
        camera = Intrinsics(
            fx=camera.fy, fy=camera.fx, cx=camera.cy, cy=camera.width - 1 - camera.cx, width=camera.height, height=camera.width
        )
    return camera


def camera_from_turned(quarters: int) -> np.ndarray:
    """(4, 4): OpenCV camera axes of the picture as it was from those of the turned one; `world_from_camera @ camera_from_turned`."""
    once = np.array([[0.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    return np.linalg.matrix_power(once, quarters % 4)


def turned_pose(world_from_camera: np.ndarray, quarters: int) -> np.ndarray:
    """(4, 4) pose of the turned picture's camera, from that of the picture as it was; what is not finite stays so."""
    if quarters % 4 == 0:
        return world_from_camera
    with np.errstate(invalid="ignore"):
        return world_from_camera @ camera_from_turned(quarters)


def turned_colour(path: Path, folder: Path, quarters: int) -> Path:
    """The picture turned and written to `folder` under its own name: PNG without loss, anything else as JPEG. Raises CaptureError."""
    rgb = turned_pixels(read_rgb(path), quarters)
    if path.suffix.lower() == ".png":
        target = folder / path.name
        write_rgb_png(target, rgb)
        return target
    target = folder / f"{path.stem}.jpg"
    with replacing(target) as beside:
        Image.fromarray(rgb).save(beside, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return target


def turning_note(turn: Turn, suffix: str) -> str:
    """What was re-encoded, for `Capture.notes["reencoded"]`."""
    how = "without loss" if suffix.lower() == ".png" else f"JPEG quality {JPEG_QUALITY}"
    return f"colour: turned {90 * turn.quarters} degrees counter-clockwise, {how}"
