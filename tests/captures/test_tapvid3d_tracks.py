"""Tracks of TAPVid-3D clips put true surface points where they are, and call visible what the caster sees."""

import io
import zipfile

import layout_tapvid3d as layout
import numpy as np
import pytest
import true_room as true

from sightline.captures.procedural.caster import cast, visible_from
from sightline.captures.tapvid3d import TapVid3dReader
from sightline.geometry.transforms import apply


@pytest.fixture(scope="module", params=list(layout.VARIANTS))
def clip(request, tmp_path_factory):
    """(what was written, the capture, the true poses of its cameras)."""
    folder = tmp_path_factory.mktemp(request.param)
    wrote = layout.VARIANTS[request.param](folder / "source")
    (folder / "workspace").mkdir()
    capture = TapVid3dReader(wrote.source, wrote.options).read(wrote.scan_id, workspace=folder / "workspace")
    shown = [frame.world_from_camera if frame.shown_from is None else frame.shown_from for frame in wrote.frames]
    return wrote, capture, np.stack(shown)


def test_tracks_meet_the_true_surfaces(clip):
    """Each point, brought into the world from every frame's camera, stays on one spot of the room, and a ray meets the room there."""
    _, capture, poses = clip
    tracks = capture.tracks
    assert tracks.frame_ids == tuple(frame.frame_id for frame in capture.frames)
    assert tracks.points_camera.shape == (len(poses), layout.NUM_TRACKS, 3) and tracks.points_camera.dtype == np.float32
    points_world = np.stack([apply(pose, points.astype(np.float64)) for pose, points in zip(poses, tracks.points_camera)])
    assert np.abs(points_world - points_world[0]).max() < 1e-3
    for pose, points, visible in zip(poses, points_world, tracks.visible):
        rays = points[visible] - pose[:3, 3]
        hits = cast(true.model().caster, np.tile(pose[:3, 3], (len(rays), 1)), rays)
        assert np.linalg.norm(hits.points_world - points[visible], axis=1).max() < 1e-3


def test_the_readers_own_poses_bring_the_tracks_of_a_clip_with_poses_into_the_true_world(clip):
    wrote, capture, poses = clip
    if not capture.has_poses or capture.notes["poses_from"] == "static camera":
        return
    for frame, points, pose in zip(capture.frames, capture.tracks.points_camera, poses):
        mine, truth = (apply(place, points.astype(np.float64)) for place in (frame.world_from_camera, pose))
        assert np.linalg.norm(mine - truth, axis=1).max() < 1e-3


def test_visibility_is_the_casters(clip):
    _, capture, poses = clip
    flags = []
    for pose, points in zip(poses, capture.tracks.points_camera):
        uv, _ = true.SMALL.project(points.astype(np.float64))
        inside = true.SMALL.contains(np.nan_to_num(uv, nan=-9.0))
        world = apply(poses[0], capture.tracks.points_camera[0].astype(np.float64))
        flags.append(inside & visible_from(true.model().caster, pose[:3, 3], pulled(world, pose[:3, 3])))
    agree = np.stack(flags) == capture.tracks.visible
    assert agree.mean() > 0.995  # points are stored in float32: a ray that grazes an edge may fall on its other side
    assert 0.05 < capture.tracks.visible.mean() and (len({pose.tobytes() for pose in poses}) == 1 or capture.tracks.visible.mean() < 0.95)


def pulled(points_world: np.ndarray, eye_world: np.ndarray) -> np.ndarray:
    """Points a tenth of a millimetre towards the eye, for rounding may put them just behind their own surface."""
    towards = eye_world - points_world
    return points_world + 1e-4 * towards / np.linalg.norm(towards, axis=1, keepdims=True)


