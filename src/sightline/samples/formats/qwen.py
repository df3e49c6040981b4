"""Rows for the finetuning code of Qwen-VL: images, or one video where a sample shows a long run of them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sightline.samples.export import ExportAbout, ExportRow
from sightline.samples.formats.texts import one_or_several, turns, write_lines


class Qwen:
    """`<split>.jsonl`: `id`, `image` (a path, or a list of several) and `conversations`."""

    with_video: ClassVar[bool] = False
    embeds_images: ClassVar[bool] = False
    takes_data_urls: ClassVar[bool] = False

    def write(self, rows: Mapping[str, Sequence[ExportRow]], about: ExportAbout) -> None:
        for split, of_split in rows.items():
            write_lines(about.folder / f"{split}.jsonl", map(row_of, of_split))


class QwenVideo(Qwen):
    """As `Qwen`; a sample with many images has `video` and one `<video>` placeholder instead."""

    with_video: ClassVar[bool] = True


def row_of(row: ExportRow) -> dict[str, Any]:
    shown = {"image": one_or_several([one.path for one in row.images])} if row.video is None else {"video": row.video}
    return {"id": row.sample.sample_id, **shown, "conversations": turns(row)}
