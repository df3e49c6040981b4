"""MindCube: its own question rows, and the rows that its finetuning reads."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sightline.mixtures.source import Origin, RawRow
from sightline.mixtures.sources.chat import Chats, Shown
from sightline.mixtures.sources.pieces import id_of, text_of
from sightline.samples.conversation import Conversation, Turn

SETTINGS = ("around", "rotation", "translation", "among")  # found in the id; rows without one are "other"


class MindCube(Chats):
    """`id`, `question` with its options, `images`, `gt_answer`; or `images` and `conversations`. Images come before the words."""

    file_names: ClassVar[tuple[str, ...]] = ("*.jsonl",)
    image_keys: ClassVar[tuple[str, ...]] = ("images", "image")

    def conversation(self, row: Mapping[str, Any], raw: RawRow, origin: Origin) -> Conversation:
        if "conversations" in row:
            return super().conversation(row, raw, origin)
        shown: Shown = self.shown(row, origin)
        sample_id = raw.name if self.options.ids == "row" else id_of(row, raw)
        return Conversation(
            sample_id=sample_id,
            source=origin.source,
            task=setting_of(sample_id),
            split=origin.split,
            scan_id="",
            place_id="",
            pictures=shown.pictures,
            turns=(Turn(question=text_of(row, "question"), answer=text_of(row, "gt_answer")),),
            licence=origin.licence,
            found_at=raw.found_at,
            extra={"type": row["type"]} if isinstance(row.get("type"), str) else {},
        )


def setting_of(sample_id: str) -> str:
    """The setting that scores are counted by."""
    return next((name for name in SETTINGS if name in sample_id), "other")
