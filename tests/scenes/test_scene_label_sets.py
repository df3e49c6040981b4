"""Label sets: every label has its word, numbers are those of the data sets, and the documented table is the code's."""

from pathlib import Path

import pytest

from sightline.errors import UnknownNameError
from sightline.scenes.label_sets import COARSER, LABEL_SETS, PREFERRED, category_in, labels_of, vocabulary_page
from sightline.scenes.vocabulary import VOCABULARY_VERSION, canonical_category

PAGE = Path(__file__).parents[2] / "docs" / "vocabulary.md"


def numbered(label_set: str) -> dict[int, str]:
    return {one.label_id: one.name for one in labels_of(label_set)}


@pytest.mark.parametrize(
    ("label_set", "count"),
    [("nyu40", 40), ("scannet20", 20), ("scannet200", 200), ("arkitscenes", 17), ("roomplan", 16), ("embodiedscan", 288)],
)
def test_a_set_has_all_its_labels_once_and_each_has_a_word_that_is_its_own_word(label_set, count):
    labels = labels_of(label_set)
    assert len(labels) == len({one.name for one in labels}) == count
    assert all(one.canonical == canonical_category(one.name) and one.canonical.strip() for one in labels)
    assert all(canonical_category(one.canonical) == one.canonical for one in labels)
    ids = [one.label_id for one in labels]
    assert ids == [None] * count if None in ids else ids == sorted(set(ids))


def test_numbers_are_those_of_the_data_sets():
    assert list(numbered("nyu40")) == list(range(1, 41)) and list(numbered("embodiedscan")) == list(range(1, 289))
    known = {1: "wall", 2: "floor", 3: "cabinet", 5: "chair", 12: "counter", 14: "desk", 16: "curtain", 24: "refridgerator",
             28: "shower curtain", 32: "night stand", 33: "toilet", 36: "bathtub", 38: "otherstructure", 40: "otherprop"}  # fmt: skip
    assert {number: numbered("nyu40")[number] for number in known} == known
    assert tuple(numbered("scannet20")) == (*range(1, 13), 14, 16, 24, 28, 33, 34, 36, 39)
    assert {n for n, name in numbered("scannet20").items() if numbered("nyu40")[n] != name} == {24}
    raw = numbered("scannet200")
    assert (raw[1], raw[2], raw[3], raw[31], raw[98], raw[1156], raw[1163], raw[1191]) == (
        "wall", "chair", "floor", "towel", "container", "bathroom counter", "object", "mattress"
    )  # fmt: skip
    spread = numbered("embodiedscan")
    assert (spread[1], spread[3], spread[288]) == ("adhesive tape", "alarm", "wrap")


def test_arkitscenes_falls_into_the_kinds_of_roomplan():
    """Cabinets and shelves are storage, a stool is a chair, two are spelled otherwise, and the others are themselves."""
    other = {"cabinet": "storage", "shelf": "storage", "tv_monitor": "television", "washer": "washerDryer", "stool": "chair"}
    for one in labels_of("arkitscenes"):
        assert category_in("roomplan", one.name) == other.get(one.name, one.name)
    reached = {category_in("roomplan", one.name) for one in labels_of("arkitscenes")}
    assert {one.name for one in labels_of("roomplan")} - reached == {"stairs"}


@pytest.mark.parametrize(
    ("category", "label_set", "expected"),
    [("storage", "nyu40", "cabinet"), ("dresser", "nyu40", "cabinet"), ("sofa", "scannet200", "couch"), ("shelf", "nyu40", "shelves"),
     ("refrigerator", "scannet20", "refrigerator"), ("refrigerator", "nyu40", "refridgerator"), ("washer dryer", "arkitscenes", "washer"),
     ("washer dryer", "embodiedscan", "washing machine"), ("sink", "embodiedscan", "sink"), ("curtain", "scannet200", "curtain"),
     ("shower curtain", "scannet20", "shower curtain"), ("stool", "nyu40", None), ("hammock", "scannet200", None),
     ("Tv Monitor", "roomplan", "television"), ("bin", "scannet200", "bin")],
)  # fmt: skip
def test_a_canonical_word_finds_what_a_set_calls_it(category, label_set, expected):
    assert category_in(label_set, category) == expected


def test_every_word_of_a_set_leads_back_to_a_label_of_the_same_kind():
    for label_set, labels in LABEL_SETS.items():
        for one in labels:
            back = category_in(label_set, one.canonical)
            assert back is not None and canonical_category(back) == one.canonical
    for label_set, words in COARSER.items():
        names = {one.name for one in labels_of(label_set)}
        assert all(canonical_category(ours) == ours and theirs in names for ours, theirs in words.items())
    assert all(canonical_category(name) == word for words in PREFERRED.values() for word, name in words.items())


def test_an_unknown_set_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="no label set called 'scanet20'. Did you mean 'scannet20'"):
        labels_of("scanet20")


def test_the_page_is_the_code():
    assert PAGE.read_text(encoding="utf-8") == vocabulary_page(), "write it again: docs/vocabulary.md is vocabulary_page()"
    assert f"version {VOCABULARY_VERSION} of the table" in vocabulary_page() and VOCABULARY_VERSION >= 2
