"""The one real recording at hand: imported as anybody would, and refused under every wrong convention."""

from pathlib import Path

import numpy as np
import pytest

from sightline.captures.folder import FolderReader
from sightline.captures.poses import convention_of_notes
from sightline.errors import CaptureError
from sightline.scenes.build import import_scan, verdict_lines
from sightline.scenes.store import SceneStore
from sightline.scenes.verify import verify_capture

SOURCE = Path(__file__).parents[3] / "shared" / "data" / "hololens_room"

pytestmark = pytest.mark.skipif(not SOURCE.is_dir(), reason="the recording is not on this machine")


def test_it_imports_with_an_agreement_of_95_percent_and_a_residual_under_15_mm(tmp_path):
    result = import_scan(
        "hololens_room", source=str(SOURCE), reader="folder", options={}, store=str(tmp_path), copy_images=False, verify=True
    )
    assert result["frames_used"] == 63 and result["frames_skipped"] == {}
    assert result["agreement"] >= 0.95 and result["residual_cm"] < 1.5 and result["pairs_checked"] >= 40
    assert result["up_axis"] == "auto (+y)" and result["gravity_tilt_deg"] < 1.0 and result["depth_unit_checked"]
    assert 0.5 < result["depth_coverage"] < 0.8 and 50_000 < result["points"] < 200_000
    assert len(verdict_lines(result)) == 3
    scene = SceneStore(tmp_path).read("hololens_room")
    assert SceneStore(tmp_path).check_files("hololens_room") == 127
    points = scene.points_world
    floor_z = np.median(points[points[:, 2] < np.quantile(points[:, 2], 0.05), 2])
    eyes_z = np.array([frame.world_from_camera[2, 3] for frame in scene.frames])
    assert 1.0 < eyes_z.mean() - floor_z < 2.2, "the wearer's eyes are above the floor"


def test_its_up_axis_goes_from_y_to_z():
    capture = FolderReader(SOURCE, {}).read("hololens_room", workspace=Path())
    stored = np.loadtxt(SOURCE / "poses.txt").reshape(-1, 4, 4)
    x, y, z = stored[:, :3, 3].T
    positions = np.stack([frame.world_from_camera[:3, 3] for frame in capture.frames])
    assert np.allclose(positions, np.stack([x, -z, y], axis=1), rtol=0, atol=1e-12)
    assert np.allclose(convention_of_notes(capture.notes).world_from_stored[2], [0, 1, 0, 0])


@pytest.mark.parametrize(
    ("wrong", "fix"),
    [
        ({"pose_direction": "camera_from_world"}, "--pose-direction world_from_camera"),
        ({"camera_axes": "opengl"}, "--camera-axes opencv"),
        ({"depth_unit_m": 0.002}, "--depth-unit-m 0.001"),
        ({"depth_unit_m": 0.0005}, "--depth-unit-m 0.001"),
        ({"depth_unit_m": 1.0}, "--depth-unit-m 0.001"),
        ({"depth_unit_m": 0.000001}, "--depth-unit-m 0.001"),
        ({"up_axis": "+z"}, "--up-axis +y"),
        ({"up_axis": "-y"}, "--up-axis +y"),
    ],
)
def test_every_wrong_convention_is_refused_with_the_right_one(wrong, fix):
    capture = FolderReader(SOURCE, wrong).read("hololens_room", workspace=Path())
    with pytest.raises(CaptureError) as caught:
        verify_capture(capture)
    assert f"Fix: {fix} (or" in str(caught.value)
