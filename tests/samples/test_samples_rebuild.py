"""A data set names the scans, commands and checksums that its images are made again from, and a store with others is refused."""

from dataclasses import replace

import numpy as np
import pytest
from small_store import write_scan

from sightline.errors import DataError
from sightline.files import read_json, write_json
from sightline.samples.rebuild import check_images, is_gated, rebuild_command, sources_of
from sightline.scenes.store import MANIFEST, SceneStore


@pytest.fixture
def store(tmp_path):
    for seed, scan_id in enumerate(("scan_a", "scan_b")):
        write_scan(tmp_path, scan_id, seed=seed)
    return SceneStore(tmp_path / "store")


def dataset_of(folder, sources):
    folder.mkdir()
    write_json(folder / "dataset.json", {"sources": sources})
    return folder


def test_the_scans_of_a_data_set_are_grouped_by_command_with_a_checksum_each(store):
    sources = sources_of(store, ["scan_b", "scan_a"])
    assert len(sources) == 1 and sources[0]["command"] == "sightline import SOURCE STORE --format handmade"
    assert list(sources[0]["images_sha256"]) == ["scan_a", "scan_b"] and sources[0]["may_be_passed_on"] is True
    assert len(set(sources[0]["images_sha256"].values())) == 2


def test_options_of_the_import_stand_in_its_command(store):
    scene = store.read("scan_a")
    made = replace(scene, source="scannet", notes={"import": {"options": {"frame_step": 10, "intrinsics": [1.0, 2.0]}}})
    assert rebuild_command(made) == "sightline import SOURCE STORE --format scannet frame_step=10 intrinsics=[1.0,2.0]"


def test_the_same_images_pass_and_others_or_missing_ones_are_named(store, tmp_path):
    dataset = dataset_of(tmp_path / "set", sources_of(store, ["scan_a", "scan_b"]))
    assert check_images(dataset, store, scan_ids=None) == 2
    manifest = read_json(store.path("scan_b") / MANIFEST)
    name = next(name for name in manifest["files"] if name.startswith("color/"))
    manifest["files"][name]["sha256"] = "0" * 64
    write_json(store.path("scan_b") / MANIFEST, manifest)
    with pytest.raises(DataError, match="scan_b: expected the images that .*set was made from, found others. Fix: sightline import"):
        check_images(dataset, store, scan_ids=None)
    assert check_images(dataset, store, scan_ids={"scan_a"}) == 1
    gone = dataset_of(tmp_path / "gone", [{"images_sha256": {"scan_z": "0"}, "command": "sightline import SOURCE STORE --format tum"}])
    with pytest.raises(DataError, match="expected scan 'scan_z' of .*gone, found none. Fix: sightline import SOURCE STORE --format tum"):
        check_images(gone, store, scan_ids=None)


def test_a_data_set_from_before_the_checksums_is_taken_as_it_is(store, tmp_path):
    (tmp_path / "old").mkdir()
    write_json(tmp_path / "old" / "dataset.json", {"seed": 0})
    assert check_images(tmp_path / "old", store, scan_ids=None) == 0


def test_the_depth_pack_made_from_images_does_not_count(store):
    names = list(store.image_hashes("scan_a"))
    assert any(name.startswith("depth/") for name in names) and not any(name.endswith(".depthpack") for name in names)
    assert np.all([len(value) == 64 for value in store.image_hashes("scan_a").values()])


def test_gated_licences_are_known_by_their_words():
    assert is_gated("ScanNet Terms of Use (non-commercial research, no redistribution)") and not is_gated("CC0-1.0")
