"""Every word that a data set may call an object by makes a readable sentence, or is not asked about."""

import re

import pytest

from sightline.questions.shown import NOT_ASKED
from sightline.questions.templates import object_name, plural, spoken
from sightline.scenes.label_sets import LABEL_SETS

WORDS = sorted({label.canonical for labels in LABEL_SETS.values() for label in labels} - NOT_ASKED)
READABLE = re.compile(r"[A-Za-z]+( [A-Za-z]+)*")


@pytest.mark.parametrize("category", WORDS)
def test_a_word_of_the_vocabulary_reads_as_english(category):
    for text in (spoken(category), plural(category), object_name(category, None)):
        assert READABLE.fullmatch(text), text
    assert object_name(category, None).startswith("the ") and spoken(plural(category)) == plural(category)


@pytest.mark.parametrize(
    ("category", "many"),
    [("shelf", "shelves"), ("bookshelf", "bookshelves"), ("person", "people"), ("knife", "knives"), ("mouse", "mice"), ("bench", "benches")]
    + [("box", "boxes"), ("balcony", "balconies"), ("toy", "toys"), ("glass", "glasses"), ("stairs", "stairs"), ("TV_stand", "TV stands")]
    + [("case of water bottles", "cases of water bottles"), ("exercise equipment", "pieces of exercise equipment")],
)
def test_known_plurals(category, many):
    assert plural(category) == many


@pytest.mark.parametrize("label", ["otherfurniture", "otherprop", "otherstructure", "object", "structure", "wall", "ceiling"])
def test_a_label_that_names_no_thing_is_never_asked_about(label):
    found = {one.canonical for labels in LABEL_SETS.values() for one in labels if one.name == label}
    assert found and found <= NOT_ASKED
