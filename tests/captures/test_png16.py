"""The quick reader of plain 16-bit PNG files: all filters, what it leaves to others, and files that are not whole."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.captures.images import read_uint16, write_uint16_png
from sightline.captures.png16 import SIGNATURE, DamagedPngError, read_plain_png16
from sightline.errors import CaptureError

MANY = 1_000_000
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]  # Adam7: x, y, steps


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def filtered(values: np.ndarray, kinds) -> bytes:
    """Rows filtered as the specification words it, byte by byte."""
    rows, above = [], [0] * (2 * values.shape[1])
    for line, kind in zip(values.astype(">u2"), kinds, strict=True):
        own = list(line.tobytes())
        out = bytearray([kind])
        for k, byte in enumerate(own):
            left, corner, up = own[k - 2] if k >= 2 else 0, above[k - 2] if k >= 2 else 0, above[k]
            paeth = min((left, up, corner), key=lambda each, p=left + up - corner: abs(p - each))
            out.append((byte - [0, left, up, (left + up) // 2, paeth][kind]) % 256)
        rows.append(bytes(out))
        above = own
    return b"".join(rows)


def png(values: np.ndarray, kinds, *, pieces: int = 1, interlaced: bool = False, raw: bytes | None = None) -> bytes:
    height, width = values.shape
    raw = filtered(values, kinds) if raw is None else raw
    if interlaced:
        parts = [values[y::down, x::across] for x, y, across, down in PASSES]
        raw = b"".join(filtered(part, [1] * len(part)) for part in parts if part.size)
    deflated = zlib.compress(raw)
    cuts = [len(deflated) * k // pieces for k in range(pieces + 1)]
    data = b"".join(chunk(b"IDAT", deflated[low:high]) for low, high in zip(cuts, cuts[1:]))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, int(interlaced)))
    return SIGNATURE + header + chunk(b"tEXt", b"Title\0depth") + data + chunk(b"IEND", b"")


def depth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Slopes, noise, holes, and the whole range of values, so that bytes carry over everywhere."""
    slope = np.add.outer(np.arange(height) * 300, np.arange(width) * 37) % 65536
    values = np.where(rng.random((height, width)) < 0.5, slope, rng.integers(0, 65536, (height, width)))
    values[rng.random((height, width)) < 0.1] = 0
    return values.astype(np.uint16)


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_is_undone(kind):
    rng = np.random.default_rng(kind)
    for height, width in [(1, 1), (1, 9), (9, 1), (13, 17), (40, 31)]:
        values = depth(rng, height, width)
        assert np.array_equal(read_plain_png16(png(values, [kind] * height), max_pixels=MANY), values)


def test_filters_mixed_and_pixels_in_many_chunks_are_read():
    rng = np.random.default_rng(5)
    values = depth(rng, 60, 33)
    whole = png(values, rng.integers(0, 5, 60), pieces=7)
    assert np.array_equal(read_plain_png16(whole, max_pixels=MANY), values)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(whole))), values)  # so a decoder of others takes the test's files too


@pytest.mark.parametrize("level", [0, 1, 3, 9])
def test_files_of_a_usual_writer_are_read_as_its_own_reader_reads_them(level, tmp_path):
    values = depth(np.random.default_rng(level), 120, 160)
    Image.fromarray(values).save(tmp_path / "depth.png", compress_level=level)
    data = (tmp_path / "depth.png").read_bytes()
    assert np.array_equal(read_plain_png16(data, max_pixels=MANY), values)
    assert read_uint16(tmp_path / "depth.png").dtype == np.uint16


def test_other_kinds_are_left_to_the_general_reader(tmp_path):
    values = depth(np.random.default_rng(6), 21, 19)
    woven = png(values, [], interlaced=True, raw=b"")
    assert read_plain_png16(woven, max_pixels=MANY) is None
    (tmp_path / "woven.png").write_bytes(woven)
    assert np.array_equal(read_uint16(tmp_path / "woven.png"), values)
    for mode in ("L", "RGB"):
        stream = io.BytesIO()
        Image.new(mode, (4, 3)).save(stream, format="PNG")
        assert read_plain_png16(stream.getvalue(), max_pixels=MANY) is None
    assert read_plain_png16(b"", max_pixels=MANY) is None and read_plain_png16(b"GIF89a" + bytes(40), max_pixels=MANY) is None
    assert read_plain_png16(png(values, [0] * 21), max_pixels=21 * 19 - 1) is None


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(CaptureError) as told:
        read_uint16(path)
    return str(told.value)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole = png(depth(np.random.default_rng(7), 12, 10), [4] * 12, pieces=3)
    for length in range(len(whole)):
        refused(tmp_path / "cut.png", whole[:length])
    assert "ends at byte" in refused(tmp_path / "cut.png", whole[:-1])


def test_a_byte_changed_anywhere_is_refused(tmp_path):
    whole = png(depth(np.random.default_rng(8), 12, 10), [2] * 12, pieces=2)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x11
        refused(tmp_path / "changed.png", bytes(changed))


def test_more_or_fewer_pixels_than_said_and_unknown_filters_are_refused():
    values = depth(np.random.default_rng(9), 6, 5)
    raw = filtered(values, [0] * 6)
    for wrong, told in [
        (raw[:-1], "expected 66 bytes of pixels, found 65"),
        (raw + b"\0", "found more"),
        (raw + bytes(10**7), "found more"),
        (b"\5" + raw[1:], "filter of 0 to 4 in row 0, found 5"),
        (b"", "found 0"),
    ]:
        with pytest.raises(DamagedPngError, match=told):
            read_plain_png16(png(values, [], raw=wrong), max_pixels=MANY)
    body = png(values, [0] * 6)
    no_pixels = body[: body.index(b"IDAT") - 4] + chunk(b"IEND", b"")
    with pytest.raises(DamagedPngError):
        read_plain_png16(no_pixels, max_pixels=MANY)
    wrong_sum = bytearray(zlib.compress(raw))
    wrong_sum[-1] ^= 1
    start = body.index(b"IDAT") - 4
    with pytest.raises(DamagedPngError):
        read_plain_png16(body[:start] + chunk(b"IDAT", bytes(wrong_sum)) + chunk(b"IEND", b""), max_pixels=MANY)


def test_a_missing_file_is_named_and_what_is_written_is_read_back(tmp_path):
    with pytest.raises(CaptureError, match="found no file"):
        read_uint16(tmp_path / "none.png")
    values = depth(np.random.default_rng(10), 48, 64)
    write_uint16_png(tmp_path / "depth.png", values)
    assert np.array_equal(read_uint16(tmp_path / "depth.png"), values)
