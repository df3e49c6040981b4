"""Category names: one word per kind of thing."""

import numpy as np
import pytest

from sightline.captures.capture import SceneObject
from sightline.geometry.boxes import Box
from sightline.scenes import vocabulary
from sightline.scenes.vocabulary import GIVEN, canonical_category, with_canonical_category

ROOMPLAN = (
    "storage refrigerator stove bed sink washerDryer toilet bathtub oven dishwasher table sofa chair fireplace television stairs".split()
)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("tv_monitor", "television"), ("TV", "television"), ("couch", "sofa"), ("Kitchen Cabinet", "storage"), ("trash can", "bin"),
     ("refridgerator", "refrigerator"), ("bathroom cabinet", "storage"), ("sofa chair", "armchair"), ("floor mat", "rug"),
     ("shower curtain", "shower curtain"), ("Otherprop", "other object"), ("keyboard piano", "keyboard piano"),
     ("night-stand", "nightstand"), ("  office   chair ", "chair"), ("washerDryer", "washer dryer"), ("Grand Piano", "grand piano")],
)  # fmt: skip
def test_aliases_find_their_word_and_unknown_ones_are_kept_in_lower_case(given, canonical):
    assert canonical_category(given) == canonical


def test_canonical_words_stay_as_they_are_and_no_alias_has_two_meanings():
    aliases = [alias for words in vocabulary._ALIASES.values() for alias in words]
    assert len(set(aliases)) == len(aliases) and not set(aliases) & set(vocabulary._ALIASES)
    assert all(canonical_category(canonical_category(word)) == canonical_category(word) for word in [*aliases, *vocabulary._ALIASES])


def test_every_kind_that_room_capture_knows_has_a_word():
    known = set(vocabulary._ALIASES)
    assert [name for name in ROOMPLAN if canonical_category(name) not in known] == []


def test_an_object_keeps_the_word_it_came_with():
    couch = SceneObject(
        object_id=0, category="Couch", box=Box(size_m=np.ones(3), world_from_object=np.eye(4)), attributes={"colour": "red"}
    )
    sofa = with_canonical_category(couch)
    assert sofa.category == "sofa" and sofa.attributes == {"colour": "red", GIVEN: "Couch"}
    assert with_canonical_category(sofa) is sofa
