"""LZFSE streams of a known size: every kind of block, and nothing that promises or gives more than asked."""

import builtins
import struct

import numpy as np
import pytest

from sightline.captures.containers.lzfse import inflated
from sightline.errors import CaptureError, MissingExtraError

liblzfse = pytest.importorskip("liblzfse", reason="the extra `record3d` is not installed")

RNG = np.random.default_rng(0)
PAYLOADS = {
    "noise": RNG.integers(0, 256, 200_000, dtype=np.uint8).tobytes(),
    "depth": (2.0 + RNG.random((256, 192)) * 0.01).astype("<f4").tobytes(),
    "ramp": np.linspace(1, 3, 480 * 640, dtype="<f4").tobytes(),
    "zeros": bytes(1_000_000),
    "short": b"some words some words some words",
    "few": np.ones(10, "<f4").tobytes(),
    "stripes": np.repeat(np.arange(200, dtype=np.uint8), 900).tobytes(),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_whatever_the_encoder_writes_comes_back(name):
    raw = PAYLOADS[name]
    assert inflated(liblzfse.compress(raw), num_bytes=len(raw), where="x") == raw


def test_every_kind_of_block_was_tried():
    kinds = {liblzfse.compress(raw)[:4] for raw in PAYLOADS.values()}
    assert kinds == {b"bvx-", b"bvxn", b"bvx2"}


def test_data_that_were_never_compressed_come_back_as_they_are():
    assert inflated(bytes(range(200)), num_bytes=200, where="x") == bytes(range(200))


def test_a_stream_of_another_size_is_refused_before_it_is_inflated(monkeypatch):
    monkeypatch.setattr(liblzfse, "decompress", lambda payload: pytest.fail("inflated"))
    with pytest.raises(CaptureError, match="m.depth: expected 196608 bytes once inflated, found a stream of 1000000"):
        inflated(liblzfse.compress(PAYLOADS["zeros"]), num_bytes=196_608, where="m.depth")


def test_a_header_that_hides_a_bomb_is_refused_before_it_is_inflated(monkeypatch):
    """The library would follow the matches, whatever the block says of its size."""
    monkeypatch.setattr(liblzfse, "decompress", lambda payload: pytest.fail("inflated"))
    stream = bytearray(liblzfse.compress(PAYLOADS["ramp"]))
    total, offset = len(PAYLOADS["ramp"]), 0
    blocks = []
    while stream[offset : offset + 4] != b"bvx$":
        first, second, third = struct.unpack_from("<3Q", stream, offset + 8)
        blocks.append(offset)
        offset += (third & 0xFFFFFFFF) + (first >> 20 & 0xFFFFF) + (second >> 40 & 0xFFFFF)
    sizes = [struct.unpack_from("<I", stream, place + 4)[0] for place in blocks]
    assert len(blocks) > 1 and sum(sizes) == total
    struct.pack_into("<I", stream, blocks[0] + 4, 40)  # the first claims to be small, the second to be the rest
    struct.pack_into("<I", stream, blocks[1] + 4, sizes[0] + sizes[1] - 40)
    with pytest.raises(CaptureError, match="byte 0: expected an LZFSE block.*cannot make 40 bytes"):
        inflated(bytes(stream), num_bytes=total, where="m")


def test_a_block_of_few_literals_and_many_matches_cannot_claim_to_be_small(monkeypatch):
    monkeypatch.setattr(liblzfse, "decompress", lambda payload: pytest.fail("inflated"))
    words = RNG.integers(0, 256, (40, 6), dtype=np.uint8)
    stream = bytearray(liblzfse.compress(words[RNG.integers(0, 40, 6000)].tobytes()))
    first = struct.unpack_from("<Q", stream, 8)[0]
    literals, matches = first & 0xFFFFF, first >> 40 & 0xFFFFF
    claimed = max(2 * matches, literals)
    struct.pack_into("<I", stream, 4, claimed)
    with pytest.raises(CaptureError, match=f"{matches} matches and {literals} literals cannot make {claimed} bytes"):
        inflated(bytes(stream), num_bytes=claimed, where="m")


@pytest.mark.parametrize("name", ["noise", "depth", "few"])
def test_every_truncation_is_named(name):
    raw, whole = PAYLOADS[name], liblzfse.compress(PAYLOADS[name])
    for length in (*range(0, 60), len(whole) // 2, len(whole) - 4, len(whole) - 1):
        if length < len(whole):
            with pytest.raises(CaptureError, match="^m: "):
                inflated(whole[:length], num_bytes=len(raw), where="m")


def test_any_flipped_byte_of_a_header_is_refused_or_harmless():
    raw = PAYLOADS["few"]
    whole = liblzfse.compress(raw)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x41
        try:
            assert len(inflated(bytes(damaged), num_bytes=len(raw), where="m")) == len(raw)
        except CaptureError as error:
            assert "\n" not in str(error)


def test_without_the_extra_its_pip_line_is_named(monkeypatch):
    real = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__", lambda name, *rest: (_ for _ in ()).throw(ImportError()) if name == "liblzfse" else real(name, *rest)
    )
    with pytest.raises(MissingExtraError, match=r"pip install 'sightline\[record3d\]'"):
        inflated(b"bvx$", num_bytes=10, where="m")
