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
    "The camera moved between these two images. In which direction did it mainly go?",
    "From the first image to the second, in which direction did the camera mainly move?",
    "In which main direction did the camera travel from image 1 to image 2?",
    "What is the main direction of the camera's movement between the first and the second image?",
    "Starting at the first view, where did the camera mainly move to reach the second view?",
    "Which way was the camera mainly carried after the first image was taken?",
    "To get from view 1 to view 2, which way did the camera mainly go?",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Move:
    """An ordered pair of frames and the step between them in the first camera's axes."""

    first: int
    second: int
    step_m: np.ndarray  # (3,) right, down, forward
    overlap: float

    @property
    def pair(self) -> frozenset[int]:
        return frozenset((self.first, self.second))

    @property
    def axis(self) -> str:
        return "xyz"[int(np.argmax(np.abs(self.step_m)))]

    @property
    def word(self) -> str:
        return AXES[self.axis][int(np.max(self.step_m) == np.abs(self.step_m).max())]


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

    def _moves(
        self, facts: FactTable, rng: np.random.Generator, options: TaskOptions, margins: Mapping[str, float]
    ) -> tuple[list[Move], dict[str, int]]:
        """Clear moves of both orders of each frame pair, in random order."""
        pairs, poses = facts.pairs, facts.frames.world_from_camera
        moves: list[Move] = []
        skips = {"overlap_outside_band": 0, "moved_too_little": 0, "no_main_direction": 0}
        for row in thinned(len(pairs.first), rng=rng, options=options):
            if not options.min_overlap <= pairs.overlap[row] <= options.max_overlap:
                skips["overlap_outside_band"] += 1
                continue
            first, second, step_m = int(pairs.first[row]), int(pairs.second[row]), pairs.displacement_m[row]
            back_m = -(poses[second][:3, :3].T @ poses[first][:3, :3]) @ step_m
            for move in (
                Move(first=first, second=second, step_m=step_m, overlap=float(pairs.overlap[row])),
                Move(first=second, second=first, step_m=back_m, overlap=float(pairs.overlap[row])),
            ):
                _, next_m, main_m = np.sort(np.abs(move.step_m))
                if main_m < margins["min_move_m"]:
                    skips["moved_too_little"] += 1
                elif main_m < margins["min_dominance"] * next_m:
                    skips["no_main_direction"] += 1
                else:
                    moves.append(move)
        return moves, skips

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
        _, next_m, main_m = np.sort(np.abs(move.step_m))
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
                "main_over_next": round(float(main_m / max(next_m, 1e-6)), 3),
                "min_main_over_next": margins["min_dominance"],
                "min_move_m": margins["min_move_m"],
                "overlap": round(move.overlap, 4),
                "direction": move.word,
            },
        )
