"""Which candidates become questions: answers evened out, frames not worn out, everything by the given generator."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from math import floor, log
from typing import TypeVar

import numpy as np

from sightline.answers.choice import Choice
from sightline.questions.question import Question, Skip, TaskOptions

C = TypeVar("C")

MAX_TRIED = 100  # candidates looked at per wanted question: bounds the work on scans with very many frames
BIN_RATIO = 1.3  # width of a bin of lengths: answers are evened out over bins of 30 %


def log_bin(value: float) -> int:
    """Bin of a positive length, each bin `BIN_RATIO` times as long as the one below."""
    return floor(log(value) / log(BIN_RATIO))


def log_bins(values: np.ndarray) -> np.ndarray:
    """`log_bin` of each of positive lengths `(N,)`."""
    return np.floor(np.log(values) / log(BIN_RATIO)).astype(np.int64)


def thinned(count: int, *, rng: np.random.Generator, options: TaskOptions) -> np.ndarray:
    """Indices below `count` in random order, no more than are worth looking at."""
    return rng.permutation(count)[: MAX_TRIED * options.max_per_scan]


class FrameUse:
    """How often each frame was shown by the questions of one task.

    Questions about the whole video all show the same frames: they are not counted here, but by the objects they are about.
    """

    def __init__(self, most: int, *, video_ids: Sequence[str] = ()):
        self.most = most
        self.video_ids = tuple(video_ids)
        self.used: dict[str, int] = {}

    def has_room(self, frame_ids: Sequence[str]) -> bool:
        return tuple(frame_ids) == self.video_ids or all(self.used.get(frame_id, 0) < self.most for frame_id in frame_ids)

    def add(self, frame_ids: Sequence[str]) -> None:
        for frame_id in frame_ids if tuple(frame_ids) != self.video_ids else ():
            self.used[frame_id] = self.used.get(frame_id, 0) + 1


def choose(
    candidates: Sequence[C],
    *,
    key: Callable[[C], Hashable],
    build: Callable[[C], Question | Skip],
    rng: np.random.Generator,
    options: TaskOptions,
    is_strict: bool = False,
    video_ids: Sequence[str] = (),
    about: Callable[[C], Iterable[Hashable]] | None = None,
    max_object_share: float = 1.0,
) -> Iterator[Question | Skip]:
    """Build questions from candidates (already in random order) until there are `options.max_per_scan`.

    With `options.balance` the next candidate is of the answer (`key`) that has the fewest questions so far. `is_strict` stops when
    that answer has run out while others are ahead by more than half: few even questions beat many lopsided ones. `about` says which
    objects a candidate stands or falls with: each of them has at most `max_object_share` of the questions wanted, and at least one.
    """
    waiting: dict[Hashable, list[C]] = {}
    for candidate in candidates:
        waiting.setdefault(key(candidate) if options.balance else None, []).append(candidate)
    order = sorted(waiting, key=repr)
    keys = [order[index] for index in rng.permutation(len(order))]
    place = dict.fromkeys(keys, 0)
    asked = dict.fromkeys(keys, 0)
    frames = FrameUse(options.max_per_frame, video_ids=video_ids)
    most_per_object = max(1, round(max_object_share * options.max_per_scan))
    used: dict[Hashable, int] = {}
    while sum(asked.values()) < options.max_per_scan:
        open_keys = [one for one in keys if place[one] < len(waiting[one])]
        if not open_keys:
            return
        now = min(open_keys, key=asked.__getitem__)
        if is_strict and options.balance and asked[now] > 1.5 * min(asked[one] for one in keys if asked[one] or one in open_keys):
            return
        candidate = waiting[now][place[now]]
        place[now] += 1
        built = build(candidate)
        if isinstance(built, Question):
            objects = tuple(about(candidate)) if about else ()
            if not frames.has_room(built.frame_ids):
                yield Skip(task=built.task, scan_id=built.scan_id, reason="frame_asked_often_enough")
                continue
            if any(used.get(one, 0) >= most_per_object for one in objects):
                yield Skip(task=built.task, scan_id=built.scan_id, reason="object_asked_often_enough")
                continue
            frames.add(built.frame_ids)
            for one in objects:
                used[one] = used.get(one, 0) + 1
            asked[now] += 1
        yield built


class Letters:
    """Puts the right option at each letter equally often."""

    def __init__(self, rng: np.random.Generator, options: TaskOptions):
        self.rng = rng
        self.shuffles = options.shuffle_options
        self.waiting: dict[int, list[int]] = {}

    def choice(self, right: str, wrong: Sequence[str], *, order: Sequence[str]) -> Choice:
        """A choice of `right` among `wrong`; in the order of `order` where options are not shuffled."""
        if not self.shuffles:
            return Choice(options=tuple(word for word in order if word == right or word in wrong))
        count = len(wrong) + 1
        if not self.waiting.get(count):
            self.waiting[count] = [int(index) for index in self.rng.permutation(count)]
        others = [wrong[index] for index in self.rng.permutation(len(wrong))]
        others.insert(self.waiting[count].pop(), right)
        return Choice(options=tuple(others))


def times(skip: Skip, count: int) -> Iterator[Skip]:
    """The same drop, `count` times."""
    for _ in range(int(count)):
        yield skip
