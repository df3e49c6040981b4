"""The contract of a sample: one question-answer row with everything needed to show, train on, score and trace it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sightline.answers.answer import AnswerFormat, format_from_row
from sightline.questions.question import Mark
from sightline.quick import quickly_made

SCHEMA_VERSION = 2


@quickly_made
@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One row. `question` is the user's words without images and instruction; `prompt` adds the instruction."""

    sample_id: str  # "<scan_id>/<task>/<index>", unique in a data set
    task: str
    split: str  # train | held_out
    scan_id: str
    place_id: str
    frame_ids: tuple[str, ...]
    image_paths: tuple[str, ...]  # relative to the scene store
    marks: tuple[Mark, ...]
    question: str
    answer_kind: str
    answer_options: Mapping[str, Any]  # of the answer format, as `to_row` gives them
    answer_text: str  # what a perfect model replies
    answer_value: float | str | tuple[float, ...]
    evidence: Mapping[str, float | str]
    template_id: str
    seed: int
    generator_version: str
    source: str
    licence: str

    @property
    def answer_format(self) -> AnswerFormat:
        return format_from_row(self.answer_kind, self.answer_options)

    @property
    def prompt(self) -> str:
        """Question and answer instruction, as the user turn after the images."""
        return f"{self.question} {self.answer_format.instruction()}"
