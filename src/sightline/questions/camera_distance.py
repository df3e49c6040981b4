"""Camera distance: how far the camera moved between two images, in a straight line."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.number import Number
from sightline.facts.fact import FactTable
from sightline.questions.choosing import log_bins
from sightline.questions.frame_pairs import overlap_bins, pairs_in_band
from sightline.questions.margins import margins_of
from sightline.questions.picking import pick
from sightline.questions.question import Question, TaskOptions
from sightline.questions.rows import IndexedTask, Renderer, ScanHead, Selected
from sightline.questions.units import DECIMALS, PER_M

TEMPLATES = (
    "How far did the camera move between the two images?",
    "What is the distance between the two camera positions?",
    "How far apart are the places from which these images were taken?",
    "How far is the second camera position from the first?",
    "The camera moved from view 1 to view 2. How long is the straight line between them?",
    "From the first image to the second, how far did the camera travel in a straight line?",
    "By how much did the camera change its place between these two views?",
    "What distance lies between the camera of image 1 and the camera of image 2?",
)


class CameraDistance(IndexedTask):
    """Straight distance of two camera centres, in `options.length_unit`."""

    name: ClassVar[str] = "camera_distance"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_distance_m": 0.5,  # in metres with one decimal, rounding moves an answer by 10 % at most
        "max_distance_m": 20.0,
    }
    PAYLOAD: ClassVar[np.dtype] = np.dtype([("distance_m", "f4"), ("overlap", "f4")])

    def select(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Selected:
        margins = margins_of(self, options)
        pairs = facts.pairs
        in_band, skips = pairs_in_band(facts, options)
        distance_m = pairs.distance_m[in_band]
        is_far = distance_m >= margins["min_distance_m"]
        is_near = distance_m <= margins["max_distance_m"]
        skips |= {"moved_too_little": int((~is_far).sum()), "moved_too_far": int((~is_near).sum())}
        index = in_band[is_far & is_near]
        picked = pick(
            (pairs.first[index], pairs.second[index]),
            answer=log_bins(pairs.distance_m[index]),
            spread=overlap_bins(pairs.overlap[index]),
            rng=rng,
            most=options.max_per_scan,
            most_per_frame=options.max_per_frame,
            balance=options.balance,
            num_frames=len(facts.frames.frame_ids),
        )
        chosen = index[picked.index]
        swap = rng.random(len(chosen)) < 0.5  # which image comes first
        rows = self.rows(
            len(chosen),
            template=rng.integers(len(TEMPLATES), size=len(chosen)),
            first=np.where(swap, pairs.second[chosen], pairs.first[chosen]),
            second=np.where(swap, pairs.first[chosen], pairs.second[chosen]),
            distance_m=pairs.distance_m[chosen],
            overlap=pairs.overlap[chosen],
        )
        return Selected(rows=rows, skips={**skips, "frame_asked_often_enough": picked.frame_used_up})

    def renderer(self, options: TaskOptions) -> Renderer:
        unit = options.length_unit
        per_m = PER_M[unit]
        form = Number(unit=unit, decimals=DECIMALS[unit], high=100.0 * per_m, tolerance_share=options.tolerance_share)
        margin_m = margins_of(self, options)["min_distance_m"]
        template_ids = [f"{self.name}.{index}" for index in range(len(TEMPLATES))]

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, _, _, first, second, distance_m, overlap = row[:8]
            return Question(
                task="camera_distance",
                scan_id=scan.scan_id,
                frame_ids=(scan.frame_ids[first], scan.frame_ids[second]),
                text=TEMPLATES[template],
                answer=Answer(format=form, value=distance_m * per_m),
                template_id=template_ids[template],
                evidence={"distance_m": round(distance_m, 4), "overlap": round(overlap, 4), "min_distance_m": margin_m},
            )

        return render
