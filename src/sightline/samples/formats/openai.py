"""Messages of the chat completion kind: image parts before the text, by path or with the bytes inside."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sightline.errors import DataError
from sightline.files import write_text
from sightline.samples.export import ExportAbout, ExportRow
from sightline.samples.formats.texts import expect_placeholders, write_lines

MEDIA_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


class OpenAi:
    """`<split>.jsonl`, each row `messages` alone, as strict readers want it; the ids of the rows stand in `<split>.ids.txt`."""

    with_video: ClassVar[bool] = False
    embeds_images: ClassVar[bool] = False
    takes_data_urls: ClassVar[bool] = True

    def write(self, rows: Mapping[str, Sequence[ExportRow]], about: ExportAbout) -> None:
        for split, of_split in rows.items():
            write_lines(about.folder / f"{split}.jsonl", ({"messages": messages_of(row, about)} for row in of_split))
            write_text(about.folder / f"{split}.ids.txt", "".join(f"{row.sample.sample_id}\n" for row in of_split))


def messages_of(row: ExportRow, about: ExportAbout) -> list[dict[str, Any]]:
    """A user's turn of as many image parts as images and one of text, and the assistant's."""
    expect_placeholders(row.sample.prompt, images=0, videos=0, where=row.sample.sample_id)  # images are parts here, never words
    urls = [_data_url(about.folder / one.path) if about.options.data_urls else one.path for one in row.images]
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [
        {"role": "user", "content": [*parts, {"type": "text", "text": row.sample.prompt}]},
        {"role": "assistant", "content": row.sample.answer_text},
    ]


def _data_url(path: Path) -> str:
    kind = MEDIA_TYPES.get(path.suffix.lower())
    if kind is None:
        raise DataError(f"{path}: expected an image of the kinds {', '.join(MEDIA_TYPES)} for a data URL")
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
