"""InternVL's JSON lines, with the keys that MultiSPA adds, and the meta files that its trainer is started with."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sightline.files import write_json
from sightline.samples.export import ExportAbout, ExportRow
from sightline.samples.formats.texts import turns, write_lines


class InternVl:
    """`<split>.jsonl` and `meta_<split>.json`: a meta file is all that one run trains on, so held-out rows need their own.

    Its `root` and `annotation` are absolute: the trainer runs somewhere else.
    """

    with_video: ClassVar[bool] = False
    embeds_images: ClassVar[bool] = False
    takes_data_urls: ClassVar[bool] = False

    def write(self, rows: Mapping[str, Sequence[ExportRow]], about: ExportAbout) -> None:
        for split, of_split in rows.items():
            write_lines(about.folder / f"{split}.jsonl", map(row_of, of_split))
            entry = {
                "root": about.out.resolve().as_posix(),
                "annotation": (about.out.resolve() / f"{split}.jsonl").as_posix(),
                "data_augment": False,  # it would mirror and recolour images: left would become right, and a red dot another
                "repeat_time": 1,
                "length": len(of_split),
            }
            write_json(about.folder / f"meta_{split}.json", {f"{about.name}_{split}": entry})


def row_of(row: ExportRow) -> dict[str, Any]:
    """One conversation with the sizes of its images and the true value before rounding."""
    value = row.sample.answer_value
    return {
        "id": row.sample.sample_id,
        "image": [one.path for one in row.images],
        "conversations": turns(row, numbered=True),
        "width_list": [one.width for one in row.images],
        "height_list": [one.height for one in row.images],
        "question_type": row.sample.task,
        "gt_value": list(value) if isinstance(value, tuple) else value,
    }
