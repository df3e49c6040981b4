"""Conversations between `human` and `gpt` as LLaVA's trainer and its many followers read them."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from sightline.samples.export import ExportAbout, ExportRow
from sightline.samples.formats.texts import one_or_several, turns, write_list


class Llava:
    """`<split>.json`, a list: `id`, `image` (a path, or a list of several), `conversations`."""

    with_video: ClassVar[bool] = False
    embeds_images: ClassVar[bool] = False
    takes_data_urls: ClassVar[bool] = False

    def write(self, rows: Mapping[str, Sequence[ExportRow]], about: ExportAbout) -> None:
        for split, of_split in rows.items():
            made = (
                {"id": row.sample.sample_id, "image": one_or_several([one.path for one in row.images]), "conversations": turns(row)}
                for row in of_split
            )
            write_list(about.folder / f"{split}.json", made)


class ShareGpt:
    """`<split>.json`, a list: `id`, `conversations`, `images` (always a list)."""

    with_video: ClassVar[bool] = False
    embeds_images: ClassVar[bool] = False
    takes_data_urls: ClassVar[bool] = False

    def write(self, rows: Mapping[str, Sequence[ExportRow]], about: ExportAbout) -> None:
        for split, of_split in rows.items():
            made = (
                {"id": row.sample.sample_id, "conversations": turns(row), "images": [one.path for one in row.images]} for row in of_split
            )
            write_list(about.folder / f"{split}.json", made)
