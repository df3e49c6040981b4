"""Scans that lack depth, poses or frames become scenes that say so; labelled meshes and tracks are used."""

import json

import numpy as np
import pytest
import true_room as true
from scipy.spatial import cKDTree

from sightline.errors import CaptureError
from sightline.scenes.build import check_scan, import_scan, verdict_lines
from sightline.scenes.store import SceneStore


@pytest.fixture
def bring(tmp_path):
    (tmp_path / "source.bin").write_bytes(b"never opened")
    store = SceneStore(tmp_path / "store")

    def imported(**options):
        where = {"source": str(tmp_path / "source.bin"), "reader": "odd_readers:OddReader", "options": options}
        result = import_scan("odd_0000", **where, store=str(store.root), copy_images=False, verify=True)
        assert json.loads(json.dumps(result)) == result
        return result, store.read("odd_0000")

    return imported


def test_images_of_the_workspace_are_moved_into_the_scene_and_nothing_is_left_over(bring, tmp_path):
    result, scene = bring()
    assert result["agreement"] > 0.98 and len(scene.frames) == true.NUM_FRAMES
    store = tmp_path / "store"
    assert sorted(path.name for path in store.iterdir()) == ["odd_0000"]
    assert SceneStore(store).check_files("odd_0000") == 2 * true.NUM_FRAMES + 1
    assert not any(path.is_symlink() for path in store.rglob("*"))


def test_a_scan_without_depth_becomes_a_scene_whose_conventions_were_not_checked(bring):
    result, scene = bring(lacks="depth")
    assert scene.verification is None and len(scene.points_world) == 0
    assert all(frame.depth_path is None and frame.depth_index is None for frame in scene.frames)
    assert verdict_lines(result)[-1] == "  conventions not checked (no depth to check them with)"


def test_a_frame_without_depth_among_others_is_left_out_and_counted(bring):
    result, scene = bring(lacks="some depth")
    assert result["frames_skipped"] == {"depth_missing": 1} and "2" not in [frame.frame_id for frame in scene.frames]


def test_a_scan_without_frames_keeps_its_walls_and_objects(bring):
    result, scene = bring(lacks="frames")
    assert (result["frames_used"], result["objects"], result["walls"]) == (0, len(true.objects()), len(true.structure().walls))
    assert len(scene.points_world) == 0 and scene.structure is not None and len(scene.objects) == len(true.objects())
    assert "no frames" in verdict_lines(result)[-1]


def test_a_scan_without_poses_says_so(bring):
    result, scene = bring(lacks="poses", tracks=True)
    assert not scene.has_poses and len(scene.points_world) == 0 and result["tracks"] == 200
    assert verdict_lines(result)[-1] == "  conventions not checked (no depth to check them with)"


def test_tracks_come_back_and_stand_for_the_cloud_where_there_is_no_depth(bring):
    _, scene = bring(lacks="depth", tracks=True)
    assert scene.tracks.points_camera.shape == (true.NUM_FRAMES, 200, 3) and scene.tracks.visible.dtype == bool
    gap_m, _ = cKDTree(true.mesh().vertices_world).query(scene.points_world)
    assert len(scene.points_world) > 50 and gap_m.max() < 1e-5


def test_points_take_the_object_of_the_labelled_surface_beside_them(bring):
    _, scene = bring(surface=True)
    gap_m, nearest = cKDTree(true.mesh().vertices_world).query(scene.points_world)
    expected = true.mesh().object_ids[nearest]
    assert (scene.point_object_ids == expected).mean() > 0.99
    assert len(set(np.unique(scene.point_object_ids))) > 10


def test_without_depth_the_labelled_surface_is_the_cloud(bring):
    _, scene = bring(lacks="depth", surface=True)
    assert len(scene.points_world) > 5000 and len(set(np.unique(scene.point_object_ids))) > 15


def test_a_check_gives_the_same_verdict_and_writes_nothing(bring, tmp_path):
    result, _ = bring(surface=True)
    where = {"source": str(tmp_path / "source.bin"), "reader": "odd_readers:OddReader", "options": {"surface": True}}
    before = sorted(tmp_path.rglob("*"))
    checked = check_scan("odd_0000", **where, verify=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert {**checked, "status": "", "seconds": 0} == {**result, "status": "", "seconds": 0}
    assert verdict_lines(checked)[0].endswith("(not imported)")


def test_an_import_is_done_again_when_a_source_file_changed_and_not_otherwise(bring, tmp_path):
    assert bring()[0]["status"] == "imported"
    assert bring()[0]["status"] == "unchanged"
    (tmp_path / "source.bin").write_bytes(b"changed")
    assert bring()[0]["status"] == "imported"
    (tmp_path / "source.bin").unlink()
    with pytest.raises(CaptureError, match="source.bin: expected a file of scan 'odd_0000'"):
        bring()
