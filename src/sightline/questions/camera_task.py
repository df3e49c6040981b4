"""What the tasks about camera motion share: pairs of frames measured, refused by margins, evened out and stored as rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.choosing import log_bins
from sightline.questions.frame_pairs import OrderedPairs, ordered_pairs, overlap_bins
from sightline.questions.margins import margins_of
from sightline.questions.picking import pick
from sightline.questions.question import TaskOptions
from sightline.questions.rows import IndexedTask, Selected, to_hundred_thousandths_deg, to_hundredths_mm, to_ten_thousandths

SMALLEST_M = 0.01  # steps below it share the lowest bin of lengths
MOST_OVER, SLACK = 1.5, 3  # few even questions beat many lopsided ones; a handful is too few to be called lopsided
LENGTH_BINS = 64  # bins of 30 % up from SMALLEST_M reach beyond any building


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Measured:
    """What a task measured of K ordered pairs."""

    payload: Mapping[str, np.ndarray]  # column of the row -> (K,) in the unit of its suffix
    answer: np.ndarray  # (K,) what is evened out first
    spread: np.ndarray  # (K,) int64, what is evened out within one answer, besides the overlap
    refused: Mapping[str, np.ndarray]  # reason -> (K,) bool; a pair is counted under the first reason that holds
    word: np.ndarray | None = None  # (K,) place of the answer among the task's words, where it is a word


class CameraTask(IndexedTask):
    """One question about the motion between two images, each frame pair at most once, in an order drawn by a fair coin."""

    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs"))
    TEMPLATES: ClassVar[tuple[str, ...]]

    def measured(self, pairs: OrderedPairs, margins: Mapping[str, float]) -> Measured:
        """The task's own quantity for every pair."""
        raise NotImplementedError

    def select(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Selected:
        pairs, skips = ordered_pairs(facts, rng, options)
        found = self.measured(pairs, margins_of(self, options))
        is_fair = np.ones(len(pairs.first), dtype=bool)
        for reason, refused in found.refused.items():
            skips[reason] = int((is_fair & refused).sum())
            is_fair &= ~refused
        fair = np.flatnonzero(is_fair)
        picked = pick(
            (pairs.first[fair], pairs.second[fair]),
            answer=found.answer[fair],
            spread=found.spread[fair] * 64 + overlap_bins(pairs.overlap[fair]),
            rng=rng,
            most=options.max_per_scan,
            most_per_frame=options.max_per_frame,
            balance=options.balance,
            num_frames=len(facts.frames.frame_ids),
        )
        chosen = fair[picked.index]
        if options.balance and found.word is not None:
            even = _while_even(found.word[chosen])
            skips["other_word_ran_out"] = len(chosen) - even
            chosen = chosen[:even]
        rows = self.rows(
            len(chosen),
            template=rng.integers(len(self.TEMPLATES), size=len(chosen)),
            order=0 if found.word is None else found.word[chosen],
            first=pairs.first[chosen],
            second=pairs.second[chosen],
            overlap=to_ten_thousandths(pairs.overlap[chosen]),
            **{name: in_steps(name, values[chosen]) for name, values in found.payload.items()},
        )
        return Selected(rows=rows, skips={**skips, "frame_asked_often_enough": picked.frame_used_up})

    @property
    def template_ids(self) -> tuple[str, ...]:
        return tuple(f"{self.name}.{index}" for index in range(len(self.TEMPLATES)))


def _while_even(word: np.ndarray) -> int:
    """How many of the words `(K,)` (0 or 1) come before one of them is half as often again as the other; all where there is only one."""
    ahead = np.cumsum(word == 1), np.cumsum(word == 0)
    if not len(word) or min(ahead[0][-1], ahead[1][-1]) == 0:
        return len(word)
    uneven = np.flatnonzero(np.maximum(*ahead) > MOST_OVER * np.minimum(*ahead) + SLACK)
    return int(uneven[0]) if len(uneven) else len(word)


def length_bins(lengths_m: np.ndarray) -> np.ndarray:
    """Bins of 30 % of lengths `(K,)`, 0 to LENGTH_BINS - 1."""
    return np.clip(log_bins(np.maximum(lengths_m, SMALLEST_M) / SMALLEST_M), 0, LENGTH_BINS - 1)


def in_steps(column: str, values: np.ndarray) -> np.ndarray:
    """Lengths (`_m`) and angles (`_deg`) of a column as the whole steps that rows store."""
    return to_hundredths_mm(values) if column.endswith("_m") else to_hundred_thousandths_deg(values)
