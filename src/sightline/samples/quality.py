"""What a data set looks like as a whole: counts, balance of answers, and what must not stand in a question."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sightline.answers.choice import Choice
from sightline.answers.word import Word
from sightline.errors import DataError
from sightline.samples.sample import Sample

SPECIAL = re.compile(
    r"<\s*/?\s*(?:image|img|video|audio|point|box|answer|think|s|pad|unk|bos|eos)\s*/?>|<\|[^|<>]{0,40}\|>|\[/?INST\]|<image_\d+>|(?-i:\b(?:USER|ASSISTANT):)",
    re.IGNORECASE,
)
LOPSIDED = 1.5  # an answer this many times as frequent as its fair share is reported
LEAST_ROWS = 40  # below this, imbalance is chance


def special_token_in(text: str) -> str | None:
    """The first placeholder or chat token in a text, which a tokenizer might bind to something other than words; None without one."""
    found = SPECIAL.search(text)
    return found[0] if found else None


def refuse_special_tokens(text: str, *, where: str) -> None:
    """Raise DataError for a text that holds an image placeholder or a chat token."""
    found = special_token_in(text)
    if found:
        raise DataError(
            f"{where}: expected plain words, found the special token '{found}'. Fix: leave it out; images are placed by themselves"
        )


def gives_answer_away(sample: Sample) -> bool:
    """Whether the answer stands in the question as its own word; words to choose from always do."""
    is_listed = sample.answer_kind in (Choice.kind, Word.kind)
    return not is_listed and bool(re.search(rf"(?<![\w.]){re.escape(sample.answer_text)}(?![\w.])", sample.question))


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskQuality:
    """One task of a data set."""

    task: str
    counts: Mapping[str, int]  # split -> rows
    templates: int
    scans: int
    answers: Mapping[str, float]  # the most frequent answers (for choices: words), with their share
    letters: Mapping[str, float]  # for choices: share of each right letter
    number_range: tuple[float, float, float] | None  # smallest, median, largest of a number
    unit: str
    images_per_question: float
    warnings: tuple[str, ...]


def quality_of(samples: Sequence[Sample]) -> tuple[TaskQuality, ...]:
    """Quality per task, by name."""
    by_task: dict[str, list[Sample]] = {}
    for sample in samples:
        by_task.setdefault(sample.task, []).append(sample)
    return tuple(_of_task(task, by_task[task]) for task in sorted(by_task))


def _of_task(task: str, samples: list[Sample]) -> TaskQuality:
    formats = [sample.answer_format for sample in samples]
    words = Counter(
        form.option_of(sample.answer_text) if isinstance(form, Choice) else sample.answer_text for form, sample in zip(formats, samples)
    )
    letters = Counter(sample.answer_text for form, sample in zip(formats, samples) if isinstance(form, Choice))
    numbers = [float(sample.answer_value) for sample in samples if sample.answer_kind == "number"]
    given_away = sum(map(gives_answer_away, samples))
    warnings = [f"{given_away} questions hold their own answer"] if given_away else []
    return TaskQuality(
        task=task,
        counts=dict(sorted(Counter(sample.split for sample in samples).items(), reverse=True)),
        templates=len({sample.template_id for sample in samples}),
        scans=len({sample.scan_id for sample in samples}),
        answers=_shares(words, most=8),
        letters=_shares(letters, most=26),
        number_range=(min(numbers), float(np.median(numbers)), max(numbers)) if numbers else None,
        unit=str(samples[0].answer_options.get("unit", "")),
        images_per_question=round(float(np.mean([len(sample.frame_ids) for sample in samples])), 3),
        warnings=(*warnings, *_lopsided(samples, formats)),
    )


def _lopsided(samples: Sequence[Sample], formats: Sequence[object]) -> list[str]:
    """Letters and words that are right far more often than the options they stand among make fair."""
    fair: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for form, sample in zip(formats, samples):
        if isinstance(form, Choice):
            right.update((sample.answer_text, form.option_of(sample.answer_text)))
            for letter, option in zip(form.letters, form.options):
                fair[letter] += 1.0 / len(form.options)
                fair[option] += 1.0 / len(form.options)
        elif isinstance(form, Word):
            right[sample.answer_text] += 1
            for word in form.words:
                fair[word] += 1.0 / len(form.words)
    if len(samples) < LEAST_ROWS:
        return []
    return [
        f"'{answer}' is right {count} times where {fair[answer]:.0f} are fair"
        for answer, count in sorted(right.items())
        if fair[answer] >= LEAST_ROWS / 4 and count > LOPSIDED * fair[answer]
    ]


def _shares(counts: Counter[str], *, most: int) -> dict[str, float]:
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
    return {answer: round(count / total, 4) for answer, count in ordered}


def spread(samples: Iterable[Sample], *, per_task: int | None) -> list[Sample]:
    """At most `per_task` samples of each task (all for None), taken from every scan in turn, in the order given."""
    samples = list(samples)
    if per_task is None:
        return samples
    turn_of: dict[tuple[str, str], int] = {}
    ranked: dict[str, list[tuple[int, int]]] = {}
    for place, sample in enumerate(samples):
        key = (sample.task, sample.scan_id)
        turn_of[key] = turn_of.get(key, -1) + 1
        ranked.setdefault(sample.task, []).append((turn_of[key], place))
    kept = {place for ranks in ranked.values() for _, place in sorted(ranks)[: max(0, per_task)]}
    return [sample for place, sample in enumerate(samples) if place in kept]
