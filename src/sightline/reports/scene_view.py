"""Writes a scene as a 3-D page: coloured cloud, boxes with labels, camera frustums with thumbnails; one file, no network."""

import colorsys
import html
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rich
from PIL import Image
from scipy.spatial import cKDTree

from sightline.captures.capture import Frame, Room, SceneObject
from sightline.captures.images import read_rgb
from sightline.errors import MissingExtraError, SceneError
from sightline.files import write_text
from sightline.reports.cloud import ColouredCloud, coloured_cloud, evenly
from sightline.reports.marks import EDGES
from sightline.reports.plans import hue_of
from sightline.reports.scene_lines import opening_segments_world, track_segments_world, wall_segments_world
from sightline.scenes.scene import Scene

try:
    import viser
    from viser.transforms import SO3
except ModuleNotFoundError as error:
    raise MissingExtraError("viser", "view") from error

MAX_POINTS = 60_000
MAX_FRUSTUMS = 16
THUMBNAIL_PX = 128
FRUSTUM_M = 0.13
MIN_POINT_M, MAX_POINT_M = 0.006, 0.06
LINE_M = 0.012
PATH_COLOUR, OUTLINE_COLOUR, UNSEEN_COLOUR = (214, 51, 108), (90, 98, 112), (185, 190, 198)
TRACK_COLOUR = (12, 133, 153)
OPENING_COLOURS = {"door": (166, 95, 43), "window": (28, 126, 214), "opening": (94, 148, 13)}
LOCAL_HOST = "127.0.0.1"


def write_scene_view(scene: Scene, path: Path, *, max_points: int = MAX_POINTS) -> None:
    """Write the page. Points overhead are in the scene tree but hidden, so that one looks into the room.

    A scene without points shows its walls, boxes, tracks and cameras. Raises SceneError where it has nothing of all that,
    CaptureError for an image that does not read.
    """
    write_text(path, scene_view_html(scene, max_points=max_points))


def scene_view_html(scene: Scene, *, max_points: int = MAX_POINTS) -> str:
    """The page as a string. A server object collects the scene on a free local port and is stopped before this returns."""
    if len(scene.points_world) == 0 and len(_known_places_world(scene)) == 0:
        raise SceneError(
            f"scan '{scene.scan_id}': expected points, objects, walls or cameras to show, found none. Fix: import it with depth images"
        )
    cloud = coloured_cloud(scene, max_points=max_points)
    with _server() as server:
        _fill(server, scene, cloud)
        page = server.get_scene_serializer().as_html()
    return _titled(page, scene)


@contextmanager
def _server() -> Iterator[viser.ViserServer]:
    """A server that nobody connects to; it announces its address on the console, which is kept quiet meanwhile."""
    console = rich.get_console()
    was_quiet, console.quiet = console.quiet, True
    try:
        server = viser.ViserServer(host=LOCAL_HOST, port=0, verbose=False)
        try:
            yield server
        finally:
            server.stop()
    finally:
        console.quiet = was_quiet


def _fill(server: viser.ViserServer, scene: Scene, cloud: ColouredCloud) -> None:
    server.scene.set_up_direction("+z")
    below = ~cloud.is_overhead
    spacing_m = _spacing_m(cloud.points_world)
    _add_points(server, "/cloud", cloud, below, size_m=spacing_m, visible=True)
    _add_points(server, "/ceiling", cloud, cloud.is_overhead, size_m=spacing_m, visible=False)
    shown = cloud.points_world[below] if below.any() else cloud.points_world
    if len(shown):
        low, high = np.quantile(shown, 0.01, axis=0), np.quantile(shown, 0.99, axis=0)  # stray readings through windows left out
    else:
        places = _known_places_world(scene)
        low, high = places.min(axis=0), places.max(axis=0)
    server.scene.add_frame("/axes", axes_length=0.5, axes_radius=0.012, position=(float(low[0]) - 0.3, float(low[1]) - 0.3, float(low[2])))
    for room in scene.structure.rooms if scene.structure is not None else ():
        _add_outline(server, room)
    _add_structure(server, scene, visible=len(cloud.points_world) == 0)
    _add_lines(server, "/tracks", track_segments_world(scene), TRACK_COLOUR, visible=True)
    seen = None if scene.point_object_ids is None or len(scene.points_world) == 0 else set(np.unique(scene.point_object_ids).tolist())
    for one in scene.objects or ():
        _add_box(server, one, is_seen=seen is None or one.object_id in seen)
    _add_cameras(server, scene)
    _aim(server, low.astype(np.float64), high.astype(np.float64))


def _known_places_world(scene: Scene) -> np.ndarray:
    """Corners of walls and boxes and the places of cameras `(N, 3)`: what there is to see besides points."""
    walls = scene.structure.walls if scene.structure is not None else ()
    places = [wall_segments_world(wall).reshape(-1, 3) for wall in walls] + [one.box.corners_world() for one in scene.objects or ()]
    places += [frame.world_from_camera[None, :3, 3] for frame in scene.frames if scene.has_poses]
    return np.concatenate(places) if places else np.zeros((0, 3))


def _add_structure(server: viser.ViserServer, scene: Scene, *, visible: bool) -> None:
    """Walls, doors and windows as lines; in the scene tree but hidden where a cloud shows them."""
    structure = scene.structure
    if structure is None:
        return
    for wall in structure.walls:
        _add_lines(server, f"/walls/{wall.wall_id}", wall_segments_world(wall), OUTLINE_COLOUR, visible=visible)
    for number, opening in enumerate(structure.openings):
        segments = opening_segments_world(opening, structure)
        _add_lines(server, f"/openings/{number}_{opening.kind}", segments, OPENING_COLOURS.get(opening.kind, PATH_COLOUR), visible=visible)


