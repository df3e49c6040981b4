"""Dots and object boxes drawn over a frame, in pixels of the stored image."""

from collections.abc import Sequence

import numpy as np

from sightline.captures.capture import Frame, SceneObject
from sightline.captures.frame_images import frame_depth_m
from sightline.geometry.boxes import Box
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import depth_at
from sightline.geometry.transforms import apply, inverse
from sightline.geometry.visibility import unpack_words, visible_words
from sightline.questions.question import Mark
from sightline.reports import svg
from sightline.reports.cards import mark_rgb
from sightline.reports.svg import Markup
from sightline.scenes.scene import Scene

RADIUS_SHARE = 1 / 40  # radius of a dot as a share of the image's longer side: seen at a glance, hides little
NEAR_M = 0.05  # edges are cut where they pass the camera
ON_SURFACE_M = 0.05  # a measured point may lie this far outside its object's box: depth noise, a box fitted to a hull
# corners as Box.corners_world orders them: z fastest, then y, then x
EDGES = np.array([[0, 1], [2, 3], [4, 5], [6, 7], [0, 2], [1, 3], [4, 6], [5, 7], [0, 4], [1, 5], [2, 6], [3, 7]])


def dot(mark: Mark, *, width: int, height: int) -> Markup:
    """A dot (or box) with a white and a dark rim and its letter; pixel centres are integers, the drawing's pixels start at them."""
    if mark.is_box:
        return outline(mark, width=width, height=height)
    radius = max(width, height) * RADIUS_SHARE
    colour = css(mark)
    x, y = mark.u_px + 0.5, mark.v_px + 0.5
    parts: list[svg.Child] = [
        svg.circle(x, y, radius, fill=colour, stroke="#fff", stroke_width=radius * 0.3),
        svg.circle(x, y, radius * 1.18, fill="none", stroke="#000", stroke_opacity=0.55, stroke_width=radius * 0.1),
    ]
    if mark.label:
        is_at_edge = x + radius * 3.2 > width
        parts.append(
            svg.text(
                x - radius * 1.5 if is_at_edge else x + radius * 1.5,
                y + radius * 0.75,
                mark.label,
                style=f"fill:{colour};font-size:{svg.number(radius * 2.2)}px;font-weight:700;paint-order:stroke",
                stroke="#fff",
                stroke_width=radius * 0.45,
                text_anchor="end" if is_at_edge else "start",
            )
        )
    return svg.group(parts)


def outline(mark: Mark, *, width: int, height: int) -> Markup:
    """A box mark: its edges in colour between a white and a dark line."""
    line = max(width, height) * RADIUS_SHARE * 0.35
    place = {"x": mark.u_px + 0.5, "y": mark.v_px + 0.5, "width": mark.right_px - mark.u_px, "height": mark.bottom_px - mark.v_px}
    return svg.group(
        [
            svg.element("rect", **place, fill="none", stroke="#000", stroke_width=line * 2.2, stroke_opacity=0.6),
            svg.element("rect", **place, fill="none", stroke="#fff", stroke_width=line * 1.7),
            svg.element("rect", **place, fill="none", stroke=css(mark), stroke_width=line),
        ]
    )


def css(mark: Mark) -> str:
    """The mark's colour as CSS."""
    return "rgb({},{},{})".format(*mark_rgb(mark))


def wireframe(box: Box, *, frame: Frame, colour: str) -> Markup | None:
    """A box's edges as the frame sees them, hidden ones too; None where all of it lies behind the camera."""
    path = ""
    for start, end in edges_uv(box, intrinsics=frame.intrinsics, world_from_camera=frame.world_from_camera):
        path += f"M{svg.number(start[0] + 0.5)} {svg.number(start[1] + 0.5)}L{svg.number(end[0] + 0.5)} {svg.number(end[1] + 0.5)}"
    if not path:
        return None
    width = max(frame.intrinsics.width, frame.intrinsics.height) / 260.0
    halo = svg.element("path", d=path, fill="none", stroke="#fff", stroke_opacity=0.65, stroke_width=width * 2.0)
    return svg.group([halo, svg.element("path", d=path, fill="none", stroke=colour, stroke_width=width)])


def edges_uv(box: Box, *, intrinsics: Intrinsics, world_from_camera: np.ndarray) -> list[np.ndarray]:
    """Edges `(2, 2)` in pixels, cut at the near plane; those behind it are left out."""
    corners_camera = apply(inverse(world_from_camera), box.corners_world())
    edges = []
    for a, b in corners_camera[EDGES]:
        if max(a[2], b[2]) <= NEAR_M:
            continue
        for point, other in ((a, b), (b, a)):
            if point[2] < NEAR_M:
                point += (other - point) * (NEAR_M - point[2]) / (other[2] - point[2])
        edges.append(intrinsics.project(np.stack([a, b]))[0])
    return edges


def object_under(mark: Mark, *, frame: Frame, objects: Sequence[SceneObject]) -> SceneObject | None:
    """The object whose box holds the surface point behind a mark, the smallest where several do; None without depth there."""
    if frame.depth_path is None:
        return None
    uv = np.array([[mark.u_px, mark.v_px]])
    depth_camera = frame.depth_intrinsics
    scaled = (uv + 0.5) * [depth_camera.width / frame.intrinsics.width, depth_camera.height / frame.intrinsics.height] - 0.5
    depth_m = depth_at(frame_depth_m(frame), scaled)
    if not np.isfinite(depth_m).all():
        return None
    point_world = apply(frame.world_from_camera, frame.intrinsics.unproject(uv, depth_m))
    holding = [one for one in objects if one.box.contains(point_world, margin_m=ON_SURFACE_M).all()]
    return min(holding, key=lambda one: (one.box.volume_m3, one.object_id), default=None)


def objects_seen(scene: Scene, frame: Frame, *, category: str) -> list[SceneObject]:
    """Objects of a category of which the frame sees at least one point of the cloud."""
    wanted = [one for one in scene.objects or () if one.category == category]
    if not wanted or scene.point_object_ids is None or frame.depth_path is None:
        return []
    rows = np.flatnonzero(np.isin(scene.point_object_ids, [one.object_id for one in wanted]))
    words = visible_words(
        scene.points_world[rows],
        depth_m=frame_depth_m(frame),
        depth_intrinsics=frame.depth_intrinsics,
        intrinsics=frame.intrinsics,
        world_from_camera=frame.world_from_camera,
    )
    seen = set(scene.point_object_ids[rows[unpack_words(words, len(rows))]].tolist())
    return [one for one in wanted if one.object_id in seen]
