"""Data sets of LLaMA-Factory, in its two layouts, with the `dataset_info.json` that registers them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sightline.files import write_json
from sightline.samples.export import ExportAbout, ExportRow
from sightline.samples.formats.texts import turns, user_text, write_list

INFO = "dataset_info.json"


class LlamaFactoryAlpaca:
    """`<split>.json` of `instruction`, `input`, `output`, `images`."""

    with_video: ClassVar[bool] = False
    embeds_images: ClassVar[bool] = False
    takes_data_urls: ClassVar[bool] = False

    def write(self, rows: Mapping[str, Sequence[ExportRow]], about: ExportAbout) -> None:
        columns = {"prompt": "instruction", "query": "input", "response": "output", "images": "images"}
        _write_all(rows, about, row_of=_alpaca, entry={"formatting": "alpaca", "columns": columns})


class LlamaFactoryShareGpt:
    """`<split>.json` of `conversations` between `human` and `gpt`, and `images`."""

    with_video: ClassVar[bool] = False
    embeds_images: ClassVar[bool] = False
    takes_data_urls: ClassVar[bool] = False

    def write(self, rows: Mapping[str, Sequence[ExportRow]], about: ExportAbout) -> None:
        tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
        entry = {"formatting": "sharegpt", "columns": {"messages": "conversations", "images": "images"}, "tags": tags}
        _write_all(rows, about, row_of=_sharegpt, entry=entry)


def _write_all(rows: Mapping[str, Sequence[ExportRow]], about: ExportAbout, *, row_of: Any, entry: Mapping[str, Any]) -> None:
    for split, of_split in rows.items():
        write_list(about.folder / f"{split}.json", map(row_of, of_split))
    write_json(about.folder / INFO, {f"{about.name}_{split}": {"file_name": f"{split}.json", **entry} for split in rows})


def _alpaca(row: ExportRow) -> dict[str, Any]:
    return {"instruction": user_text(row), "input": "", "output": row.sample.answer_text, "images": [one.path for one in row.images]}


def _sharegpt(row: ExportRow) -> dict[str, Any]:
    return {"conversations": turns(row), "images": [one.path for one in row.images]}
