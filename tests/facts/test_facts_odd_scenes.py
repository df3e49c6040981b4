"""Odd scenes, one table: for every kind of fact the reason why it is not there, or the right answer."""

import json
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import layout_folder
import numpy as np
import oracle_scenes
import pytest
import true_room as true
from oracle_world import standard_world, write_scene
from typer.testing import CliRunner

from sightline.captures.capture import SceneObject
from sightline.cli import app
from sightline.errors import CaptureError, SceneError
from sightline.facts import measure as measuring
from sightline.facts.distance import MAX_OBJECT_PAIRS
from sightline.facts.fact import KINDS, ON_FLOOR, FactTable
from sightline.facts.measure import MeasureOptions, measure
from sightline.geometry.boxes import Box
from sightline.geometry.shapes import box_distance_m
from sightline.geometry.transforms import look_at
from sightline.scenes.build import import_scan
from sightline.scenes.scene import Scene
from sightline.scenes.store import SceneStore

OPTIONS = MeasureOptions()
TILES = 100  # along each side of the floor: ten thousand of them
PAIRS_IN_TEST = 6_000  # distances of the usual quarter of a million take ten seconds
BYTES_PER_POINT = 120  # at the peak; measured 97 for 50 million points
NO_CLOUD = np.empty((0, 3), dtype=np.float32)

Right = int | Callable[[FactTable], bool]  # how many rows, or whether the table is right
Expected = Right | str | tuple[Right, str]  # a reason alone: no rows; with what is right: not whole


# Scenes


def imported(folder, **options) -> Scene:
    """The true room through a reader that leaves out what the options say, and through a store."""
    (folder / "source.bin").write_bytes(b"never opened")
    known = {"source": str(folder / "source.bin"), "reader": "odd_readers:OddReader", "options": options, "store": str(folder / "store")}
    import_scan("odd_0000", **known, copy_images=False, verify=False)
    return SceneStore(folder / "store").read("odd_0000")


def with_nan_pose(folder, *places: int) -> Scene:
    """The true room as a folder of one's own, some of whose poses a tracker lost, and through a store."""
    written = layout_folder.usual(folder)
    poses = written.source / "poses.txt"
    lines = poses.read_text().splitlines()
    for place in places:
        lines[place] = " ".join(["nan"] * 16)
    poses.write_text("\n".join(lines) + "\n")
    known = {"source": str(written.source), "reader": "folder", "options": {}, "store": str(folder / "store")}
    import_scan(written.scan_id, **known, copy_images=False, verify=False)
    return SceneStore(folder / "store").read(written.scan_id)


def without_depth(folder) -> Scene:
    scene = oracle_scenes.scene("same")
    return replace(scene, frames=tuple(replace(frame, depth_path=None, instance_path=None) for frame in scene.frames))


def back_to_back(folder) -> Scene:
    """Two cameras at one place: one looks at the wall x = 5 m, the other at x = 0."""
    eye = np.array([2.5, 1.2, 1.4])
    return write_scene(folder, standard_world(), [look_at(eye, eye + [step, 0.0, 0.0]) for step in (1.0, -1.0)], num_points=6000)


def without_points(folder) -> Scene:
    return replace(oracle_scenes.scene("same"), points_world=NO_CLOUD, point_object_ids=np.empty(0, dtype=np.int32))


def tiled(folder) -> Scene:
    """Ten thousand flat tiles on the floor of the oracle room, with a point on each and twenty on every fiftieth."""
    scene = oracle_scenes.scene("bare")
    step_m = np.array([5.0, 4.0]) / TILES
    spots = np.stack(np.meshgrid(np.arange(TILES), np.arange(TILES), indexing="ij"), axis=-1).reshape(-1, 2)
    centres = np.c_[(spots + 0.5) * step_m, np.full(TILES**2, 0.01)]
    size_m = np.array([*step_m * 0.8, 0.02])
    boxes = [Box.upright(centre_world=centre, size_m=size_m, yaw_rad=0.0) for centre in centres]
    many = np.repeat(np.arange(0, TILES**2, 50), 20)
    spread = centres[many] + np.c_[np.resize(np.linspace(-0.4, 0.4, 20), (len(many), 1)) * step_m, np.zeros(len(many))]
    points = np.concatenate([scene.points_world, centres, spread]).astype(np.float32)
    return replace(
        scene,
        frames=(scene.frames[0], scene.frames[3]),
        objects=tuple(SceneObject(object_id=index, category="tile", box=box) for index, box in enumerate(boxes)),
        points_world=points,
        point_object_ids=np.concatenate([np.full(len(scene.points_world), -1), np.arange(TILES**2), many]).astype(np.int32),
    )


