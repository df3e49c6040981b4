"""One of a few known words, said without letters before them."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sightline.answers.answer import Score
from sightline.errors import DataError

_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"))
_NEGATED = re.compile(r"\b(?:not|neither|nor)\b|n't\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """The value is one of `words`. A reply that says exactly one of them, and denies nothing, is understood."""

    kind: ClassVar[str] = "word"

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", tuple(self.words))
        plain = [_plain(word) if isinstance(word, str) else "" for word in self.words]
        if len(plain) < 2 or not all(plain) or len(set(plain)) != len(plain):
            raise DataError(f"word answer: expected two or more distinct words, found {list(self.words)!r}")

    def instruction(self) -> str:
        *before, last = self.words
        kind = "letter" if all(len(word) == 1 for word in self.words) else "word"
        return f"Answer with one {kind}: {', '.join(before)} or {last}."

    def json_schema(self) -> Mapping[str, Any]:
        return {"type": "string", "enum": list(self.words)}

    def render(self, value: str) -> str:
        if value not in self.words:
            raise DataError(f"word answer: expected one of {', '.join(self.words)}, found {value!r}")
        return value

    def parse(self, reply: str) -> str | None:
        if not isinstance(reply, str):
            return None
        if reply in self.words:
            return reply
        text = unicodedata.normalize("NFC", reply).translate(_INVISIBLE)
        rest = f" {_plain(text)} "
        said = []
        for word in sorted(self.words, key=lambda word: (-len(_plain(word)), word)):
            if f" {_plain(word)} " in rest:
                said.append(word)
                rest = rest.replace(f" {_plain(word)} ", " | ")
        if len(said) != 1 or (_plain(text) != _plain(said[0]) and _NEGATED.search(text)):
            return None
        return said[0]

    def score(self, reply: str, truth: str) -> Score:
        wanted = self.render(truth)
        said = self.parse(reply)
        if said is None:
            return Score(score=0.0, is_parsed=False, parsed=None, explanation=f"not exactly one of the words, truth {wanted}")
        told = f"said {said}, truth {wanted}" if said != wanted else f"said {said}: right"
        return Score(score=float(said == wanted), is_parsed=True, parsed=said, explanation=told)

    def to_row(self) -> dict[str, Any]:
        return {"words": list(self.words)}


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))
