"""Packed visibility beside the facts: mapped, in the order of space, the same bytes every time, damage named."""

import numpy as np
import pytest
from oracle_scenes import OPTIONS, scene

from sightline.errors import DataError
from sightline.facts.measure import measure
from sightline.facts.overlap import count_visible, pair_overlaps
from sightline.facts.visible_bits import ORDER, WORDS, new_words, read_visibility, write_order
from sightline.geometry.visibility import visible_reference, words_for


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("facts")
    return folder, measure(scene("same"), OPTIONS, keep_in=folder)


def test_bits_read_back_give_the_counts_and_overlaps_of_the_table(kept):
    folder, table = kept
    bits = read_visibility(folder)
    assert isinstance(bits.words, np.memmap) and isinstance(bits.order, np.memmap)
    assert np.array_equal(count_visible(bits.words), table.frames.visible_points) and table.frames.visible_points.any()
    shares = pair_overlaps(bits.words, table.pairs.first, table.pairs.second)
    assert np.array_equal(shares.union_share, table.pairs.overlap, equal_nan=True)


def test_the_order_says_whose_bit_is_whose(kept):
    folder, _ = kept
    bits, told = read_visibility(folder), scene("same")
    assert np.array_equal(np.sort(bits.order), np.arange(len(told.points_world)))
    from sightline.captures.frame_images import frame_depth_m

    for index, frame in enumerate(told.frames[:3]):
        cameras = {"depth_intrinsics": frame.depth_intrinsics, "intrinsics": frame.intrinsics, "world_from_camera": frame.world_from_camera}
        seen = visible_reference(np.asarray(told.points_world), depth_m=frame_depth_m(frame), **cameras)
        assert np.array_equal(bits.seen_points(index), np.flatnonzero(seen))


def test_measuring_again_writes_the_same_bytes_of_the_size_that_is_told(kept, tmp_path):
    folder, table = kept
    measure(scene("same"), OPTIONS, keep_in=tmp_path)
    for name in (WORDS, ORDER):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()
    frames, points = len(table.frames.frame_ids), len(scene("same").points_world)
    assert (folder / WORDS).stat().st_size == 128 + 8 * frames * words_for(points)
    assert (folder / ORDER).stat().st_size == 128 + 4 * points


@pytest.mark.parametrize(("frames", "points"), [(3, 0), (1, 1), (2, 64), (2, 65)])
def test_scans_of_few_or_no_points_are_kept_too(tmp_path, frames, points):
    words = new_words(tmp_path, num_frames=frames, num_points=points)
    words[:] = 5
    write_order(tmp_path, np.arange(points)[::-1])
    bits = read_visibility(tmp_path)
    assert bits.words.shape == (frames, words_for(points)) and (bits.words == 5).all()
    assert bits.order.tolist() == list(range(points))[::-1]


def test_missing_cut_and_foreign_files_are_one_clear_line(tmp_path):
    with pytest.raises(DataError, match="found no file"):
        read_visibility(tmp_path)
    new_words(tmp_path, num_frames=2, num_points=100)
    write_order(tmp_path, np.arange(100))
    whole = (tmp_path / WORDS).read_bytes()
    for damaged in (whole[:5], whole[:100], whole[:-9], b""):
        (tmp_path / WORDS).write_bytes(damaged)
        with pytest.raises(DataError, match="damaged"):
            read_visibility(tmp_path)
    np.save(tmp_path / WORDS, np.zeros((2, 2)))
    with pytest.raises(DataError, match="float64"):
        read_visibility(tmp_path)
    (tmp_path / WORDS).write_bytes(whole)
    write_order(tmp_path, np.arange(300))
    with pytest.raises(DataError, match="expected 5 words a frame, found 2"):
        read_visibility(tmp_path)


def test_a_disk_without_room_is_an_error_before_anything_is_written(tmp_path, monkeypatch):
    def full(descriptor, offset, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sightline.facts.visible_bits.os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        new_words(tmp_path, num_frames=4, num_points=1000)
