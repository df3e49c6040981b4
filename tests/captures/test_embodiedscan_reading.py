"""What EmbodiedScan's records mean: angles, places, splits, what is seen, and where its images may lie."""

import copy
import shutil
from pathlib import Path

import layout_embodiedscan as layout
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from spoiling import copied, read

from sightline.captures.embodiedscan.infos import rotation_of_zxy
from sightline.captures.embodiedscan.reader import EmbodiedScanReader

RECORD = layout.scannet_record()


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    root = tmp_path_factory.mktemp("embodiedscan") / "source"
    return layout.scannet(root), root


@pytest.mark.parametrize("angles_deg", [(37.0, 0.0, 0.0), (0.0, 25.0, 0.0), (0.0, 0.0, -70.0), (110.0, -35.0, 62.0)])
def test_three_angles_turn_about_z_then_the_turned_x_then_the_turned_y(angles_deg):
    expected = Rotation.from_euler("ZXY", angles_deg, degrees=True).as_matrix()
    assert np.allclose(rotation_of_zxy(*np.radians(angles_deg)), expected, atol=1e-12)


def test_a_tilted_box_keeps_all_nine_numbers(usual, tmp_path):
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    record = copy.deepcopy(RECORD)
    record["instances"] = [{"bbox_3d": [1.0, 2.0, 0.5, 0.4, 0.6, 0.8, 0.3, -0.4, 0.5], "bbox_label_3d": 1, "bbox_id": 7}]
    for image in record["images"]:
        image["visible_instance_ids"] = [0]
    layout.write_infos(source / "embodiedscan_infos_val.pkl", [record])
    capture = read(wrote, source, tmp_path / "workspace")
    (one,) = capture.objects
    turn = Rotation.from_euler("ZXY", [0.3, -0.4, 0.5]).as_matrix()
    corner = turn @ np.array([0.2, 0.3, 0.4]) + [1.0, 2.0, 0.5]
    assert np.abs(one.box.corners_world() - corner).max(axis=1).min() < 1e-12
    assert (one.object_id, one.category) == (7, layout.CATEGORIES[0])
    assert capture.notes["visible_objects"]["00030"] == [7]


def test_what_a_frame_shows_is_kept_by_object_ids(usual, tmp_path):
    wrote, _ = usual
    capture = read(wrote, wrote.source, tmp_path / "workspace")
    seen = capture.notes["visible_objects"]
    ids = [one["bbox_id"] for one in RECORD["instances"]]
    assert seen["00000"] == [ids[place] for place in RECORD["images"][0]["visible_instance_ids"]]
    assert capture.notes["split"] == "val" and capture.notes["sample_idx"] == "scannet/scene0011_01"


def test_a_scan_without_instances_has_objects_that_are_not_known(usual, tmp_path):
    """As the scans of the test set."""
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    layout.write_infos(source / "embodiedscan_infos_val.pkl", [{key: value for key, value in RECORD.items() if key != "instances"}])
    assert read(wrote, source, tmp_path / "workspace").objects is None


def test_splits_are_those_of_the_files(usual, tmp_path):
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    layout.write_infos(source / "embodiedscan_infos_train.pkl", [{**RECORD, "sample_idx": "scannet/scene0012_00"}])
    reader = EmbodiedScanReader(source, {})
    assert reader.scan_ids("train") == ("scannet__scene0012_00",) and reader.scan_ids("val") == ("scannet__scene0011_01",)
    assert set(reader.scan_ids("all")) == {"scannet__scene0012_00", "scannet__scene0011_01"} and reader.scan_ids("test") == ()


def test_records_and_images_may_lie_apart_and_the_source_folder_may_be_a_link(usual, tmp_path):
    wrote, root = usual
    shutil.copytree(wrote.source / "scannet", tmp_path / "disk" / "scannet")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "scannet").symlink_to(tmp_path / "disk" / "scannet")
    record = copy.deepcopy(RECORD)
    for image in record["images"]:
        image["img_path"], image["depth_path"] = "data/" + image["img_path"], "./data/" + image["depth_path"]
    (tmp_path / "infos").mkdir()
    layout.write_infos(tmp_path / "infos" / "embodiedscan_infos_val.pkl", [record])
    capture = read(wrote, tmp_path / "infos", tmp_path / "workspace", data_root=str(tmp_path / "data"))
    assert len(capture.frames) == 8 and capture.frames[0].rgb_path == tmp_path / "data" / PLACE / "00000.jpg"


PLACE = Path("scannet/posed_images/scene0011_01")


def test_images_stay_in_place_and_frames_may_be_thinned(usual, tmp_path):
    wrote, _ = usual
    capture = read(wrote, wrote.source, tmp_path / "workspace", frame_step=2, max_frames=3)
    assert [frame.frame_id for frame in capture.frames] == ["00000", "00040", "00060"]
    assert all(frame.rgb_path.is_relative_to(wrote.source) and frame.depth_path.is_relative_to(wrote.source) for frame in capture.frames)
    assert not list((tmp_path / "workspace").iterdir()) and "reencoded" not in capture.notes


def test_places_without_their_lists_say_that_they_are_not_sure(tmp_path):
    wrote = layout.threerscan(tmp_path / "source")
    (tmp_path / "source" / "data" / "3rscan" / "3RScan.json").unlink()
    capture = read(wrote, wrote.source, tmp_path / "workspace")
    assert capture.place_id == f"threerscan_{layout.UUID}" and "3RScan.json was not found" in capture.notes["place"]


@pytest.mark.parametrize("table", ["3dod_train_val_splits.csv", "3dod/3dod_train_val_splits.csv", "raw/metadata.csv"])
def test_the_visit_of_a_recording_stands_in_any_table_of_its_download(tmp_path, table):
    """The 3dod download, whose images EmbodiedScan uses, has no metadata.csv."""
    wrote = layout.arkitscenes(tmp_path / "source")
    path = wrote.source / "arkitscenes" / table
    path.parent.mkdir(exist_ok=True)
    (wrote.source / "arkitscenes" / "metadata.csv").rename(path)
    assert read(wrote, wrote.source, tmp_path / "workspace").place_id == wrote.place_id
    assert path in EmbodiedScanReader(wrote.source, {}).source_files(wrote.scan_id)