# Right answers


def same_motion(table: FactTable) -> bool:
    """Camera motion does not ask for depth, points or objects."""
    usual = usual_table().pairs
    return all(np.array_equal(getattr(table.pairs, name), getattr(usual, name)) for name in ("distance_m", "displacement_m", "yaw_deg"))


def motion_alone(table: FactTable) -> bool:
    return same_motion(table) and bool(np.isnan(table.pairs.overlap).all() and np.isnan(table.pairs.first_in_second).all())


def all_but_owners(table: FactTable) -> bool:
    usual = usual_table().points
    return np.array_equal(table.points.uv, usual.uv) and np.array_equal(table.points.depth_m, usual.depth_m)


def of_nobody(table: FactTable) -> bool:
    return len(table.points.frame) > 250 and bool((table.points.object_id == -1).all())


def blind_frames(table: FactTable) -> bool:
    return len(table.frames.frame_ids) == 8 and not table.frames.visible_points.any()


def blind_without_depth(table: FactTable) -> bool:
    return blind_frames(table) and not table.frames.depth_coverage.any()


def never_seen(table: FactTable) -> bool:
    times = table.object_times
    return len(times.object_id) == 5 and not times.views.any() and bool((times.first_frame == -1).all() and (times.best_frame == -1).all())


def boxes_without_shares(table: FactTable) -> bool:
    """Id images tell where objects are seen; of no points no share is visible."""
    views, usual = table.object_views, usual_table().object_views
    return np.array_equal(views.box_uv, usual.box_uv) and bool(np.isnan(views.visible_share).all() and np.isnan(views.hidden_share).all())


def seen_once(table: FactTable) -> bool:
    times = table.object_times
    return bool((times.views == 1).all() and (times.first_frame == 0).all() and (times.best_frame == 0).all())


def one_frame_sets(table: FactTable) -> bool:
    return len(table.coverage.first) > 0 and bool((table.coverage.first == 0).all() and (table.coverage.second == -1).all())


def nothing_shared(table: FactTable) -> bool:
    pairs = table.pairs
    turned = np.isclose(np.abs(pairs.yaw_deg), 180.0) & np.isclose(pairs.distance_m, 0.0)
    return pairs.overlap.tolist() == pairs.first_in_second.tolist() == [0.0] and bool(turned.all())


def both_see(table: FactTable) -> bool:
    return bool((table.frames.visible_points > 100).all() and (table.frames.depth_coverage == 1.0).all())


def each_thing_once(table: FactTable) -> bool:
    """Nothing is seen by both, so no object has two views."""
    return len(table.object_views.frame) > 0 and bool((table.object_times.views <= 1).all())


