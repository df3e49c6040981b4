"""Arrays of others: any bytes are an array or one CaptureError, and poses in an `.npy` file are read through the same door."""

import numpy as np
import pytest

from sightline.captures.containers.safe_npz import SafeNpz, read_npy
from sightline.captures.poses import read_pose_list
from sightline.errors import CaptureError


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i2", "|b1", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_plain_arrays_come_back_as_they_were(tmp_path, dtype, order):
    values = np.asarray((np.arange(24).reshape(2, 3, 4) % 5).astype(dtype), order=order)
    np.save(tmp_path / "one.npy", values)
    np.savez_compressed(tmp_path / "many.npz", values=values, scalar=np.float64(3.5))
    assert np.array_equal(read_npy(tmp_path / "one.npy"), values)
    with SafeNpz(tmp_path / "many.npz") as arrays:
        assert arrays.names() == ("values", "scalar") and arrays.array("scalar") == 3.5
        assert np.array_equal(arrays.array("values"), values) and arrays.array("values").dtype == values.dtype


def test_any_damaged_byte_gives_an_array_or_one_clear_error(tmp_path):
    path = tmp_path / "poses.npy"
    np.save(path, np.tile(np.eye(4), (2, 1, 1)))
    content, rng = path.read_bytes(), np.random.default_rng(3)
    refused = 0
    for _ in range(2000):
        spoilt = bytearray(content)
        for place in rng.integers(0, 140, size=rng.integers(1, 4)):
            spoilt[place] = rng.integers(256)
        path.write_bytes(bytes(spoilt[: rng.integers(0, len(spoilt) + 1)] if rng.random() < 0.3 else spoilt))
        try:
            read_npy(path)
        except CaptureError as error:
            assert "\n" not in str(error) and "poses.npy" in str(error)
            refused += 1
    assert refused > 500


@pytest.mark.parametrize("letters", ["(", "[", "{", "-", "'", "{'descr':", "\\"])
def test_headers_that_nest_or_never_end_are_refused(tmp_path, letters):
    path = tmp_path / "poses.npy"
    for count in (1, 150, 3000):
        text = (letters * count).encode()[:9999]
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
        with pytest.raises(CaptureError, match="poses.npy: expected the header of an array"):
            read_pose_list(path)


def test_objects_are_no_poses(tmp_path):
    np.save(tmp_path / "poses.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(CaptureError, match="expected numbers, found an array of type object"):
        read_pose_list(tmp_path / "poses.npy")
    with pytest.raises(CaptureError, match="cannot be read"):
        read_npy(tmp_path / "gone.npy")


def test_byte_strings_are_the_same_however_they_were_kept(tmp_path):
    strings = [b"\xff\xd8\xff" + bytes([1 + index]) * (20 + index) for index in range(5)]
    objects = np.empty(5, dtype=object)
    objects[:] = strings
    np.savez(tmp_path / "clip.npz", fixed=np.array(strings), objects=objects, none=np.array([], dtype="S3"))
    with SafeNpz(tmp_path / "clip.npz") as arrays:
        assert list(arrays.byte_strings("fixed", workspace=tmp_path)) == strings
        assert list(arrays.byte_strings("objects", workspace=tmp_path)) == strings
        assert list(arrays.byte_strings("none", workspace=tmp_path)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["clip.npz"]
