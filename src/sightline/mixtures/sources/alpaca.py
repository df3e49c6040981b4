"""Alpaca rows as LLaMA-Factory reads them: instruction, input, output, earlier turns, images."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sightline.mixtures.sources.chat import Chats
from sightline.mixtures.sources.pieces import RefusedRowError, each, shortly, text_of


class Alpaca(Chats):
    """`instruction` and `input` (below it) ask, `output` answers; `history` holds earlier pairs, `images` or `videos` what is shown."""

    file_names: ClassVar[tuple[str, ...]] = ("*.json", "*.jsonl")
    image_keys: ClassVar[tuple[str, ...]] = ("images", "image")
    video_keys: ClassVar[tuple[str, ...]] = ("videos", "video")

    def pairs(self, row: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
        said = [_pair(pair, f"history[{number}]") for number, pair in enumerate(each(row.get("history") or [], "history"))]
        below = text_of(row, "input", default="")
        question = text_of(row, "instruction") + (f"\n{below}" if below else "")
        return text_of(row, "system", default=""), [*said, (question, text_of(row, "output"))]


def _pair(pair: Any, field: str) -> tuple[str, str]:
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(words, str) for words in pair):
        raise RefusedRowError(field, "broken_turns", f"expected a question and its answer, found {shortly(pair)}")
    return pair[0], pair[1]