def tile_gaps(table: FactTable) -> bool:
    """Tiles are a grid: their distances are worked out from their numbers."""
    pairs, boxes = table.object_pairs, [one.box for one in table.objects]
    steps = np.abs(np.stack([pairs.second // TILES - pairs.first // TILES, pairs.second % TILES - pairs.first % TILES], axis=1))
    step_m = np.array([5.0, 4.0]) / TILES
    apart_m = np.maximum(steps - 0.8 * (steps > 0), 0.0) * step_m
    some = np.linspace(0, len(pairs.first) - 1, 40).astype(int)
    return (
        len({*zip(pairs.first.tolist(), pairs.second.tolist())}) == len(pairs.first) == PAIRS_IN_TEST
        and bool((pairs.first < pairs.second).all())
        and np.allclose(pairs.centre_m, np.linalg.norm(steps * step_m, axis=1), atol=1e-9)
        and np.allclose(pairs.closest_m, np.linalg.norm(apart_m, axis=1), atol=1e-9)
        and np.allclose(pairs.closest_m[some], [box_distance_m(boxes[pairs.first[at]], boxes[pairs.second[at]]) for at in some])
        and abs(pairs.first.mean() / TILES**2 - 1 / 3) < 0.02  # of all pairs, evenly
    )


def tiles_on_the_floor(table: FactTable) -> bool:
    places = table.object_places
    return len(places.object_id) == TILES**2 and bool((places.support_id == ON_FLOOR).all())


def twenty_points_seen(table: FactTable) -> bool:
    """Twelve points make a view: a tile with one has none."""
    return len(table.object_views.frame) > 10 and not (table.object_views.object_id % 50).any()


def apparent_alone(table: FactTable) -> bool:
    windows = table.track_windows
    return len(windows.point) > 0 and bool(np.isnan(windows.displacement_m).all() and np.isfinite(windows.apparent_m).all())


def without_the_lost_frame(table: FactTable) -> bool:
    """The frame with the lost pose is gone; the others stand where they stood."""
    kept = [index for index in range(true.NUM_FRAMES) if index != 2]
    is_named = table.frames.frame_ids == tuple(str(index) for index in kept)
    return is_named and np.allclose(table.frames.world_from_camera, true.poses()[kept], atol=1e-6)


def finite_motion(table: FactTable) -> bool:
    first, second = table.pairs.first, table.pairs.second
    centres = table.frames.world_from_camera[:, :3, 3]
    is_right = np.allclose(table.pairs.distance_m, np.linalg.norm(centres[second] - centres[first], axis=1), atol=1e-9)
    return len(first) == 21 and is_right and bool(np.isfinite(table.pairs.overlap).all())


def some(kind: str) -> Callable[[FactTable], bool]:
    return lambda table: rows_of(table, kind) > 0


def usual(kind: str) -> Callable[[FactTable], bool]:
    """Exactly what the same scene gives with nothing taken away."""
    return lambda table: same_columns(getattr(table, kind), getattr(usual_table(), kind))


# The table


NOT_FOLLOWED = {"tracks": "no points were followed", "track_windows": "no points were followed"}
PLAIN = {**NOT_FOLLOWED, "room_links": "walls and doors are not known"}
OF_OBJECTS = ("objects", "object_views", "object_glimpses", "object_pairs", "object_times", "coverage")
NO_OBJECTS = {**dict.fromkeys(OF_OBJECTS, "does not say which objects"), "object_places": "objects are not known"}
NO_DEPTH = {"points": "no frame has a depth image", "correspondences": "no frame has a depth image"}
ONE = "a pair takes two frames, and there is one"
STRUCTURE = {kind: some(kind) for kind in ("rooms", "free_space")}
NO_CLOUD_AT_ALL = {"rooms": "no scene points", "free_space": "no scene points"}

ODD: Mapping[str, tuple[Callable[..., Scene], Mapping[str, Expected]]] = {
    "no mesh": (
        imported,
        {**PLAIN, **NO_OBJECTS, "frames": 8, "pairs": 28, "points": of_nobody, "correspondences": some("correspondences")}
        | {"rooms": "has no wall beside it", "free_space": some("free_space")},
    ),
    "no depth, no mesh, no objects": (
        lambda folder: imported(folder, lacks="depth"),
        {**PLAIN, **NO_OBJECTS, **NO_DEPTH, **NO_CLOUD_AT_ALL}
        | {"frames": blind_without_depth, "pairs": (28, "no frame has a depth image, so overlap is not known")},
    ),
    "no depth": (
        without_depth,
        {**PLAIN, **NO_DEPTH, **STRUCTURE, "object_views": "no frame has a depth image", "object_times": never_seen}
        | {"object_glimpses": "no frame has a depth image"}
        | {"frames": blind_without_depth, "pairs": (motion_alone, "no frame has a depth image, so overlap is not known")}
        | {"objects": 5, "object_pairs": 10, "object_places": 5, "coverage": "no frame sees a point"},
    ),
    "no objects known": (
        lambda folder: oracle_scenes.scene("bare"),
        {**PLAIN, **NO_OBJECTS, **STRUCTURE, "frames": 8, "pairs": usual("pairs"), "points": of_nobody}
        | {"correspondences": some("correspondences")},
    ),
    "no objects there": (
        lambda folder: replace(oracle_scenes.scene("same"), objects=()),
        {**PLAIN, **STRUCTURE, **dict.fromkeys((*OF_OBJECTS, "object_places"), 0)}
        | {"frames": 8, "pairs": usual("pairs"), "points": all_but_owners, "correspondences": some("correspondences")},
    ),
    "one frame": (
        lambda folder: replace(oracle_scenes.scene("same"), frames=oracle_scenes.scene("same").frames[:1]),
        {**PLAIN, **STRUCTURE, "frames": 1, "pairs": ONE, "points": 48, "correspondences": ONE, "coverage": one_frame_sets}
        | {"objects": 5, "object_views": 5, "object_pairs": 10, "object_times": seen_once, "object_places": 5, "object_glimpses": 5},
    ),
    "disjoint frames": (
        back_to_back,
        {**PLAIN, **STRUCTURE, "frames": both_see, "pairs": nothing_shared, "points": some("points"), "coverage": some("coverage")}
        | {"correspondences": "no two frames overlap by 5% to 60%", "objects": 5, "object_views": each_thing_once}
        | {"object_glimpses": some("object_glimpses"), "object_pairs": 10, "object_times": 5, "object_places": 5},
    ),
    "a pose that is not a number": (
        lambda folder: with_nan_pose(folder, 2),
        {**PLAIN, "frames": without_the_lost_frame, "pairs": finite_motion, "rooms": "has no wall beside it"}
        | {kind: some(kind) for kind in KINDS if kind not in ("frames", "pairs", "rooms", *PLAIN)},
    ),
    "no poses": (
        lambda folder: imported(folder, lacks="poses", tracks=True),
        {kind: "nobody knows where the cameras were" for kind in KINDS}
        | {"frames": 8, "tracks": 200 * 8, "track_windows": (apparent_alone, "apparent movements are there")},
    ),
    "no point": (
        without_points,
        {**PLAIN, **NO_CLOUD_AT_ALL, "frames": blind_frames, "points": all_but_owners, "correspondences": "the scan has no point cloud"}
        | {"pairs": (motion_alone, "the scan has no point cloud, so overlap is not known"), "coverage": "the scan has no point cloud"}
        | {"objects": 5, "object_views": boxes_without_shares, "object_pairs": usual("object_pairs")}
        | {"object_glimpses": usual("object_glimpses")}
        | {"object_times": some("object_times"), "object_places": 5},
    ),
    "ten thousand objects": (
        tiled,
        {**PLAIN, **STRUCTURE, "frames": 2, "pairs": 1, "points": some("points"), "correspondences": some("correspondences")}
        | {"objects": TILES**2, "object_views": twenty_points_seen, "object_times": TILES**2, "object_places": tiles_on_the_floor}
        | {"object_glimpses": some("object_glimpses"), "coverage": some("coverage")}
        | {"object_pairs": (tile_gaps, f"{PAIRS_IN_TEST} of 49995000 object pairs kept, drawn evenly")},
    ),
}


# Tests


@cache
def usual_table() -> FactTable:
    return oracle_scenes.measured("same")


def rows_of(table: FactTable, kind: str) -> int:
    part = getattr(table, kind)
    return 0 if part is None else len(part) if isinstance(part, tuple) else len(getattr(part, part.__slots__[0]))


def same_columns(one: object, other: object) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in one.__slots__)


def trouble_with(table: FactTable, kind: str, expected: Expected) -> str | None:
    """What is wrong with one kind of fact; None where nothing is."""
    rows, reason = rows_of(table, kind), table.skips.get(kind)
    right, wanted = (0, expected) if isinstance(expected, str) else expected if isinstance(expected, tuple) else (expected, None)
    is_told = reason is None if wanted is None else reason is not None and wanted in reason
    is_there = getattr(table, kind) is not None or isinstance(expected, str)
    is_right = right(table) if callable(right) else rows == right
    return None if is_told and is_there and is_right else f"{kind}: expected {expected}, found {rows} rows, reason {reason!r}"


@pytest.mark.parametrize("name", ODD)
def test_every_kind_of_fact_is_right_or_says_why_not_in(name, tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "MAX_OBJECT_PAIRS", PAIRS_IN_TEST)
    build, expected = ODD[name]
    table = measure(build(tmp_path), OPTIONS)
    assert set(expected) == set(KINDS)
    assert [said for kind in KINDS if (said := trouble_with(table, kind, expected[kind]))] == []
    assert all(getattr(table, kind) is not None or kind in table.skips for kind in KINDS)
    assert all(kind in KINDS and reason and "\n" not in reason for kind, reason in table.skips.items())


def test_a_frame_with_a_lost_pose_is_counted_and_too_many_are_refused_by_the_line_of_the_first(tmp_path):
    scene = with_nan_pose(tmp_path / "one", 2)
    assert scene.verification is None and scene.notes["frames_skipped"] == {"pose_not_finite": 1} and len(scene.frames) == 7
    with pytest.raises(CaptureError, match="found 3 of 8 that are not .pose_not_finite: 3; first: .*poses.txt:1"):
        with_nan_pose(tmp_path / "three", 0, 3, 6)


def test_a_pose_that_is_not_a_number_is_refused_by_its_frame_where_no_reader_looked(tmp_path):
    scene = oracle_scenes.scene("same")
    lost = scene.frames[1].world_from_camera.copy()
    lost[0, 3] = np.nan
    frames = (scene.frames[0], replace(scene.frames[1], world_from_camera=lost))
    with pytest.raises(SceneError, match="'oracle_0000', frame '000001': expected a pose of finite numbers, found .*nan"):
        measure(replace(scene, frames=frames), OPTIONS)


def test_memory_grows_by_a_hundred_bytes_with_a_point_of_the_cloud_and_what_frames_share_stays(tmp_path):
    scene = oracle_scenes.scene("same")
    points, ids = standard_world().surface(600_000, np.random.default_rng(1))
    large = replace(scene, frames=scene.frames[:2], points_world=points.astype(np.float32), point_object_ids=ids)
    tracemalloc.start()
    try:
        table = measure(large, OPTIONS)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < BYTES_PER_POINT * len(points)
    small = measure(replace(scene, frames=scene.frames[:2]), OPTIONS)
    assert abs(table.pairs.overlap[0] - small.pairs.overlap[0]) < 0.02
    assert np.array_equal(table.object_views.box_uv, small.object_views.box_uv)
    assert np.abs(table.object_views.visible_share - small.object_views.visible_share).max() < 0.06  # of 300 points by chance


def test_pairs_are_counted_against_what_there_are_when_they_are_thinned():
    table = measure(oracle_scenes.scene("same"), MeasureOptions(max_pairs=10))
    assert len(table.pairs.first) == 10 and table.skips["pairs"] == "10 of 28 frame pairs kept, drawn evenly; raise max_pairs for more"


def test_all_pairs_of_seven_hundred_objects_are_kept():
    assert 707 * 706 // 2 <= MAX_OBJECT_PAIRS < 708 * 707 // 2


LEFT_OUT = {"frames": "left out odd_0000: it has no frames", "poses": "left out odd_0000: "}


@pytest.mark.parametrize(
    "odd", [{}, {"lacks": "depth"}, {"lacks": "poses", "tracks": True}, {"lacks": "poses"}, {"lacks": "frames"}], ids=str
)
def test_the_verbs_say_every_reason_in_one_line_and_never_show_a_traceback(odd, tmp_path):
    pytest.importorskip("jinja2")
    imported(tmp_path, **odd)
    store = str(tmp_path / "store")
    verbs = (["measure", store], ["facts", store, "odd_0000", "--json"], ["facts", store, "odd_0000"])
    done = [CliRunner().invoke(app, arguments) for arguments in verbs]
    assert not any("Traceback" in one.output for one in done)
    if odd.get("lacks") in LEFT_OUT and not odd.get("tracks"):
        assert [one.exit_code for one in done] == [2, 2, 2] and LEFT_OUT[odd["lacks"]] in done[0].output
        assert "expected measured facts, found none" in done[1].output
        return
    assert [one.exit_code for one in done] == [0, 0, 0]
    told = json.loads(done[1].stdout)
    assert all(kind in told["skips"] for kind in KINDS if kind not in told["rows"])
    assert all(reason and "\n" not in reason for reason in told["skips"].values())
