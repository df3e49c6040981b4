"""The strict, one-sided visibility test: closed forms, a second method, whole scans, and facts of both tests kept apart."""

from dataclasses import replace

import numpy as np
import oracle_scenes
import pytest
from typer.testing import CliRunner

from sightline.captures.frame_images import stored_depth
from sightline.captures.rooms import write_room_scan
from sightline.cli import app
from sightline.config import as_mapping
from sightline.errors import DataError
from sightline.facts.describe import describe
from sightline.facts.measure import FORMAT, MeasureOptions, expect_one_visibility, facts_fingerprint, measure, measure_scan
from sightline.facts.overlap import pair_overlap
from sightline.facts.store import read_facts, write_facts
from sightline.files import fingerprint, read_json
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.strict_visibility import strict_reference, strict_words
from sightline.geometry.transforms import apply, look_at
from sightline.geometry.visibility import StoredDepth, block_bounds, pack_words, spatial_order, unpack_words, visible_words
from sightline.scenes.build import import_scan
from sightline.scenes.store import SceneStore

CAMERA = Intrinsics(fx=50.0, fy=50.0, cx=31.5, cy=23.5, width=64, height=48)
STRICT = MeasureOptions(strict=True)


def seen(points, stored, *, camera: Intrinsics = CAMERA, pose=None) -> list[bool]:
    points = np.asarray(points, dtype=np.float64)
    words = strict_words(
        points,
        depth=StoredDepth(stored=stored, scale_m=0.001),
        intrinsics=camera,
        world_from_camera=np.eye(4) if pose is None else pose,
        bounds_world=block_bounds(points),
    )
    return unpack_words(words, len(points)).tolist()


def wall(millimetres: int, camera: Intrinsics = CAMERA) -> np.ndarray:
    return np.full((camera.height, camera.width), millimetres, dtype=np.uint16)


def at(u: float, v: float, z: float, camera: Intrinsics = CAMERA) -> list[float]:
    return [(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z]


def test_a_point_is_seen_from_the_camera_up_to_the_reading_and_not_at_it():
    heights = [3.999, 0.5, 0.001, 4.0, 4.001, 0.0, -3.0]
    assert seen([at(30.0, 20.0, z) for z in heights], wall(4000)) == [True, True, True, False, False, False, False]


def test_a_pixel_without_reading_shows_nothing_and_a_full_one_is_a_reading():
    assert seen([at(30.0, 20.0, 1.0)], wall(0)) == [False]
    assert seen([at(30.0, 20.0, 65.0), at(30.0, 20.0, 65.6)], wall(65535)) == [True, False]


def test_the_image_begins_at_zero_and_ends_before_its_width():
    inside = [(0.0, 20.0), (63.98, 20.0), (30.0, 0.0), (30.0, 47.98)]
    outside = [(-0.02, 20.0), (64.0, 20.0), (30.0, -0.02), (30.0, 48.0)]
    camera = replace(CAMERA, fx=64.0, fy=64.0, cx=32.0, cy=24.0)  # products and sums with these are exact
    assert seen([at(u, v, 2.0, camera) for u, v in inside], wall(2001), camera=camera) == [True] * 4
    assert seen([at(u, v, 2.0, camera) for u, v in outside], wall(2001), camera=camera) == [False] * 4


def test_the_depth_pixel_is_the_scaled_colour_pixel_rounded_half_to_even_and_clipped():
    colour = Intrinsics(fx=128.0, fy=128.0, cx=64.0, cy=48.0, width=128, height=96)
    stored = np.zeros((48, 64), dtype=np.uint16)
    stored[24, 32] = 3000
    columns = {62.5: False, 63.0: True, 64.0: True, 65.0: True, 65.5: False}  # 31.25, 31.5 -> 32, 32, 32.5 -> 32, 32.75 -> 33
    assert seen([at(u, 48.0, 2.0, colour) for u in columns], stored, camera=colour) == list(columns.values())
    rows = {46.5: False, 47.0: True, 49.0: True, 49.5: False}
    assert seen([at(64.0, v, 2.0, colour) for v in rows], stored, camera=colour) == list(rows.values())
    last = np.zeros((48, 64), dtype=np.uint16)
    last[47, 63] = 3000
    assert seen([at(127.75, 95.75, 2.0, colour)], last, camera=colour) == [True]


def test_of_what_a_rounded_depth_map_shows_the_strict_test_sees_half():
    rng = np.random.default_rng(0)
    z = rng.uniform(1.0, 3.0, CAMERA.width * CAMERA.height).reshape(CAMERA.height, CAMERA.width)
    rows, columns = np.mgrid[: CAMERA.height, : CAMERA.width]
    points = CAMERA.unproject(np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64), z.ravel())
    stored = np.rint(z * 1000.0).astype(np.uint16)
    pose, depth = {"intrinsics": CAMERA, "world_from_camera": np.eye(4)}, StoredDepth(stored=stored, scale_m=0.001)
    tolerant = unpack_words(visible_words(points, depth_m=depth, depth_intrinsics=CAMERA, **pose), len(points))
    assert tolerant.all()
    assert abs(np.mean(seen(points, stored)) - 0.5) < 0.03


