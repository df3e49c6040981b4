"""The one procedural room, written in every layout, reads back the same: world points, boxes, cameras, pictures, instances."""

import importlib
from functools import cache

import numpy as np
import pytest
import true_room as true
from scipy.spatial import cKDTree

from sightline.captures.capture import READERS, Capture
from sightline.captures.detect import find_reader
from sightline.captures.frame_images import frame_depth_m
from sightline.captures.images import read_rgb, read_uint16
from sightline.geometry.boxes import box_around
from sightline.geometry.depth import pixel_grid, points_world_from_depth
from sightline.scenes.verify import verify_capture

SAME_POINT_M = 1e-3  # the bar: a millimetre depth image alone errs by half of it along the ray
SAME_FOCAL = 1e-4
SAME_CENTRE_PX = 1e-2
CLOSE_COLOUR = 18.0  # mean absolute difference of 8-bit values that a lossy video or a resampling may leave
NEAR_BORDER_M = 2.0 * true.MESH_EDGE_M


@cache
def variants() -> tuple[tuple[str, str], ...]:
    """(reader, variant) of every writer there is."""
    found = []
    for name in READERS:
        module = importlib.import_module(f"layout_{name}")  # a reader without a writer is a reader without a proof: this fails then
        found += [(name, variant) for variant in module.VARIANTS]
    return tuple(found)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Writes and reads each variant once."""
    kept: dict[tuple[str, str], tuple[true.Written, Capture]] = {}

    def get(name: str, variant: str) -> tuple[true.Written, Capture]:
        if (name, variant) not in kept:
            folder = tmp_path_factory.mktemp(f"{name}_{variant}")
            wrote = importlib.import_module(f"layout_{name}").VARIANTS[variant](folder / "source")
            (folder / "workspace").mkdir()
            reader = READERS[name](wrote.source, wrote.options)
            kept[name, variant] = (wrote, reader.read(wrote.scan_id, workspace=folder / "workspace"))
        return kept[name, variant]

    return get


every_layout = pytest.mark.parametrize(("name", "variant"), variants())


@every_layout
def test_the_layout_is_found_by_itself(written, name, variant):
    wrote, _ = written(name, variant)
    if wrote.auto_detected:
        assert find_reader(wrote.source) == name
    assert wrote.scan_id in READERS[name](wrote.source, wrote.options).scan_ids("all")
    files = READERS[name](wrote.source, wrote.options).source_files(wrote.scan_id)
    assert files and all(path.is_file() for path in files)


@every_layout
def test_the_capture_says_what_it_is(written, name, variant):
    wrote, capture = written(name, variant)
    assert (capture.scan_id, capture.place_id, capture.source) == (wrote.scan_id, wrote.place_id, name)
    assert capture.licence and (wrote.licence is None or wrote.licence in capture.licence)
    assert [frame.frame_id for frame in capture.frames] == [frame.frame_id for frame in wrote.frames]


@every_layout
def test_cameras_and_depth_put_every_pixel_at_its_true_world_point(written, name, variant):
    wrote, capture = written(name, variant)
    for expected, frame in zip(wrote.frames, capture.frames, strict=True):
        same_camera(frame.intrinsics, expected.intrinsics)
        probe = np.array([[0.0, 0.0, 1.0], [1.5, -0.7, 4.0], [-1.0, 1.0, 2.0]])
        mine, theirs = (probe @ pose[:3, :3].T + pose[:3, 3] for pose in (frame.world_from_camera, expected.world_from_camera))
        assert np.linalg.norm(mine - theirs, axis=1).max() < SAME_POINT_M
        assert (frame.depth_path is None) == (expected.depth_intrinsics is None)
        if expected.depth_intrinsics is None:
            continue
        same_camera(frame.depth_intrinsics, expected.depth_intrinsics)
        truth = true.shoot(expected.depth_intrinsics, expected.world_from_camera)
        points = points_world_from_depth(frame_depth_m(frame), frame.depth_intrinsics, frame.world_from_camera)
        missing = np.isnan(points).any(axis=-1)
        assert (missing & np.isfinite(truth.depth_m)).mean() < 0.01  # beyond the reach of a layout's unit
        off_m = np.linalg.norm(points - truth.points_world, axis=-1)[~missing]
        assert (~(off_m < SAME_POINT_M)).mean() <= wrote.facet_share


@every_layout
def test_pictures_are_upright_and_the_same(written, name, variant):
    wrote, capture = written(name, variant)
    for expected, frame in zip(wrote.frames, capture.frames, strict=True):
        rgb = read_rgb(frame.rgb_path).astype(np.float64)
        place = expected.world_from_camera if expected.shown_from is None else expected.shown_from
        truth = true.shoot(expected.intrinsics, place).rgb.astype(np.float64)
        assert rgb.shape == truth.shape
        off = np.abs(rgb - truth).mean()
        if expected.pixels == "same":
            assert off == 0.0
            continue
        turned = [np.rot90(rgb, turns) for turns in (1, 2, 3)] + [rgb[:, ::-1], rgb[::-1]]
        others = [np.abs(other - truth).mean() for other in turned if other.shape == truth.shape]
        assert off < CLOSE_COLOUR and off < 0.7 * min(others, default=np.inf)


@every_layout
def test_boxes_are_the_true_ones(written, name, variant):
    wrote, capture = written(name, variant)
    if wrote.boxes is None:
        assert capture.objects is None
        return
    assert capture.objects is not None
    wanted = {one.object_id: one for one in true.objects() if wrote.object_ids is None or one.object_id in wrote.object_ids}
    assert len(capture.objects) == len(wanted)
    for one in capture.objects:
        truth = wanted.pop(one.object_id - wrote.id_shift if wrote.own_ids else nearest_object(one, wanted, wrote.boxes))
        expected = expected_corners(truth.box, wrote.boxes)
        gap_m, _ = cKDTree(one.box.corners_world()).query(expected)
        assert gap_m.max() < wrote.box_tolerance_m
        assert one.category == wrote.categories.get(truth.category, truth.category)


@every_layout
def test_every_pixel_shows_its_true_instance(written, name, variant):
    wrote, capture = written(name, variant)
    if wrote.instances == "pixels":
        for expected, frame in zip(wrote.frames, capture.frames, strict=True):
            truth = true.shoot(expected.depth_intrinsics, expected.world_from_camera).object_ids
            found = read_uint16(frame.instance_path).astype(np.int64) - 1
            assert (found == kept_ids(truth, wrote)).all()
    elif wrote.instances == "surface":
        tree = cKDTree(capture.surface.points_world)
        wrong = total = 0
        for expected in wrote.frames[::3]:
            camera = expected.depth_intrinsics or expected.intrinsics
            truth = true.shoot(camera, expected.world_from_camera)
            seen = np.isfinite(truth.depth_m)
            gap_m, nearest = tree.query(truth.points_world[seen])
            assert gap_m.max() < true.MESH_EDGE_M
            wrong += int((shifted_back(capture.surface.object_ids[nearest], wrote) != kept_ids(truth.object_ids[seen], wrote)).sum())
            total += int(seen.sum())
        assert wrong < 0.01 * total  # where a leg meets the floor, the nearest vertex may be the floor's
    else:
        assert all(frame.instance_path is None for frame in capture.frames) and capture.surface is None


@every_layout
def test_the_conventions_hold_against_the_depth(written, name, variant):
    wrote, capture = written(name, variant)
    if not capture.frames or capture.frames[0].depth_path is None:
        return
    assert verify_capture(capture).agreement > 0.95


@every_layout
def test_the_structure_is_the_true_one(written, name, variant):
    wrote, capture = written(name, variant)
    assert wrote.frames or wrote.structure is not None  # a layout proves something
    if wrote.structure is None:
        assert capture.structure is None
        return
    assert capture.structure is not None
    found, expected = capture.structure, wrote.structure
    walls = {wall.wall_id: wall for wall in found.walls}
    assert len(walls) == len(found.walls) == len(expected.walls)
    twins = {}  # expected wall id -> found wall
    for wall in expected.walls:
        ends = np.stack([wall.a_world, wall.b_world])
        gap_m = {index: same_ends_m(ends, np.stack([one.a_world, one.b_world])) for index, one in walls.items()}
        twins[wall.wall_id] = twin = walls.pop(min(gap_m, key=gap_m.__getitem__))
        assert min(gap_m.values()) < SAME_POINT_M
        assert twin.height_m == pytest.approx(wall.height_m, abs=SAME_POINT_M)
        assert twin.thickness_m == pytest.approx(wall.thickness_m, abs=SAME_POINT_M)
        assert twin.outline_world is None and twin.arc_centre_world is None
    assert len(found.openings) == len(expected.openings)
    for opening in expected.openings:
        twin = min(found.openings, key=lambda one: np.linalg.norm(one.centre_world - opening.centre_world))
        assert np.linalg.norm(twin.centre_world - opening.centre_world) < SAME_POINT_M
        assert (twin.kind, twin.wall_id, twin.is_open) == (opening.kind, twins[opening.wall_id].wall_id, opening.is_open)
        assert (twin.width_m, twin.height_m) == pytest.approx((opening.width_m, opening.height_m), abs=SAME_POINT_M)
        assert twin.rooms == opening.rooms
    for room, twin in zip(expected.rooms, found.rooms, strict=True):
        assert twin.label == room.label
        assert (twin.floor_z_m, twin.ceiling_z_m) == pytest.approx((room.floor_z_m, room.ceiling_z_m), abs=SAME_POINT_M)
        assert len(twin.outline_world) == len(room.outline_world)
        shifts = [np.roll(twin.outline_world, shift, axis=0) for shift in range(len(room.outline_world))]
        assert min(np.abs(shifted - room.outline_world).max() for shifted in shifts) < SAME_POINT_M  # so the turning is the same too


def same_ends_m(first: np.ndarray, second: np.ndarray) -> float:
    """Largest gap between the ends of two walls, whichever is called a."""
    return min(float(np.linalg.norm(first - other, axis=1).max()) for other in (second, second[::-1]))


def same_camera(found, expected) -> None:
    assert (found.width, found.height) == (expected.width, expected.height)
    assert found.fx == pytest.approx(expected.fx, rel=SAME_FOCAL) and found.fy == pytest.approx(expected.fy, rel=SAME_FOCAL)
    assert found.cx == pytest.approx(expected.cx, abs=SAME_CENTRE_PX) and found.cy == pytest.approx(expected.cy, abs=SAME_CENTRE_PX)


def kept_ids(object_ids: np.ndarray, wrote: true.Written) -> np.ndarray:
    """True ids, those that the layout cannot hold as none."""
    return object_ids if wrote.object_ids is None else np.where(np.isin(object_ids, wrote.object_ids), object_ids, -1)


def shifted_back(object_ids: np.ndarray, wrote: true.Written) -> np.ndarray:
    """A layout's ids as true ones."""
    return np.where(object_ids >= 0, object_ids - wrote.id_shift, -1)


def expected_corners(box, kind: str) -> np.ndarray:
    """Corners of the box as it is, or of the upright / axis-aligned one around it."""
    if kind == "own":
        return box.corners_world()
    if kind == "axis":
        return box_around(box.corners_world()).corners_world()
    raise AssertionError(f"no kind of box called {kind}")


def nearest_object(one, wanted, kind: str) -> int:
    """The true object whose expected box is nearest by its corners."""
    return min(wanted, key=lambda index: np.abs(expected_corners(wanted[index].box, kind).mean(axis=0) - one.box.centre_world).sum())


def test_the_true_room_shows_every_swap():
    """The room can tell mistakes apart: cameras are off-centre, frames differ, most objects are turned and seen."""
    assert true.SMALL.fx != true.SMALL.fy and 2 * true.SMALL.cx != true.SMALL.width - 1
    views = [true.shoot(true.SMALL, pose) for pose in true.poses()]
    assert len({int(number) for view in views for number in np.unique(view.object_ids)}) > 12
    uv = pixel_grid(true.SMALL.width, true.SMALL.height)
    assert uv.shape == (120, 160, 2) and all(np.isfinite(view.depth_m).mean() > 0.8 for view in views)
