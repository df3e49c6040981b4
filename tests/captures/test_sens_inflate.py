"""The compiled inflater gives what zlib gives: the same bytes for every whole stream, and nothing for a damaged one."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.captures import inflate
from sightline.captures.inflate import inflated


def contents(kind: str, rng: np.random.Generator) -> bytes:
    """Data of very different statistics."""
    count = int(rng.integers(0, 60_000))
    if kind == "noise":
        return rng.integers(0, 256, size=count, dtype=np.uint8).tobytes()
    if kind == "steps":
        return np.repeat(rng.integers(500, 3000, size=count // 9 + 1), 9).astype("<u2").tobytes()
    if kind == "periods":
        return rng.integers(0, 256, size=int(rng.integers(1, 12)), dtype=np.uint8).tobytes() * (count // 4 + 1)
    if kind == "skewed":
        return np.minimum(rng.geometric(0.5, size=count) ** 2, 255).astype(np.uint8).tobytes()  # codes of up to 15 bits
    return bytes(count)


KINDS = ("noise", "steps", "periods", "skewed", "blank")
STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)


def deflated(data: bytes, *, level: int, strategy: int, flush: bool) -> bytes:
    deflating = zlib.compressobj(level, zlib.DEFLATED, 15, 9, strategy)
    middle = len(data) // 2 if flush else len(data)  # a full flush puts an empty stored block in the middle
    first = deflating.compress(data[:middle]) + (deflating.flush(zlib.Z_FULL_FLUSH) if flush else b"")
    return first + deflating.compress(data[middle:]) + deflating.flush()


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 9999),
    level=st.integers(0, 9),
    strategy=st.sampled_from(STRATEGIES),
    flush=st.booleans(),
)
def test_every_whole_stream_gives_its_bytes_without_zlibs_help(kind, seed, level, strategy, flush):
    data = contents(kind, np.random.default_rng(seed))
    payload = deflated(data, level=level, strategy=strategy, flush=flush)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inflate, "_inflated_by_zlib", lambda *_: None)
        found = inflated(payload, len(data))
    assert found is not None and found.tobytes() == data


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 9999), flips=st.integers(1, 8))
def test_a_damaged_stream_gives_nothing_or_what_zlib_gives(kind, seed, flips):
    rng = np.random.default_rng(seed)
    data = contents(kind, rng)
    payload = bytearray(zlib.compress(data))
    for place in rng.integers(0, len(payload), size=flips):
        payload[place] ^= 1 << int(rng.integers(0, 8))
    found = inflated(bytes(payload), len(data))
    try:
        assert found is None or found.tobytes() == zlib.decompressobj().decompress(bytes(payload))
    except zlib.error:
        raise AssertionError("bytes were given of a stream that zlib refuses") from None


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_cut_anywhere_gives_nothing(kind):
    data = contents(kind, np.random.default_rng(3))[:5000]
    payload = zlib.compress(data)
    assert inflated(payload, len(data)).tobytes() == data
    for size in range(0, len(payload), max(1, len(payload) // 200)):
        assert inflated(payload[:size], len(data)) is None


def test_a_stream_of_another_size_gives_nothing():
    payload = zlib.compress(bytes(1000))
    assert inflated(payload, 999) is None and inflated(payload, 1001) is None
    assert inflated(zlib.compress(bytes(10**8)), 1000) is None  # a bomb: no more than the wanted bytes are ever made
    assert inflated(b"", 0) is None and inflated(zlib.compress(b""), 0).size == 0


def test_random_bytes_after_a_right_header_are_never_taken():
    rng = np.random.default_rng(5)
    for _ in range(300):
        assert inflated(b"\x78\x9c" + rng.bytes(int(rng.integers(0, 300))), 2000) is None


def test_a_preset_dictionary_is_refused():
    deflating = zlib.compressobj(zdict=b"depth")
    assert inflated(deflating.compress(b"depth depth") + deflating.flush(), 11) is None
