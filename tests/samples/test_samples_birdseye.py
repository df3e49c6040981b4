"""The picture from above: a known room at the right pixels, to scale, upright, without its ceiling."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sightline.captures.capture import Frame
from sightline.captures.rooms import write_room_scan
from sightline.config import build
from sightline.errors import DataError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import points_world_from_depth
from sightline.samples.birdseye import (
    BACKGROUND,
    BirdsEyeOptions,
    birdseye_of_mesh,
    birdseye_of_points,
    birdseye_of_scene,
    floor_and_cut_m,
    sqa3d_heading_rad,
)
from sightline.samples.birdseye_drawing import BAR_COLOUR, bar_length_m
from sightline.samples.thinning import thinned_depth
from sightline.scenes.build import import_scan
from sightline.scenes.store import SceneStore

SQUARE = np.array([[0, 1, 2], [0, 2, 3]])
BROWN, GREEN, BLUE, WHITE = (120, 80, 40), (20, 160, 20), (20, 40, 200), (250, 250, 250)


def level(x, y, z):
    """The corners of a level rectangle `x` by `y`."""
    return np.array([[x[0], y[0], z], [x[1], y[0], z], [x[1], y[1], z], [x[0], y[1], z]])


def room(*, ceiling_m=2.6):
    """6 m x 4 m around (1, 2), a green table in its north-east, a blue box in its south-west, and a white ceiling."""
    parts = [
        (level((-2.0, 4.0), (0.0, 4.0), 0.5), BROWN),
        (level((3.0, 4.0), (3.5, 4.0), 1.25), GREEN),
        (level((-2.0, -1.0), (0.0, 0.5), 1.0), BLUE),
        (level((-2.0, 4.0), (0.0, 4.0), 0.5 + ceiling_m), WHITE),
    ]
    vertices = np.concatenate([corners for corners, _ in parts])
    triangles = np.concatenate([SQUARE + 4 * number for number in range(len(parts))])
    return vertices, triangles, np.repeat(np.array([colour for _, colour in parts], np.uint8), 4, axis=0)


def options(**values):
    return build(BirdsEyeOptions, values, where="test")


def colour_at(made, *point):
    u, v = np.rint(made.pixels(np.array([point]))[0]).astype(int)
    return tuple(made.rgb[v, u].tolist())


def test_a_known_room_is_drawn_at_the_right_pixels_upright_and_without_its_ceiling():
    made = birdseye_of_mesh(*room(), options=options(size_px=640, margin_m=0.2))
    assert made.metres_per_pixel == pytest.approx(6.4 / 640, rel=1e-3)
    assert made.rgb.shape == (round(4.4 / made.metres_per_pixel) + made.strip_px, 640, 3)
    assert made.floor_m == pytest.approx(0.5) and made.cut_m == pytest.approx(2.7)
    assert colour_at(made, 1, 2, 0) == BROWN and colour_at(made, 3.5, 3.8, 0) == GREEN and colour_at(made, -1.9, 0.1, 0) == BLUE
    north, south = made.pixels(np.array([[3.5, 3.8, 0.0], [3.5, 0.2, 0.0]]))
    assert north[1] < south[1]  # +y is up in the picture
    west, east = made.pixels(np.array([[-1.5, 2, 0], [3.5, 2, 0]]))
    assert west[0] < east[0]


def test_a_metre_has_the_same_pixels_everywhere_and_along_both_axes():
    made = birdseye_of_mesh(*room(), options=options(size_px=640))
    places = made.pixels(np.array([[0, 1, 0], [1, 1, 9], [0, 2, -4], [3, 1, 0]], np.float64))
    metre = 1.0 / made.metres_per_pixel
    assert places[1] - places[0] == pytest.approx([metre, 0.0]) and places[2] - places[0] == pytest.approx([0.0, -metre])
    assert places[3] - places[0] == pytest.approx([3 * metre, 0.0])
    green = np.argwhere((made.rgb == GREEN).all(axis=2))
    height, width = green.max(axis=0) - green.min(axis=0) + 1
    assert abs(width - metre) <= 1.0 and abs(height - 0.5 * metre) <= 1.0
    middle = (green.max(axis=0) + green.min(axis=0))[::-1] / 2
    assert middle == pytest.approx(made.pixels(np.array([[3.5, 3.75, 0]]))[0], abs=0.6)


def test_a_low_ceiling_is_cut_away_and_a_table_is_not():
    vertices, triangles, colours = room(ceiling_m=2.0)
    made = birdseye_of_mesh(vertices, triangles, colours, options=options(size_px=320))
    assert made.cut_m < 2.5 and colour_at(made, 1, 2, 0) == BROWN and colour_at(made, 3.5, 3.8, 0) == GREEN
    assert not (made.rgb == WHITE).all(axis=2).any()
    lower = birdseye_of_mesh(*room(), options=options(size_px=320, cut_above_floor_m=0.6))
    assert colour_at(lower, 3.5, 3.8, 0) == BROWN and colour_at(lower, -1.9, 0.1, 0) == BLUE


def test_the_floor_is_the_fullest_low_layer_whatever_lies_below_it():
    rng = np.random.default_rng(0)
    floor = np.c_[rng.random((5000, 2)), rng.normal(-1.2, 0.005, 5000)]
    stray = np.c_[rng.random((40, 2)), rng.uniform(-3, -1.3, 40)]
    walls = np.c_[rng.random((4000, 2)), rng.uniform(-1.2, 1.3, 4000)]
    floor_m, cut_m = floor_and_cut_m(np.concatenate([stray, floor, walls]), 2.2)
    assert floor_m == pytest.approx(-1.2, abs=0.01) and cut_m == pytest.approx(floor_m + 2.2)
    with pytest.raises(DataError, match="found none"):
        floor_and_cut_m(np.zeros((0, 3)), 2.2)


def test_what_nobody_saw_stays_background():
    vertices, triangles, colours = room()
    made = birdseye_of_mesh(vertices, triangles[2:], colours, options=options(size_px=320, scale_bar=False, margin_m=0.5))
    assert colour_at(made, 1, 2, 0) == BACKGROUND and not made.is_drawn.all() and made.strip_px == 0
    assert (made.rgb[~made.is_drawn] == BACKGROUND).all() and (made.is_drawn[0] == False).all()  # noqa: E712


def test_a_cloud_is_drawn_without_cracks_and_grey_by_height_where_it_has_no_colours():
    x, y = np.meshgrid(np.arange(-2, 4, 0.04), np.arange(0, 4, 0.04))
    rng = np.random.default_rng(1)
    points = np.c_[x.ravel() + rng.uniform(-0.02, 0.02, x.size), y.ravel(), np.zeros(x.size)]
    points[:2000, 2] = 0.9
    made = birdseye_of_points(points.astype(np.float32), None, options=options(size_px=600, margin_m=0.0, scale_bar=False))
    assert made.is_drawn.mean() > 0.98
    assert colour_at(made, 0, 3, 0)[0] < colour_at(made, 0, 0.1, 0)[0]
    coloured = birdseye_of_points(points, np.tile(np.array(BLUE, np.uint8), (len(points), 1)), options=options(size_px=600))
    assert colour_at(coloured, 1, 2, 0) == BLUE


def test_the_scale_bar_has_the_pixels_of_its_length():
    made = birdseye_of_mesh(*room(), options=options(size_px=640))
    length_m = bar_length_m(made.rgb.shape[1], made.metres_per_pixel)
    assert length_m == 1.0
    strip = made.rgb[-made.strip_px :]
    row = (strip[made.strip_px - made.strip_px // 2 - 1] == BAR_COLOUR).all(axis=1)
    first = int(np.argmax(row))
    assert int(np.argmin(row[first:])) == round(length_m / made.metres_per_pixel)  # what follows it are the words


def test_an_arrow_stands_where_the_agent_stands_and_points_where_it_looks():
    made = birdseye_of_mesh(*room(), options=options(size_px=640))
    before = made.rgb.copy()
    for heading_deg, towards in ((0, (1, 0)), (90, (0, 1)), (180, (-1, 0)), (-135, (-1, -1))):
        drawn = made.with_agent(np.array([1.0, 2.0, 0.5]), np.radians(heading_deg))
        red = np.argwhere((drawn == (220, 30, 30)).all(axis=2))[:, ::-1]
        u, v = made.pixels(np.array([[1.0, 2.0, 0.5]]))[0]
        assert (drawn[int(v), int(u)] == (220, 30, 30)).all()
        mean = (red.mean(axis=0) - (u, v)) * (1, -1)
        assert mean @ towards / np.linalg.norm(mean) / np.linalg.norm(towards) > 0.99
    assert (made.rgb == before).all() and made.shows(np.array([1, 2, 0])) and not made.shows(np.array([9, 2, 0]))
    with pytest.raises(DataError, match="expected a place inside"):
        made.with_agent(np.array([9.0, 2.0, 0.0]), 0.0)


def test_sqa3d_looks_along_minus_x_before_it_turns():
    assert abs(sqa3d_heading_rad(0.0, 1.0)) == pytest.approx(np.pi)
    assert sqa3d_heading_rad(np.sin(np.pi / 4), np.cos(np.pi / 4)) == pytest.approx(-np.pi / 2)  # a quarter turn leads to -y
    assert sqa3d_heading_rad(1.0, 0.0) == pytest.approx(0.0)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    root = tmp_path_factory.mktemp("birdseye")
    look = {"width": 128, "height": 96, "num_frames": 16, "max_rooms": 1, "antialias": False, "shadows": False}
    write_room_scan("rooms_0000", out=str(root / "scans"), seed=11, options=look)
    known = {"source": str(root / "scans"), "reader": "rooms", "options": {}, "store": str(root / "store")}
    import_scan("rooms_0000", **known, copy_images=False, verify=False)
    return SceneStore(root / "store").read("rooms_0000")


def test_a_scan_from_above_shows_its_furniture_where_the_boxes_are(scene):
    made = birdseye_of_scene(scene, options(size_px=400))
    assert (birdseye_of_scene(scene, options(size_px=400)).rgb == made.rgb).all()
    assert made.floor_m == pytest.approx(0.0, abs=0.01) and made.is_drawn.mean() > 0.3
    # the cloud's own points say what was seen: each lies on a drawn pixel, but for slivers
    points = np.asarray(scene.points_world)
    level_ones = points[points[:, 2] < 0.02]
    u, v = np.rint(made.pixels(level_ones)).astype(int).T
    inside = (u >= 0) & (v >= 0) & (u < made.rgb.shape[1]) & (v < made.rgb.shape[0] - made.strip_px)
    assert inside.mean() > 0.97 and made.is_drawn[v[inside], u[inside]].mean() > 0.95


def test_the_colours_from_above_are_those_of_the_images(scene):
    """A second way: points of one frame's depth that are highest at their pixel have that pixel's colour, whatever frame drew it."""
    from sightline.captures.frame_images import frame_depth_m
    from sightline.captures.images import read_rgb
    from sightline.geometry.depth import points_world_from_depth

    made = birdseye_of_scene(scene, options(size_px=400))
    frame = scene.frames[3]
    points = points_world_from_depth(frame_depth_m(frame), frame.depth_intrinsics, frame.world_from_camera).reshape(-1, 3)
    colours = read_rgb(frame.rgb_path).reshape(-1, 3)
    on_floor = points[:, 2] < 0.01
    uv = np.rint(made.pixels(points[on_floor])).astype(int)
    good = (uv >= 0).all(axis=1) & (uv[:, 0] < made.rgb.shape[1]) & (uv[:, 1] < made.rgb.shape[0])
    difference = np.abs(made.rgb[uv[good, 1], uv[good, 0]].astype(int) - colours[on_floor][good].astype(int)).max(axis=1)
    assert good.sum() > 500 and np.median(difference) < 12


def test_a_scan_without_depth_shows_its_cloud_and_one_without_points_is_refused(scene):
    blind = replace(scene, frames=tuple(replace(frame, depth_path=None, depth_index=None) for frame in scene.frames))
    made = birdseye_of_scene(blind, options(size_px=300))
    drawn = made.rgb[made.is_drawn]
    assert len(drawn) and (drawn[:, 0] == drawn[:, 1]).all()
    with pytest.raises(DataError, match="found neither"):
        birdseye_of_scene(replace(scene, points_world=np.zeros((0, 3), np.float32)))


class FromAbove:
    """A camera 3 m above a floor at z = 0 that looks straight down (or from below up at a ceiling), and a table of 1 m x 2 m beside it."""

    def __init__(self, monkeypatch, *, width=161, height=121, looks_up=False):
        from sightline.samples import birdseye, thinning

        self.camera = Intrinsics(fx=60.0, fy=60.0, cx=(width - 1) / 2, cy=(height - 1) / 2, width=width, height=height)
        pose = np.diag([1.0, 1.0, 1.0, 1.0]) if looks_up else np.diag([1.0, -1.0, -1.0, 1.0])
        pose[2, 3] = 0.2 if looks_up else 3.0
        u, v = np.meshgrid(np.arange(width), np.arange(height))
        x, y = (u - self.camera.cx) / 60.0 * 2.0, -(v - self.camera.cy) / 60.0 * 2.0  # on the table's top, 2 m below the camera
        on_table = (x >= 0.5) & (x <= 1.5) & (np.abs(y) <= 1.0)
        self.depth_m = np.where(on_table, 2.0, 3.0).astype(np.float32) if not looks_up else np.full((height, width), 1.7, np.float32)
        rgb = np.where(on_table[..., None], np.array(GREEN), np.array(BROWN)).astype(np.uint8)
        monkeypatch.setattr(thinning, "frame_depth_m", lambda frame: self.depth_m)
        monkeypatch.setattr(birdseye, "read_rgb", lambda path: rgb)
        self.frame = Frame(
            frame_id="0",
            time_s=0.0,
            rgb_path=Path("0.png"),
            depth_path=Path("0.pack"),
            depth_scale_m=0.001,
            intrinsics=self.camera,
            depth_intrinsics=self.camera,
            world_from_camera=pose,
        )
        x, y = np.meshgrid(np.arange(-3, 3, 0.05), np.arange(-2, 2, 0.05))
        self.cloud = np.c_[x.ravel(), y.ravel(), np.zeros(x.size)].astype(np.float32)

    def scene(self, *more):
        frames = (self.frame, *more)
        return SimpleNamespace(root=Path("/s/scan"), frames=frames, points_world=self.cloud, has_poses=True)


@pytest.mark.parametrize(("columns", "reading_m"), [(240, 2 / 60), (81, 4 / 60)])
def test_what_a_table_hides_stays_a_hole_and_its_edges_are_not_stretched(monkeypatch, columns, reading_m):
    made = birdseye_of_scene(FromAbove(monkeypatch).scene(), options(size_px=600, columns=columns))
    assert colour_at(made, 1.0, 0.0, 0) == GREEN and colour_at(made, -1.5, 1.0, 0) == BROWN
    for x in (1.7, 1.9, 2.1):  # the ray over the edge at 1.5 m meets the floor at 2.25 m
        assert colour_at(made, x, 0.0, 0) == BACKGROUND
    assert colour_at(made, 2.4, 0.0, 0) == BROWN
    table = np.argwhere((made.rgb == GREEN).all(axis=2))
    height, width = (table.max(axis=0) - table.min(axis=0) + 1) * made.metres_per_pixel
    for length_m, true_m in ((width, 1.0), (height, 2.0)):  # the surface ends with the last reading on it
        assert true_m - 3 * reading_m < length_m < true_m + 0.03


def test_undersides_are_not_drawn(monkeypatch):
    """A ceiling at 1.9 m is below the cut where the cloud holds none of it."""
    made = birdseye_of_scene(FromAbove(monkeypatch, looks_up=True).scene(), options(size_px=300))
    assert made.cut_m == pytest.approx(2.2) and not made.is_drawn.any()


def test_a_speck_apart_from_everything_is_taken_back(monkeypatch):
    above = FromAbove(monkeypatch)
    above.depth_m[:, 100:] = np.nan
    above.depth_m[60:62, 136:138] = 3.0  # 3 m / 60 px: a square of 5 cm, away from the rest
    made = birdseye_of_scene(above.scene(), options(size_px=600))
    assert colour_at(made, 2.825, -0.025, 0) == BACKGROUND and made.is_drawn.mean() > 0.3


def test_thinned_readings_lie_on_the_surface_and_single_missing_ones_lose_nothing(monkeypatch):
    above = FromAbove(monkeypatch)
    above.depth_m[:] = 2.5
    whole = above.depth_m.copy()
    above.depth_m[1::3, 1::3] = np.nan  # the reading that stands for each block
    for columns, step in ((161, 1), (81, 2), (54, 3)):
        depth_m, camera = thinned_depth(above.frame, columns=columns)
        assert depth_m.shape == (121 // step, 161 // step) == (camera.height, camera.width)
        assert np.isnan(depth_m).any() == (step == 1)
    above.depth_m[:] = whole * (1 + np.arange(161) / 161)
    depth_m, camera = thinned_depth(above.frame, columns=54)
    taken = points_world_from_depth(depth_m, camera, above.frame.world_from_camera)
    all_points = points_world_from_depth(above.depth_m, above.camera, above.frame.world_from_camera)
    assert taken == pytest.approx(all_points[1:-1:3, 1:-1:3][:40, :53])


def test_far_and_coarse_readings_do_not_bridge_an_edge_either(monkeypatch):
    made = birdseye_of_scene(FromAbove(monkeypatch).scene(), options(size_px=600, columns=16))  # one reading every 55 cm of the floor
    assert colour_at(made, -1.5, 0.5, 0) == BROWN
    assert colour_at(made, 1.9, 0.0, 0) == BACKGROUND
