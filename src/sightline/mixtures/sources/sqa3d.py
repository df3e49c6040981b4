"""SQA3D: questions about a situation in a scan, joined with their answers and places by question id."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from sightline.config import build, config
from sightline.errors import DataError
from sightline.mixtures.source import BadRow, Origin, RawRow, place_of
from sightline.mixtures.sources.pieces import RefusedRowError, each, expect_read, shortly, text_of, texts_of
from sightline.mixtures.sources.reading import names_of, values_of
from sightline.samples.conversation import Conversation, Turn

FIRST_WORDS = ("what", "is", "how", "can", "which")  # question types by the first word; all others are "others"


@config
class Sqa3dOptions:
    """How questions become prompts."""

    instruction: str = "Answer the question using a single word or phrase."  # after the question
    situations: Literal["first", "each"] = "first"  # each: one row for every wording of the situation, for training
    with_situation: bool = True  # without it, nine questions in ten speak of a place that nobody named
    frame_policy: str = ""  # frames of the scan that are shown: "uniform 32"


class Sqa3d:
    """`v1_balanced_questions_<split>_scannetv2.json` and `v1_balanced_sqa_annotations_<split>_scannetv2.json`, both of every split."""

    version: ClassVar[int] = 1
    file_names: ClassVar[tuple[str, ...]] = ("v1_balanced_*_scannetv2.json",)
    shows_scans: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = build(Sqa3dOptions, options, where="Sqa3d")

    def read(self, files: Sequence[Path], *, skip: int = 0) -> Iterator[RawRow]:
        """Questions with their annotation under `annotation`; one without its other half is a row with a problem."""
        names = dict(zip(files, names_of(files)))
        asked = [path for path in files if "_questions_" in path.name]
        told = {path.name.replace("_sqa_annotations_", "_questions_"): path for path in files if "_annotations_" in path.name}
        if not asked or sorted(path.name for path in asked) != sorted(told):
            raise DataError(
                f"expected a file of questions and one of annotations for every split of SQA3D, found {', '.join(sorted(names.values()))}"
            )
        for path in asked:
            for row in self._joined(path, told[path.name], names):
                if skip > 0:
                    skip -= 1
                else:
                    yield row

    def _joined(self, asked: Path, told: Path, names: Mapping[Path, str]) -> Iterator[RawRow]:
        answers: dict[Any, Any] = {}
        for number, one in enumerate(values_of(told, "annotations"), start=1):
            key = _key_of(one)
            if key is None or key in answers:
                problem = f"expected an annotation with a question_id of its own, found {shortly(key)}"
                yield RawRow(f"{names[told]}: row {number}", f"{told.stem}/{number}", None, problem)
            else:
                answers[key] = one
        for number, question in enumerate(values_of(asked, "questions"), start=1):
            where, name = f"{names[asked]}: row {number}", f"{asked.stem}/{number}"
            key = _key_of(question)
            annotation = answers.pop(key, None)
            if annotation is None:
                yield RawRow(where, name, None, f"expected an annotation of question {shortly(key)} in {names[told]}, found none")
            else:
                yield RawRow(where, name, {**question, "annotation": annotation})
        for key in answers:
            where, problem = names[told], f"expected question {shortly(key)} in {names[asked]}, found none"
            yield RawRow(f"{where}: question {key}", f"{told.stem}/{key}", None, problem)

    def convert(self, raw: RawRow, origin: Origin) -> Iterator[Conversation | BadRow]:
        try:
            row = expect_read(raw)
            situations = (text_of(row, "situation"), *texts_of(row, "alternative_situation"))
            for number, situation in enumerate(situations if self.options.situations == "each" else situations[:1]):
                yield self._conversation(row, situation, number, raw=raw, origin=origin)
        except RefusedRowError as error:
            yield error.at(raw.found_at)

    def _conversation(self, row: Mapping[str, Any], situation: str, number: int, *, raw: RawRow, origin: Origin) -> Conversation:
        scan_id, question = text_of(row, "scene_id"), text_of(row, "question")
        annotation = row["annotation"]
        if annotation.get("scene_id") != scan_id:
            raise RefusedRowError("scene_id", "scene_mismatch", f"expected {scan_id} in the annotation, found {annotation.get('scene_id')}")
        answers = tuple(text_of(one if isinstance(one, dict) else {}, "answer") for one in each(annotation.get("answers"), "answers"))
        if not answers:
            raise RefusedRowError("answers", "empty_answer", "expected an answer, found none")
        words = [situation.strip()] if self.options.with_situation else []
        question_id = text_of(row, "question_id")
        return Conversation(
            sample_id=question_id if not number else f"{question_id}/{number}",
            source=origin.source,
            task=f"sqa3d_{type_of(question)}",
            split=origin.split,
            scan_id=scan_id,
            place_id=place_of(scan_id),
            pictures=(),
            turns=(Turn(question=" ".join([*words, question, self.options.instruction]).strip(), answer=answers[0]),),
            frame_policy=self.options.frame_policy,
            references=answers,
            licence=origin.licence,
            found_at=raw.found_at,
            extra={
                "situation": situation,
                "question": question,
                **{key: json.dumps(annotation[key]) for key in ("position", "rotation") if key in annotation},
            },
        )


def _key_of(one: Any) -> int | str | None:
    key = one.get("question_id") if isinstance(one, dict) else None
    return key if isinstance(key, int | str) else None


def type_of(question: str) -> str:
    """The question type that scores are counted by."""
    lowered = question.lower()
    return next((word for word in FIRST_WORDS if lowered.startswith(word)), "others")
