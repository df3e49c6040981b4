"""What a run would see, before it sees it: rows, passes, phases and steps of a mixture, and what cannot be met."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.errors import DataError
from sightline.mixtures.mixture import MixtureRecipe, SourceRecipe
from sightline.mixtures.order import Interleave, row_of_source
from sightline.mixtures.units import Units, units_of
from sightline.samples.conversation_files import ConversationTable


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlannedSource:
    """A source, its units, and how often they are drawn in the whole run."""

    recipe: SourceRecipe
    table: ConversationTable
    units: Units
    draws: int

    @property
    def passes(self) -> float:
        """How often each of its rows is shown."""
        return self.draws / len(self.units)


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A stretch of positions with the same sources. `drawn` were drawn of each source before it."""

    start: int
    interleave: Interleave
    drawn: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plan:
    """A mixture that can be met. A position is one unit: a set of pictures with its questions."""

    recipe: MixtureRecipe
    sources: tuple[PlannedSource, ...]
    phases: tuple[Phase, ...]

    @property
    def positions(self) -> int:
        return self.phases[-1].start + self.phases[-1].interleave.length

    @property
    def steps(self) -> int:
        return -(-self.positions // self.recipe.sets_per_step)

    def positions_of(self, step: int) -> range:
        """The positions that make a step; the last one may be short. Raises DataError beyond the last."""
        if not 0 <= step < self.steps:
            raise DataError(f"step: expected 0 to {self.steps - 1}, found {step}")
        first = step * self.recipe.sets_per_step
        return range(first, min(first + self.recipe.sets_per_step, self.positions))

    def at(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Source `(n,)` and unit `(n,)` at each position `(n,)`: a pure function of recipe and data, in time that does not grow with
        the position.
        """
        position = np.asarray(position, dtype=np.int64)
        source, unit = np.empty(len(position), np.int64), np.empty(len(position), np.int64)
        starts = np.array([phase.start for phase in self.phases])
        phase_of = np.searchsorted(starts, position, side="right") - 1
        for number in np.unique(phase_of):
            here, phase = np.flatnonzero(phase_of == number), self.phases[number]
            source[here], before = phase.interleave.at(position[here] - phase.start)
            draw = before + np.array(phase.drawn)[source[here]]
            for one in np.unique(source[here]):
                mine = source[here] == one
                unit[here[mine]] = row_of_source(draw[mine], rows=len(self.sources[one].units), seed=self.recipe.seed, source=int(one))
        return source, unit


def planned(recipe: MixtureRecipe, *, root: Path = Path()) -> Plan:
    """Read the sources' tables of contents and lay out the run. Raises DataError for what cannot be met: by how much, and two fixes."""
    read = []
    for source in recipe.sources:
        table = ConversationTable(root / source.folder)
        read.append((source, table, units_of(table, source, most=recipe.questions_per_set)))
    sizes = np.array([len(units) * source.weight for source, _, units in read])
    total = recipe.steps * recipe.sets_per_step if recipe.steps is not None else int(round(sizes.sum() * (recipe.passes or 1.0)))
    shares = np.array([source.share or size / sizes.sum() for source, size in zip(recipe.sources, sizes)]) ** (1.0 / recipe.temperature)
    phases, drawn = [], np.zeros(len(read), np.int64)
    for start, end in _stretches(recipe, total):
        step = start // recipe.sets_per_step
        is_shown = np.array([one.first_step <= step and (one.last_step is None or step < one.last_step) for one, _, _ in read])
        if not is_shown.any():
            raise DataError(
                f"mixture: expected a source at step {step}, found none: every first_step is later or last_step earlier. "
                f"Fix: first_step: 0 for one of them, or fewer steps"
            )
        counts = _whole(np.where(is_shown, shares, 0.0), end - start)
        phases.append(Phase(start=start, interleave=Interleave(counts=tuple(counts.tolist())), drawn=tuple(drawn.tolist())))
        drawn = drawn + counts
    sources = tuple(
        PlannedSource(recipe=one, table=table, units=units, draws=int(draws))
        for (one, table, units), draws in zip(read, drawn, strict=True)
    )
    for source in sources:
        _expect_enough(source, recipe)
    return Plan(recipe=recipe, sources=sources, phases=tuple(phases))


def _stretches(recipe: MixtureRecipe, total: int) -> list[tuple[int, int]]:
    """Positions between which the shown sources do not change."""
    steps = {0, *(one.first_step for one in recipe.sources), *(one.last_step for one in recipe.sources if one.last_step is not None)}
    starts = sorted(step * recipe.sets_per_step for step in steps if step * recipe.sets_per_step < total)
    return list(zip(starts, [*starts[1:], total], strict=True))


def _whole(shares: np.ndarray, total: int) -> np.ndarray:
    """`total` divided by `shares` into whole numbers, the largest remainders rounded up."""
    exact = shares / shares.sum() * total
    counts = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def _expect_enough(source: PlannedSource, recipe: MixtureRecipe) -> None:
    if source.passes > source.recipe.most_passes + 1e-9:
        most = int(source.recipe.most_passes * len(source.units))
        share = most / source.draws
        shorter = f"passes: {(recipe.passes or 1.0) * share:.3g}" if recipe.steps is None else f"steps: {int(recipe.steps * share)}"
        raise DataError(
            f"source '{source.recipe.label}': {source.draws:,} sets of pictures are asked of {len(source.units):,}, {source.passes:.1f} "
            f"passes, at most {source.recipe.most_passes:g} are allowed: {source.draws - most:,} are missing. "
            f"Fix: most_passes: {math.ceil(10 * source.passes) / 10:g}, or {shorter}"
        )


def of_tasks(plan: Plan) -> Mapping[str, int]:
    """Rows of each task over all sources, as they are taken, not counting passes."""
    found: dict[str, int] = {}
    for source in plan.sources:
        for task, rows in source.units.rows_of_task.items():
            found[task] = found.get(task, 0) + rows
    return dict(sorted(found.items()))
