"""Depth packs: every map comes back bit for bit, damage is named, and equal maps give equal bytes."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sightline.captures.depth_packs import MAGIC, DepthPack, DepthPackWriter, compressed, open_pack, write_depth_pack
from sightline.errors import CaptureError


def ramps() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(np.arange(60 * 80).reshape(60, 80) * (index + 1) + rng.integers(0, 9, (60, 80))).astype(np.uint16) for index in range(5)]


@pytest.fixture
def pack(tmp_path):
    write_depth_pack(tmp_path / "depth.depthpack", ramps())
    return tmp_path / "depth.depthpack"


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=70), elements=st.integers(0, 65535)))
def test_any_map_comes_back_bit_for_bit(tmp_path_factory, stored):
    path = tmp_path_factory.mktemp("pack") / "one.depthpack"
    write_depth_pack(path, [stored])
    back = DepthPack(path).read(0)
    assert back.dtype == np.uint16 and np.array_equal(back, stored)


def test_maps_are_read_in_any_order_and_may_differ_in_size(tmp_path):
    maps = [*ramps(), np.full((7, 3), 65535, dtype=np.uint16)]
    write_depth_pack(tmp_path / "p.depthpack", maps)
    pack = DepthPack(tmp_path / "p.depthpack")
    assert len(pack) == 6 and pack.size(5) == (3, 7)
    for index in (5, 0, 3, 0):
        assert np.array_equal(pack.read(index), maps[index])


def test_equal_maps_give_equal_bytes(tmp_path, pack):
    write_depth_pack(tmp_path / "again.depthpack", ramps())
    assert (tmp_path / "again.depthpack").read_bytes() == pack.read_bytes()


def test_maps_of_finely_graded_noise_are_kept_as_differences_and_others_as_they_are(tmp_path):
    slope = np.linspace(1000, 9000, 480)[:, None] + np.linspace(0, 500, 640)[None, :]
    noisy = (slope + np.random.default_rng(0).normal(0.0, 4.0, slope.shape)).astype(np.uint16)
    coarse = (np.random.default_rng(1).integers(40, 60, slope.shape) * 100).astype(np.uint16)
    for name, stored, differs in (("noisy", noisy, True), ("coarse", coarse, False)):
        write_depth_pack(tmp_path / name, [stored])
        wanted = len(compressed(stored, with_differences=differs))
        assert wanted != len(compressed(stored, with_differences=not differs)) and DepthPack(tmp_path / name).num_bytes(0) == wanted
        assert np.array_equal(DepthPack(tmp_path / name).read(0), stored)


def test_smooth_depth_takes_less_than_a_third_of_its_raw_size():
    smooth = (2000 + 500 * np.sin(np.linspace(0, 6, 640))[None, :] + np.linspace(0, 900, 480)[:, None]).astype(np.uint16)
    assert len(compressed(smooth, with_differences=True)) < smooth.nbytes / 3


@pytest.mark.parametrize("keep", [0, 3, 8, 100, -1, -9, -20])
def test_a_pack_that_was_not_written_to_its_end_is_refused(pack, keep):
    pack.write_bytes(pack.read_bytes()[:keep])
    with pytest.raises(CaptureError, match="depth.depthpack: expected"):
        DepthPack(pack)


def test_a_writer_that_failed_leaves_no_readable_pack(tmp_path):
    with pytest.raises(ZeroDivisionError), DepthPackWriter(tmp_path / "half.depthpack") as writer:
        writer.append(ramps()[0])
        raise ZeroDivisionError
    with pytest.raises(CaptureError, match="half.depthpack: expected"):
        DepthPack(tmp_path / "half.depthpack")


def test_every_flipped_byte_of_a_map_or_of_the_index_is_found(pack):
    whole = bytearray(pack.read_bytes())
    offset, _, _ = struct.unpack("<QI8s", whole[-20:])
    for place in [*range(8, offset, 97), *range(offset, len(whole) - 20, 5), len(whole) - 12, len(whole) - 1, 0]:
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        pack.write_bytes(damaged)
        with pytest.raises(CaptureError, match="depth.depthpack"):
            found = DepthPack(pack)
            for index in range(len(found)):
                found.read(index)


def test_an_index_that_promises_more_than_the_file_holds_is_refused(pack):
    body = pack.read_bytes()[:-20]
    pack.write_bytes(body + struct.pack("<QI8s", 10**15, 0, MAGIC))
    with pytest.raises(CaptureError, match="truncated or damaged"):
        DepthPack(pack)


def test_a_map_that_is_not_there_and_values_that_are_not_uint16_are_named(pack):
    with pytest.raises(CaptureError, match="expected a map below 5, found 5"):
        open_pack(pack).read(5)
    with pytest.raises(CaptureError, match="expected uint16, found float64"):
        compressed(np.zeros((2, 2)), with_differences=False)


def test_an_open_pack_notices_that_its_file_was_replaced(tmp_path, pack):
    assert len(open_pack(pack)) == 5
    write_depth_pack(tmp_path / "new", ramps()[:2])
    (tmp_path / "new").replace(pack)
    assert len(open_pack(pack)) == 2
