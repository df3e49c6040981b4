"""Camera direction: which way the camera moved between two images, in the first camera's own axes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sightline.answers.answer import Answer
from sightline.facts.fact import FactTable
from sightline.questions.choosing import FrameUse, Letters, thinned, times
from sightline.questions.margins import margins_of
from sightline.questions.question import Question, Skip, TaskOptions
from sightline.questions.templates import word

WORDS = ("left", "right", "up", "down", "forward", "backward")
AXES = {"x": ("left", "right"), "y": ("up", "down"), "z": ("backward", "forward")}  # negative end first; the camera's y points down
PREFERRED = (("x", "z"), ("x", "y"), ("y", "z"), ("x",), ("z",), ("y",))  # option sets: two axes where both occur, else one

TEMPLATES = (
    "Seen from the first image, which way did the camera mainly move to take the second?",
    "The camera went from where image 1 was taken to where image 2 was taken. As image 1 faces, in which direction did it mainly go?",
    "From the first image to the second, in which direction did the camera mainly move, relative to the first view?",
    "Judged by how the camera was held for image 1, in which main direction did it travel to image 2?",
    "What is the main direction of the camera's movement from the first image to the second, as seen in the first?",
    "Starting at the first view and facing as it does, which way did the camera mainly move to reach the second view?",
    "Which way was the camera mainly carried from image 1 to image 2, relative to its direction in image 1?",
    "To get from view 1 to view 2, which way did the camera mainly go for someone who looks as in view 1?",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Move:
    """An ordered pair of frames and the step between them in the first camera's axes."""

    first: int
    second: int
    step_m: np.ndarray  # (3,) right, down, forward
    overlap: float

    pair: frozenset[int]
    axis: str
    word: str
    main_over_next: float


def words_of(axes: tuple[str, ...]) -> tuple[str, ...]:
    """Both directions along each axis."""
    return tuple(one for axis in axes for one in AXES[axis])


class Pool:
    """Moves waiting to be asked about, by direction word. A frame pair is asked about once; frames are not worn out."""

    def __init__(self, moves: list[Move], facts: FactTable, options: TaskOptions):
        self.frame_ids = facts.frames.frame_ids
        self.waiting = {one: [move for move in moves if move.word == one][::-1] for one in WORDS}  # the next one stands last
        self.frames = FrameUse(options.max_per_frame)
        self.used: set[frozenset[int]] = set()
        self.asked = 0

    def take(self, words: tuple[str, ...]) -> list[Move]:
        """A move for each word where there is one, of different frame pairs."""
        taken: list[Move] = []
        for one in words:
            waiting = self.waiting[one]
            while waiting and not self.is_open(waiting[-1]):
                waiting.pop()
            others = {move.pair for move in taken}
            found = next((move for move in reversed(waiting) if move.pair not in others and self.is_open(move)), None)
            taken += [found] if found else []
        return taken

    def use(self, move: Move) -> None:
        self.used.add(move.pair)
        self.frames.add([self.frame_ids[frame] for frame in move.pair])
        self.asked += 1

    def is_open(self, move: Move) -> bool:
        return move.pair not in self.used and self.frames.has_room([self.frame_ids[frame] for frame in move.pair])