def test_poses_are_said_to_be_known_only_where_they_are(clip):
    wrote, capture, _ = clip
    subset = capture.notes["subset"]
    assert capture.has_poses == (subset != "adt")
    assert capture.notes["poses_from"] == {"adt": "unknown", "drivetrack": "extrinsics_w2c", "pstudio": "static camera"}[subset]
    if subset != "drivetrack":
        assert all(np.allclose(frame.world_from_camera, layout.WORLD_FROM_LEVEL) for frame in capture.frames)
    seconds = capture.frames[1].time_s - capture.frames[0].time_s
    assert seconds == pytest.approx(0.1 if subset == "drivetrack" else 1.0 / 30.0)


def test_jpeg_bytes_come_out_unchanged(clip):
    wrote, capture, poses = clip
    for frame, pose in zip(capture.frames, poses):
        assert frame.rgb_path.read_bytes() == layout.jpeg(true.shoot(true.SMALL, pose).rgb)
    assert {path.name for path in capture.frames[0].rgb_path.parent.parent.iterdir()} == {"color"}  # the unpacked member is gone


def test_fewer_frames_take_their_tracks_with_them(tmp_path):
    wrote = layout.drivetrack(tmp_path / "source")
    (tmp_path / "all").mkdir(), (tmp_path / "some").mkdir()
    every = TapVid3dReader(wrote.source, {}).read(wrote.scan_id, workspace=tmp_path / "all")
    some = TapVid3dReader(wrote.source, {"frame_step": 3}).read(wrote.scan_id, workspace=tmp_path / "some")
    assert some.tracks.frame_ids == ("000000", "000003", "000006")
    assert np.array_equal(some.tracks.points_camera, every.tracks.points_camera[::3])
    assert np.array_equal(some.tracks.visible, every.tracks.visible[::3])
    assert len(list((tmp_path / "some" / "color").iterdir())) == 3


def test_a_frame_without_a_usable_pose_takes_its_row_of_the_tracks_with_it(tmp_path):
    wrote = layout.drivetrack(tmp_path / "source")
    path = wrote.source / "drivetrack" / f"{wrote.scan_id}.npz"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    poses = np.load(io.BytesIO(members["extrinsics_w2c.npy"]))
    poses[2] = -np.inf
    stream = io.BytesIO()
    np.save(stream, poses)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "extrinsics_w2c.npy": stream.getvalue()}.items():
            archive.writestr(name, content)
    capture = TapVid3dReader(path, {}).read(wrote.scan_id, workspace=tmp_path)
    assert [(one.frame_id, one.reason) for one in capture.skipped] == [("000002", "pose_not_finite")]
    assert capture.tracks.frame_ids == tuple(frame.frame_id for frame in capture.frames) and len(capture.tracks.visible) == 7


@pytest.mark.parametrize(
    ("name", "subset", "sequence"),
    [
        ("basketball_13", "pstudio", "basketball"),
        ("Lite_release_recognition_DinoToy_seq031_3", "adt", "Lite_release_recognition_DinoToy_seq031"),
        ("tapvid3d_2656110181316327570_940_000_960_000_1__rolS4YsRwsEQqHw6BNVTg", "drivetrack", "2656110181316327570_940_000_960_000"),
        ("my_clip_4", None, "my_clip"),
        ("clip", None, "clip"),
    ],
)
def test_clips_of_one_sequence_share_their_place(tmp_path, name, subset, sequence):
    wrote = layout.adt(tmp_path / "source")
    path = (wrote.source / f"{wrote.scan_id}.npz").rename(tmp_path / f"{name}.npz")
    capture = TapVid3dReader(path, {}).read(name, workspace=tmp_path)
    assert (capture.notes["subset"], capture.place_id) == (subset, f"tapvid3d_{sequence}")
    (tmp_path / "again").mkdir()
    said = TapVid3dReader(path, {"subset": "pstudio", "place_id": "dome"}).read(name, workspace=tmp_path / "again")
    assert (said.notes["subset"], said.place_id, said.has_poses) == ("pstudio", "dome", True)
