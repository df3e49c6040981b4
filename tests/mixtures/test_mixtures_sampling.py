"""Frames that are shown: published rules, greedy cover against slow references, dropout, and pictures filled into rows."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sightline.captures.capture import Frame
from sightline.config import build
from sightline.errors import ConfigError, DataError
from sightline.geometry.cameras import Intrinsics
from sightline.mixtures import coverage_sampling
from sightline.mixtures.coverage_sampling import Picks, VoxelSets, box_around, box_of_size, filled_up, greedy_cover, voxels_seen
from sightline.mixtures.sampling import (
    FrameChoice,
    FrameIndex,
    FrameSampling,
    PointMaps,
    choose_frames,
    depth_points,
    drop_views,
    fps_indices,
    read_index,
    space_aware,
    uniform_indices,
    write_index,
)
from sightline.mixtures.scene_pictures import sampling_of_policy, with_frames, without_views
from sightline.questions.question import Mark
from sightline.samples.conversation import FOLDER, VIDEO, Conversation, Picture, Turn

CAMERA = Intrinsics(fx=50.0, fy=50.0, cx=31.5, cy=23.5, width=64, height=48)


def sampling(**values):
    return build(FrameSampling, values, where="test")


def point_maps(seed, *, frames=12, height=20, width=24):
    """Patches of a lumpy surface seen by a camera that wanders, as an encoder gives them: float32, confidence of 1 and more."""
    rng = np.random.default_rng(seed)
    centres = np.cumsum(rng.normal(0, 0.6, (frames, 2)), axis=0)
    reach = rng.uniform(0.3, 2.0, frames)
    uv = np.stack(np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height)), axis=-1)
    xy = centres[:, None, None] + uv * reach[:, None, None, None]
    z = 0.5 * np.sin(2 * xy[..., :1]) * np.cos(3 * xy[..., 1:])
    points = np.concatenate([xy, z], axis=-1).astype(np.float32)
    confidence = (1 + rng.exponential(2.0, points.shape[:3])).astype(np.float32)
    return points, confidence


def published_selection(points, confidence, count):
    """The published steps, literally: threshold, bounding box, sets of voxel tuples, rounds that stop where nothing is gained."""
    valid = (confidence >= np.percentile(confidence, 50)) & (confidence > 0.1)
    kept = points[valid]
    low, high = kept.min(axis=0), kept.max(axis=0)
    edge = (high - low).min() / 20
    sets = []
    for frame, mask in zip(points, valid):
        cells = np.floor((frame[mask] - low) / edge).astype(np.int64)
        sets.append({tuple(cell) for cell in np.unique(cells, axis=0)})
    chosen, covered = [], set()
    for _ in range(count):
        gains = {number: len(one - covered) for number, one in enumerate(sets) if number not in chosen}
        best = max(gains, key=lambda number: gains[number], default=None)
        if best is None or gains[best] == 0:
            break
        chosen.append(best)
        covered |= sets[best]
    return chosen, len(set().union(*sets))


@pytest.mark.parametrize("seed", range(6))
def test_published_options_select_the_frames_of_the_published_steps(seed):
    points, confidence = point_maps(seed)
    picks = space_aware(points, confidence, sampling=sampling(how="space-aware", count=5, bounds="published"))
    assert (list(picks.order), picks.all_voxels) == published_selection(points, confidence, 5)


def test_published_steps_may_stop_early_and_ours_fill_up_by_time():
    points, confidence = (np.repeat(one[:2], 4, axis=0) for one in point_maps(0))  # eight frames, two different ones
    reference, _ = published_selection(points, np.ones_like(confidence), 4)
    picks = space_aware(points, np.ones_like(confidence), sampling=sampling(how="space-aware", count=4, bounds="published"))
    assert len(reference) == 2 and set(reference) == {0, 4}
    assert list(picks.order[:2]) == reference and picks.new_voxels[2:] == (0, 0) and picks.frames == (0, 2, 4, 7)


def test_a_stray_point_changes_the_published_bounds_and_not_the_robust_ones():
    points, confidence = point_maps(1)
    stray = points.copy()
    stray[3, 5, 5] = (400.0, -300.0, 200.0)
    sure = np.full_like(confidence, 2.0)
    published, robust = (sampling(how="space-aware", count=5, bounds=bounds) for bounds in ("published", "robust"))
    disturbed, clean = (space_aware(one, sure, sampling=robust) for one in (stray, points))
    assert disturbed.order == clean.order and abs(disturbed.all_voxels - clean.all_voxels) < 0.02 * clean.all_voxels
    assert space_aware(stray, sure, sampling=published).all_voxels < 0.1 * space_aware(points, sure, sampling=published).all_voxels


def test_points_that_are_not_finite_or_not_sure_do_not_count():
    points, confidence = point_maps(2)
    bad = points.copy()
    bad[4] = np.nan
    order = space_aware(bad, confidence, sampling=sampling(how="space-aware", count=11, bounds="published")).order
    assert 4 not in order
    confidence[7] = 0.5  # below the median of the others
    assert 7 not in space_aware(points, confidence, sampling=sampling(how="space-aware", count=10, bounds="published")).order
    with pytest.raises(DataError, match="none that is finite"):
        space_aware(np.full_like(points, np.nan), confidence, sampling=sampling(how="space-aware"))
    with pytest.raises(DataError, match=r"expected points \(N, H, W, 3\)"):
        space_aware(points, confidence[:, :5], sampling=sampling(how="space-aware"))


def test_a_flat_scene_has_voxels_of_its_shortest_side_that_has_a_length():
    grid = np.zeros((1, 11, 21, 3), np.float32)
    grid[0, ..., 0], grid[0, ..., 1] = np.meshgrid(np.arange(21), np.arange(11))
    box = box_around(grid, cells=20, robust=None)
    assert box.edge == pytest.approx(10 / 20) and space_aware(grid, np.ones(grid.shape[:3]), sampling=sampling(count=3)).order == (0,)


def test_sorting_finds_the_sets_that_looking_up_finds(monkeypatch):
    points, confidence = point_maps(3)
    box, within = box_of_size(points.reshape(-1, 3), edge=0.1), points[::2].reshape(-1, 3)[::3]
    how = {"confidence": confidence, "at_least": 2.0, "above": 0.1, "within": within}
    dense = voxels_seen(points, box, **how)
    monkeypatch.setattr(coverage_sampling, "MOST_DENSE_CELLS", 0)
    assert [len(set(one.tolist())) for one in dense.frames] == [len(one) for one in voxels_seen(points, box, **how).frames]
    assert greedy_cover(dense, 8) == greedy_cover(voxels_seen(points, box, **how), 8)
    assert dense.count == voxels_seen(points, box, **how).count > 100


@pytest.mark.parametrize("seed", range(20))
def test_lazy_greedy_is_greedy_with_ties_to_the_earliest(seed):
    rng = np.random.default_rng(seed)
    sets = [set(rng.choice(90, rng.integers(0, 12), replace=False).tolist()) for _ in range(25)]
    slow, covered = [], set()
    while len(slow) < 12:
        gains = [len(one - covered) for one in sets]
        if max(gains) == 0:
            break
        slow.append((gains.index(max(gains)), max(gains)))
        covered |= sets[slow[-1][0]]
    picks = greedy_cover(VoxelSets(frames=tuple(np.array(sorted(one), np.int32) for one in sets), count=90), 12)
    assert list(zip(picks.order, picks.new_voxels)) == slow


def test_filling_up_takes_the_frame_farthest_in_time_and_ends_with_all():
    none = Picks(order=(), new_voxels=(), all_voxels=0)
    times = np.array([0.0, 1.0, 2.0, 3.0, 10.0])
    assert filled_up(none, times, 3).order == (0, 4, 3)
    assert filled_up(replace(none, order=(4,), new_voxels=(5,)), times, 2).new_voxels == (5, 0)
    assert filled_up(none, times, 9).frames == (0, 1, 2, 3, 4) == filled_up(none, np.zeros(5), 5).frames


@pytest.mark.parametrize(("total", "count"), [(373, 32), (100, 16), (17, 16), (40, 1)])
def test_uniform_sampling_is_the_published_linspace(total, count):
    assert uniform_indices(total, count) == tuple(np.linspace(0, total - 1, count, dtype=int))
    rounded = uniform_indices(total, count, rule="round")
    assert len(set(rounded)) == count and all(abs(a - b) <= 1 for a, b in zip(rounded, uniform_indices(total, count)))
    assert uniform_indices(5, 16) == (0, 1, 2, 3, 4) and uniform_indices(0, 4) == ()
    assert uniform_indices(4, 3, rule="round") == (0, 2, 3) and uniform_indices(4, 3) == (0, 1, 3)


def test_sampling_by_time_takes_the_first_frame_of_every_interval():
    times = np.arange(0, 31) * 0.1 + 7.0
    assert fps_indices(times, frames_per_s=1.0) == (0, 10, 20, 30)
    assert fps_indices(times, frames_per_s=10.0) == tuple(range(31))
    assert fps_indices(np.array([0.0, 0.2, 3.9, 4.1]), frames_per_s=1.0) == (0, 2, 3)  # two intervals have no frame
    with pytest.raises(DataError, match="rising time_s"):
        fps_indices(np.zeros(4), frames_per_s=1.0)


class Room:
    """A camera that looks down at a floor, strip by strip; frames 2 and 3 look at what 0 saw."""

    def __init__(self, monkeypatch):
        from sightline.samples import thinning

        down = np.diag([1.0, -1.0, -1.0, 1.0])
        self.frames = []
        for number, (x, height) in enumerate([(0.0, 2.0), (4.0, 2.0), (0.0, 1.0), (0.1, 1.0), (8.0, 1.0)]):
            pose = down.copy()
            pose[:3, 3] = (x, 0.0, height)
            self.frames.append(
                Frame(
                    frame_id=f"{number:03d}",
                    time_s=float(number),
                    rgb_path=Path(f"/s/scan/color/{number:03d}.jpg"),
                    depth_path=Path("/s/scan/depth.pack"),
                    depth_scale_m=0.001,
                    intrinsics=CAMERA,
                    depth_intrinsics=CAMERA,
                    world_from_camera=pose,
                )
            )
        monkeypatch.setattr(thinning, "frame_depth_m", lambda frame: np.full((48, 64), frame.world_from_camera[2, 3], np.float32))
        x, y = np.meshgrid(np.arange(-2, 10, 0.05), np.arange(-2, 2, 0.05))
        self.cloud = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1).astype(np.float32)

    def scene(self):
        return SimpleNamespace(scan_id="scan", root=Path("/s/scan"), frames=tuple(self.frames), points_world=self.cloud, has_poses=True)


def test_coverage_picks_the_strips_of_a_floor_in_the_order_of_their_size(monkeypatch):
    choice = choose_frames(Room(monkeypatch).scene(), sampling(how="coverage", count=3))
    assert choice.picks.order == (0, 1, 4) and choice.frame_ids == ("000", "001", "004")
    cells = 26 * 20  # 64 columns of 2 / 50 m are 2.52 m between the first and last reading's centre, 48 rows 1.88 m
    assert choice.picks.new_voxels[0] == choice.picks.new_voxels[1] == pytest.approx(cells, rel=0.08)
    assert choice.picks.new_voxels[2] == pytest.approx(cells / 4, rel=0.15)
    filled = choose_frames(Room(monkeypatch).scene(), sampling(how="coverage", count=5))
    assert filled.indices == (0, 1, 2, 3, 4) and filled.picks.new_voxels[3:] == (0, 0)


def test_only_voxels_with_a_point_of_the_cloud_count(monkeypatch):
    room = Room(monkeypatch)
    room.cloud = room.cloud[room.cloud[:, 0] > 6]
    assert choose_frames(room.scene(), sampling(how="coverage", count=1)).frame_ids == ("004",)


def test_space_aware_sampling_from_depth_and_from_point_maps_agree(monkeypatch):
    scene = Room(monkeypatch).scene()
    chosen = choose_frames(scene, sampling(how="space-aware", count=3))
    points = np.stack([depth_points(frame) for frame in scene.frames])
    ids = tuple(frame.frame_id for frame in scene.frames)
    maps = PointMaps(frame_ids=ids, points=points, confidence=np.ones(points.shape[:3], np.float32))
    assert choose_frames(scene, sampling(how="space-aware", count=3), point_maps=maps) == chosen
    assert chosen.indices == (0, 1, 4)
    with pytest.raises(DataError, match="frame 'x'"):
        choose_frames(scene, sampling(how="space-aware"), point_maps=replace(maps, frame_ids=("x", *ids[1:])))


def test_a_scan_without_depth_is_refused_with_the_way_out(monkeypatch):
    room = Room(monkeypatch)
    room.frames = [replace(frame, depth_path=None) for frame in room.frames]
    for how in ("coverage", "space-aware"):
        with pytest.raises(DataError, match=f"poses and depth for {how} sampling, found none. Fix: --how uniform"):
            choose_frames(room.scene(), sampling(how=how))
    assert choose_frames(room.scene(), sampling(count=2)).indices == (0, 4)


def test_an_index_reads_back_and_refuses_another_scan(monkeypatch, tmp_path):
    scene = Room(monkeypatch).scene()
    index = FrameIndex(
        sampling=sampling(how="coverage", count=2), choices={"scan": choose_frames(scene, sampling(how="coverage", count=2))}
    )
    write_index(tmp_path / "i.json", index)
    assert read_index(tmp_path / "i.json") == index
    choice = read_index(tmp_path / "i.json").choices["scan"]
    assert choice.frames_of(scene) == (scene.frames[0], scene.frames[1])
    with pytest.raises(DataError, match="chosen from another import"):
        choice.frames_of(SimpleNamespace(root=scene.root, frames=scene.frames[1:]))
    (tmp_path / "i.json").write_text((tmp_path / "i.json").read_text().replace('"num_frames": 5', '"num_frames": 1'))
    with pytest.raises(DataError, match="rising indices of 1 frames"):
        read_index(tmp_path / "i.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match="expected format 'sightline-frames'"):
        read_index(tmp_path / "other.json")


def test_view_dropout_is_a_function_of_seed_and_position():
    kept = [drop_views(16, share=0.3, at_least=4, seed=1, position=position) for position in range(400)]
    assert kept == [drop_views(16, share=0.3, at_least=4, seed=1, position=position) for position in range(400)]
    assert kept != [drop_views(16, share=0.3, at_least=4, seed=2, position=position) for position in range(400)]
    sizes = np.array([len(one) for one in kept])
    assert sizes.min() >= 4 and abs(sizes.mean() - 0.7 * 16) < 4 * np.sqrt(16 * 0.21 / 400)
    often = np.bincount(np.concatenate(kept), minlength=16) / 400
    assert np.abs(often - 0.7).max() < 0.1 and all(list(one) == sorted(set(one)) for one in kept)
    assert drop_views(3, share=0.9, at_least=8, seed=0, position=0) == (0, 1, 2)
    with pytest.raises(ConfigError, match="share of 0 to below 1"):
        drop_views(3, share=1.0, at_least=1, seed=0, position=0)


def row(**values):
    known = {"sample_id": "q1", "source": "sqa3d", "task": "", "split": "train", "scan_id": "scan", "place_id": "room", "pictures": ()}
    turns = (Turn(question="What is left?", answer="door"), Turn(question="And right?", answer="bed"))
    return Conversation(**{**known, "turns": turns, **values})


def test_a_row_that_names_a_scan_gets_frames_of_the_store(monkeypatch):
    frames = Room(monkeypatch).frames[:3]
    shown = with_frames(row(frame_policy="uniform 3"), frames, scan_id="scan")
    assert [(one.place, one.path, one.frame_id) for one in shown.pictures[:2]] == [
        ("store", "scan/color/000.jpg", "000"),
        ("store", "scan/color/001.jpg", "001"),
    ]
    assert shown.is_video and shown.frame_policy == "" and shown.turns == row().turns and shown.extra == {}
    above = Picture(place=FOLDER, path="birdseye/scan.png", scan_id="scan")
    both = with_frames(row(scan_id="scene0000_00"), frames, scan_id="scan", before=(above,))
    assert both.pictures[0] == above and len(both.pictures) == 4 and not both.is_video
    assert both.scan_id == "scan" and both.extra == {"source_scan_id": "scene0000_00"} and both.place_id == "room"


def test_frames_stand_where_the_whole_video_stood(monkeypatch):
    frames = Room(monkeypatch).frames[:3]
    turns = (Turn(question="Look: what is it?", answer="door", picture_offsets=(5,)),)
    shown = with_frames(row(pictures=(Picture(place=VIDEO, path="a.mp4"),), turns=turns), frames, scan_id="scan")
    assert shown.turns[0].picture_offsets == (5, 5, 5) and [one.place for one in shown.pictures] == ["store"] * 3
    with pytest.raises(DataError, match="found 1 pictures, 0 whole videos and 3 frames"):
        with_frames(row(pictures=(Picture(place=FOLDER, path="a.png"),)), frames, scan_id="scan")
    with pytest.raises(DataError, match="0 frames"):
        with_frames(row(), (), scan_id="scan")


def test_dropped_views_take_their_places_in_the_words_along(monkeypatch):
    frames = Room(monkeypatch).frames
    turns = (Turn(question="Look: what is it?", answer="door", picture_offsets=(5,)),)
    whole = row(pictures=(Picture(place=VIDEO, path="a.mp4"),), turns=turns)
    shown = with_frames(whole, frames, scan_id="scan")
    fewer = without_views(shown, share=0.5, at_least=2, seed=3, position=9)
    kept = drop_views(5, share=0.5, at_least=2, seed=3, position=9)
    assert 2 <= len(kept) < 5 and fewer.pictures == tuple(shown.pictures[number] for number in kept)
    assert fewer.turns[0].picture_offsets == (5,) * len(kept)
    assert without_views(whole, share=0.5, at_least=1, seed=0, position=0) == whole
    marked = replace(shown, marks=(Mark(frame_id="001", u_px=1.0, v_px=1.0, label="", colour="red"),))
    assert without_views(marked, share=0.9, at_least=1, seed=0, position=0) == marked
    named = replace(shown, is_video=False)
    assert without_views(named, share=0.9, at_least=1, seed=0, position=0) == named


def test_a_frame_policy_names_a_way_and_a_count():
    assert sampling_of_policy("uniform 32", where="row 1") == sampling(how="uniform", count=32)
    assert sampling_of_policy("space-aware 16", where="row 1").how == "space-aware"
    for policy in ("", "uniform", "uniform 0", "first 8"):
        with pytest.raises(DataError, match="row 1: expected a frame policy"):
            sampling_of_policy(policy, where="row 1")


def test_a_choice_keeps_its_own_order_of_picking():
    choice = FrameChoice(scan_id="a", frame_ids=("0",), indices=(0,), num_frames=1)
    assert choice.picks is None and Picks(order=(3, 1), new_voxels=(6, 2), all_voxels=16).covered == 0.5
