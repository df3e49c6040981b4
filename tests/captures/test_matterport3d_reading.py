"""What the contract does not see of Matterport3D: published numbers, regions, lenses, houses without a house file."""

import json
from pathlib import Path

import layout_matterport3d as layout
import numpy as np
import pytest
import true_room as true
from lens_pictures import distorted_view
from PIL import Image
from spoiling import read

from sightline.captures.frame_images import frame_depth_m
from sightline.captures.matterport3d.house import read_house
from sightline.captures.matterport3d.views import conf_files, conf_views
from sightline.captures.poses import OPENCV_FROM_OPENGL


def test_rows_counted_from_the_bottom_and_opengl_axes_give_the_published_raw_camera(tmp_path):
    """One camera of a public house as both files print it: 513.798 from the top in one is 509.202 from the bottom in the other."""
    house = tmp_path / layout.HOUSE
    for place in ("undistorted_color_images", "undistorted_camera_parameters"):
        (house / place).mkdir(parents=True)
    name = f"{layout.PANORAMA}_i0_0.jpg"
    Image.new("RGB", (1280, 1024)).save(house / "undistorted_color_images" / name)
    pose = "0.863804 0.361417 0.351025 -5.69715 0.502959 -0.577708 -0.642872 2.5578 -0.0295543 0.731867 -0.680806 1.41593 0 0 0 1"
    lines = ["dataset matterport", "n_images 1", "intrinsics_matrix 1076.45 0 631.116  0 1077.19 509.202  0 0 1"]
    lines.append(f"scan {layout.PANORAMA}_d0_0.png {name} {pose}")
    (house / "undistorted_camera_parameters" / f"{layout.HOUSE}.conf").write_text("\n".join(lines) + "\n")
    files, scans = conf_files(house)
    (view,) = conf_views(files, scans)
    assert view.camera.intrinsics.cy == pytest.approx(513.798, abs=1e-9) and view.camera.intrinsics.cx == 631.116
    raw_pose = np.array(
        [
            [0.863804, -0.361417, -0.351025, -5.69715],
            [0.502959, 0.577708, 0.642872, 2.5578],
            [-0.0295543, -0.731867, 0.680806, 1.41593],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )
    assert np.allclose(view.stored_pose @ OPENCV_FROM_OPENGL, raw_pose)


def test_regions_and_panoramas_are_kept_in_words(tmp_path):
    house = tmp_path / layout.HOUSE
    (house / "house_segmentations").mkdir(parents=True)
    (house / "house_segmentations" / f"{layout.HOUSE}.house").write_text(layout.house_text())
    found = read_house(house)
    (region,) = found.regions
    assert (region["region_index"], region["label"], region["height_m"]) == (0, "living room", 2.6)
    assert found.region_of_panorama == {layout.PANORAMA: 0}
    assert found.surface is None and {one.attributes["mpcat40"] for one in found.objects} == {"misc"}
    assert {one.attributes["region"] for one in found.objects} == {"0"}
    assert json.loads(json.dumps(found.regions)) == list(found.regions)


def test_an_old_house_file_has_regions_and_no_objects(tmp_path):
    house = tmp_path / layout.HOUSE
    (house / "house_segmentations").mkdir(parents=True)
    lines = [line for line in layout.house_text().replace("ASCII 1.1", "ASCII 1.0").splitlines() if line[0] not in "COE"]
    (house / "house_segmentations" / f"{layout.HOUSE}.house").write_text("\n".join(lines) + "\n")
    found = read_house(house)
    assert found.objects is None and len(found.regions) == 1


def square(path: Path, *, x: float, segments: list[int]) -> None:
    corners = "".join(f"{x + a} {b} {c}\n" for a, b, c in [(0, 0, 0), (1, 0, 0), (1, 2, 0.5), (0, 2, 0.5), (5, 5, 5)])
    header = "ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\nelement face 3\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "property list uchar int vertex_indices\nend_header\n" + corners + "3 0 1 2\n3 0 2 3\n3 2 3 4\n")
    path.with_suffix(".fsegs.json").write_text(json.dumps({"segIndices": segments}))
    groups = [{"id": 4, "objectId": 4, "label": "rug", "segments": segments[:2]}]
    path.with_suffix(".semseg.json").write_text(json.dumps({"segGroups": groups}))


def test_regions_without_a_house_file_number_their_objects_on_and_box_their_vertices(tmp_path):
    """Region 10 comes after region 2; an object without an annotated box gets the one along the axes around its faces."""
    house = tmp_path / layout.HOUSE
    square(house / "region_segmentations" / "region10.ply", x=10.0, segments=[7, 8, 9])
    square(house / "region_segmentations" / "region2.ply", x=0.0, segments=[1, 1, 2])
    found = read_house(house)
    assert [(one.object_id, one.category, one.attributes["region"]) for one in found.objects] == [(4, "rug", "2"), (9, "rug", "10")]
    assert np.allclose(found.objects[0].box.centre_world, [0.5, 1.0, 0.25]) and np.allclose(found.objects[1].box.size_m, [1.0, 2.0, 0.5])
    assert found.surface.object_ids.tolist() == [4, 4, 4, 4, -1, 9, 9, 9, 9, -1]
    assert [region["first_object_id"] for region in found.regions] == [0, 5]


def test_a_house_without_annotations_has_objects_that_are_not_known(tmp_path):
    found = read_house(tmp_path)
    assert found.objects is None and found.surface is None


def test_depth_is_undistorted_with_its_image_from_the_nearest_pixel(tmp_path):
    house = tmp_path / layout.HOUSE
    layout.write_raw(house, depth=True, lens=True)
    for index, pose in enumerate(true.poses()):
        cam, yaw = layout.view_name(index)
        _, depth_m = distorted_view(true.SMALL, "radial", (*layout.LENS, 0.0, 0.0, 0.0), pose)
        stored = np.rint(np.nan_to_num(depth_m) / layout.UNIT_M).astype(np.uint16)
        Image.fromarray(stored).save(house / "matterport_depth_images" / f"{layout.PANORAMA}_d{cam}_{yaw}.png")
    wrote = layout.written(house, boxes=None, options={"undistort": True})
    capture = read(wrote, house, tmp_path / "workspace")
    for frame, pose in zip(capture.frames, true.poses()):
        found, truth = frame_depth_m(frame), true.shoot(true.SMALL, pose).depth_m
        off = np.abs(found - truth)
        assert np.nanmedian(off) < 0.01 and (off < 0.05).sum() > 0.9 * np.isfinite(found).sum()
    assert capture.notes["reencoded"] == "colour: undistorted, JPEG quality 95; depth: undistorted, nearest pixel"


def test_images_without_a_lens_stay_in_place(tmp_path):
    house = tmp_path / layout.HOUSE
    layout.write_raw(house, depth=True, lens=False)
    layout.write_undistorted(house)
    capture = read(layout.written(house, boxes=None), house, tmp_path / "workspace")
    assert capture.notes["images"] == "undistorted" and not list((tmp_path / "workspace").iterdir())
    raw = read(layout.written(house, boxes=None), house, tmp_path / "workspace", images="raw")
    assert raw.notes["images"] == "raw" and "reencoded" not in raw.notes
    for one, other in zip(capture.frames, raw.frames, strict=True):
        assert np.allclose(one.world_from_camera, other.world_from_camera) and one.intrinsics == other.intrinsics
