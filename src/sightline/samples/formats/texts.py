"""The words of exported rows: placeholders where the images belong, counted, and nothing else that a tokenizer would bind."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sightline.errors import DataError
from sightline.files import replacing
from sightline.samples.export import ExportRow
from sightline.samples.quality import refuse_special_tokens
from sightline.samples.sample import Sample

IMAGE, VIDEO = "<image>", "<video>"
OF_TRAINERS = re.compile(r"</?(?:IMG_CONTEXT|ref|quad|tool_call|tool_response|audio_pad)>")  # tokens of InternVL and Qwen vocabularies


def refuse_tokens_of(sample: Sample) -> None:
    """Raise DataError for a question or answer that holds a placeholder or a chat token of any trainer."""
    for text in (sample.prompt, sample.answer_text):
        refuse_special_tokens(text, where=f"sample {sample.sample_id}")
        found = OF_TRAINERS.search(text)
        if found:
            raise DataError(f"sample {sample.sample_id}: expected plain words, found the special token '{found[0]}'. Fix: leave it out")


def user_text(row: ExportRow, *, numbered: bool = False) -> str:
    """The user's turn: one placeholder per image (or one for the video), a line each, and the prompt.

    `numbered` names images of which there are several: `Image-1: <image>`.
    """
    if row.video is not None:
        lines = [VIDEO]
    elif numbered and len(row.images) > 1:
        lines = [f"Image-{number}: {IMAGE}" for number, _ in enumerate(row.images, start=1)]
    else:
        lines = [IMAGE] * len(row.images)
    text = "\n".join([*lines, row.sample.prompt])
    expect_placeholders(text, images=0 if row.video else len(row.images), videos=int(row.video is not None), where=row.sample.sample_id)
    return text


def expect_placeholders(text: str, *, images: int, videos: int, where: str) -> None:
    """Raise DataError unless a text holds exactly that many placeholders."""
    found = text.count(IMAGE), text.count(VIDEO)
    if found != (images, videos):
        raise DataError(
            f"sample {where}: expected {images} {IMAGE} and {videos} {VIDEO} in the user's turn, found {found[0]} and {found[1]}"
        )


def turns(row: ExportRow, *, numbered: bool = False) -> list[dict[str, str]]:
    """Question and answer as `human` and `gpt`."""
    return [{"from": "human", "value": user_text(row, numbered=numbered)}, {"from": "gpt", "value": row.sample.answer_text}]


def one_or_several(paths: Sequence[str]) -> str | list[str]:
    """A path alone where there is one, else a list: what loaders that began with single images read."""
    return paths[0] if len(paths) == 1 else list(paths)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line, atomically."""
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(line_of(row) + "\n")


def write_list(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """A JSON list with one row a line, atomically, without holding the list in memory."""
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as stream:
        between = "[\n"
        for row in rows:
            stream.write(between + line_of(row))
            between = ",\n"
        stream.write("\n]\n" if between != "[\n" else "[]\n")


def line_of(row: Mapping[str, Any]) -> str:
    """Compact JSON; NaN is refused."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False)
