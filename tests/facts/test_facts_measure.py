"""Measuring: what a stage leaves on disk, what it refuses, and what frames and pairs it covers."""

from dataclasses import replace

import numpy as np
import oracle_scenes
import pytest
from oracle_world import standard_poses, standard_world, write_scene

from sightline.captures.capture import Capture
from sightline.captures.images import write_rgb_png, write_uint16_png
from sightline.errors import CaptureError, SceneError, ShapeError, UnknownNameError
from sightline.facts.describe import describe
from sightline.facts.fact import KINDS
from sightline.facts.measure import MeasureOptions, chosen_pairs, measure, measure_scan
from sightline.facts.motion import all_pairs
from sightline.facts.store import read_facts
from sightline.files import FINISHED, read_json
from sightline.scenes.clouds import Cloud
from sightline.scenes.prepare import prepare
from sightline.scenes.store import SceneStore

OPTIONS = MeasureOptions()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A scene store with one scan of the oracle world."""
    folder = tmp_path_factory.mktemp("scan")
    scene = write_scene(folder, standard_world(), standard_poses()[:4], num_points=3000)
    for frame in scene.frames:
        write_rgb_png(frame.rgb_path, np.zeros((frame.intrinsics.height, frame.intrinsics.width, 3), dtype=np.uint8))
    capture = Capture(
        scan_id=scene.scan_id,
        place_id=scene.place_id,
        source=scene.source,
        licence=scene.licence,
        frames=scene.frames,
        objects=scene.objects,
    )
    scenes = SceneStore(tmp_path_factory.mktemp("store"))
    cloud = Cloud(points_world=scene.points_world, object_ids=scene.point_object_ids)
    packed = prepare(capture, folder)
    kept = {"depth_images": packed.depth_images, "workspace": folder / "none"}
    scenes.write(packed.capture, cloud, verification=None, made_from="test", copy_images=True, notes={}, **kept)
    return scenes


def test_a_measured_scan_is_read_back_as_it_was_measured_and_is_not_measured_twice(store):
    result = measure_scan("oracle_0000", store=str(store.root), options={})
    assert result["frames"] == 4 and result["pairs"] == 6 and result["objects"] == 5 and result["reused"] is False
    table = read_facts(store.path("oracle_0000") / "facts")
    again = measure(store.read("oracle_0000"), OPTIONS)
    assert np.array_equal(table.pairs.overlap, again.pairs.overlap) and np.array_equal(table.points.uv, again.points.uv)
    assert table.kinds >= frozenset(KINDS[:6])
    assert measure_scan("oracle_0000", store=str(store.root), options={}) == {**result, "reused": True}


def test_other_options_measure_the_scan_again_and_leave_no_leftovers(store):
    measure_scan("oracle_0000", store=str(store.root), options={})
    result = measure_scan("oracle_0000", store=str(store.root), options={"points_per_frame": 5})
    assert result["reused"] is False and result["points"] <= 20
    folder = store.path("oracle_0000")
    assert read_json(folder / "facts" / FINISHED)["options"]["points_per_frame"] == 5
    assert not [path for path in folder.iterdir() if path.name.endswith(".tmp")]


def test_equal_scenes_and_options_give_equal_bytes(store):
    facts = store.path("oracle_0000") / "facts"
    bytes_of = []
    for options in ({}, {"seed": 1}, {}):
        measure_scan("oracle_0000", store=str(store.root), options=options)
        bytes_of.append({path.name: path.read_bytes() for path in facts.iterdir()})
    assert bytes_of[0] == bytes_of[2] != bytes_of[1]


def test_an_unknown_scan_and_an_unknown_option_are_refused_with_the_fix(store):
    with pytest.raises(SceneError, match="nowhere_0000.*sightline import"):
        measure_scan("nowhere_0000", store=str(store.root), options={})
    with pytest.raises(UnknownNameError, match="tolerance_m"):
        measure_scan("oracle_0000", store=str(store.root), options={"tolerence_m": 0.1})


def test_a_scene_without_frames_is_refused():
    with pytest.raises(SceneError, match="at least one frame"):
        measure(replace(oracle_scenes.scene("same"), frames=()), OPTIONS)


def test_a_cloud_with_a_point_that_is_not_a_number_is_refused_and_an_empty_one_is_seen_by_nobody():
    scene = oracle_scenes.scene("bare")
    broken = scene.points_world.copy()
    broken[17, 1] = np.nan
    with pytest.raises(ShapeError, match="points_world.*nan at .17, 1"):
        measure(replace(scene, points_world=broken), OPTIONS)
    table = measure(replace(scene, points_world=np.empty((0, 3), dtype=np.float32)), OPTIONS)
    assert (table.frames.visible_points == 0).all() and np.isnan(table.pairs.overlap).all() and len(table.points.frame) > 250


def test_an_image_of_another_size_than_its_camera_is_refused_by_name(tmp_path):
    scene = oracle_scenes.scene("same")
    path = tmp_path / "small.png"
    write_uint16_png(path, np.ones((10, 20)))
    for field in ("depth_path", "instance_path"):
        with pytest.raises((CaptureError, SceneError), match="small.png: expected .*160x120.*found 20x10"):
            measure(replace(scene, frames=(replace(scene.frames[0], **{field: path}),)), OPTIONS)


def test_a_damaged_depth_image_is_refused_by_name(tmp_path):
    scene = oracle_scenes.scene("same")
    path = tmp_path / "cut.png"
    path.write_bytes(scene.frames[0].depth_path.read_bytes()[:300])
    with pytest.raises(CaptureError, match="cut.png"):
        measure(replace(scene, frames=(replace(scene.frames[0], depth_path=path),)), OPTIONS)


def test_a_frame_without_depth_sees_nothing_and_still_moves():
    scene = oracle_scenes.scene("same")
    frames = (replace(scene.frames[0], depth_path=None), *scene.frames[1:3])
    table = measure(replace(scene, frames=frames), OPTIONS)
    assert table.frames.visible_points[0] == 0 and table.frames.depth_coverage[0] == 0.0
    assert 0 not in table.points.frame and 0 not in table.object_views.frame
    assert table.pairs.overlap[0] == 0.0 and table.pairs.distance_m[0] > 0.1


def test_a_scan_without_labels_has_the_label_free_tables():
    table = oracle_scenes.measured("bare")
    assert table.kinds >= {"frames", "pairs", "points"} and not [kind for kind in table.kinds if kind.startswith("object")]
    assert "coverage" not in table.kinds and (table.points.object_id == -1).all()
    assert table.objects is None and table.object_views is None and table.object_pairs is None


def test_objects_without_point_ids_take_the_points_in_their_boxes():
    scene = oracle_scenes.scene("cloud")
    by_box = measure(replace(scene, point_object_ids=None), OPTIONS).object_views
    by_id = oracle_scenes.measured("cloud").object_views
    both = {*zip(by_box.frame.tolist(), by_box.object_id.tolist())} & {*zip(by_id.frame.tolist(), by_id.object_id.tolist())}
    assert len(both) >= 0.9 * len(by_id.frame)


def test_what_is_sampled_of_a_frame_does_not_depend_on_the_other_frames():
    scene = oracle_scenes.scene("same")
    alone, together = measure(replace(scene, frames=scene.frames[3:4]), OPTIONS), oracle_scenes.measured("same")
    assert np.array_equal(alone.points.uv, together.points.uv[together.points.frame == 3])


def test_the_order_of_the_points_and_of_the_objects_changes_nothing():
    scene = oracle_scenes.scene("same")
    order = np.random.default_rng(0).permutation(len(scene.points_world))
    mixed = replace(
        scene, points_world=scene.points_world[order], point_object_ids=scene.point_object_ids[order], objects=scene.objects[::-1]
    )
    one, two = oracle_scenes.measured("same"), measure(mixed, OPTIONS)
    assert np.array_equal(one.pairs.overlap, two.pairs.overlap)
    for part in ("object_views", "object_pairs"):
        for name in getattr(one, part).__slots__:
            assert np.array_equal(getattr(getattr(one, part), name), getattr(getattr(two, part), name)), name


def test_too_many_pairs_are_thinned_evenly_and_the_same_way_each_time():
    few = chosen_pairs(200, max_pairs=1000, rng=np.random.default_rng(3))
    again = chosen_pairs(200, max_pairs=1000, rng=np.random.default_rng(3))
    assert np.array_equal(few[0], again[0]) and np.array_equal(few[1], again[1])
    assert len(few[0]) == 1000 and (few[0] < few[1]).all() and few[1].max() <= 199
    assert len({*zip(few[0].tolist(), few[1].tolist())}) == 1000
    assert abs((few[1] - few[0]).mean() - 201 / 3) < 5  # the mean gap of all pairs


def test_thinning_to_the_number_there_is_gives_all_pairs_in_order():
    first, second = all_pairs(30)
    ranks_first, ranks_second = chosen_pairs(30, max_pairs=len(first), rng=np.random.default_rng(0))
    assert np.array_equal(first, ranks_first) and np.array_equal(second, ranks_second)
    nearly = chosen_pairs(30, max_pairs=len(first) - 1, rng=np.random.default_rng(0))
    missing = {*zip(first.tolist(), second.tolist())} - {*zip(nearly[0].tolist(), nearly[1].tolist())}
    assert len(nearly[0]) == len(first) - 1 and len(missing) == 1


def test_the_description_counts_frames_pairs_objects_and_overlap():
    lines = describe(oracle_scenes.measured("same"))
    text = "\n".join(lines)
    assert "8 frames, 28 of 28 pairs" in text and "objects: 5 (box 2, cupboard 1, post 1, table 1)" in text
    counted = [int(part.rsplit(" ", 1)[1]) for part in text.split("overlap of pairs: ")[1].split("\n")[0].split(", ")]
    assert sum(counted) == 28
    assert "not known" in "\n".join(describe(oracle_scenes.measured("bare")))


def test_a_scan_of_one_frame_without_points_is_described_without_trouble():
    scene = oracle_scenes.scene("same")
    lonely = replace(scene, frames=(replace(scene.frames[0], depth_path=None),), objects=())
    assert "objects: none" in "\n".join(describe(measure(lonely, OPTIONS)))
