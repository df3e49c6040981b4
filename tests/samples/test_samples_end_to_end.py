"""From procedural rooms to rows: rendered, imported, measured, asked, checked, written, shown."""

from pathlib import Path

import numpy as np
import pytest

from sightline.captures.images import read_uint16
from sightline.captures.rooms import room_scan_ids, write_room_scan
from sightline.facts.measure import measure_scan
from sightline.mixtures.splits import check_no_leak, split_places
from sightline.questions import TASKS
from sightline.questions.templates import spoken
from sightline.samples.frames import load_views
from sightline.samples.generate import finish_dataset, generate_scan
from sightline.samples.shards import read_samples
from sightline.scenes.build import import_scan
from sightline.scenes.store import SceneStore

ROOMS = {"width": 160, "height": 120, "num_frames": 8, "max_rooms": 1, "antialias": False, "shadows": False}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict]:
    root = tmp_path_factory.mktemp("rooms")
    scan_ids = room_scan_ids(2)
    for scan_id in scan_ids:
        write_room_scan(scan_id, out=str(root / "rooms"), seed=3, options=ROOMS)
        import_scan(
            scan_id, source=str(root / "rooms"), reader="rooms", options={}, store=str(root / "store"), copy_images=False, verify=True
        )
        measure_scan(scan_id, store=str(root / "store"), options={})
    scenes = SceneStore(root / "store")
    place_of = {scan_id: scenes.read(scan_id).place_id for scan_id in scan_ids}
    split_of = split_places(place_of.values(), held_out_share=0.5, seed=0)
    results = {
        scan_id: generate_scan(
            scan_id,
            store=str(root / "store"),
            out=str(root / "set"),
            tasks=list(TASKS),
            split=split_of[place_of[scan_id]],
            seed=0,
            options={},
        )
        for scan_id in scan_ids
    }
    finish_dataset(root / "set", store=root / "store", scan_ids=scan_ids, results=results, seed=0, options={})
    return root, results


def test_rooms_become_rows_whose_every_answer_the_second_method_confirms(made):
    root, results = made
    samples = read_samples(root / "set")
    assert len(samples) == sum(sum(result["questions"].values()) for result in results.values()) > 100
    assert len({sample.task for sample in samples}) >= 6
    assert not any("check_disagrees" in reason for result in results.values() for reason in result["skips"])
    assert {sample.split for sample in samples} == {"train", "held_out"}
    check_no_leak(samples, SceneStore(root / "store"))


def test_the_depth_map_says_what_the_answer_says(made):
    """The stored depth image, read at the dot, is the depth that was asked for."""
    root, _ = made
    for sample in read_samples(root / "set", tasks=["depth_estimation"]):
        (view,) = load_views(sample, store=root / "store", width=160, height=120, with_depth=True)
        (mark,) = sample.marks
        read_m = view.depth_m[round(mark.v_px), round(mark.u_px)]
        assert read_m == pytest.approx(sample.answer_value, abs=0.02)
        assert abs(float(sample.answer_text) - read_m) <= 0.05 + 0.02


def test_dots_on_objects_land_on_those_objects_in_the_instance_image(made):
    root, _ = made
    scenes = SceneStore(root / "store")
    scene_of = {scan_id: scenes.read(scan_id) for scan_id in scenes.scan_ids()}
    named = {scan_id: {one.object_id: spoken(one.category) for one in scene.objects} for scan_id, scene in scene_of.items()}
    checked = 0
    for sample in read_samples(root / "set", tasks=["object_size", "object_distance", "relative_direction_hard"]):
        for mark in sample.marks:
            ids = read_uint16(scene_of[sample.scan_id].frame(mark.frame_id).instance_path)
            object_id = int(ids[int(np.floor(mark.v_px + 0.5)), int(np.floor(mark.u_px + 0.5))]) - 1
            assert f"{named[sample.scan_id][object_id]} ({mark.colour} dot)" in sample.question
            checked += 1
    assert checked > 20
