"""Relative distance: which of four objects is closest to a fifth one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.fact import FactTable
from sightline.questions.choosing import Letters, choose
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.templates import object_name, spoken, word

TRIED_PER_QUESTION = 30  # sets of five drawn: in most, two are nearly equally far
OFFERED = 4  # options
MOST_AHEAD = 1.5  # an object may be right this much more often than one in four of the times it is offered

TEMPLATES = (
    "Which of these objects is closest to {x}, between closest points?",
    "Measured between closest points, which of these objects is nearest to {x}?",
    "Which one of these has the smallest gap to {x}?",
    "Of these four objects, which comes closest to {x} at its closest point?",
    "Going straight from the surface of {x} to that of each of these, which way is the shortest?",
    "Compare the gaps between {x} and each of these objects. Which gap is the smallest?",
    "Which of the four objects listed is at the shortest distance from {x}, surface to surface?",
    "Starting at {x}, which of these could be reached by the shortest straight line?",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Nearest:
    """An object, four others by distance from it, and the frames that show the five."""

    main: int
    by_distance: tuple[int, int, int, int]
    gaps_m: tuple[float, float, float, float]
    frames: tuple[int, ...]


class RelativeDistance:
    """Choice of four. Every object is the only one that goes by its name; the winner is nearer by a margin in metres and in per cent."""

    name: ClassVar[str] = "relative_distance"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views", "object_pairs"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_lead_m": 0.15,  # by which the nearest beats the second: three times what a fitted box is off by
        "min_lead_share": 0.15,  # of the second's distance: people judge distances to about a tenth
        "min_nearest_m": 0.0,  # of the nearest; touching is a fair answer here, VSI-Bench wants 0.15
        "min_between_m": 0.0,  # between any two of the four distances; only the nearest is asked here, VSI-Bench wants 0.15 of all
        "max_frames": 4,  # images of one question, each overlapping another; a video shows more
        "min_visible_share": 0.2,  # of an object's points, in a frame that is said to show it
        "max_object_share": 0.25,  # of the questions wanted, about one object as the one to be close to
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        letters = Letters(rng, options)
        table_m = _gaps_m(facts, shown)
        found: list[Nearest] = []
        for main, others, frames in self._drawn(shown, rng, options, most=int(margins["max_frames"])):
            gaps_m = table_m[shown.row_of[main], [shown.row_of[one] for one in others]]
            reason = _unfair(np.sort(gaps_m), margins)
            if reason:
                yield Skip(task=self.name, scan_id=facts.scan_id, reason=reason)
                continue
            order = np.argsort(gaps_m)
            found.append(
                Nearest(
                    main=main,
                    by_distance=tuple(others[index] for index in order),
                    gaps_m=tuple(float(gaps_m[index]) for index in order),
                    frames=frames,
                )
            )

        def build(nearest: Nearest) -> Question:
            return self._question(nearest, shown, facts, rng, letters, margins)

        yield from choose(
            evened(found) if options.balance else found,
            key=lambda nearest: None,
            build=build,
            rng=rng,
            options=options,
            video_ids=shown.video_ids,
            about=lambda nearest: (nearest.main,),
            max_object_share=margins["max_object_share"],
        )

    @staticmethod
    def _drawn(
        shown: Shown, rng: np.random.Generator, options: TaskOptions, *, most: int
    ) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
        """Distinct objects with four others, and frames that show the five clearly, at random."""
        is_unique = np.array([shown.is_unique[one] for one in shown.object_ids], dtype=bool)
        if is_unique.sum() <= OFFERED or not shown.is_clear.shape[1]:
            return
        seen: set[tuple[int, frozenset[int]]] = set()
        for _ in range(TRIED_PER_QUESTION * options.max_per_scan):
            frames = shown.chain(most=most, rng=rng)
            rows = np.flatnonzero(shown.is_clear[:, list(frames)].any(axis=1) & is_unique)
            if len(rows) <= OFFERED:
                continue
            main, *others = (shown.object_ids[row] for row in rng.permutation(rows)[: OFFERED + 1])
            if (main, frozenset(others)) not in seen:
                seen.add((main, frozenset(others)))
                yield main, tuple(others), frames

    def _question(
        self,
        nearest: Nearest,
        shown: Shown,
        facts: FactTable,
        rng: np.random.Generator,
        letters: Letters,
        margins: Mapping[str, float],
    ) -> Question:
        right, *wrong = (spoken(shown.category(one)) for one in nearest.by_distance)
        choice = letters.choice(right, wrong, order=sorted((right, *wrong)))
        wording = word(self.name, TEMPLATES, rng, x=object_name(shown.category(nearest.main), None))
        first_m, second_m = nearest.gaps_m[:2]
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=tuple(facts.frames.frame_ids[frame] for frame in nearest.frames),
            text=f"{wording.text} {choice.listing}",
            answer=Answer(format=choice, value=choice.letter_of(right)),
            template_id=wording.template_id,
            evidence={
                "nearest_m": round(first_m, 4),
                "second_m": round(second_m, 4),
                "lead_share": round((second_m - first_m) / second_m, 4),
                "min_lead_m": margins["min_lead_m"],
                "min_lead_share": margins["min_lead_share"],
                "nearest": right,
            },
            object_ids=(nearest.main, *nearest.by_distance),
        )


def _gaps_m(facts: FactTable, shown: Shown) -> np.ndarray:
    """Closest distances `(K, K)` of the objects in `shown.object_ids`."""
    pairs, ids = facts.object_pairs, np.array(shown.object_ids, dtype=np.int64)
    table_m = np.zeros((len(ids), len(ids)))
    is_asked = np.isin(pairs.first, ids) & np.isin(pairs.second, ids)
    first, second = (np.searchsorted(ids, column[is_asked]) for column in (pairs.first, pairs.second))
    table_m[first, second] = table_m[second, first] = pairs.closest_m[is_asked]
    return table_m


def _unfair(sorted_m: np.ndarray, margins: Mapping[str, float]) -> str | None:
    """Why four distances, nearest first, make no question."""
    lead_m = sorted_m[1] - sorted_m[0]
    if lead_m < margins["min_lead_m"] or lead_m < margins["min_lead_share"] * sorted_m[1]:
        return "too_close_to_tell"
    if sorted_m[0] < margins["min_nearest_m"]:
        return "touching"
    if np.diff(sorted_m).min() < margins["min_between_m"]:
        return "two_nearly_as_far"
    return None


def evened(found: Sequence[Nearest]) -> list[Nearest]:
    """Candidates in an order in which each object is right about once in the four times it is offered, else its name gives it away.

    The next one is always of the object that is most behind; when all that are left are ahead by `MOST_AHEAD`, the rest is dropped.
    """
    waiting: dict[int, list[Nearest]] = {}
    for one in reversed(found):
        waiting.setdefault(one.by_distance[0], []).append(one)
    lead: dict[int, float] = {one: 0.0 for nearest in found for one in nearest.by_distance}
    order: list[Nearest] = []
    while waiting:
        behind = min(waiting, key=lead.__getitem__)
        if lead[behind] > MOST_AHEAD:
            break
        one = waiting[behind].pop()
        if not waiting[behind]:
            del waiting[behind]
        order.append(one)
        lead[behind] += 1.0
        for other in one.by_distance:
            lead[other] -= 1.0 / OFFERED
    return order
