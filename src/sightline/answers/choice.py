"""One of several lettered options: the reply is the letter, and the option's own words are understood too."""

import re
import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sightline.answers.answer import Score
from sightline.errors import DataError

_IGNORED = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"))
_LETTERS = tuple(tuple(string.ascii_uppercase[:count]) for count in range(27))
_MARKDOWN = dict.fromkeys(map(ord, "*`$_~"), " ")
_WRAPPING = " \t\n\r.,:;!?()[]{}<>\"'\u201c\u201d\u2018\u2019"
_LEADING = re.compile(r"^[\s(\[\"']*([A-Za-z])\s*[.):\]]\s*(.*)$", re.DOTALL)
_LEADING_BARE = re.compile(r"^([A-Z])\s+(.*)$", re.DOTALL)
_NEGATED = re.compile(r"\b(?:not|neither|nor)\b|n't\b", re.IGNORECASE)
_NAMED = re.compile(r"\b(?:answer|choice|option)\b\W{0,4}(?:is|:|=)?\W{0,4}(?:option\s+)?([A-Z])(?![\w'])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Options in the order of their letters. The value is a letter; `listing` is how a question's text shows them.

    A reply is understood when it is the letter (`B`, `b`, `B.`, `(B)`, `**B**`, `"B"`), names it (`The answer is B`), or says exactly
    one option's words. A letter followed by another option's words contradicts itself and is unparsable.
    """

    kind: ClassVar[str] = "choice"

    options: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))  # lists come out of Parquet
        plain = [_plain(option) if isinstance(option, str) else "" for option in self.options]
        if not 2 <= len(plain) <= 26 or not all(plain) or len(set(plain)) != len(plain):
            raise DataError(f"choice answer: expected 2 to 26 distinct, non-empty options, found {list(self.options)!r}")

    @property
    def letters(self) -> tuple[str, ...]:
        return _LETTERS[len(self.options)]

    @property
    def listing(self) -> str:
        """`A. left B. right`."""
        return " ".join(f"{letter}. {option}" for letter, option in zip(self.letters, self.options))

    def letter_of(self, option: str) -> str:
        """The letter of an option's words. Raises DataError."""
        if option not in self.options:
            raise DataError(f"choice answer: expected one of {list(self.options)!r}, found {option!r}")
        return self.letters[self.options.index(option)]

    def option_of(self, letter: str) -> str:
        """The words of a letter. Raises DataError."""
        return self.options[self.letters.index(self.render(letter))]

    def instruction(self) -> str:
        return "Answer with the letter."

    def json_schema(self) -> Mapping[str, Any]:
        return {"type": "string", "enum": list(self.letters)}

    def render(self, value: str) -> str:
        if value not in self.letters:
            raise DataError(f"choice answer: expected a letter of {', '.join(self.letters)}, found {value!r}")
        return value

    def parse(self, reply: str) -> str | None:
        if not isinstance(reply, str):
            return None
        if reply in self.letters:
            return reply
        text = unicodedata.normalize("NFC", reply).translate(_IGNORED).translate(_MARKDOWN).strip()
        bare = text.strip(_WRAPPING)
        if len(bare) == 1:
            return bare.upper() if bare.upper() in self.letters else None
        if len(said := self._options_said(text)) == 1 and _plain(text) == _plain(self.option_of(said[0])):
            return said[0]
        if leading := _LEADING.match(text):
            return self._agreed([leading[1].upper()], self._options_said(leading[2]))
        if (leading := _LEADING_BARE.match(text)) and _plain(leading[2]) in map(_plain, self.options):
            return self._agreed([leading[1]], said)
        if named := [letter.upper() for letter in _NAMED.findall(text) if letter.isupper()]:
            return self._agreed(named, self._options_said(text))
        if said:
            return said[0] if len(said) == 1 and not _NEGATED.search(text) else None
        alone = [letter for letter in re.findall(r"(?<![\w'])([A-Z])(?![\w'])", text) if letter != "I" or letter in self.letters]
        return None if set(alone) <= {"A"} else self._agreed(alone, [])  # an A on its own is an article

    def score(self, reply: str, truth: str) -> Score:
        told = f"{self.render(truth)} ({self.option_of(truth)})"
        said = self.parse(reply)
        if said is None:
            shown = " ".join(str(reply).split())[:60]
            return Score(score=0.0, is_parsed=False, parsed=None, explanation=f"no single option in {shown!r}, truth {told}")
        if said == truth:
            return Score(score=1.0, is_parsed=True, parsed=said, explanation=f"said {told}: right")
        return Score(score=0.0, is_parsed=True, parsed=said, explanation=f"said {said} ({self.option_of(said)}), truth {told}")

    def to_row(self) -> dict[str, Any]:
        return {"options": list(self.options)}

    def _agreed(self, letters: list[str], options_said: list[str]) -> str | None:
        """The one letter, unless it is out of range, one of several, or the words say only another option."""
        if len(set(letters)) != 1 or letters[0] not in self.letters:
            return None
        return None if options_said and letters[0] not in options_said else letters[0]

    def _options_said(self, text: str) -> list[str]:
        """Letters whose words stand in the text, longest first so that `front-left` is not also `left`."""
        rest = f" {_plain(text)} "
        said = []
        for letter, option in sorted(zip(self.letters, self.options), key=lambda pair: (-len(_plain(pair[1])), pair[0])):
            if f" {_plain(option)} " in rest:
                said.append(letter)
                rest = rest.replace(f" {_plain(option)} ", " | ")
        return sorted(said)


def _plain(text: str) -> str:
    """Lower case, words apart by one space, no punctuation."""
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).casefold()))
