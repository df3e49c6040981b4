"""Which of the shown images: their numbers, or none of them; right when exactly those."""

import itertools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sightline.answers.answer import Score
from sightline.errors import DataError

NONE = "none"
MOST_IMAGES = 8  # every answer is listed for the decoder: 256 of them
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"))
_MARKDOWN = dict.fromkeys(map(ord, "*`$_~[](){}"), " ")
_NONE = re.compile(r"none|no images?|none of (?:them|these|the images|these images)|in none(?: of (?:them|these|the images|these images))?")
_TURNED = re.compile(r"\b(?:not?|none|neither|nor|without|except|but|or|to|through)\b|n't\b")  # what turns a list round
_NUMBER = re.compile(r"(?<![\w.\-\u2013])\d+(?![\w\-\u2013]|\.\d)")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSet:
    """The value is the images' numbers, from 1, ascending: (1.0, 3.0), or () for none. The score is 1 for exactly the true set, else 0.

    `1, 3`, `[1, 3]`, `images 1 and 3` and `It is shown in image 3.` are understood, in any order; `none` and `no images` are the empty set.
    Ranges, numbers of no image, denials and alternatives make a reply unparsable.
    """

    kind: ClassVar[str] = "image_set"

    count: int  # of images

    def __post_init__(self) -> None:
        if not (isinstance(self.count, int) and 2 <= self.count <= MOST_IMAGES):
            raise DataError(f"image_set answer: expected 2 to {MOST_IMAGES} images, found {self.count!r}")

    def instruction(self) -> str:
        return f"Answer with the numbers of the images from 1 to {self.count}, with commas between them, or {NONE}."

    def json_schema(self) -> Mapping[str, Any]:
        numbers = range(1, self.count + 1)
        sets = itertools.chain.from_iterable(itertools.combinations(numbers, size) for size in range(self.count + 1))
        return {"type": "string", "enum": [self.render(tuple(map(float, one))) for one in sets]}

    def render(self, value: tuple[float, ...]) -> str:
        """Ascending, with commas. Raises DataError for numbers that name no image, or one twice."""
        numbers = sorted(int(one) for one in value)
        if isinstance(value, str) or len(set(numbers)) != len(value) or any(one != int(one) or not 1 <= one <= self.count for one in value):
            raise DataError(f"image_set answer: expected different whole numbers from 1 to {self.count}, found {value!r}")
        return ", ".join(map(str, numbers)) if numbers else NONE

    def parse(self, reply: str) -> tuple[float, ...] | None:
        if not isinstance(reply, str):
            return None
        text = unicodedata.normalize("NFC", reply).translate(_INVISIBLE).translate(_MARKDOWN).casefold()
        text = " ".join(text.split()).strip(" .,:;!\"'")
        if _NONE.fullmatch(text):
            return ()
        numbers = {int(one) for one in _NUMBER.findall(text)}
        if not numbers or len(re.findall(r"\d+", text)) != len(_NUMBER.findall(text)) or _TURNED.search(text):
            return None
        return tuple(map(float, sorted(numbers))) if 1 <= min(numbers) and max(numbers) <= self.count else None

    def score(self, reply: str, truth: tuple[float, ...]) -> Score:
        told = self.render(truth)
        said = self.parse(reply)
        if said is None:
            return Score(score=0.0, is_parsed=False, parsed=None, explanation=f"no set of images in the reply, truth {told}")
        is_right = self.render(said) == told
        return Score(score=float(is_right), is_parsed=True, parsed=said, explanation=f"said {self.render(said)}, truth {told}")

    def to_row(self) -> dict[str, Any]:
        return {"count": self.count}
