"""The rows of a planned mixture at any position or step: nothing to remember, so nothing to save, to resume or to share out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sightline.mixtures.order import share_of
from sightline.mixtures.plan import Plan
from sightline.samples.conversation import Conversation


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """What stands at one position: questions about one set of pictures."""

    position: int
    source: str
    conversations: tuple[Conversation, ...]


class MixtureStream:
    """Reads the units of a plan. It pickles as its plan, so that loader processes open their own files."""

    def __init__(self, plan: Plan):
        self.plan = plan

    def units(self, positions: np.ndarray) -> list[Unit]:
        """The units at positions `(n,)`, in that order."""
        sources, units = self.plan.at(positions)
        found = []
        for position, number, unit in zip(np.asarray(positions).tolist(), sources.tolist(), units.tolist(), strict=True):
            source = self.plan.sources[number]
            rows = source.units[unit].tolist()
            found.append(Unit(position=position, source=source.recipe.label, conversations=tuple(source.table.many(rows))))
        return found

    def step(self, step: int, *, rank: int = 0, world: int = 1) -> list[Unit]:
        """What process `rank` of `world` sees in a step: every world-th unit, so that all together see the step, whatever their number."""
        positions = self.plan.positions_of(step)
        return self.units(share_of(rank, world, start=positions.start, count=len(positions)))

    def __iter__(self) -> Iterator[Unit]:
        for step in range(self.plan.steps):
            yield from self.step(step)
