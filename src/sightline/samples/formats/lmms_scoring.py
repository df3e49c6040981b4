"""What the lmms-eval tasks of an export call: a row's images and prompt, and the score of a reply by its own answer format."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sightline.answers.answer import AnswerFormat, format_from_row


def doc_to_visual(doc: Mapping[str, Any]) -> list[Any]:
    """The images in the order they are shown, as the library decoded them."""
    return [image.convert("RGB") for image in doc["images"]]


def doc_to_text(doc: Mapping[str, Any], lmms_eval_specific_kwargs: Mapping[str, Any] | None = None) -> str:
    """The prompt. Words before or after it, which the library keeps per model, are taken from its own argument."""
    given = lmms_eval_specific_kwargs or {}
    return f"{given.get('pre_prompt', '')}{doc['prompt']}{given.get('post_prompt', '')}"


def doc_to_target(doc: Mapping[str, Any]) -> str:
    """What a perfect model replies."""
    return doc["answer"]


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """`score` in 0..1 of the one reply, and whether it could be read (`parsed`, 0 or 1). Errors of the formats are not caught."""
    score = _format_of(doc).score(results[0], _truth_of(doc))
    return {"score": float(score.score), "parsed": float(score.is_parsed)}


def mean(values: Sequence[float]) -> float:
    """Over all rows of a task."""
    return sum(values) / len(values)


def _format_of(doc: Mapping[str, Any]) -> AnswerFormat:
    return format_from_row(doc["answer_kind"], json.loads(doc["answer_options"]))


def _truth_of(doc: Mapping[str, Any]) -> Any:
    """The true value before rounding, as the data set keeps it: a number, several, or the answer's own words."""
    if doc["answer_kind"] == "number":
        return doc["answer_value"]
    return tuple(doc["answer_values"]) if doc["answer_values"] is not None else doc["answer"]