def _add_lines(server: viser.ViserServer, name: str, segments_world: np.ndarray, colour: tuple[int, int, int], *, visible: bool) -> None:
    if len(segments_world):
        server.scene.add_line_segments(name, points=segments_world.astype(np.float32), colors=colour, thickness=LINE_M, visible=visible)


def _spacing_m(points_world: np.ndarray) -> float:
    """Median distance to the fourth neighbour: dots of this size close the surface without hiding its detail.

    The fourth, because points of a voxel cloud come in pairs on both sides of a voxel's border.
    """
    if len(points_world) < 5:
        return MAX_POINT_M
    some = points_world[:: max(1, len(points_world) // 2000)]
    fourth_m = cKDTree(points_world).query(some, k=5)[0][:, 4]
    return float(np.clip(0.9 * np.median(fourth_m), MIN_POINT_M, MAX_POINT_M))


def _add_points(server: viser.ViserServer, name: str, cloud: ColouredCloud, which: np.ndarray, *, size_m: float, visible: bool) -> None:
    if which.any():
        server.scene.add_point_cloud(
            name,
            points=cloud.points_world[which],
            colors=cloud.colours[which],
            point_size=size_m,
            point_shape="circle",
            point_shading="flat",
            precision="float32",  # half precision moves points by centimetres in a large flat
            visible=visible,
        )


def _add_outline(server: viser.ViserServer, room: Room) -> None:
    """The room's outline on its floor, so that what was not scanned has its place too."""
    corners = np.c_[room.outline_world, np.full(len(room.outline_world), room.floor_z_m)].astype(np.float32)
    sides = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)
    server.scene.add_line_segments(f"/rooms/{room.room_index}", points=sides, colors=OUTLINE_COLOUR, thickness=LINE_M)


def _add_box(server: viser.ViserServer, one: SceneObject, *, is_seen: bool) -> None:
    """A box with its label; grey where no point of the cloud belongs to it."""
    corners = one.box.corners_world()
    colour = tuple(round(255 * channel) for channel in colorsys.hls_to_rgb(hue_of(one.category) / 360.0, 0.45, 0.75))
    colour = colour if is_seen else UNSEEN_COLOUR
    name = f"/objects/{one.object_id:04d}"
    server.scene.add_line_segments(f"{name}/box", points=corners[EDGES].astype(np.float32), colors=colour, thickness=LINE_M)
    top = one.box.centre_world + np.array([0.0, 0.0, (corners[:, 2].max() - corners[:, 2].min()) / 2.0 + 0.05])
    server.scene.add_label(f"{name}/label", one.category, position=top, anchor="bottom-center", font_screen_scale=1.0)


def _add_cameras(server: viser.ViserServer, scene: Scene) -> None:
    if not scene.has_poses:
        return
    if len(scene.frames) > 1:
        centres = np.array([frame.world_from_camera[:3, 3] for frame in scene.frames], dtype=np.float32)
        path = np.stack([centres[:-1], centres[1:]], axis=1)
        server.scene.add_line_segments("/cameras/path", points=path, colors=PATH_COLOUR, thickness=LINE_M)
    for frame in evenly(scene.frames, MAX_FRUSTUMS):
        server.scene.add_camera_frustum(
            f"/cameras/{frame.frame_id}",
            fov=2.0 * float(np.arctan(frame.intrinsics.height / 2.0 / frame.intrinsics.fy)),
            aspect=frame.intrinsics.width / frame.intrinsics.height,
            scale=FRUSTUM_M,
            thickness=LINE_M * 0.5,
            color=PATH_COLOUR,
            image=_thumbnail(frame),
            jpeg_quality=80,
            format="jpeg",
            wxyz=SO3.from_matrix(frame.world_from_camera[:3, :3]).wxyz,
            position=frame.world_from_camera[:3, 3],
        )


def _thumbnail(frame: Frame) -> np.ndarray:
    image = Image.fromarray(read_rgb(frame.rgb_path))
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _aim(server: viser.ViserServer, low: np.ndarray, high: np.ndarray) -> None:
    """Start above a corner, looking down into the room, far enough to see all of it."""
    centre = (low + high) / 2.0
    reach = float(np.linalg.norm(high[:2] - low[:2]))
    server.initial_camera.position = centre + np.array([-0.32, -0.54, 0.9]) * reach
    server.initial_camera.look_at = centre - np.array([0.0, 0.0, 0.06 * reach])
    server.initial_camera.up = np.array([0.0, 0.0, 1.0])
    server.initial_camera.fov = float(np.radians(50.0))


def _titled(page: str, scene: Scene) -> str:
    """The page with the scan in its title and a caption that says what is seen."""
    name = html.escape(scene.scan_id)
    known = f"objects: {len(scene.objects)}, " if scene.objects is not None else ""
    caption = (
        '<div style="position:fixed;left:12px;bottom:12px;z-index:9;padding:8px 12px;border-radius:8px;background:rgba(255,255,255,.88);'
        'color:#1b1f27;font:13px/1.4 system-ui,sans-serif;pointer-events:none;max-width:80vw">'
        f"<b>{name}</b> &middot; {known}frames: {len(scene.frames)} &middot; licence {html.escape(scene.licence)}<br>"
        "drag to turn, right-drag to move, wheel to zoom; axes: x red, y green, z up blue, 0.5 m long</div>"
    )
    page = page.replace("<title>Viser</title>", f"<title>{name} in 3-D</title>", 1)
    body_end = page.rindex("</body>")
    return page[:body_end] + caption + page[body_end:]
