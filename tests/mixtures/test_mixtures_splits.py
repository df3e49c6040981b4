"""Splits: places are never cut, the draw is a hash, and every kind of leak is found and named."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_store import write_scan
from test_samples_frames import a_sample

from sightline.errors import DataError
from sightline.mixtures.splits import check_no_leak, split_places
from sightline.scenes.store import SceneStore


@given(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=40), st.floats(0, 1), st.integers(0, 99))
def test_the_share_is_kept_to_within_one_place_and_order_does_not_matter(places, share, seed):
    split_of = split_places(places, held_out_share=share, seed=seed)
    assert set(split_of) == set(places)
    assert split_of == split_places(reversed(places), held_out_share=share, seed=seed)
    held_out = sum(split == "held_out" for split in split_of.values())
    assert abs(held_out - share * len(places)) <= 1.0
    if len(places) >= 2 and 0 < share < 1:
        assert 0 < held_out < len(places)


def test_another_seed_holds_out_other_places():
    places = [f"place_{index}" for index in range(40)]
    held_out = {
        frozenset(place for place, split in split_places(places, held_out_share=0.25, seed=seed).items() if split == "held_out")
        for seed in range(5)
    }
    assert len(held_out) == 5 and all(len(one) == 10 for one in held_out)


def test_a_single_place_is_not_cut_and_a_foolish_share_is_refused():
    assert split_places(["a"], held_out_share=0.5, seed=0) == {"a": "train"}
    assert split_places(["a"], held_out_share=1.0, seed=0) == {"a": "held_out"}
    with pytest.raises(DataError, match="held_out_share: expected 0 to 1, found 25"):
        split_places(["a"], held_out_share=25, seed=0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("leaks")
    write_scan(root, "scan_a", seed=1, cameras=2)
    write_scan(root, "scan_b", seed=2, cameras=2)
    write_scan(root, "scan_copy", seed=3, cameras=2, picture_seed=1)  # the pictures of scan_a under another name
    return SceneStore(root / "store")


def sample_of(scan_id, split, place_id=None):
    return replace(
        a_sample(),
        sample_id=f"{scan_id}/{split}",
        scan_id=scan_id,
        split=split,
        place_id=place_id or f"place_of_{scan_id}",
        frame_ids=("000000",),
        image_paths=(f"{scan_id}/color/000000.png",),
    )


def test_splits_that_share_nothing_pass(store):
    check_no_leak([sample_of("scan_a", "train"), sample_of("scan_b", "held_out")], store)
    check_no_leak([sample_of("scan_a", "train"), sample_of("scan_copy", "train")], store)
    check_no_leak([], store)


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        ([("scan_a", "train", None), ("scan_a", "held_out", None)], "scan 'scan_a' is in two splits: train .* and held_out"),
        ([("scan_a", "train", "flat_1"), ("scan_b", "held_out", "flat_1")], "place 'flat_1' is in two splits"),
        (
            [("scan_a", "train", None), ("scan_copy", "held_out", None)],
            "image '[0-9a-f]{64}' is in two splits: train .*scan_a/color/000000.png",
        ),
    ],
)
def test_each_kind_of_leak_is_found_and_named(store, samples, told):
    with pytest.raises(DataError, match=told):
        check_no_leak([sample_of(*one) for one in samples], store)


def test_an_image_that_the_store_does_not_know_is_refused(store):
    sample = replace(sample_of("scan_a", "train"), image_paths=("scan_a/color/other.png",))
    with pytest.raises(DataError, match="expected image 'scan_a/color/other.png' in the store"):
        check_no_leak([sample], store)
