"""Correspondence choice: which of four lettered dots in image 2 stands on the same surface point as the dot in image 1."""

from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.answers.word import Word
from sightline.facts.fact import FactTable
from sightline.questions.correspondence_pairs import usable_matches
from sightline.questions.correspondence_places import APART_SHARE, WRONG, lay_out
from sightline.questions.frame_pairs import overlap_bins
from sightline.questions.margins import margins_of
from sightline.questions.marks import sizes_px
from sightline.questions.picking import pick
from sightline.questions.question import MARK_COLOURS, Mark, Question, TaskOptions
from sightline.questions.rows import IndexedTask, Renderer, ScanHead, Selected, to_sixteenths

TEMPLATES = (
    "The {colour} dot in image 1 marks a point. Which lettered dot in image 2 marks the same point?",
    "Which of the {colour} dots A, B, C and D in image 2 is on the same spot of the scene as the dot in image 1?",
    "Find the point under the {colour} dot of image 1 again. Which lettered dot of image 2 is on it?",
    "Image 2 has four {colour} dots, A, B, C and D. Which of them is on the place in the room that the dot in image 1 is on?",
    "Look at the surface under the {colour} dot in image 1. Which of the dots A, B, C and D in image 2 is on it too?",
    "Both images show the place that the {colour} dot in image 1 is on. Which letter has the dot in image 2 that is there?",
    "Match the {colour} dot of image 1 with one of the dots A, B, C and D of image 2. Which one is on the same point?",
    "One of the {colour} dots A, B, C and D in image 2 marks the very point marked in image 1. Which one?",
)
LETTERS = ("A", "B", "C", "D")
STEPS = 4096  # places are stored as whole steps of this part of the image's width and height: exact to 0.16 of a pixel in 1296
TRIED_PER_QUESTION = 8  # matches for which places are drawn
COLOURS = tuple(MARK_COLOURS)