def test_two_cameras_before_a_wall_overlap_as_worked_out_where_the_depth_is_biased():
    rng = np.random.default_rng(1)
    points = np.column_stack([rng.uniform(-5, 5, 40_000), rng.uniform(-2, 2, 40_000), np.full(40_000, 2.0)])
    width_m, shift_m = 2.0 * CAMERA.width / CAMERA.fx, 0.8
    moved = np.eye(4)
    moved[0, 3] = shift_m
    words = pack_words(np.array([seen(points, wall(2030)), seen(points, wall(2030), pose=moved)]))
    overlap = pair_overlap(words, np.array([0]), np.array([1]))[0]
    assert abs(overlap - (width_m - shift_m) / (width_m + shift_m)) < 0.006


def edge_points(rng: np.random.Generator, camera: Intrinsics, depth: StoredDepth, pose, count: int) -> np.ndarray:
    """Points on and a rounding beside image borders, the halves between depth pixels, and readings."""
    sides, size = np.array([[camera.width], [camera.height]]), np.array(depth.shape[::-1])[:, None]
    nudge = rng.choice([0.0, 0.0, 1e-15, -1e-15, 1e-9, -1e-9], (2, count))
    halves = (np.floor(rng.uniform(-1, size + 1, (2, count))) + 0.5) / size * sides
    borders = np.where(rng.random((2, count)) < 0.5, 0.0, sides)
    kind = rng.integers(0, 3, (2, count))
    uv = np.select([kind == 0, kind == 1], [halves + nudge, borders + nudge], rng.uniform(-2, sides + 2, (2, count))).T
    place = np.clip(np.rint(uv * (size / sides).T).astype(int), 0, size.T - 1)
    reading = depth.stored[place[:, 1], place[:, 0]] * depth.scale_m
    return apply(pose, camera.unproject(uv, reading + rng.choice([0.0, 1e-15, -1e-15, 1e-3, -1e-3, -0.7], count)))


def test_the_kernel_equals_the_plain_reference_bit_for_bit():
    rng, seen_points = np.random.default_rng(2), 0
    for turn in range(30):
        (width, height), (columns, rows) = rng.integers(1, 90, (2, 2))
        fx, fy = rng.uniform(0.4, 1.6, 2) * max(width, height)
        camera = Intrinsics(fx=fx, fy=fy, cx=0.45 * width, cy=0.6 * height, width=int(width), height=int(height))
        stored = rng.integers(0, 5000, (rows, columns)).astype(np.uint16) * (rng.random((rows, columns)) > 0.1).astype(np.uint16)
        depth = StoredDepth(stored=stored, scale_m=[0.001, 0.00025][turn % 2])
        pose = np.eye(4) if turn % 4 == 0 else look_at(rng.uniform(-3, 3, 3), rng.uniform(-3, 3, 3) + [6, 0, 0])
        if turn % 5 == 4:
            pose[:3, 3] += [3e5, -4e6, 100.0]  # map coordinates
        points = edge_points(rng, camera, depth, pose, 3000)
        points = points[spatial_order(points)]
        view = {"depth": depth, "intrinsics": camera, "world_from_camera": pose}
        expected = pack_words(strict_reference(points, **view))
        assert np.array_equal(strict_words(points, **view), expected)
        assert np.array_equal(strict_words(np.asfortranarray(points), **view, bounds_world=block_bounds(points)), expected)
        seen_points += int(np.bitwise_count(expected).sum())
    assert seen_points > 5000


def by_matrices(frame, points_world: np.ndarray) -> np.ndarray:
    """The same definition by another arithmetic: homogeneous points, one product of matrices."""
    camera, stored = frame.intrinsics, stored_depth(frame)
    K = np.array([[camera.fx, 0.0, camera.cx], [0.0, camera.fy, camera.cy], [0.0, 0.0, 1.0]])
    local = np.linalg.inv(frame.world_from_camera) @ np.vstack([points_world.T, np.ones(len(points_world))])
    u, v, z = K @ local[:3]
    u, v = u / z, v / z
    inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    rows, columns = stored.shape
    column = np.clip(np.round(np.where(inside, u, 0) * columns / camera.width), 0, columns - 1).astype(int)
    row = np.clip(np.round(np.where(inside, v, 0) * rows / camera.height), 0, rows - 1).astype(int)
    return inside & (z > 0) & (z < stored[row, column] * frame.depth_scale_m)


