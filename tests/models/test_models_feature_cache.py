"""Kept features are the features: found under their whole key alone, whole or not at all, and never more than the disk was given."""

import multiprocessing
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from sightline.errors import ModelError
from sightline.models.feature_cache import EncoderIdentity, FeatureCache, FeatureKey
from sightline.models.feature_entries import FLOAT8, INT8, DamagedEntryError, ForeignEntryError, ViewFeatures, pack, unpack

IDENTITY = EncoderIdentity(name="stand-in", options='{"layer": 1}', weights="w0", dtype="torch.float32", code="c0")
KEY = FeatureKey(scan_id="flat_0001", frame_ids=("000010", "000020"), sizes_hw=((28, 28), (28, 28)), content="pixels0", encoder=IDENTITY)
PATCH, CHANNELS = 14, 16


def some_features(seed: int = 0, *, tokens: int = 8, channels: int = CHANNELS, dtype: torch.dtype = torch.float32) -> ViewFeatures:
    generator = torch.Generator().manual_seed(seed)
    return ViewFeatures(
        grid_hw=torch.tensor([[2, tokens // 4], [2, tokens // 4]]),
        is_valid=torch.rand(tokens, generator=generator) < 0.8,
        features=torch.randn(tokens, channels, generator=generator).to(dtype),
        camera=torch.randn(2, channels, generator=generator).to(dtype),
    )


def expect_equal(found: ViewFeatures, expected: ViewFeatures) -> None:
    assert found.tensors().keys() == expected.tensors().keys()
    for name, tensor in expected.tensors().items():
        assert found.tensors()[name].dtype == tensor.dtype
        assert torch.equal(found.tensors()[name].view(torch.uint8), tensor.view(torch.uint8)), name


def cache_in(folder: Path, **changes: Any) -> FeatureCache:
    return FeatureCache(folder, **{"max_bytes": 10**9, **changes})


# What is kept


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_features_come_back_to_the_bit(tmp_path, dtype):
    features = some_features(dtype=dtype)
    features.features[0, 0], features.features[0, 1] = torch.nan, -0.0
    cache = cache_in(tmp_path)
    assert cache.get(KEY) is None
    expect_equal(cache.put(KEY, features), features)
    expect_equal(cache.get(KEY), features)
    expect_equal(cache_in(tmp_path).get(KEY), features)
    assert (cache.statistics.hits, cache.statistics.absent, cache.statistics.written) == (1, 1, 1)
    assert cache.statistics.bytes_written == cache.statistics.bytes_read == cache.bytes_on_disk()


def test_coordinates_and_features_may_be_missing(tmp_path):
    cache = cache_in(tmp_path)
    for index, missing in enumerate(({"camera": None}, {"features": None, "camera": None, "coordinates_m": torch.rand(8, 3)})):
        features = replace(some_features(), **missing)
        key = replace(KEY, content=f"{index}")
        cache.put(key, features)
        expect_equal(cache.get(key), features)


def test_entries_are_safetensors_that_anyone_can_open(tmp_path):
    cache = cache_in(tmp_path)
    cache.put(KEY, some_features())
    with safe_open(cache.path(KEY), framework="pt") as entry:
        assert entry.metadata()["key"] == KEY.text()
        assert torch.equal(entry.get_tensor("features"), some_features().features)


@pytest.mark.parametrize(("stored_as", "limit"), [(FLOAT8, 0.04), (INT8, 0.012)])
def test_one_byte_per_number_has_the_error_that_is_reported(tmp_path, stored_as, limit):
    features = some_features(tokens=64, channels=256)
    features.features[3] = 0.0
    features.features[4] *= 1e6
    cache = cache_in(tmp_path, stored_as=stored_as)
    kept = cache.put(KEY, features)
    expect_equal(cache.get(KEY), kept)  # a miss gives what a hit will
    error = torch.cat([kept.features - features.features, kept.camera - features.camera]).norm(dim=1)
    relative = error / torch.cat([features.features, features.camera]).norm(dim=1).clamp(min=1e-30)
    assert torch.equal(kept.features[3], features.features[3])
    assert 0.001 < relative.mean() < limit
    assert cache.statistics.mean_relative_error == pytest.approx(float(relative.mean()), rel=1e-3)
    assert cache.statistics.largest_relative_error == pytest.approx(float(relative.max()), rel=1e-4)
    assert cache.bytes_on_disk() < 66 * 256 * 1.2


def test_an_error_of_less_than_half_a_step_for_every_number_of_int8(tmp_path):
    features = some_features(tokens=64, channels=256)
    kept = cache_in(tmp_path, stored_as=INT8).put(KEY, features)
    step = features.features.abs().amax(dim=1, keepdim=True) / 127
    assert ((kept.features - features.features).abs() <= 0.5001 * step).all()


@pytest.mark.parametrize("stored_as", [FLOAT8, INT8])
def test_features_without_a_scale_are_refused(tmp_path, stored_as):
    features = some_features()
    features.features[2, 2] = torch.inf
    with pytest.raises(ModelError, match=f"expected finite .* to store as {stored_as}"):
        cache_in(tmp_path, stored_as=stored_as).put(KEY, features)


def test_settings_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(ModelError, match="stored_as one of exact, float8, int8, found 5 and 'int4'"):
        FeatureCache(tmp_path, max_bytes=5, stored_as="int4")
    with pytest.raises(ModelError, match="expected max_bytes > 0"):
        FeatureCache(tmp_path, max_bytes=0)


# The key

OTHERS: dict[str, Any] = {
    "scan_id": "flat_0002",
    "frame_ids": ("000020", "000010"),
    "sizes_hw": ((28, 28), (28, 42)),
    "content": "pixels1",
    **{f"encoder.{field.name}": "other" for field in fields(EncoderIdentity)},
}


@pytest.mark.parametrize("part", OTHERS)
def test_a_key_that_differs_anywhere_is_a_miss(tmp_path, part):
    cache = cache_in(tmp_path)
    cache.put(KEY, some_features())
    name = part.removeprefix("encoder.")
    other = replace(KEY, **{name: OTHERS[part]}) if name == part else replace(KEY, encoder=replace(IDENTITY, **{name: OTHERS[part]}))
    assert cache.get(other) is None and cache.statistics.absent == 1
    os.makedirs(cache.path(other).parent, exist_ok=True)
    os.link(cache.path(KEY), cache.path(other))  # as if both keys had one hash
    assert cache.get(other) is None and cache.statistics.foreign == 1
    cache.put(other, some_features(1))
    expect_equal(cache.get(other), some_features(1))
    expect_equal(cache.get(KEY), some_features())


def test_every_field_of_the_key_is_tried_above():
    assert set(OTHERS) == {field.name for field in fields(FeatureKey)} - {"encoder"} | {
        f"encoder.{field.name}" for field in fields(EncoderIdentity)
    }


def test_rounded_features_never_stand_in_for_exact_ones(tmp_path):
    cache_in(tmp_path, stored_as=INT8).put(KEY, some_features())
    assert cache_in(tmp_path).get(KEY) is None
    assert cache_in(tmp_path, stored_as=FLOAT8).get(KEY) is None
    exact = cache_in(tmp_path)
    os.makedirs(exact.path(KEY).parent, exist_ok=True)
    os.link(cache_in(tmp_path, stored_as=INT8).path(KEY), exact.path(KEY))
    assert exact.get(KEY) is None and exact.statistics.foreign == 1


# Damage


def test_no_flipped_bit_anywhere_in_a_file_gives_features():
    data = pack(some_features(channels=2), key="key", stored_as="exact").data
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << (place % 8)
        with pytest.raises((DamagedEntryError, ForeignEntryError)):
            unpack(bytes(damaged), key="key", stored_as="exact")


def test_pages_lost_or_in_another_order_are_noticed():
    data = pack(some_features(tokens=400, channels=64), key="key", stored_as="exact").data
    assert len(data) > 20 * 4096
    swapped = data[:16384] + data[20480:24576] + data[16384:20480] + data[24576:]
    lost = data[:16384] + bytes(4096) + data[20480:]
    words = data[:16384] + data[16392:16400] + data[16384:16392] + data[16400:]  # within a page
    for damaged in (swapped, lost, words, b"", data[:7]):
        with pytest.raises(DamagedEntryError):
            unpack(damaged, key="key", stored_as="exact")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_truncated_entry_is_a_miss_is_removed_and_can_be_written_again(tmp_path, share):
    cache = cache_in(tmp_path)
    cache.put(KEY, some_features())
    path = cache.path(KEY)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert cache.get(KEY) is None
    assert not path.exists() and cache.statistics.damaged == 1 and cache.statistics.hits == 0
    cache.put(KEY, some_features())
    expect_equal(cache.get(KEY), some_features())


def test_what_a_dead_process_left_half_written_is_no_entry_and_goes_away(tmp_path):
    cache = cache_in(tmp_path)
    cache.put(KEY, some_features())
    path = cache.path(KEY)
    half, fresh = (path.with_name(f".{path.name}.{name}.tmp") for name in ("dead", "alive"))
    half.write_bytes(path.read_bytes()[:50])
    fresh.write_bytes(b"")
    os.utime(half, (1.0, 1.0))
    path.unlink()
    assert cache.get(KEY) is None
    assert cache_in(tmp_path).bytes_on_disk() == 0
    assert not half.exists() and fresh.exists()


# Room


def test_the_least_recently_used_goes_first_and_the_limit_holds(tmp_path):
    size = len(pack(some_features(), key=KEY.text(), stored_as="exact").data)
    cache = cache_in(tmp_path, max_bytes=int(3.5 * size))
    keys = [replace(KEY, content=f"pixels{index}") for index in range(6)]
    for key in keys[:3]:
        cache.put(key, some_features())
    assert cache.get(keys[0]) is not None  # now 1 is the oldest
    for index, gone in ((3, 1), (4, 2), (5, 0)):
        cache.put(keys[index], some_features())
        assert cache.bytes_on_disk() <= cache.max_bytes
        assert not cache.path(keys[gone]).exists()
    assert [cache.path(key).exists() for key in keys] == [False, False, False, True, True, True]
    assert cache.statistics.removed == 3


def test_a_full_folder_of_an_earlier_run_is_counted(tmp_path):
    size = len(pack(some_features(), key=KEY.text(), stored_as="exact").data)
    first = cache_in(tmp_path)
    for index in range(10):
        first.put(replace(KEY, content=f"pixels{index}"), some_features())
    second = cache_in(tmp_path, max_bytes=4 * size)
    second.put(KEY, some_features(1))
    assert second.bytes_on_disk() <= 4 * size
    expect_equal(second.get(KEY), some_features(1))


def test_features_larger_than_the_cache_are_given_and_not_kept(tmp_path):
    cache = cache_in(tmp_path, max_bytes=100)
    expect_equal(cache.put(KEY, some_features()), some_features())
    assert cache.get(KEY) is None and cache.statistics.unwritten == 1


def test_a_full_disk_costs_time_not_the_run(tmp_path, monkeypatch):
    def refuse(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    cache = cache_in(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    expect_equal(cache.put(KEY, some_features()), some_features())
    assert cache.statistics.unwritten == 1 and cache.bytes_on_disk() == 0


def use_cache(folder: Path, max_bytes: int, seed: int, outcome: Any) -> None:
    """One process: looks for random keys, keeps what it misses, and says whether all it found was right."""
    torch.set_num_threads(1)
    cache, random = cache_in(folder, max_bytes=max_bytes), np.random.default_rng(seed)
    for content in random.integers(0, 12, 200).tolist():
        key, features = replace(KEY, content=f"pixels{content}"), some_features(content)
        kept = cache.get(key)
        if kept is None:
            cache.put(key, features)
        else:
            expect_equal(kept, features)
    outcome.put(cache.statistics)


def test_processes_share_a_folder_that_is_too_small_for_them(tmp_path):
    size = len(pack(some_features(), key=KEY.text(), stored_as="exact").data)
    context = multiprocessing.get_context("fork")
    outcome = context.Queue()
    processes = [context.Process(target=use_cache, args=(tmp_path, 9 * size, seed, outcome)) for seed in range(3)]
    for process in processes:
        process.start()
    found = [outcome.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    for statistics in found:
        assert statistics.hits > 20 and statistics.removed > 5
        assert statistics.damaged == statistics.foreign == statistics.unwritten == 0
    assert cache_in(tmp_path).bytes_on_disk() <= (9 + len(processes)) * size
    assert not list(tmp_path.rglob("*.tmp"))