class CorrespondenceChoice(IndexedTask):
    """The letter of the one right dot. All five dots have one colour, so that nothing but the letters tells them apart."""

    name: ClassVar[str] = "correspondence_choice"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs", "points", "correspondences"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_moved_share": 0.05,  # of the image width, from where the point was in image 1: the same place again is no question
    }
    PAYLOAD: ClassVar[np.dtype] = np.dtype([("u_16", "u2"), ("v_16", "u2"), ("places_low", "u8"), ("places_high", "u4")])

    def select(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Selected:
        moved_share = margins_of(self, options)["min_moved_share"]
        matches, skips = usable_matches(facts, rng, options, min_moved_share=moved_share)
        tried = rng.permutation(len(matches.first))[: TRIED_PER_QUESTION * options.max_per_scan]
        matches = matches.taken(tried)
        size_px = sizes_px(facts)[matches.second]
        by_frame = np.argsort(facts.points.frame, kind="stable")
        sorted_frame = facts.points.frame[by_frame]
        layouts = lay_out(
            matches.second_uv,
            matches.copied_uv,
            size_px,
            rng.integers(2**63, size=len(tried), dtype=np.uint64),
            rng.permutation(np.arange(len(tried)) % (WRONG + 1)),
            others_uv=facts.points.uv[by_frame],
            others_range=np.searchsorted(sorted_frame, np.stack([matches.second, matches.second + 1], axis=1)),
            is_hard=options.hard_distractors,
        )
        skips["no_room_for_wrong_dots"] = int((layouts.rank < 0).sum())
        index = np.flatnonzero(layouts.rank >= 0)
        picked = pick(
            (matches.first[index], matches.second[index]),
            answer=layouts.rank[index],
            spread=overlap_bins(matches.overlap[index]),
            rng=rng,
            most=options.max_per_scan,
            most_per_frame=options.max_per_frame,
            balance=options.balance,
            num_frames=len(facts.frames.frame_ids),
        )
        chosen = index[picked.index]
        letter = rng.permutation((np.arange(len(chosen)) + rng.integers(len(LETTERS))) % len(LETTERS))  # each one right equally often
        places_uv = np.concatenate([matches.second_uv[chosen, None], layouts.wrong_uv[chosen]], axis=1)
        right_first = (np.arange(len(LETTERS)) - letter[:, None]) % len(LETTERS)  # the wrong ones follow it in turn, D before A
        places_uv = np.take_along_axis(places_uv, right_first[..., None], axis=1)
        low, high = packed_places(places_uv, size_px[chosen])
        rows = self.rows(
            len(chosen),
            template=rng.integers(len(TEMPLATES), size=len(chosen)),
            order=letter,
            colours=rng.integers(len(COLOURS), size=len(chosen)),
            first=matches.first[chosen],
            second=matches.second[chosen],
            u_16=to_sixteenths(matches.first_uv[chosen, 0]),
            v_16=to_sixteenths(matches.first_uv[chosen, 1]),
            places_low=low,
            places_high=high,
        )
        return Selected(rows=rows, skips={**skips, "frame_asked_often_enough": picked.frame_used_up})

    def renderer(self, options: TaskOptions) -> Renderer:
        form = Word(words=LETTERS)
        answers = [Answer(format=form, value=letter) for letter in LETTERS]
        template_ids = [f"{self.name}.{index}" for index in range(len(TEMPLATES))]
        texts = [[one.format(colour=colour) for colour in COLOURS] for one in TEMPLATES]
        margin_share = margins_of(self, options)["min_moved_share"]

        def render(row: tuple, scan: ScanHead) -> Question:
            _, template, letter, colours, first, second, u_16, v_16, low, high = row
            colour, first_id, second_id = COLOURS[colours], scan.frame_ids[first], scan.frame_ids[second]
            width, height = scan.widths[second], scan.heights[second]
            across, down, u_px, v_px = width / STEPS, height / STEPS, u_16 / 16.0, v_16 / 16.0
            a_u, a_v = (low & 0xFFF) * across, (low >> 12 & 0xFFF) * down
            b_u, b_v = (low >> 24 & 0xFFF) * across, (low >> 36 & 0xFFF) * down
            c_u, c_v = (low >> 48 & 0xFFF) * across, (low >> 60 | (high & 0xFF) << 4) * down
            d_u, d_v = (high >> 8 & 0xFFF) * across, (high >> 20) * down
            spots = (a_u, a_v), (b_u, b_v), (c_u, c_v), (d_u, d_v)
            right_u, right_v = spots[letter]
            (u, v), (other_u, other_v), (third_u, third_v) = spots[letter - 3], spots[letter - 2], spots[letter - 1]  # the wrong ones
            nearest_px2 = min(
                (u - right_u) * (u - right_u) + (v - right_v) * (v - right_v),
                (other_u - right_u) * (other_u - right_u) + (other_v - right_v) * (other_v - right_v),
                (third_u - right_u) * (third_u - right_u) + (third_v - right_v) * (third_v - right_v),
            )
            moved_u = right_u + 0.5 - (u_px + 0.5) / scan.widths[first] * width
            moved_v = right_v + 0.5 - (v_px + 0.5) / scan.heights[first] * height
            return Question.made(
                task="correspondence_choice",
                scan_id=scan.scan_id,
                frame_ids=(first_id, second_id),
                text=texts[template][colours],
                answer=answers[letter],
                template_id=template_ids[template],
                evidence={
                    "nearest_wrong_share": round(sqrt(nearest_px2) / width, 4),
                    "least_apart_share": APART_SHARE,
                    "moved_share": round(sqrt(moved_u * moved_u + moved_v * moved_v) / width, 4),
                    "min_moved_share": margin_share,
                },
                marks=(
                    Mark.made(frame_id=first_id, u_px=u_px, v_px=v_px, colour=colour),
                    Mark.made(frame_id=second_id, u_px=a_u, v_px=a_v, colour=colour, label="A"),
                    Mark.made(frame_id=second_id, u_px=b_u, v_px=b_v, colour=colour, label="B"),
                    Mark.made(frame_id=second_id, u_px=c_u, v_px=c_v, colour=colour, label="C"),
                    Mark.made(frame_id=second_id, u_px=d_u, v_px=d_v, colour=colour, label="D"),
                ),
            )

        return render


def packed_places(places_uv: np.ndarray, size_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Four pixels `(K, 4, 2)` of images `(K, 2)` as eight numbers of twelve bits: the lower 64 bits `(K,)`, the upper 32 `(K,)`.

    All four are rounded to the same grid, so that their fractions of a pixel do not tell the right one from the others.
    """
    steps = np.rint(places_uv / size_px[:, None] * STEPS).astype(np.uint64)
    place = (steps[..., 1] << np.uint64(12)) | steps[..., 0]
    low = place[:, 0] | place[:, 1] << np.uint64(24) | place[:, 2] << np.uint64(48)
    return low, (place[:, 2] >> np.uint64(16) | place[:, 3] << np.uint64(8)).astype(np.uint32)