@pytest.mark.parametrize("kind", ["same", "other"])
def test_strict_facts_of_a_scan_are_what_a_second_method_counts(kind):
    scene = oracle_scenes.scene(kind)
    table = measure(scene, STRICT)
    masks = np.stack([by_matrices(frame, np.asarray(scene.points_world, dtype=np.float64)) for frame in scene.frames])
    assert table.is_strict and np.abs(table.frames.visible_points - masks.sum(axis=1)).max() <= 1
    shared = [(masks[i] & masks[j]).sum() / (masks[i] | masks[j]).sum() for i, j in zip(table.pairs.first, table.pairs.second)]
    assert np.abs(table.pairs.overlap - shared).max() < 1e-3  # a point on a rounding edge may fall either way
    views = table.object_views
    assert np.allclose(views.visible_share, views.inside_share * (1.0 - views.hidden_share), atol=1e-12, equal_nan=True)
    assert np.nanmin(views.hidden_share) >= 0.0 and np.nanmax(views.inside_share) <= 1.0


def test_strict_changes_what_follows_from_visible_points_and_nothing_else():
    plain, strict = oracle_scenes.measured("same"), measure(oracle_scenes.scene("same"), STRICT)
    assert not plain.is_strict
    assert not np.array_equal(plain.frames.visible_points, strict.frames.visible_points)
    for name in ("uv", "depth_m", "point_world", "object_id"):
        assert np.array_equal(getattr(plain.points, name), getattr(strict.points, name))
    for name in ("distance_m", "displacement_m", "yaw_deg", "pitch_deg", "roll_deg"):
        assert np.array_equal(getattr(plain.pairs, name), getattr(strict.pairs, name), equal_nan=True)
    assert np.array_equal(plain.object_pairs.closest_m, strict.object_pairs.closest_m)


def test_marks_of_strict_facts_without_id_images_have_a_reading():
    views = measure(oracle_scenes.scene("cloud"), STRICT).object_views
    assert len(views.frame) and np.isfinite(views.anchor_depth_m).all()


def test_a_reader_can_tell_strict_facts_and_other_facts_say_nothing_new(tmp_path):
    strict, plain = measure(oracle_scenes.scene("bare"), STRICT), oracle_scenes.measured("bare")
    write_facts(strict, tmp_path / "strict")
    write_facts(plain, tmp_path / "plain")
    assert read_facts(tmp_path / "strict").is_strict and not read_facts(tmp_path / "plain").is_strict
    assert read_json(tmp_path / "strict" / "facts.json")["is_strict"] is True
    assert "is_strict" not in read_json(tmp_path / "plain" / "facts.json")
    assert any("strict" in line for line in describe(strict)) and not any(
        "strict" in line for line in describe(oracle_scenes.measured("bare"))
    )


def test_facts_from_before_there_was_a_choice_stay_valid():
    marker = {"made_from": "x"}
    kept = facts_fingerprint(marker, MeasureOptions())
    assert kept != facts_fingerprint(marker, STRICT)
    options = {name: value for name, value in as_mapping(MeasureOptions()).items() if name != "strict"}
    assert kept == fingerprint({"scene": marker, "options": options, "format": FORMAT})


def test_markers_of_both_tests_are_not_mixed(tmp_path):
    plain, strict = {"options": {}}, {"options": {"strict": True}}
    expect_one_visibility({"a": plain, "b": plain}, store=tmp_path)
    expect_one_visibility({"a": strict, "b": strict}, store=tmp_path)
    with pytest.raises(DataError, match="1 scans measured with --strict .such as 'b'. and 1 without .such as 'a'"):
        expect_one_visibility({"a": plain, "b": strict}, store=tmp_path)


def test_the_command_measures_strictly_and_refuses_to_ask_questions_of_both(tmp_path):
    def sightline(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    for scan_id in ("rooms_00000", "rooms_00001"):
        write_room_scan(scan_id, out=str(tmp_path / "scans"), seed=0, options={"width": 48, "height": 36, "num_frames": 4})
        kept = {"options": {}, "copy_images": False, "verify": False}
        import_scan(scan_id, source=str(tmp_path / "scans"), reader="folder", store=str(tmp_path / "store"), **kept)
    store = tmp_path / "store"
    done = sightline("measure", store, "--strict", "--workers", 1)
    assert done.exit_code == 0 and "visibility: strict" in done.output
    first, second = SceneStore(store).scan_ids()
    assert read_facts(store / first / "facts").is_strict and read_facts(store / second / "facts").is_strict
    again = measure_scan(first, store=str(store), options={"strict": True})
    assert again["reused"] is True
    assert measure_scan(first, store=str(store), options={})["reused"] is False
    refused = sightline("generate", store, tmp_path / "out", "--workers", 1)
    assert refused.exit_code != 0 and isinstance(refused.exception, DataError | SystemExit)
    assert "--strict" in str(refused.exception) + refused.output
