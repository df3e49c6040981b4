"""Held-out questions as a benchmark: prompts in one file, answers in another, so that whoever answers cannot see the truth."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sightline.files import replacing_folder, write_text
from sightline.samples.quality import spread
from sightline.samples.sample import Sample

BENCHMARK_FOLDER = "benchmark"
PROMPTS, ANSWERS = "prompts.jsonl", "answers.jsonl"
BY_SOURCE = "point_movement"  # MultiSPA counts these tasks once per data set they come from


def subtask_of(sample: Sample) -> str:
    """What a benchmark counts apart: the task, for movements of points also the layout that the scan came in."""
    return f"{sample.task}/{sample.source}" if sample.task.startswith(BY_SOURCE) else sample.task


def write_benchmark(out: Path, samples: Sequence[Sample], *, per_task: int) -> Mapping[str, int]:
    """Write `OUT/benchmark/prompts.jsonl` and `answers.jsonl` and return how many questions each subtask has.

    At most `per_task` of each subtask, taken from every scan in turn. A row of the prompts holds what a model is shown and how it
    must answer, never the answer nor the values it was measured from; a row of the answers has the same `id`.
    """
    by_subtask: dict[str, list[Sample]] = {}
    for sample in samples:
        by_subtask.setdefault(subtask_of(sample), []).append(sample)
    chosen = [sample for name in sorted(by_subtask) for sample in spread(by_subtask[name], per_task=per_task)]
    with replacing_folder(out / BENCHMARK_FOLDER) as beside:
        write_text(beside / PROMPTS, "".join(_line(prompt_row(sample)) for sample in chosen))
        write_text(beside / ANSWERS, "".join(_line(answer_row(sample)) for sample in chosen))
    return dict(sorted(Counter(subtask_of(sample) for sample in chosen).items()))


def prompt_row(sample: Sample) -> dict[str, Any]:
    """What may be known before answering."""
    return {
        "id": sample.sample_id,
        "subtask": subtask_of(sample),
        "scan_id": sample.scan_id,
        "frame_ids": list(sample.frame_ids),
        "images": list(sample.image_paths),
        "marks": [
            {
                name: value
                for name in ("frame_id", "u_px", "v_px", "right_px", "bottom_px", "colour", "label")
                if (value := getattr(mark, name)) not in (None, "")
            }
            for mark in sample.marks
        ],
        "prompt": sample.prompt,
        "answer_kind": sample.answer_kind,
        "answer_options": dict(sample.answer_options),
        "source": sample.source,
        "licence": sample.licence,
    }


def answer_row(sample: Sample) -> dict[str, Any]:
    """The truth, and what it was measured from."""
    value = list(sample.answer_value) if isinstance(sample.answer_value, tuple) else sample.answer_value
    return {
        "id": sample.sample_id,
        "subtask": subtask_of(sample),
        "answer": sample.answer_text,
        "value": value,
        "evidence": dict(sample.evidence),
        "template_id": sample.template_id,
    }


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
