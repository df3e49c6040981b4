"""A number with a unit: asked for in one sentence, parsed strictly but kindly, scored by mean relative accuracy."""

import math
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sightline.answers.answer import Score
from sightline.errors import DataError

UNIT_WORDS = {"m": "metres", "cm": "centimetres", "mm": "millimetres", "deg": "degrees", "m2": "square metres", "": ""}
THRESHOLDS = np.linspace(0.5, 0.95, 10)  # VSI-Bench released scorer: 0.50, 0.55, ... 0.95
_ALLOWED_ERRORS = sorted((1.0 - THRESHOLDS).tolist())
_NO_NUMBERS = (str, bool)
_PATTERNS = tuple(f"%.{decimals}f" for decimals in range(7))
_PLAIN = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")  # what `render` writes: most replies, and no need to look further

_LENGTHS_M = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), 0.01),
    **dict.fromkeys(("mm", "millimetre", "millimetres", "millimeter", "millimeters"), 0.001),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), 1000.0),
    **dict.fromkeys(("inch", "inches"), 0.0254),
    **dict.fromkeys(("ft", "foot", "feet"), 0.3048),
}
_ANGLES_DEG = {
    **dict.fromkeys(("deg", "degree", "degrees", "°"), 1.0),
    **dict.fromkeys(("rad", "radian", "radians"), 180.0 / math.pi),
}
_AREAS_M2 = {"m2": 1.0, "sqm": 1.0, "sqcm": 1e-4, "sqft": 0.3048**2}
_SIDE = r"(?P<{0}>m|met(?:er|re)s?|cm|centimet(?:er|re)s?|ft|feet|foot)"
_AREA_WORDING = re.compile(  # every spelling of a square unit; numbers are read after it became one word
    r"(?<![a-z])(?:"
    rf"sq(?:uare)?(?:\.|-)?\s*{_SIDE.format('a')}(?![a-z0-9^²³])"
    rf"|{_SIDE.format('b')}\s*(?:\^\s*2(?![0-9.]*[0-9])|²|squared\b)"
    rf"|{_SIDE.format('c')}2(?![0-9])"
    r")",
    re.IGNORECASE,
)
# A unit that says the number is of another kind; the reply "4 m2" is no length.
_FOREIGN = ("m^2", "m^3", "sq", "square", "cubic", "%", "percent", "s", "second", "seconds", "kg", "px", "pixel", "pixels")

_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
        "nineteen twenty".split()
    )
}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_UNREAD_WORDS = frozenset("half quarter third point dozen hundred thousand million".split())

_NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-+]?)(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+,\d+|\d+\.?\d*|\.\d+)(?P<power>[eE][-+]?\d+)?"
    r"(?!\d|[.,]\d|\s?[A-Za-z]+\d)\s*(?P<unit>m\^[23]|[^\W\d_]+|[°%])?"
)
_IGNORED = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"))
_TRANSLATED = {ord("\u2212"): "-", **dict.fromkeys(map(ord, "\u00a0\u202f*`$~_{}"), " ")}
_LABELS = re.compile(
    r"\b(?:images?|frames?|pictures?|views?|photos?|dots?|options?)\s*#?\d+(?:\s*(?:,|and|to|-|&)\s*\d+\b(?![.,]\d))*", re.IGNORECASE
)
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|boxed)\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number in `unit` ("m", "cm", "mm", "deg", "m2" or "" for a count), said with `decimals` digits after the point.

    Parsing: markdown, invisible direction marks and a decimal comma are read through; `1,200` is twelve hundred; lengths and
    angles and areas in another unit are converted; English number words up to ninety-nine count where there is no digit. Numbers that
    name an image or a dot are passed over; where several different numbers are left the reply is unparsable. So are digits of
    other scripts, fractions, and numbers of another kind (square metres for metres, metres for square metres).
    """

    kind: ClassVar[str] = "number"

    unit: str
    decimals: int
    low: float = 0.0
    high: float = 1000.0
    tolerance_share: float | None = None  # right within this share of the truth (MultiSPA paper: 0.2); None: mean relative accuracy

    def __post_init__(self) -> None:
        if self.unit not in UNIT_WORDS:
            raise DataError(f"number answer: expected a unit of {', '.join(map(repr, UNIT_WORDS))}, found {self.unit!r}")
        if not (isinstance(self.decimals, int) and 0 <= self.decimals <= 6):
            raise DataError(f"number answer: expected decimals of 0 to 6, found {self.decimals!r}")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise DataError(f"number answer: expected low < high, found low={self.low} high={self.high}")

    def instruction(self) -> str:
        return f"Answer with a number in {UNIT_WORDS[self.unit]}." if self.unit else "Answer with a number."

    def json_schema(self) -> Mapping[str, Any]:
        if self.decimals == 0:
            return {"type": "integer", "minimum": math.ceil(self.low), "maximum": math.floor(self.high)}
        return {"type": "number", "minimum": self.low, "maximum": self.high, "multipleOf": float(f"1e-{self.decimals}")}

    def render(self, value: float) -> str:
        """Rounded, never truncated. Raises DataError for a value that is no finite number."""
        if isinstance(value, _NO_NUMBERS) or not math.isfinite(value):
            raise DataError(f"number answer: expected a finite number, found {value!r}")
        text = _PATTERNS[self.decimals] % value  # a third of the time of a format that is put together each time
        return text[1:] if text[0] == "-" and float(text) == 0.0 else text

    def parse(self, reply: str) -> float | None:
        if not isinstance(reply, str):
            return None
        if _PLAIN.fullmatch(reply):
            return float(reply)
        text = _LATEX_TEXT.sub(" ", unicodedata.normalize("NFC", reply).translate(_IGNORED).translate(_TRANSLATED))
        if self.unit in _AREAS_M2:
            text = _AREA_WORDING.sub(_area_word, text)
        if any(ord(character) > 127 and unicodedata.numeric(character, None) is not None for character in text):
            return None
        values = list(self._numbers(_LABELS.sub(" ", text))) or list(self._number_words(text))
        if not values or not all(map(math.isfinite, values)):
            return None
        same = all(math.isclose(value, values[0], rel_tol=1e-9, abs_tol=0.5001 * 10.0**-self.decimals) for value in values)
        return values[0] if same else None

    def score(self, reply: str, truth: float) -> Score:
        """Mean relative accuracy against the truth as rendered; a truth of 0 wants a reply that rounds to 0."""
        said = self.parse(reply)
        target = float(self.render(truth))
        if said is None:
            return Score(
                score=0.0, is_parsed=False, parsed=None, explanation=f"no single number in {_quoted(reply)}, truth {self._told(target)}"
            )
        if target == 0.0:
            is_zero = float(self.render(said)) == 0.0
            return Score(
                score=float(is_zero),
                is_parsed=True,
                parsed=said,
                explanation=f"said {self._told(said)}, truth 0: only a reply that rounds to 0 counts",
            )
        if self.tolerance_share is None:
            accuracy = mean_relative_accuracy(said, target)
        else:
            accuracy = float(abs(said - target) <= self.tolerance_share * abs(target))
        return Score(
            score=accuracy,
            is_parsed=True,
            parsed=said,
            explanation=f"said {self._told(said)}, truth {self._told(target)}: off by {abs(said - target) / abs(target):.0%}",
        )

    def to_row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"unit": self.unit, "decimals": self.decimals, "low": self.low, "high": self.high}
        return row if self.tolerance_share is None else {**row, "tolerance_share": self.tolerance_share}

    def _told(self, value: float) -> str:
        return f"{value:.{self.decimals + 1}f}".rstrip("0").rstrip(".") + (f" {self.unit}" if self.unit else "")

    def _scale_of(self, unit: str) -> float | None:
        """Factor from a written unit to this one; None where it is not a unit of this kind."""
        return scale_between(unit, self.unit)

    def _numbers(self, text: str) -> Iterator[float]:
        for match in _NUMBER.finditer(text):
            unit = (match["unit"] or "").lower()
            if unit == "in" and not text[match.end() :].strip(" .!)\n"):
                unit = "inch"  # "24 in", but not "2 in the corner"
            scale = self._scale_of(unit)
            if scale is None and _is_of_another_kind(unit):
                yield math.nan  # the reply as a whole is not what was asked for
                continue
            value = float(match["sign"] + _decimal(match["digits"]) + (match["power"] or ""))
            yield value * (scale or 1.0)

    def _number_words(self, text: str) -> Iterator[float]:
        words = re.findall(r"[a-z]+|\d", text.lower().replace("-", " "))
        if any(word.isdigit() for word in words) or _UNREAD_WORDS & set(words):
            return  # digits that _numbers refused, or words such as "two and a half" whose value would be guessed
        if not self.unit and words in (["none"], ["no"]):
            yield 0.0
        place = 0
        while place < len(words):
            word, after = words[place], words[place + 1] if place + 1 < len(words) else ""
            value = _TENS.get(word, _WORDS.get(word))
            place += 1
            if value is None:
                continue
            if word in _TENS and 0 < _WORDS.get(after, 0) < 10:
                value += _WORDS[after]
                after = words[place + 1] if place + 1 < len(words) else ""
                place += 1
            scale = self._scale_of(after)
            yield math.nan if scale is None and _is_of_another_kind(after) else value * (scale or 1.0)


def scale_between(unit: str, wanted: str) -> float | None:
    """Factor from a written unit (lower case) to the wanted one; None where they are not of one kind."""
    for table in (_LENGTHS_M, _ANGLES_DEG, _AREAS_M2):
        if wanted in table and unit in table:
            return table[unit] / table[wanted]
    return None


def _is_of_another_kind(unit: str) -> bool:
    """Whether a word after a number is a unit at all, asked of one that could not be converted."""
    return unit in _FOREIGN or unit in _LENGTHS_M or unit in _ANGLES_DEG or unit in _AREAS_M2


def _area_word(match: re.Match[str]) -> str:
    """` sqm `, ` sqcm ` or ` sqft ` for a written square unit."""
    side = (match["a"] or match["b"] or match["c"]).lower()
    return " sqft " if side.startswith("f") else " sqcm " if side.startswith("c") else " sqm "


def _decimal(digits: str) -> str:
    """Python's spelling of a written number: commas before groups of three are thousands, another one is a decimal comma."""
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?", digits):
        return digits.replace(",", "")
    return digits.replace(",", ".")


def _quoted(reply: object) -> str:
    text = " ".join(str(reply).split())
    return repr(text if len(text) <= 60 else text[:57] + "...")


def mean_relative_accuracy(said: float, truth: float) -> float:
    """Share of the ten thresholds t at which |said - truth| / |truth| <= 1 - t, in float64 (VSI-Bench released scorer).

    `truth` must not be 0. For positive truths this is the released arithmetic; it divides by the truth itself, which would
    let every reply pass for a negative one.
    """
    relative_error = abs(float(said) - float(truth)) / abs(float(truth))
    return (len(_ALLOWED_ERRORS) - bisect_left(_ALLOWED_ERRORS, relative_error)) / len(_ALLOWED_ERRORS)
