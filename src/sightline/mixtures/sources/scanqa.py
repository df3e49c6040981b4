"""ScanQA v1.0: a JSON list of questions about a scan, each with every accepted answer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from sightline.config import build, config
from sightline.mixtures.source import BadRow, Origin, RawRow, place_of
from sightline.mixtures.sources.pieces import RefusedRowError, expect_read, text_of, texts_of
from sightline.mixtures.sources.reading import rows_of
from sightline.samples.conversation import Conversation, Turn


@config
class ScanQaOptions:
    """How questions become prompts."""

    instruction: str = "Answer the question simply."  # after the question
    answers: Literal["first", "each"] = "first"  # each: one row for every accepted answer, for training
    frame_policy: str = ""  # frames of the scan that are shown: "uniform 32"


class ScanQa:
    """`scene_id`, `question_id`, `question`, `answers`, `object_ids`, `object_names`. The test files without answers are refused."""

    version: ClassVar[int] = 1
    file_names: ClassVar[tuple[str, ...]] = ("ScanQA_v1.0_*.json",)
    shows_scans: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = build(ScanQaOptions, options, where="ScanQa")

    def read(self, files: Sequence[Path], *, skip: int = 0) -> Iterator[RawRow]:
        return rows_of(files, skip=skip)

    def convert(self, raw: RawRow, origin: Origin) -> Iterator[Conversation | BadRow]:
        try:
            row = expect_read(raw)
            answers = texts_of(row, "answers")
            if not answers:
                raise RefusedRowError("answers", "empty_answer", "expected at least one answer, found none (a test file?)")
            for number, answer in enumerate(answers if self.options.answers == "each" else answers[:1]):
                yield self._conversation(row, answer, number, answers=answers, raw=raw, origin=origin)
        except RefusedRowError as error:
            yield error.at(raw.found_at)

    def _conversation(
        self, row: Mapping[str, Any], answer: str, number: int, *, answers: tuple[str, ...], raw: RawRow, origin: Origin
    ) -> Conversation:
        scan_id, question_id = text_of(row, "scene_id"), text_of(row, "question_id")
        question = text_of(row, "question")
        return Conversation(
            sample_id=question_id if not number else f"{question_id}/{number}",
            source=origin.source,
            task="scanqa",
            split=origin.split,
            scan_id=scan_id,
            place_id=place_of(scan_id),
            pictures=(),
            turns=(Turn(question=f"{question} {self.options.instruction}".strip(), answer=answer),),
            frame_policy=self.options.frame_policy,
            references=answers,
            licence=origin.licence,
            found_at=raw.found_at,
            extra={"question": question}
            | {key: json.dumps(row[key], ensure_ascii=False) for key in ("object_ids", "object_names") if key in row},
        )
