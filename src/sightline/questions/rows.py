"""Questions as rows of 24 bytes: a task about pure geometry picks rows by arrays, and words each one from its row alone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sightline.facts.fact import FactTable
from sightline.questions.choosing import times
from sightline.questions.question import Question, Skip, TaskOptions

ROW_BYTES = 24
NO_FRAME = 0xFFFF
PAYLOAD_BYTES = 16
HEAD = (("task", "u1"), ("template", "u1"), ("order", "u1"), ("colours", "u1"), ("first", "<u2"), ("second", "<u2"))


def row_dtype(payload: np.dtype) -> np.dtype:
    """The packed row of a task: head (8 bytes), then its payload filled up to 16 bytes. Raises ValueError for a larger one."""
    fields = [(name, payload.fields[name][0].newbyteorder("<")) for name in payload.names or ()]
    used = sum(kind.itemsize for _, kind in fields)
    if used > PAYLOAD_BYTES:
        raise ValueError(f"payload of {used} bytes, expected at most {PAYLOAD_BYTES}")
    spare = [("spare", f"V{PAYLOAD_BYTES - used}")] if used < PAYLOAD_BYTES else []
    return np.dtype([*HEAD, *fields, *spare])


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanHead:
    """What wording needs of a scan besides the row: names and sizes of its frames, categories of its objects. Kept once per scan."""

    scan_id: str
    frame_ids: tuple[str, ...]
    widths: tuple[int, ...]
    heights: tuple[int, ...]
    category_of: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: FactTable) -> "ScanHead":
        """The head of a measured scan."""
        return cls(
            scan_id=facts.scan_id,
            frame_ids=facts.frames.frame_ids,
            widths=tuple(camera.width for camera in facts.frames.intrinsics),
            heights=tuple(camera.height for camera in facts.frames.intrinsics),
            category_of={one.object_id: one.category for one in facts.objects or ()},
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Selected:
    """What a task picked in one scan."""

    rows: np.ndarray  # (N,) of the task's row type, in the order they are asked; `task` is 0 until an index is written
    skips: Mapping[str, int]  # reason -> candidates


Renderer = Callable[[tuple, ScanHead], Question]


class IndexedTask:
    """A question task whose every question is one row: `select` works on whole arrays, a renderer words one row and looks at nothing else.

    All random choices (template, order of options, colours) are made by `select` and stand in the row as bytes, so a row means the same
    question forever. Values are stored as float32, or as whole hundredths of a millimetre, hundred-thousandths of a degree,
    ten-thousandths of a share or sixteenths of a pixel, and the answer is the stored value.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]]
    MARGINS: ClassVar[Mapping[str, float]]
    PAYLOAD: ClassVar[np.dtype]

    def select(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Selected:
        """Rows of at most `options.max_per_scan` different questions, evened out, no frame more often than `options.max_per_frame`."""
        raise NotImplementedError

    def renderer(self, options: TaskOptions) -> Renderer:
        """Words rows, given as Python scalars: (task, template, order, colours, first, second, *payload[, spare])."""
        raise NotImplementedError

    def ask(self, facts: FactTable, rng: np.random.Generator, options: TaskOptions) -> Iterator[Question | Skip]:
        """All questions of one scan, then what was left out."""
        selected = self.select(facts, rng, options)
        scan = ScanHead.of(facts)
        render = self.renderer(options)
        for row in selected.rows.tolist():
            yield render(row, scan)
        for reason, count in selected.skips.items():
            yield from times(Skip(task=self.name, scan_id=facts.scan_id, reason=reason), count)

    @classmethod
    def rows(cls, count: int, **columns: np.ndarray | int) -> np.ndarray:
        """`(count,)` rows of this task with the given columns, the others 0; frames that are not given are NO_FRAME."""
        rows = np.zeros(count, dtype=row_dtype(cls.PAYLOAD))
        rows["first"] = rows["second"] = NO_FRAME
        for name, values in columns.items():
            rows[name] = values
        return rows


def to_sixteenths(px: np.ndarray) -> np.ndarray:
    """Pixels (0 or more) as whole sixteenths, uint16: exact to 0.03 of a pixel in images up to 4,096 wide."""
    return np.rint(np.asarray(px) * 16.0).astype(np.uint16)


def from_sixteenths(stored: int) -> float:
    """The pixel of a stored sixteenth."""
    return stored / 16.0


# Added to a float below 2**51 and taken away again, it leaves the nearest whole number, halves to even. (x * 1e4 + WHOLE - WHOLE) / 1e4 is
# round(x, 4) in a sixth of the time where x is a stored float32, or the difference of two: then x * 1e4 is exact. Others may differ in ties
WHOLE = 1.5 * 2.0**52

LENGTH_PER_M, ANGLE_PER_DEG, SHARE_PER_ONE = 1e5, 1e5, 1e4  # stored / this: a float with few digits, and no rounding when it is read


def to_hundredths_mm(length_m: np.ndarray) -> np.ndarray:
    """Lengths as whole hundredths of a millimetre, int32; read back by `/ LENGTH_PER_M`. Raises ValueError beyond 20 km."""
    return _whole(length_m, LENGTH_PER_M, np.int32)


def to_hundred_thousandths_deg(angle_deg: np.ndarray) -> np.ndarray:
    """Angles as whole hundred-thousandths of a degree, int32; read back by `/ ANGLE_PER_DEG`."""
    return _whole(angle_deg, ANGLE_PER_DEG, np.int32)


def to_ten_thousandths(share: np.ndarray) -> np.ndarray:
    """Shares (0 to 1) as whole ten-thousandths, uint16; read back by `/ SHARE_PER_ONE`."""
    return _whole(share, SHARE_PER_ONE, np.uint16)


def _whole(values: np.ndarray, per_one: float, kind: type[np.integer]) -> np.ndarray:
    whole = np.rint(np.asarray(values, dtype=np.float64) * per_one)
    limits = np.iinfo(kind)
    if not ((whole >= limits.min) & (whole <= limits.max)).all():  # NaN compares false
        raise ValueError(f"expected finite values that fit {np.dtype(kind)} in steps of {1 / per_one:g}, found others")
    return whole.astype(kind)
