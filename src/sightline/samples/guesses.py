"""What guessing would reach: chance, the one constant answer that the training rows recommend, and the best guess from words alone.

None looks at a held-out truth before it is scored: pools of answers and choices of constants come from training rows alone.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sightline.answers.answer import AnswerFormat
from sightline.answers.choice import Choice
from sightline.answers.word import Word
from sightline.errors import DataError
from sightline.questions.question import MARK_COLOURS
from sightline.samples.sample import Sample

MAX_DRAWS = 100  # distinct training answers that chance draws from; where there are more, evenly spaced ones stand for all
MAX_CANDIDATES = 40  # answers tried as the constant, chosen in the same way
MAX_TRAINING_ROWS = 2000  # rows on which the constant is chosen, evenly spaced; more do not change which one wins


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Guesses:
    """Ways to guess the same held-out rows of one task."""

    chance: np.ndarray  # (n,) expected score of a random guess on each row, 0..1
    most_frequent: np.ndarray  # (n,) score of the constant answer on each row
    most_frequent_answer: str  # an answer text, for choices an option letter or the text of an option


def guess(held_out: Sequence[Sample], train: Sequence[Sample]) -> Guesses:
    """Score both guesses on held-out rows of one task, from the training rows of that task.

    Chance is closed form, 1 / options, for choices and words; for other answers it is the expected score of a uniform draw from the
    training answers. The constant is the training answer (for choices: a letter, or the text of an option wherever it stands) with the best
    mean score on the training rows; ties go to the more frequent, then to the first in alphabetical order.
    Raises DataError where the task has no training row, or rows of several tasks are mixed.
    """
    tasks = {sample.task for sample in (*held_out, *train)}
    if len(tasks) != 1:
        raise DataError(f"baselines: expected rows of one task, found {sorted(tasks)}")
    if not train:
        raise DataError(f"baselines: task '{tasks.pop()}' has no training row to guess from. Fix: pass the train split of the data set")
    constant = _constant_answer(train)
    return Guesses(
        chance=_chance(held_out, train),
        most_frequent=score_texts(held_out, [constant])[:, 0],
        most_frequent_answer=constant,
    )


def score_texts(samples: Sequence[Sample], texts: Sequence[str]) -> np.ndarray:
    """Scores `(len(samples), len(texts))` of constant answers."""
    table = np.empty((len(samples), len(texts)))
    for index, sample in enumerate(samples):
        answer_format = sample.answer_format
        table[index] = [_score(answer_format, text, sample.answer_value) for text in texts]
    return table


@lru_cache(maxsize=1 << 19)  # rows that ask the same, and the next model on the same rows, are scored once
def _score(answer_format: AnswerFormat, text: str, truth: float | str | tuple[float, ...]) -> float:
    """Score of a constant; the text of an option becomes the letter under which this row offers it."""
    if isinstance(answer_format, Choice) and text in answer_format.options:
        text = answer_format.letter_of(text)
    return answer_format.score(text, truth).score


def _chance(held_out: Sequence[Sample], train: Sequence[Sample]) -> np.ndarray:
    chance = np.array([_one_of(one.answer_format) for one in held_out])
    drawn = np.flatnonzero(np.isnan(chance))
    if len(drawn):
        texts, weights = _spread([sample.answer_text for sample in sorted(train, key=_by_value)], MAX_DRAWS)
        chance[drawn] = score_texts([held_out[index] for index in drawn], texts) @ weights
    return chance


def _one_of(answer_format: AnswerFormat) -> float:
    """Chance of a uniform draw among the answers that a format allows; NaN where it does not list them."""
    if isinstance(answer_format, Choice):
        return 1.0 / len(answer_format.options)
    return 1.0 / len(answer_format.words) if isinstance(answer_format, Word) else float("nan")


def _constant_answer(train: Sequence[Sample]) -> str:
    answers = [sample.answer_text for sample in sorted(train, key=_by_value)]
    for sample in train:
        if sample.answer_kind == Choice.kind:
            answers.append(sample.answer_format.option_of(sample.answer_value))
    counted = Counter(answers)
    if len(counted) > MAX_CANDIDATES:
        common = [text for text, _ in counted.most_common(MAX_CANDIDATES // 2)]
        spread, _ = _spread(answers, MAX_CANDIDATES - len(common))
        counted = Counter({text: counted[text] for text in (*common, *spread)})
    candidates = sorted(counted, key=lambda text: (-counted[text], text))
    every = -(-len(train) // MAX_TRAINING_ROWS)
    means = score_texts(train[::every], candidates).mean(axis=0)
    return candidates[int(np.argmax(means))]


def _by_value(sample: Sample) -> tuple[float, str]:
    value = sample.answer_value
    if isinstance(value, tuple):
        return (float(np.hypot.reduce(value)) if value else 0.0, sample.answer_text)
    return (value, "") if isinstance(value, int | float) else (0.0, value)


def _spread(answers: Sequence[str], most: int) -> tuple[list[str], np.ndarray]:
    """Distinct answers and their shares `(K,)`; where there are more than `most`, evenly spaced order statistics of the sorted answers."""
    if len(set(answers)) > most:
        answers = [answers[int((step + 0.5) * len(answers) / most)] for step in range(most)]
    counted = Counter(answers)
    return list(counted), np.array(list(counted.values())) / len(answers)


MIN_GROUP = 3  # training rows that share their words before a guess is made from them
COMMON_SHARE = 0.2  # words in more than this share of a task's questions belong to its wording, not to what is asked about


def guess_from_words(held_out: Sequence[Sample], train: Sequence[Sample]) -> np.ndarray:
    """Score `(n,)` of guessing from the question's words alone, without images.

    For choices: the option that was right most often where it was offered, by its words. For all others: the answer that is best, as a
    constant, over the training questions that share the same rare words (such as the name of the object), where there are at least
    `MIN_GROUP`; else the constant answer of the task.
    """
    if isinstance(train[0].answer_format, Choice):
        return _guess_options(held_out, train)
    common = _common_words(train)
    groups: dict[frozenset[str], list[Sample]] = {}
    for sample in train:
        groups.setdefault(_words(sample) - common, []).append(sample)
    fallback = _constant_answer(train)
    constants = {key: _constant_answer(rows) for key, rows in groups.items() if len(rows) >= MIN_GROUP}
    scores = [_score(one.answer_format, constants.get(_words(one) - common, fallback), one.answer_value) for one in held_out]
    return np.array(scores)


def _guess_options(held_out: Sequence[Sample], train: Sequence[Sample]) -> np.ndarray:
    offered: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for sample in train:
        form = sample.answer_format
        offered.update(form.options)
        right[form.option_of(sample.answer_value)] += 1
    scores = []
    for sample in held_out:
        form = sample.answer_format
        # a right answer beforehand in so many offers as there are options: what was seen once does not count as certain
        rate = {one: (right[one] + 1) / (offered[one] + len(form.options)) for one in form.options}
        best = max(form.letters, key=lambda letter: rate[form.option_of(letter)])
        scores.append(form.score(best, sample.answer_value).score)
    return np.array(scores)


def _common_words(samples: Sequence[Sample]) -> frozenset[str]:
    counted = Counter(word for sample in samples for word in _words(sample))
    return frozenset(word for word, count in counted.items() if count > COMMON_SHARE * len(samples))


def _words(sample: Sample) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", sample.question.lower())) - frozenset(MARK_COLOURS)
