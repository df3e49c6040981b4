"""Coverage: the sets of frames found are all the minimal ones there are, by trying every subset."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import oracle_scenes
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.captures.capture import SceneObject
from sightline.config import build
from sightline.errors import ConfigError
from sightline.facts.coverage import coverage, coverage_or_why_not, object_spans, size_axes
from sightline.facts.describe import describe
from sightline.facts.measure import MeasureOptions, measure
from sightline.facts.object_points import object_points
from sightline.facts.visibility import Cloud, cloud_of, view_frame
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import apply, inverse
from sightline.geometry.visibility import NEAR_M, TOLERANCE_M, TOLERANCE_SHARE, block_bounds, pack_words

SIZE_M = (3.0, 2.0, 1.0)  # x is the length, y the width


def cloud_with(points_world, object_ids) -> Cloud:
    points_world = np.asarray(points_world, dtype=np.float64).reshape(-1, 3)
    return Cloud(points_world=points_world, object_ids=np.asarray(object_ids, dtype=np.int32), bounds_world=block_bounds(points_world))


def thing(object_id: int, *, size_m=SIZE_M, yaw_rad: float = 0.0, centre=(0.0, 0.0, 0.0)) -> SceneObject:
    box = Box.upright(centre_world=np.array(centre), size_m=np.array(size_m), yaw_rad=yaw_rad)
    return SceneObject(object_id=object_id, category="chair", box=box)


def found_sets(sets) -> set:
    """(object, axis, frames) of every row."""
    rows = zip(sets.object_id.tolist(), sets.axis.tolist(), sets.first.tolist(), sets.second.tolist(), strict=True)
    listed = [(one, axis, frozenset({first} if second < 0 else {first, second})) for one, axis, first, second in rows]
    assert len(listed) == len(set(listed)), "a set stands twice"
    return set(listed)


def coordinates(cloud: Cloud, one: SceneObject) -> np.ndarray:
    """Of all points along height, width and length of the object's box, by the box's own transform."""
    local = apply(inverse(one.box.world_from_object), cloud.points_world)
    x_is_shorter = one.box.size_m[0] <= one.box.size_m[1]
    return local[:, [2, 0, 1] if x_is_shorter else [2, 1, 0]]


def by_trying_every_subset(cloud: Cloud, objects, visible: np.ndarray, tolerance: float, *, largest: int) -> set:
    """Minimal covering sets of up to `largest` frames, from boolean masks alone."""
    minimal = set()
    for one in objects:
        own = cloud.object_ids == one.object_id
        if not own.any():
            continue
        along = coordinates(cloud, one)
        for axis in range(3):
            need = (1.0 - tolerance) * np.ptp(along[own, axis])
            spanning: list[frozenset] = []
            for size in range(1, largest + 1):
                for frames in map(frozenset, combinations(range(len(visible)), size)):
                    seen = visible[list(frames)].any(axis=0) & own
                    if any(smaller < frames for smaller in spanning) or not seen.any():
                        continue
                    if np.ptp(along[seen, axis]) >= need:
                        spanning.append(frames)
            minimal |= {(one.object_id, axis, frames) for frames in spanning}
    return minimal


@st.composite
def small_scenes(draw):
    """Points on a coarse grid (so that ties abound) of two objects and none, seen by up to seven frames, some of them blind."""
    count, frames = draw(st.integers(1, 140)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    points = rng.integers(-draw(st.integers(1, 6)), 5, (count, 3)).astype(float)
    ids = rng.choice([-1, 4, 9, 23], size=count)
    shares = rng.choice([0.0, 0.02, 0.1, 0.5, 1.0], size=(frames, 1))
    return points, ids, rng.random((frames, count)) < shares, draw(st.sampled_from([0.0, 0.1, 0.25, 0.5]))


@given(small_scenes())
@settings(max_examples=150, deadline=None)
def test_the_sets_found_are_those_of_trying_every_subset(scene):
    points, ids, visible, tolerance = scene
    objects = (thing(9), thing(4, size_m=(1.0, 2.0, 3.0)), thing(7))
    cloud = cloud_with(points, ids)
    sets = coverage(cloud, object_points(cloud, objects), objects, pack_words(visible), tolerance=tolerance)
    assert found_sets(sets) == by_trying_every_subset(cloud, objects, visible, tolerance, largest=len(visible))
    for one, axis, first, second, span_m, extent_m in zip(
        sets.object_id, sets.axis, sets.first, sets.second, sets.span_m, sets.extent_m, strict=True
    ):
        own = ids == one
        along = coordinates(cloud, next(each for each in objects if each.object_id == one))[:, axis]
        seen = own & (visible[first] | (visible[second] if second >= 0 else False))
        assert span_m == np.ptp(along[seen]) and extent_m == np.ptp(along[own])
    assert np.isfinite(sets.span_m).all() and np.isfinite(sets.extent_m).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_turned_and_tilted_boxes_are_spanned_along_their_own_axes(seed):
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn[:, 0] *= np.sign(np.linalg.det(turn))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, rng.uniform(-50, 50, 3)
    one = SceneObject(object_id=3, category="chair", box=Box(size_m=rng.uniform(0.5, 2.0, 3), world_from_object=pose))
    cloud = cloud_with(apply(pose, rng.uniform(-1, 1, (300, 3))), np.full(300, 3))
    visible = rng.random((6, 300)) < rng.choice([0.01, 0.05, 0.5], size=(6, 1))
    sets = coverage(cloud, object_points(cloud, (one,)), (one,), pack_words(visible), tolerance=0.2)
    assert found_sets(sets) == by_trying_every_subset(cloud, (one,), visible, 0.2, largest=4)


def test_a_bar_seen_in_parts_is_spanned_by_the_parts_that_hold_both_ends():
    points = np.c_[np.arange(11.0), np.zeros((11, 2))]
    bar = thing(0, size_m=(10.0, 1.0, 1.0), centre=(5.0, 0.0, 0.0))
    parts = [(0, 10), (0, 4), (6, 10), (3, 7), (1, 8), (9, 10)]  # first and last point that each frame sees
    visible = np.array([(points[:, 0] >= low) & (points[:, 0] <= high) for low, high in parts] + [np.zeros(11, dtype=bool)])
    cloud = cloud_with(points, np.zeros(11))
    sets = coverage(cloud, object_points(cloud, (bar,)), (bar,), pack_words(visible), tolerance=0.1)
    along = {frames for _, axis, frames in found_sets(sets) if axis == 2}
    # of 10 m, 9 are needed: from 0 to 9 or from 1 to 10 will do
    assert along == {frozenset(one) for one in ({0}, {1, 2}, {1, 5}, {2, 4}, {4, 5})}
    flat = {frames for _, axis, frames in found_sets(sets) if axis == 0}
    assert flat == {frozenset({frame}) for frame in range(6)}  # no extent: whoever sees the bar sees all of it


def test_no_pair_is_lost_by_the_order_of_the_frames():
    points = np.c_[np.arange(5.0), np.zeros((5, 2))]
    bar = thing(0, size_m=(4.0, 1.0, 1.0))
    visible = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 1, 1], [0, 0, 1, 1, 1]], dtype=bool)
    cloud = cloud_with(points, np.zeros(5))
    owners = object_points(cloud, (bar,))
    rng = np.random.default_rng(0)
    for _ in range(12):
        order = rng.permutation(4)
        sets = coverage(cloud, owners, (bar,), pack_words(visible[order]), tolerance=0.0)
        named = {frozenset(int(order[frame]) for frame in frames) for _, axis, frames in found_sets(sets) if axis == 2}
        assert named == {frozenset({0, 2}), frozenset({0, 3})}


def test_spans_are_those_of_boolean_masks_whatever_the_order_of_the_points():
    rng = np.random.default_rng(5)
    points, ids = rng.uniform(-1, 1, (3000, 3)), rng.choice([-1, 0, 1, 2], size=3000)
    objects = tuple(thing(k, yaw_rad=0.7 * k, size_m=(1.0, 1.0 + k, 2.0)) for k in range(4))
    centres = rng.uniform(-1, 1, (20, 1, 3))
    visible = np.linalg.norm(points - centres, axis=2) < rng.uniform(0.05, 1.5, (20, 1))
    results = []
    for order in (np.arange(3000), rng.permutation(3000)):
        cloud = cloud_with(points[order], ids[order])
        results.append(object_spans(cloud, object_points(cloud, objects), objects, pack_words(visible[:, order])))
    for name in ("starts", "frame", "low_m", "high_m", "extent_m"):
        assert np.array_equal(getattr(results[0], name), getattr(results[1], name)), name
    spans, cloud = results[0], cloud_with(points, ids)
    for place, one in enumerate(objects):
        own, along = ids == one.object_id, coordinates(cloud, one)
        rows = slice(spans.starts[place], spans.starts[place + 1])
        assert np.array_equal(spans.frame[rows], np.flatnonzero((visible & own).any(axis=1)))
        for frame, low_m, high_m in zip(spans.frame[rows], spans.low_m[rows], spans.high_m[rows], strict=True):
            seen = along[visible[frame] & own]
            assert np.allclose(low_m, seen.min(axis=0), atol=1e-12) and np.allclose(high_m, seen.max(axis=0), atol=1e-12)


def test_width_is_the_shorter_side_and_length_the_longer():
    assert size_axes(thing(0, size_m=(3.0, 2.0, 9.0)).box) == (2, 1, 0)
    assert size_axes(thing(0, size_m=(2.0, 3.0, 0.1)).box) == (2, 0, 1)
    assert size_axes(thing(0, size_m=(2.0, 2.0, 1.0)).box) == (2, 0, 1)


def test_too_many_sets_are_thinned_evenly_counted_and_the_same_way_each_time():
    rng = np.random.default_rng(1)
    points, ids = rng.uniform(-1, 1, (800, 3)), np.repeat([0, 1], 400)
    objects = (thing(0), thing(1))
    visible = rng.random((90, 800)) < rng.uniform(0.01, 0.06, (90, 1))
    cloud = cloud_with(points, ids)
    owners, words = object_points(cloud, objects), pack_words(visible)
    every = coverage(cloud, owners, objects, words, tolerance=0.1)

    def thinned(number: int, seed: int):
        return coverage_or_why_not(cloud, owners, objects, words, tolerance=0.1, max_sets=number, rng=np.random.default_rng(seed))

    total = len(every.first)
    some, again = thinned(500, 3), thinned(500, 3)
    assert total > 2000 and len(some.sets.first) == 500 and f"500 of {total}" in some.why_not
    assert found_sets(some.sets) < found_sets(every) and found_sets(some.sets) == found_sets(again.sets)
    for object_id in (0, 1):
        assert abs((some.sets.object_id == object_id).mean() - (every.object_id == object_id).mean()) < 0.01
    whole = thinned(total, 3)
    assert whole.why_not is None and np.array_equal(whole.sets.span_m, every.span_m)
    assert len(found_sets(thinned(total - 1, 3).sets)) == total - 1


def test_a_measured_scan_holds_the_minimal_sets_of_its_visible_points():
    scene, table = oracle_scenes.scene("same"), oracle_scenes.measured("same")
    cloud = cloud_of(scene)
    limits = {"near_m": NEAR_M, "tolerance_m": TOLERANCE_M, "tolerance_share": TOLERANCE_SHARE}
    visible = np.array([view_frame(frame, cloud, **limits).visible(len(cloud.points_world)) for frame in scene.frames])
    assert found_sets(table.coverage) == by_trying_every_subset(cloud, scene.objects, visible, 0.1, largest=3)
    assert {"coverage", "object_times"} <= table.kinds and "coverage" not in table.skips
    size_m = {(one.object_id, axis): one.box.size_m[at] for one in scene.objects for axis, at in enumerate(size_axes(one.box))}
    expected_m = [size_m[key] for key in zip(table.coverage.object_id.tolist(), table.coverage.axis.tolist(), strict=True)]
    assert np.allclose(table.coverage.extent_m, expected_m, rtol=0.03)  # the cloud lies on the boxes' surfaces
    assert (table.coverage.span_m >= 0.9 * table.coverage.extent_m).all() and (table.coverage.span_m <= table.coverage.extent_m).all()
    alone = np.count_nonzero(table.coverage.second < 0)
    assert f"coverage: {alone} frames alone" in "\n".join(describe(table))


def test_what_cannot_be_covered_says_why():
    scene = oracle_scenes.scene("same")
    blind = tuple(replace(frame, depth_path=None) for frame in scene.frames[:2])
    cases = {
        "which objects": replace(scene, objects=None, point_object_ids=None),
        "no point cloud": replace(scene, points_world=np.empty((0, 3), dtype=np.float32), point_object_ids=np.empty(0, dtype=np.int32)),
        "no frame sees": replace(scene, frames=blind),
    }
    for reason, odd in cases.items():
        table = measure(odd, MeasureOptions())
        assert table.coverage is None and reason in table.skips["coverage"], reason
        assert describe(table)
    nothing = measure(replace(scene, objects=()), MeasureOptions())
    assert len(nothing.coverage.first) == 0 and "coverage" not in nothing.skips


@pytest.mark.parametrize("tolerance", [-0.1, 1.0, float("nan")])
def test_a_tolerance_that_is_no_share_is_refused(tolerance):
    with pytest.raises(ConfigError, match="coverage_tolerance"):
        build(MeasureOptions, {"coverage_tolerance": tolerance}, where="measure options")
