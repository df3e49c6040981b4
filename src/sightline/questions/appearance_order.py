"""Appearance order: in which order four objects come into sight for the first time along the walk."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.fact import FactTable
from sightline.questions.choosing import Letters, choose
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.templates import object_name, spoken, word

TRIED_PER_QUESTION = 15  # sequences of images drawn
ORDERED = 4  # objects put into order, and as many orders to choose from

TEMPLATES = (
    "In what order do these objects first appear in {here}: {things}?",
    "What is the order of first appearance in {here} of {things}?",
    "Going through {here} from first to last, in which order do you first see {things}?",
    "Put these in the order in which they first come into view in {here}: {things}.",
    "Which of these comes into sight first, second, third and last in {here}: {things}?",
    "Sort {things} by when they are first seen in {here}.",
    "In {here}, which order of first appearance is right for {things}?",
    "Looking at {here} in order, when do you first see {things}? Choose the right order.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence4:
    """Four objects in the order in which the frames first show them."""

    frames: tuple[int, ...]
    object_ids: tuple[int, ...]
    places: tuple[int, ...]  # of their first frame among the frames


class AppearanceOrder:
    """Choice of four orders. Each object is the only one that goes by its name; the first image that shows any of it shows it clearly."""

    name: ClassVar[str] = "appearance_order"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views", "object_glimpses"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_step_count": 1,  # shown images from one first appearance to the next: 0 would be two in one image
        "frames": 8,  # images of one question, evenly spaced over a part of the walk; a video shows more
        "min_walk_share": 0.5,  # of the walk's frames, that part of it
        "min_visible_share": 0.15,  # of an object's points, in the image that counts as its first appearance
        "max_object_share": 0.5,  # of the questions wanted, that name one object; four of them are named in each
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        letters = Letters(rng, options)
        is_seen = _glimpsed(facts, shown)
        found: list[Sequence4] = []
        known: set[tuple[tuple[int, ...], frozenset[int]]] = set()
        glimpsed: set[int] = set()
        for _ in range(
            TRIED_PER_QUESTION * options.max_per_scan if len(facts.frames.frame_ids) >= ORDERED and len(shown.object_ids) else 0
        ):
            frames = self._frames(shown, rng, margins)
            one, early = self._sequence(shown, is_seen, frames, rng, min_step=int(margins["min_step_count"]))
            glimpsed |= early
            if one is None:
                if not shown.video:
                    yield Skip(task=self.name, scan_id=facts.scan_id, reason="too_few_appear_one_by_one")
                continue
            if (one.frames, frozenset(one.object_ids)) not in known:
                known.add((one.frames, frozenset(one.object_ids)))
                found.append(one)
        for _ in sorted(glimpsed):
            yield Skip(task=self.name, scan_id=facts.scan_id, reason="glimpsed_before_it_is_clear")

        def build(one: Sequence4) -> Question:
            return self._question(one, shown, facts, rng, letters, margins)

        yield from choose(
            found,
            key=lambda one: None,
            build=build,
            rng=rng,
            options=options,
            video_ids=shown.video_ids,
            about=lambda one: one.object_ids,
            max_object_share=margins["max_object_share"],
        )

    @staticmethod
    def _frames(shown: Shown, rng: np.random.Generator, margins: Mapping[str, float]) -> tuple[int, ...]:
        """The video, or evenly spaced frames of a random part of the walk."""
        if shown.video:
            return shown.video
        count = shown.is_clear.shape[1]
        length = int(rng.integers(int(np.ceil(margins["min_walk_share"] * count)), count + 1))
        start = int(rng.integers(count - length + 1))
        places = np.linspace(start, start + length - 1, min(int(margins["frames"]), length))
        return tuple(int(one) for one in np.round(places))

    @staticmethod
    def _sequence(
        shown: Shown, is_seen: np.ndarray, frames: tuple[int, ...], rng: np.random.Generator, *, min_step: int
    ) -> tuple[Sequence4 | None, set[int]]:
        """Four objects at random whose first appearances are far enough apart; and those that are glimpsed before they are clear."""
        columns = list(frames)
        clear, seen = shown.is_clear[:, columns], is_seen[:, columns]
        usable = [row for row in np.flatnonzero(clear.any(axis=1)) if shown.is_unique[shown.object_ids[row]]]
        first = {row: int(clear[row].argmax()) for row in usable}
        early = {row for row in usable if seen[row].argmax() != first[row]}
        rows: list[int] = []
        for row in rng.permutation(sorted(set(usable) - early)).astype(int).tolist():
            if len(rows) < ORDERED and all(abs(first[row] - first[other]) >= max(min_step, 1) for other in rows):
                rows.append(row)
        if len(rows) < ORDERED:
            return None, early
        rows.sort(key=first.__getitem__)
        object_ids = tuple(shown.object_ids[row] for row in rows)
        return Sequence4(frames=frames, object_ids=object_ids, places=tuple(first[row] for row in rows)), early

    def _question(
        self,
        one: Sequence4,
        shown: Shown,
        facts: FactTable,
        rng: np.random.Generator,
        letters: Letters,
        margins: Mapping[str, float],
    ) -> Question:
        names = [spoken(shown.category(object_id)) for object_id in one.object_ids]
        orders = [", ".join(order) for order in permutations(names)]
        right, others = orders[0], orders[1:]
        # Any other order is equally likely: wrong orders made by small changes of the right one would give it away as their middle.
        wrong = [others[index] for index in rng.choice(len(others), size=ORDERED - 1, replace=False)]
        choice = letters.choice(right, wrong, order=sorted(orders))
        mentioned = [object_name(shown.category(one.object_ids[index]), None) for index in rng.permutation(ORDERED)]
        things = f"{', '.join(mentioned[:-1])} and {mentioned[-1]}"
        wording = word(self.name, TEMPLATES, rng, here=shown.here(one.frames), things=things)
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=tuple(facts.frames.frame_ids[frame] for frame in one.frames),
            text=f"{wording.text} {choice.listing}",
            answer=Answer(format=choice, value=choice.letter_of(right)),
            template_id=wording.template_id,
            evidence={
                "order": right,
                "first_images": ", ".join(str(place + 1) for place in one.places),
                "least_visible_share": round(
                    min(shown.views[object_id, one.frames[place]].visible_share for object_id, place in zip(one.object_ids, one.places)), 4
                ),
            },
            object_ids=one.object_ids,
        )


def _glimpsed(facts: FactTable, shown: Shown) -> np.ndarray:
    """Which frames `(K, F)` bool show anything of an object, if only a pixel; rows as in `shown.object_ids`."""
    glimpses = facts.object_glimpses
    is_seen = np.zeros(shown.is_clear.shape, dtype=bool)
    for object_id, frame in zip(glimpses.object_id.tolist(), glimpses.frame.tolist()):
        if object_id in shown.row_of:
            is_seen[shown.row_of[object_id], frame] = True
    return is_seen
