"""Correspondence coordinate: where a point given by its place in image 1 is in image 2."""

from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.fact import FactTable
from sightline.questions.correspondence_pairs import usable_matches
from sightline.questions.frame_pairs import overlap_bins
from sightline.questions.margins import margins_of
from sightline.questions.marks import sizes_px
from sightline.questions.picking import pick
from sightline.questions.question import Question, TaskOptions
from sightline.questions.rows import WHOLE, IndexedTask, Renderer, ScanHead, Selected, to_sixteenths
from sightline.questions.single_points import WrittenPoints

TEMPLATES = (
    "The point {point} of image 1 is visible in image 2 as well. Where is it there?",
    "Where in image 2 is the point that is at {point} in image 1?",
    "Look at the surface at {point} in image 1. At which point of image 2 is the same surface?",
    "Find the point {point} of image 1 again in image 2. Where is it?",
    "Image 1 shows a spot of the scene at {point}. Where does image 2 show the same spot?",
    "Which point in image 2 corresponds to {point} in image 1?",
    "A point of the room is at {point} in image 1. What are its coordinates in image 2?",
    "In image 1 a point lies at {point}. Give the place of the same point in image 2.",
)
CELLS = np.array([4, 3])  # the answer's place in the image is evened out over so many columns and rows


class CorrespondenceCoordinate(IndexedTask):
    """From `[x, y]` in image 1 to `[x, y]` in image 2, both in `options.point_scale`. Copying the coordinate never scores."""

    name: ClassVar[str] = "correspondence_coordinate"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "correspondences"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_moved_share": 0.07,  # of the image width: the scoring radius is 0.05, so copying the coordinate of image 1 is always wrong
    }
    PAYLOAD: ClassVar[np.dtype] = np.dtype([("u_16", "u2"), ("v_16", "u2"), ("found_u_16", "u2"), ("found_v_16", "u2"), ("overlap", "f4")])

    def select(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Selected:
        moved_share = margins_of(self, options)["min_moved_share"]
        matches, skips = usable_matches(facts, rng, options, min_moved_share=moved_share)
        columns, rows_down = np.minimum((matches.second_uv + 0.5) / sizes_px(facts)[matches.second] * CELLS, CELLS - 1).astype(np.int64).T
        picked = pick(
            (matches.first, matches.second),
            answer=rows_down * CELLS[0] + columns,
            spread=overlap_bins(matches.overlap),
            rng=rng,
            most=options.max_per_scan,
            most_per_frame=options.max_per_frame,
            balance=options.balance,
            num_frames=len(facts.frames.frame_ids),
        )
        chosen = matches.taken(picked.index)
        rows = self.rows(
            len(picked.index),
            template=rng.integers(len(TEMPLATES), size=len(picked.index)),
            first=chosen.first,
            second=chosen.second,
            u_16=to_sixteenths(chosen.first_uv[:, 0]),
            v_16=to_sixteenths(chosen.first_uv[:, 1]),
            found_u_16=to_sixteenths(chosen.second_uv[:, 0]),
            found_v_16=to_sixteenths(chosen.second_uv[:, 1]),
            overlap=chosen.overlap,
        )
        return Selected(rows=rows, skips={**skips, "frame_asked_often_enough": picked.frame_used_up})

    def renderer(self, options: TaskOptions) -> Renderer:
        written = WrittenPoints(options.point_scale)
        template_ids = [f"{self.name}.{index}" for index in range(len(TEMPLATES))]
        pieces = [one.partition("{point}") for one in TEMPLATES]
        margin_share = margins_of(self, options)["min_moved_share"]

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, _, _, first, second, u_16, v_16, found_u, found_v, overlap, _ = row
            width, height = scan.widths[second], scan.heights[second]
            form = written.form(width, height)
            before, _, after = pieces[template]
            first_width, first_height = scan.widths[first], scan.heights[first]
            u_px, v_px, found_u_px, found_v_px = u_16 / 16.0, v_16 / 16.0, found_u / 16.0, found_v / 16.0
            point = written.of(u_px, v_px, width=first_width, height=first_height)
            moved_u = found_u_px + 0.5 - (u_px + 0.5) / first_width * width
            moved_v = found_v_px + 0.5 - (v_px + 0.5) / first_height * height
            return Question.made(
                task="correspondence_coordinate",
                scan_id=scan.scan_id,
                frame_ids=(scan.frame_ids[first], scan.frame_ids[second]),
                text=f"{before}{point}{after}",
                answer=Answer.made(format=form, value=form.from_px(found_u_px, found_v_px)),
                template_id=template_ids[template],
                evidence={
                    "moved_share": round(sqrt(moved_u * moved_u + moved_v * moved_v) / width, 4),
                    "min_moved_share": margin_share,
                    "overlap": (overlap * 1e4 + WHOLE - WHOLE) / 1e4,
                },
            )

        return render
