"""Wording: templates drawn at random, object names with their dots, plurals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sightline.questions.question import Mark

_PLURALS = {"shelf": "shelves", "bookshelf": "bookshelves", "knife": "knives", "person": "people", "child": "children", "mouse": "mice"}
_CAPITALS = {"tv": "TV", "tvs": "TVs"}
_SPOKEN = {"storage": "storage unit", "storages": "storage units"}  # nobody says the storage, or two storages
ALIKE = (  # kinds that people call by each other's names: with two of them about, a count or a reference would hang on the word
    ("table", "desk", "nightstand", "coffee table", "side table"),
    ("stool", "pouf"),
    ("lamp", "ceiling light"),
    ("cushion", "pillow"),
    ("monitor", "television", "tv"),
    ("sofa", "couch"),
    ("bin", "basket"),
    ("cup", "bowl", "vase"),
    ("storage unit", "shelf", "bookshelf", "nightstand"),
)
PARTS = {  # kinds that other kinds are scanned with, unlabelled: books stand in a shelf, pillows lie on a bed, cushions make a sofa
    "book": ("bookshelf", "shelf", "bookcase"),
    "cushion": ("sofa", "couch", "bed"),
    "pillow": ("sofa", "couch", "bed"),
}
_UNCOUNTED = (  # said of any amount: two of them are two pieces
    *("bread", "paper", "equipment", "furniture", "kitchenware", "ironware", "clothing", "luggage", "soap", "detergent"),
    *("molding", "shampoo", "toothpaste", "salt", "seasoning", "wine", "cardboard", "bedding", "lighting", "shelving", "seating"),
)
_SINGULAR_ENDINGS = ("ss", "us", "is")  # other words in s are plural already: stairs, curtains, toy blocks


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """A question's words and the template they came from."""

    text: str
    template_id: str


def word(task: str, templates: Sequence[str], rng: np.random.Generator, *, first_index: int = 0, **slots: str) -> Wording:
    """A template drawn at random, its slots filled. `first_index` is the number of the first one where a task has several lists."""
    index = int(rng.integers(len(templates)))
    text = templates[index].format(**slots)
    return Wording(text=text[0].upper() + text[1:], template_id=f"{task}.{first_index + index}")


def spoken(category: str) -> str:
    """A category as a word of a sentence: `coffee_table` is `coffee table`."""
    plain = category.replace("_", " ").replace("/", " or ").lower()
    words = _SPOKEN.get(plain, plain).split()
    return " ".join(_CAPITALS.get(one, one) for one in words)


def plural(category: str) -> str:
    """The spoken plural of a category."""
    name = spoken(category)
    head, of, rest = name.partition(" of ")
    if of:  # cases of water bottles
        return f"{plural(head)} of {rest}"
    *before, last = name.split()
    if last in _UNCOUNTED:
        return f"pieces of {name}"
    if last in _CAPITALS.values():
        return " ".join([*before, last + "s"])
    if last in _PLURALS:
        many = _PLURALS[last]
    elif last.endswith("s") and not last.endswith(_SINGULAR_ENDINGS):
        many = last
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        many = last + "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        many = last[:-1] + "ies"
    else:
        many = last + "s"
    return " ".join([*before, many])


def is_plural(category: str) -> bool:
    """Whether a category's name is plural already: stairs, curtains, toy blocks."""
    last = spoken(category).partition(" of ")[0].split()[-1]
    return last in _PLURALS.values() or (last.endswith("s") and last not in _CAPITALS.values() and not last.endswith(_SINGULAR_ENDINGS))


def object_name(category: str, mark: Mark | None) -> str:
    """`the chair (red dot)`, or `the chair` where nothing is marked; `the set of stairs`, so that every sentence can say `is`."""
    return f"the {'set of ' if is_plural(category) else ''}{spoken(category)}" + (f" ({mark.colour} dot)" if mark else "")


def sounds_alike(category: str, others: Iterable[str]) -> bool:
    """Whether another category, or a part of it, could be meant by the name: `armchair` by `chair`, `shelf` by `book`."""
    name = spoken(category).lower()
    alike = {one for group in ALIKE if name in group for one in group}.union(PARTS.get(name, ())) - {name}
    return any(one != name and (one in alike or one.endswith(name)) for one in (spoken(other).lower() for other in others))
