"""Segments and groups of a mesh become objects; boxes hold their vertices tightly; foreign files are refused."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.captures import segmented
from sightline.errors import CaptureError
from sightline.geometry.transforms import yaw_matrix, yaw_translation


def write(path, value):
    path.write_text(json.dumps(value))
    return path


def groups(tmp_path, rows):
    return segmented.read_groups(write(tmp_path / "groups.json", {"segGroups": rows}))


def test_vertices_follow_their_segments_and_the_smaller_object_wins(tmp_path):
    segments = segmented.read_segments(write(tmp_path / "s.json", {"segIndices": [7, 7, 9, 9, 9, 30, 4]}), num_vertices=7)
    found = groups(
        tmp_path,
        [
            {"id": 0, "objectId": 3, "label": "table", "segments": [9, 7]},
            {"id": 1, "objectId": 0, "label": " cup ", "segments": [7, 7, 30]},
        ],
    )
    joined = segmented.vertex_object_ids(segments, found, where="here")
    assert joined.object_ids.tolist() == [0, 0, 3, 3, 3, 0, -1]
    assert sorted(joined.vertices_of[3].tolist()) == [0, 1, 2, 3, 4] and sorted(joined.vertices_of[0].tolist()) == [0, 1, 5]
    assert (joined.shared_segments, joined.unknown_segments) == (1, 0) and found[1].label == "cup"


def test_a_segment_that_is_not_in_the_mesh_is_counted_and_many_are_refused(tmp_path):
    segments = np.arange(100)
    few = groups(tmp_path, [{"objectId": 1, "label": "wall", "segments": [*range(98), 5000]}])
    assert segmented.vertex_object_ids(segments, few, where="here").unknown_segments == 1
    many = groups(tmp_path, [{"objectId": 1, "label": "wall", "segments": [1, 5000]}])
    with pytest.raises(CaptureError, match="here: .* 1 of 2 that it has not"):
        segmented.vertex_object_ids(segments, many, where="here")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"segIndices": [1, 2]}, "each of the 3 vertices .* found 2"),
        ({"segIndices": [1, 2, 2.5]}, r"segIndices'\[2\]: expected a whole number"),
        ({"segIndices": [1, True, 2]}, r"\[1\]: expected a whole number"),
        ({"segIndices": "1 2 3"}, "expected a list of whole numbers, found str"),
        ({}, "found NoneType"),
        ([1, 2, 3], "expected a JSON object, found list"),
    ],
)
def test_segments_of_another_mesh_are_refused(tmp_path, value, message):
    with pytest.raises(CaptureError, match=message):
        segmented.read_segments(write(tmp_path / "s.json", value), num_vertices=3)


GOOD = {"id": 4, "objectId": 4, "label": "chair", "segments": [1]}
OBB = {"centroid": [1.0, 2.0, 3.0], "axesLengths": [1.0, 2.0, 0.5], "normalizedAxes": [0, 1, 0, -1, 0, 0, 0, 0, 1]}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([GOOD, GOOD], r"segGroups\[1\]: expected every objectId once, found 4 twice"),
        ([{**GOOD, "objectId": -1}], "key 'objectId': expected a whole number of 0 to 65534, found '-1'"),
        ([{**GOOD, "objectId": 70000}], "found '70000'"),
        ([{**GOOD, "label": None}], "key 'label': expected a word"),
        ([{**GOOD, "segments": [[1]]}], r"key 'segments'\[0\]"),
        ([{**GOOD, "obb": {**OBB, "axesLengths": [1.0, 2.0]}}], "key 'axesLengths': expected 3 numbers"),
        (["chair"], "expected an object, found str"),
    ],
)
def test_groups_that_cannot_be_are_refused(tmp_path, rows, message):
    with pytest.raises(CaptureError, match=message):
        groups(tmp_path, rows)


def test_an_annotated_box_has_its_axes_in_rows(tmp_path):
    (group,) = groups(tmp_path, [{**GOOD, "obb": OBB}])
    assert segmented.stored_box_problem(group.obb) is None
    moved = yaw_translation(0.3, np.array([5.0, 0.0, 1.0]))
    box = segmented.box_from_stored(group.obb, world_from_stored=moved)
    corner_stored = np.array([1.0, 2.0, 3.0]) + 0.5 * np.array([0, 1, 0]) + 1.0 * np.array([-1, 0, 0]) + 0.25 * np.array([0, 0, 1])
    corner_world = moved[:3, :3] @ corner_stored + moved[:3, 3]
    assert np.linalg.norm(box.corners_world() - corner_world, axis=1).min() < 1e-12
    mirrored = {**OBB, "normalizedAxes": [0, -1, 0, -1, 0, 0, 0, 0, 1]}
    (left_handed,) = groups(tmp_path, [{**GOOD, "obb": mirrored}])
    assert np.linalg.det(segmented.box_from_stored(left_handed.obb, world_from_stored=np.eye(4)).world_from_object) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"centroid": [None, 0, 0]}, "box_not_finite"),
        ({"axesLengths": [1.0, 0.0, 1.0]}, "box_no_extent"),
        ({"axesLengths": [1.0, -2.0, 1.0]}, "box_no_extent"),
        ({"normalizedAxes": [1, 0, 0, 1, 0, 0, 0, 0, 1]}, "box_not_orthogonal"),
    ],
)
def test_a_bad_annotated_box_has_a_reason(tmp_path, change, reason):
    (group,) = groups(tmp_path, [{**GOOD, "obb": {**OBB, **change}}])
    assert segmented.stored_box_problem(group.obb) == reason


@settings(max_examples=60, deadline=None)
@given(yaw_deg=st.floats(-180, 180), width=st.floats(0.05, 5), depth=st.floats(0.05, 5), seed=st.integers(0, 99))
def test_the_upright_box_of_a_turned_box_is_that_box(yaw_deg, width, depth, seed):
    rng = np.random.default_rng(seed)
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    inside = rng.uniform(-0.5, 0.5, size=(40, 3))
    turn = yaw_matrix(np.radians(yaw_deg))
    points = (np.concatenate([corners, inside]) * [width, depth, 0.7]) @ turn.T + [40.0, -30.0, 2.0]
    box = segmented.upright_box(points)
    gaps = np.linalg.norm(box.corners_world()[:, None] - points[None, :8], axis=2).min(axis=1)
    assert gaps.max() < 1e-5 and box.contains(points, margin_m=1e-9).all() and abs(box.yaw_rad) <= np.pi / 4 + 1e-12


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(3, 60))
def test_no_other_rectangle_is_smaller(seed, count):
    points = np.random.default_rng(seed).normal(size=(count, 3))
    box = segmented.upright_box(points)
    area_m2 = box.size_m[0] * box.size_m[1]
    for yaw in np.radians(np.arange(0.0, 90.0, 0.5)):
        assert area_m2 <= np.ptp(points @ yaw_matrix(yaw), axis=0)[:2].prod() * (1 + 1e-5)
    (_, size, _) = cv2.minAreaRect(points[:, :2].astype(np.float32))
    assert area_m2 <= size[0] * size[1] * (1 + 1e-4)


def test_flat_things_have_a_millimetre_and_points_alone_have_no_box():
    sheet = np.array([[0.0, 1.0, 0.0], [2.0, 1.0, 0.0], [2.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    assert segmented.points_problem(sheet) is None
    assert np.allclose(segmented.upright_box(sheet).size_m, [2.0, 1e-3, 1.0])
    assert segmented.points_problem(sheet[:2]) == "no_vertices"
    assert segmented.points_problem(np.zeros((9, 3))) == "box_no_extent"
    assert np.allclose(segmented.axis_box(sheet).size_m, [2.0, 1e-3, 1.0])
