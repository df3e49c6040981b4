"""Reads a list of numbers out of a reply: the bracketed one, or the only numbers there are."""

import math
import re
import unicodedata

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ITEM = re.compile(rf"(?<![\w.]){_NUMBER}(?![\w.]*\d)")
_GROUP = re.compile(r"[\[(<]([^\[\]()<>]*)[\])>]")
_UNIT = re.compile(rf"{_NUMBER}\s*([^\W\d_]+|°|%)?")
_IGNORED = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"))
_TRANSLATED = {ord("\u2212"): "-", **dict.fromkeys(map(ord, "\u00a0\u202f*`$~_{}"), " ")}
_NOT_FINITE = re.compile(r"\b(?:nan|inf|infinity)\b", re.IGNORECASE)
_AXIS_NAMES = re.compile(r"\b[a-z]+\s*[=:]\s*(?=[-+.\d])", re.IGNORECASE)  # x=3, right: 3


def read_numbers(reply: str, *, count: int) -> tuple[tuple[float, ...], frozenset[str]] | None:
    """`count` numbers and the unit words that stand after them, or None where there is no such list, or several different ones.

    Brackets of any kind hold a list; where several of the wanted length do, they must be the same. Without brackets the reply must hold
    exactly `count` numbers. Markdown, axis names (`x=3`) and invisible marks are read through; a comma always separates.
    """
    if not isinstance(reply, str):
        return None
    text = _AXIS_NAMES.sub("", unicodedata.normalize("NFC", reply).translate(_IGNORED).translate(_TRANSLATED))
    if _NOT_FINITE.search(text):
        return None
    found = {values: place for place, values in _lists(text) if len(values) == count}
    if not found:
        values = _values(text)
        found = {values: (0, len(text))} if len(values) == count else {}
    if len(found) != 1:
        return None
    values, (start, end) = next(iter(found.items()))
    if not all(map(math.isfinite, values)):
        return None
    after = re.match(r"[\])>.\s]*([^\W\d_]+|°|%)?", text[end:])
    inside = {unit for unit in _UNIT.findall(text[start:end]) if unit}
    return values, frozenset(inside | ({after[1]} if after and after[1] else set()))


def _lists(text: str) -> list[tuple[tuple[int, int], tuple[float, ...]]]:
    return [(match.span(1), _values(match[1])) for match in _GROUP.finditer(text)]


def _values(text: str) -> tuple[float, ...]:
    return tuple(float(one) for one in _ITEM.findall(text))
