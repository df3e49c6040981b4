"""A few words: compared without case, punctuation, articles and extra spaces."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sightline.answers.answer import Score
from sightline.errors import DataError

_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"))
_ARTICLES = frozenset(("a", "an", "the"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """Words of at most `max_chars` characters."""

    kind: ClassVar[str] = "text"

    max_chars: int = 200

    def instruction(self) -> str:
        return "Answer in a few words."

    def json_schema(self) -> Mapping[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": self.max_chars}

    def render(self, value: str) -> str:
        text = self.parse(value)
        if text is None:
            raise DataError(f"text answer: expected 1 to {self.max_chars} characters of text, found {value!r}")
        return text

    def parse(self, reply: str) -> str | None:
        """The reply in NFC on one line; None for an empty one or one longer than `max_chars`."""
        if not isinstance(reply, str):
            return None
        text = " ".join(unicodedata.normalize("NFC", reply).translate(_INVISIBLE).split())
        return text if 0 < len(text) <= self.max_chars else None

    def score(self, reply: str, truth: str) -> Score:
        said, wanted = self.parse(reply), self.render(truth)
        if said is None:
            return Score(
                score=0.0, is_parsed=False, parsed=None, explanation=f"expected 1 to {self.max_chars} characters, truth {wanted!r}"
            )
        is_right = _words(said) == _words(wanted)
        told = f"said {said!r}, truth {wanted!r}: " + ("the same words" if is_right else "other words")
        return Score(score=float(is_right), is_parsed=True, parsed=said, explanation=told)

    def to_row(self) -> dict[str, Any]:
        return {"max_chars": self.max_chars}


def _words(text: str) -> list[str]:
    words = re.findall(r"[^\W_]+", text.casefold())
    return [word for word in words if word not in _ARTICLES] or words
