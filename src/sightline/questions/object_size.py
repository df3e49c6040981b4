"""Object size: the longest of an object's three dimensions, in centimetres."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.captures.capture import SceneObject
from sightline.facts.coverage import HEIGHT, LENGTH
from sightline.facts.fact import FactTable
from sightline.questions.choosing import choose, log_bin
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.shown import Shown
from sightline.questions.templates import word

TEMPLATES = (
    "How long is {a} along its longest side?",
    "What is the length of the longest side of {a}?",
    "How large is {a} along its largest dimension?",
    "Estimate the largest dimension of {a}.",
    "What is the largest of the three dimensions of {a}?",
    "Look at {a}. How long is its longest side?",
    "Of the height, width and length of {a}, how long is the largest?",
    "Measure {a} along its longest side: how long is it?",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """An object, the frames that show its longest side from end to end, and how long that is."""

    object_id: int
    frames: tuple[int, ...]
    size_cm: float


class ObjectSize:
    """Centimetres of an object's oriented box along its longest axis, asked where the shown images span that axis.

    One image must show the object whole, not cut by its edge; of a video, the frames together span the side and at least one shows the
    object clearly.
    """

    name: ClassVar[str] = "object_size"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "objects", "object_views", "coverage"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_size_cm": 10.0,  # boxes fit their objects to about a centimetre: 10 % of this
        "max_size_cm": 1000.0,
        "min_visible_share": 0.3,  # of the object's points: a surface that is mostly hidden gives its size away to nobody
        "min_extent_share": 0.8,  # of the box's longest side, spanned by the object's measured points: else half of it was never scanned
        "tries_per_object": 3,  # different views of one object
        "max_object_share": 0.25,  # of the questions wanted, about one object
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        shown = Shown(facts, min_visible_share=margins["min_visible_share"], options=options, as_video=True)
        spanned = _spanned_m(facts)
        candidates: list[Measured] = []
        for object_id in (shown.object_ids[index] for index in rng.permutation(len(shown.object_ids))):
            size_cm, axis = longest_cm(shown.objects[object_id])
            sets = spanned.get((object_id, axis), {})
            frames = [one for one in self._views(shown, object_id) if self._spans(one, sets)]
            reason = None
            if not frames:
                reason = "not_wholly_shown"
            elif not margins["min_size_cm"] <= size_cm <= margins["max_size_cm"]:
                reason = "too_small" if size_cm < margins["min_size_cm"] else "too_large"
            elif max(sets.values()) * 100.0 < margins["min_extent_share"] * size_cm:
                reason = "box_larger_than_what_was_scanned"
            if reason:
                yield Skip(task=self.name, scan_id=facts.scan_id, reason=reason)
                continue
            for index in rng.permutation(len(frames))[: int(margins["tries_per_object"])]:
                candidates.append(Measured(object_id=object_id, frames=frames[index], size_cm=size_cm))
        candidates = [candidates[index] for index in rng.permutation(len(candidates))]

        def build(measured: Measured) -> Question | Skip:
            return self._question(measured, shown, facts, rng, options)

        yield from choose(
            candidates,
            key=lambda measured: log_bin(measured.size_cm),
            build=build,
            rng=rng,
            options=options,
            video_ids=shown.video_ids,
            about=lambda measured: (measured.object_id,),
            max_object_share=margins["max_object_share"],
        )

    @staticmethod
    def _views(shown: Shown, object_id: int) -> list[tuple[int, ...]]:
        """Sets of frames that might be shown: the video where it shows the object clearly, else each uncut clear view alone."""
        views = shown.views_of(object_id)
        if shown.video:
            return [shown.video] if views else []
        return [(view.frame,) for view in views if not view.is_cut]

    @staticmethod
    def _spans(frames: tuple[int, ...], sets: Mapping[tuple[int, int], float]) -> bool:
        """Whether one of the minimal spanning sets is among the frames."""
        held = {-1, *frames}
        return any(first in held and second in held for first, second in sets)

    def _question(
        self, measured: Measured, shown: Shown, facts: FactTable, rng: np.random.Generator, options: TaskOptions
    ) -> Question | Skip:
        named = shown.introduce([measured.object_id], measured.frames, rng=rng)
        if isinstance(named, str):
            return Skip(task=self.name, scan_id=facts.scan_id, reason=named)
        wording = word(self.name, TEMPLATES, rng, a=named.names[0])
        form = Number(unit="cm", decimals=0, high=2000.0, tolerance_share=options.tolerance_share)
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=tuple(facts.frames.frame_ids[frame] for frame in measured.frames),
            text=wording.text,
            answer=Answer(format=form, value=measured.size_cm),
            template_id=wording.template_id,
            evidence={
                "size_cm": round(measured.size_cm, 2),
                "visible_share": round(shown.best_view(measured.object_id, measured.frames).visible_share, 4),
            },
            marks=named.marks,
            object_ids=(measured.object_id,),
        )


def longest_cm(one: SceneObject) -> tuple[float, int]:
    """The longest side of an object's box, and which axis of `CoverageFacts` that is: its height, or the longer horizontal one."""
    size_m = one.box.size_m
    return float(size_m.max() * 100.0), HEIGHT if size_m[2] > size_m[:2].max() else LENGTH


def _spanned_m(facts: FactTable) -> dict[tuple[int, int], dict[tuple[int, int], float]]:
    """Per object and axis, the extent of its measured points by each minimal set of frames (second -1: one is enough)."""
    found: dict[tuple[int, int], dict[tuple[int, int], float]] = {}
    sets = facts.coverage
    columns = (sets.object_id, sets.axis, sets.first, sets.second, sets.extent_m)
    for object_id, axis, first, second, extent_m in zip(*(column.tolist() for column in columns)):
        found.setdefault((object_id, axis), {})[first, second] = extent_m
    return found