class CameraDirection:
    """Choice of a direction word. Options come in opposite pairs, and in every set of options each word is right equally often."""

    name: ClassVar[str] = "camera_direction"
    needs: ClassVar[frozenset[str]] = frozenset(("frames", "pairs"))
    MARGINS: ClassVar[Mapping[str, float]] = {
        "min_move_m": 0.15,  # along the main axis: under an arm's length is within pose noise
        "min_dominance": 1.5,  # main component over the next: 1.5 is within 34 degrees of the axis
    }

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        margins = margins_of(self, options)
        moves, skips = self._moves(facts, rng, options, margins)
        for reason, count in skips.items():
            yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason=reason), count)
        letters = Letters(rng, options)
        for words, move in self._evened_out(moves, facts, rng, options):
            yield self._question(words, move, facts, rng, letters, margins)

    @staticmethod
    def _moves(
        facts: FactTable, rng: np.random.Generator, options: TaskOptions, margins: Mapping[str, float]
    ) -> tuple[list[Move], dict[str, int]]:
        """Clear moves of both orders of each frame pair, in random order, and why the others are none."""
        pairs, poses = facts.pairs, facts.frames.world_from_camera
        rows = thinned(len(pairs.first), rng=rng, options=options)
        in_band = (pairs.overlap[rows] >= options.min_overlap) & (pairs.overlap[rows] <= options.max_overlap)
        unknown = int(np.isnan(pairs.overlap[rows]).sum())  # without depth
        skips = {"overlap_outside_band": int((~in_band).sum()) - unknown, "overlap_not_known": unknown}
        rows = rows[in_band]
        first, second = pairs.first[rows], pairs.second[rows]
        there_m = pairs.displacement_m[rows]
        in_world_m = np.einsum("nij,nj->ni", poses[first, :3, :3], there_m)
        back_m = -np.einsum("nji,nj->ni", poses[second, :3, :3], in_world_m)
        order = rng.permutation(2 * len(rows))
        first, second = np.concatenate([first, second])[order], np.concatenate([second, first])[order]
        steps_m = np.concatenate([there_m, back_m])[order]
        _, next_m, main_m = np.sort(np.abs(steps_m), axis=1).T
        is_long = main_m >= margins["min_move_m"]
        is_clear = main_m >= margins["min_dominance"] * next_m
        skips |= {"moved_too_little": int((~is_long).sum()), "no_main_direction": int((is_long & ~is_clear).sum())}
        axes = np.abs(steps_m).argmax(axis=1)
        overlap = np.tile(pairs.overlap[rows], 2)[order]
        return [
            Move(
                first=int(first[index]),
                second=int(second[index]),
                step_m=steps_m[index],
                overlap=float(overlap[index]),
                pair=frozenset((int(first[index]), int(second[index]))),
                axis="xyz"[axes[index]],
                word=AXES["xyz"[axes[index]]][int(steps_m[index, axes[index]] > 0)],
                main_over_next=float(main_m[index] / max(next_m[index], 1e-6)),
            )
            for index in np.flatnonzero(is_long & is_clear)
        ], skips

    def _evened_out(
        self, moves: list[Move], facts: FactTable, rng: np.random.Generator, options: TaskOptions
    ) -> Iterator[tuple[tuple[str, ...], Move]]:
        """Sets of options with a right move: whole rounds in which each word of a set is right once."""
        pool = Pool(moves, facts, options)
        if not options.balance:
            for index in rng.permutation(len(moves)):
                if pool.asked < options.max_per_scan and pool.is_open(moves[index]):
                    with_axis = [axes for axes in PREFERRED if len(axes) == 2 and moves[index].axis in axes]
                    pool.use(moves[index])
                    yield words_of(with_axis[rng.integers(len(with_axis))]), moves[index]
            return
        sets = list(PREFERRED)
        while sets and pool.asked < options.max_per_scan:
            for axes in [axes for axes in sets if len(axes) == 2] or sets:
                words = words_of(axes)
                taken = pool.take(words)
                if len(taken) < len(words):
                    sets.remove(axes)
                    continue
                for index in rng.permutation(len(taken))[: options.max_per_scan - pool.asked]:
                    pool.use(taken[index])
                    yield words, taken[index]

    def _question(
        self, words: tuple[str, ...], move: Move, facts: FactTable, rng: np.random.Generator, letters: Letters, margins: Mapping[str, float]
    ) -> Question:
        choice = letters.choice(move.word, [one for one in words if one != move.word], order=WORDS)
        wording = word(self.name, TEMPLATES, rng)
        return Question(
            task=self.name,
            scan_id=facts.scan_id,
            frame_ids=(facts.frames.frame_ids[move.first], facts.frames.frame_ids[move.second]),
            text=f"{wording.text} {choice.listing}",
            answer=Answer(format=choice, value=choice.letter_of(move.word)),
            template_id=wording.template_id,
            evidence={
                "right_m": round(float(move.step_m[0]), 4),
                "down_m": round(float(move.step_m[1]), 4),
                "forward_m": round(float(move.step_m[2]), 4),
                "main_over_next": round(move.main_over_next, 3),
                "min_main_over_next": margins["min_dominance"],
                "min_move_m": margins["min_move_m"],
                "overlap": round(move.overlap, 4),
                "direction": move.word,
            },
        )
