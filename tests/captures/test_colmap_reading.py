"""What a COLMAP project's reader finds beyond the contract: every camera model, places of models, units, notes."""

import shutil
from pathlib import Path

import layout_colmap
import numpy as np
import pytest
import true_room as true

from sightline.captures.colmap.files import read_model
from sightline.captures.colmap.model import PARAMETERS, ColmapCamera, lens_camera
from sightline.captures.colmap.reader import ColmapReader
from sightline.captures.frame_images import frame_depth_m
from sightline.errors import CaptureError, UnknownNameError


def read(project: Path, **options):
    workspace = project.parent / "workspace"
    shutil.rmtree(workspace, ignore_errors=True)
    workspace.mkdir()
    reader = ColmapReader(project, options)
    return reader.read(reader.scan_ids("all")[0], workspace=workspace)


@pytest.fixture(scope="module")
def stereo(tmp_path_factory) -> Path:
    return layout_colmap.binary_stereo(tmp_path_factory.mktemp("stereo")).source


@pytest.mark.parametrize("model", PARAMETERS)
def test_every_camera_model_gives_its_focal_lengths_centre_and_coefficients(model):
    values = {"f": 110.0, "fx": 110.0, "fy": 111.0, "cx": 80.5, "cy": 60.5}
    lens = {name: 0.01 * (number + 1) for number, name in enumerate(("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"))}
    parameters = tuple({**values, **lens}[name] for name in PARAMETERS[model])
    camera = lens_camera(ColmapCamera(camera_id=1, model=model, width=160, height=120, parameters=parameters, where="here"))
    assert (camera.intrinsics.cx, camera.intrinsics.cy) == (80.0, 60.0)  # a pixel's centre: +0.5 there, an integer here
    assert camera.intrinsics.fx == 110.0 and camera.intrinsics.fy == (111.0 if "fy" in PARAMETERS[model] else 110.0)
    if "PINHOLE" in model:
        assert camera.lens is None
    else:
        expected = ("k1", "k2", "k3", "k4") if model == "OPENCV_FISHEYE" else tuple(lens)
        held = set(PARAMETERS[model])
        assert camera.lens.coefficients == tuple(lens[name] if name in held else 0.0 for name in expected)


def test_text_and_binary_hold_the_same_model(tmp_path):
    cameras = [(1, "PINHOLE", 160, 120, layout_colmap.pinhole_parameters(true.SMALL))]
    layout_colmap.write_text(tmp_path / "text", cameras, layout_colmap.stored_images())
    layout_colmap.write_text(tmp_path / "bare", cameras, layout_colmap.stored_images(), points_lines=False)
    layout_colmap.write_binary(tmp_path / "binary", cameras, layout_colmap.stored_images())
    models = [read_model(tmp_path / name) for name in ("text", "bare", "binary")]
    for model in models[1:]:
        assert [image.name for image in model.images] == [image.name for image in models[0].images]
        assert model.cameras[1].parameters == models[0].cameras[1].parameters
        for mine, theirs in zip(model.images, models[0].images):
            assert np.abs(mine.camera_from_world - theirs.camera_from_world).max() < 1e-12


@pytest.mark.parametrize("place", ["sparse/0", "sparse", ".", "colmap", "colmap/sparse/0"])
def test_the_model_is_found_wherever_tools_leave_it(stereo, tmp_path, place):
    project = tmp_path / "flat"
    (project / place).mkdir(parents=True)
    for path in (stereo / "sparse").iterdir():
        shutil.copy(path, project / place)
    shutil.copytree(stereo / "images", project / "images")
    assert ColmapReader.recognises(project)
    capture = read(project, up_axis="-y")
    assert len(capture.frames) == 8 and capture.notes["points"] == 12345


def test_a_world_without_a_unit_is_noted_and_given_one_it_is_metric(stereo):
    without = read(stereo)
    median = np.nanmedian(frame_depth_m(without.frames[1]))
    given = read(stereo, world_unit_m=0.4)
    assert without.notes["metric"] is False and given.notes["metric"] is True
    ratio = np.linalg.norm(given.frames[1].world_from_camera[:3, 3]) / np.linalg.norm(without.frames[1].world_from_camera[:3, 3])
    assert ratio == pytest.approx(0.4)
    assert np.nanmedian(frame_depth_m(given.frames[1])) == pytest.approx(0.4 * median, rel=1e-3)


def test_depth_beyond_sixteen_bits_is_no_reading_and_is_said(stereo):
    capture = read(stereo, world_unit_m=4.0, up_axis="-y")
    depth_m = frame_depth_m(capture.frames[0])
    assert np.nanmax(depth_m) < 16.39 and np.isnan(depth_m).mean() > 0.3
    assert capture.notes["depth_beyond_reach"] > 0.3


def test_an_image_without_a_depth_map_is_kept_and_counted(stereo, tmp_path):
    project = Path(shutil.copytree(stereo, tmp_path / "flat"))
    (project / f"stereo/depth_maps/{layout_colmap.NAMES[4]}.geometric.bin").unlink()
    capture = read(project)
    assert [frame.depth_path is None for frame in capture.frames].index(True) == 4 and len(capture.frames) == 8
    assert capture.notes["frames_without_depth"] == 1


def test_depth_is_left_out_when_asked(stereo):
    assert all(frame.depth_path is None for frame in read(stereo, depth="none", up_axis="-y").frames)


def test_frames_are_chosen_in_the_order_of_their_names(stereo):
    capture = read(stereo, frame_step=3, up_axis="-y")
    assert [frame.frame_id for frame in capture.frames] == ["frame_00001", "frame_00004", "frame_00007"]
    assert [frame.time_s for frame in capture.frames] == [0.0, 3.0, 6.0]


def test_pictures_stay_where_they_are_unless_undistorted(stereo, tmp_path):
    assert all(frame.rgb_path.is_relative_to(stereo) for frame in read(stereo).frames)
    bent = layout_colmap.distorted(tmp_path).source
    capture = read(bent, undistort=True, up_axis="-y", max_frames=3)
    assert len(list((bent.parent / "workspace/color").iterdir())) == 3  # only those used are resampled
    assert capture.notes["reencoded"] == "colour: undistorted, PNG"


def test_a_folder_with_transforms_json_is_left_to_nerfstudio(stereo, tmp_path):
    project = Path(shutil.copytree(stereo, tmp_path / "flat"))
    assert ColmapReader.recognises(project)
    (project / "transforms.json").write_text("{}")
    assert not ColmapReader.recognises(project)


def test_unknown_options_splits_and_scans_are_refused(stereo):
    with pytest.raises(UnknownNameError, match="world_unit_m"):
        ColmapReader(stereo, {"world_unit": 1.0})
    with pytest.raises(CaptureError, match="expected split 'all'"):
        ColmapReader(stereo, {}).scan_ids("train")
    with pytest.raises(CaptureError, match="expected the scan dense_flat, found 'other'"):
        ColmapReader(stereo, {}).read("other", workspace=stereo)
