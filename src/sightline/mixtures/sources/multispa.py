"""MultiSPA: JSON lines in the layout of InternVL, with the true value beside the words; its evaluation rows may hold no answer in words."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from sightline.mixtures.source import Origin, RawRow
from sightline.mixtures.sources.chat import Chats, Shown
from sightline.mixtures.sources.pieces import RefusedRowError, id_of, shortly, text_of
from sightline.samples.conversation import Conversation, Picture

MM_PER_M = 1000  # vectors of movement are stored in metres and answered in whole millimetres
_PAIR = re.compile(r"_(\d{5})_(\d{5})_img([12])$")  # a marked pair: the frames of both, and which of them this is
_FRAME = re.compile(r"^(\d{5})(?=_|$)")  # a marked frame


class MultiSpa(Chats):
    """`id`, `image` (a path or a list), `conversations` or `text`, `question_type`, `gt_value`. Ids repeat between types and are joined."""

    file_names: ClassVar[tuple[str, ...]] = ("*.jsonl",)

    def conversation(self, row: Mapping[str, Any], raw: RawRow, origin: Origin) -> Conversation:
        made = super().conversation(row, raw, origin)
        kind = text_of(row, "question_type")
        own = made.sample_id if self.options.ids == "row" else f"{kind}/{id_of(row, raw)}"
        return replace(made, sample_id=own)

    def pairs(self, row: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
        if "conversations" in row:
            return super().pairs(row)
        return "", [(text_of(row, "text"), f"`{answer_of(row)}`")]

    def shown(self, row: Mapping[str, Any], origin: Origin) -> Shown:
        shown = super().shown(row, origin)
        return replace(shown, pictures=tuple(_with_frame(picture) for picture in shown.pictures))


def answer_of(row: Mapping[str, Any]) -> str:
    """`gt_value` as the answers of the training rows word it: letters and words, whole numbers, lists as `[ a , b ]`."""
    value, kind = row.get("gt_value"), text_of(row, "question_type")
    if isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
        if "total_distance" in kind:  # some carry the vector whose length is asked for
            return str(round(math.hypot(*value) * MM_PER_M))
        return _listed([round(one * MM_PER_M) for one in value] if "displacement_vector" in kind else value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise RefusedRowError("gt_value", "malformed", f"expected a word, a number or a list of numbers, found {shortly(value)}")


def _listed(values: Sequence[float]) -> str:
    return f"[ {' , '.join(str(one) for one in values)} ]"


def _with_frame(picture: Picture) -> Picture:
    """The frame behind a picture with marks drawn into it, whose name holds more than the frame."""
    pair, single = _PAIR.search(picture.frame_id), _FRAME.match(picture.frame_id)
    frame_id = pair[int(pair[3])] if pair else single[1] if single else picture.frame_id
    return replace(picture, frame_id=frame_id)
