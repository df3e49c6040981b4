"""Progress for people and for logs: a rich bar on a terminal, plain lines elsewhere."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

log = logging.getLogger("sightline")
LINES_EVERY_S = 10.0  # a Slurm log stays short and a person still sees life


@dataclass(slots=True)
class Counter:
    """Counts finished steps of one stage."""

    name: str
    total: int
    bar: RichProgress | None
    done: int = 0
    began_s: float = field(default_factory=time.monotonic)
    last_line_s: float = field(default_factory=time.monotonic)

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count `steps` more; `note` stands behind the bar or on the line."""
        self.done += steps
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=self.done, note=note)
            return
        now = time.monotonic()
        if now - self.last_line_s >= LINES_EVERY_S or self.done == self.total:
            self.last_line_s = now
            elapsed = now - self.began_s
            left = elapsed / max(self.done, 1) * (self.total - self.done)
            log.info("%s: %d/%d  %.0f s, %.0f s left  %s", self.name, self.done, self.total, elapsed, left, note)


@contextmanager
def counting(name: str, total: int) -> Iterator[Counter]:
    """A counter that shows itself while the block runs."""
    if not sys.stderr.isatty():
        yield Counter(name=name, total=total, bar=None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with RichProgress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True) as bar:
        bar.add_task(name, total=total, note="")
        yield Counter(name=name, total=total, bar=bar)
