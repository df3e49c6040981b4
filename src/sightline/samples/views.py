"""Views outside a data set: frames of a scan, or a user's own pictures, for one question."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sightline.captures.frame_images import frame_depth_m
from sightline.captures.images import read_rgb
from sightline.errors import ConfigError, DataError
from sightline.geometry.transforms import inverse
from sightline.questions.question import MARK_COLOURS, Mark
from sightline.samples.frames import View, draw_mark
from sightline.samples.framing import Framings, resized
from sightline.scenes.scene import Scene
from sightline.scenes.store import SceneStore

LEAST_TURN_DEG, MOST_TURN_DEG = 10.0, 50.0  # two default frames show the same things from different places


def views_of_scan(
    scan: Path, *, frame_ids: Sequence[str] | None, marks: Sequence[str], with_depth: bool, framings: Framings
) -> tuple[View, ...]:
    """Named frames of `STORE/SCAN`, or two that look the same way from apart, at the size that a model is shown (the first of its framings,
    not yet cut), so that dots are as large as in training. `marks` are `FRAME:u,v:colour`.

    Raises SceneError for no such scan, DataError for no such frame, ConfigError for a malformed mark.
    """
    scene = SceneStore(scan.parent).read(scan.name)
    known = {frame.frame_id: frame for frame in scene.frames}
    dots = [parse_mark(text) for text in marks]
    chosen = list(frame_ids) if frame_ids else _two_frames(scene)
    for frame_id in [*chosen, *(dot.frame_id for dot in dots)]:
        if frame_id not in known:
            raise DataError(f"{scan}: no frame '{frame_id}'; it has {scene.frames[0].frame_id} to {scene.frames[-1].frame_id}")
    views = []
    for frame in (known[frame_id] for frame_id in chosen):
        canvas = framings(frame.intrinsics.width, frame.intrinsics.height)[0]
        rgb = resized(read_rgb(frame.rgb_path), width=canvas.width, height=canvas.height)
        for dot in dots:
            if dot.frame_id == frame.frame_id:
                draw_mark(rgb, dot, stored=frame.intrinsics, where="--mark")
        has_depth = with_depth and frame.depth_path is not None
        views.append(
            View(
                frame_id=frame.frame_id,
                rgb=rgb,
                intrinsics=frame.intrinsics.resized(width=canvas.width, height=canvas.height),
                depth_m=frame_depth_m(frame) if has_depth else None,
                depth_intrinsics=frame.depth_intrinsics if has_depth else None,
                world_from_camera=frame.world_from_camera,
            )
        )
    return tuple(views)


def views_of_images(paths: Sequence[Path]) -> tuple[View, ...]:
    """A user's own pictures at their own size, without pose or depth. Raises CaptureError for one that does not open."""
    return tuple(
        View(frame_id=path.name, rgb=read_rgb(path), intrinsics=None, depth_m=None, depth_intrinsics=None, world_from_camera=None)
        for path in paths
    )


def parse_mark(text: str) -> Mark:
    """`FRAME:u,v:colour` as a mark. Raises ConfigError."""
    parts = text.split(":")
    try:
        frame_id, place, colour = parts
        u_px, v_px = (float(one) for one in place.split(","))
    except ValueError as error:
        raise ConfigError(f"--mark '{text}': expected FRAME:u,v:colour, such as 000004:160,120:red") from error
    if colour not in MARK_COLOURS:
        raise ConfigError(f"--mark '{text}': expected a colour of {', '.join(MARK_COLOURS)}, found '{colour}'")
    return Mark(frame_id=frame_id, u_px=u_px, v_px=v_px, colour=colour)


def _two_frames(scene: Scene) -> list[str]:
    """The first frame and the next that turned moderately against it; one frame where there is no other."""
    first, *others = scene.frames
    camera_from_world = inverse(first.world_from_camera)
    for other in others:
        rotation = (camera_from_world @ other.world_from_camera)[:3, :3]
        turn_deg = float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1.0, 1.0))))
        if LEAST_TURN_DEG <= turn_deg <= MOST_TURN_DEG:
            return [first.frame_id, other.frame_id]
    return [one.frame_id for one in (first, *others[:1])]
