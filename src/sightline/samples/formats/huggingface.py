"""A folder that `datasets` loads offline: Parquet with the images inside, and a card with configs, licence and size."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from sightline import __version__
from sightline.files import write_text
from sightline.samples.card import LICENCE_TAGS
from sightline.samples.export import ExportAbout, ExportRow
from sightline.samples.formats.tables import write_tables

SIZES = (  # the hub's own categories
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)


class HuggingFace:
    """`data/<split>-*.parquet` and `README.md`. With `--images path` the column `images` holds paths and no pictures."""

    with_video: ClassVar[bool] = False
    embeds_images: ClassVar[bool] = True
    takes_data_urls: ClassVar[bool] = False

    def write(self, rows: Mapping[str, Sequence[ExportRow]], about: ExportAbout) -> None:
        for split, of_split in rows.items():
            write_tables(about.folder / "data", split, of_split, images_from=about.folder, embedded=about.holds_images)
        write_text(about.folder / "README.md", card_of({split: len(of_split) for split, of_split in rows.items()}, about))


def card_of(counts: Mapping[str, int], about: ExportAbout) -> str:
    """Markdown with a YAML head."""
    total = sum(counts.values())
    told = ", ".join(f"{count} {split}" for split, count in counts.items())
    shown = (
        "Images stand in the rows, marks drawn." if about.holds_images else "`images` are paths from this folder, unless marks were drawn."
    )
    lines = [
        *_head(counts, about),
        "",
        "# Spatial questions about posed RGB-D scans",
        "",
        f"{total} questions ({told}), exported by sightline {__version__}. {shown}",
        f"Sources: {', '.join(about.sources)}. Licences: {', '.join(about.licences)}.",
        "",
    ]
    if about.is_gated:
        lines += ["**Some of these images may not be passed on: keep this folder to yourself.**", ""]
    return "\n".join(
        [
            *lines,
            "```python",
            "from datasets import load_dataset",
            "",
            'rows = load_dataset("path/to/this/folder")',
            "```",
            "",
            "`prompt` is what a model is told after the images, `answer` what a perfect one replies. `answer_kind` and `answer_options`",
            "(JSON) are the format that scores a reply: `sightline.answers.answer.format_from_row(kind, options).score(reply, truth)`.",
            "",
        ]
    )


def _head(counts: Mapping[str, int], about: ExportAbout) -> list[str]:
    tags = {LICENCE_TAGS.get(licence) for licence in about.licences}
    tag = tags.pop() if len(tags) == 1 else None
    lines = ["---", f"pretty_name: {about.name}", f"license: {tag or 'other'}"]
    if tag is None:
        name = " and ".join(about.licences).lower().replace(" ", "-")
        lines.append(f"license_name: {''.join(letter for letter in name if letter.isalnum() or letter in '.-')}")
    size = next((name for most, name in SIZES if sum(counts.values()) < most), "100M<n<1B")
    lines += ["task_categories:", "- visual-question-answering", "language:", "- en", "tags:", "- spatial-reasoning", "- rgb-d"]
    lines += ["size_categories:", f"- {size}", "configs:", "- config_name: default", "  data_files:"]
    for split in counts:
        lines += [f"  - split: {split}", f"    path: data/{split}-*.parquet"]
    return [*lines, "---"]
