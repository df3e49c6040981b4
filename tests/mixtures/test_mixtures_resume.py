"""Runs that are killed and go on with another number of processes and workers see the multiset of rows that one whole run sees."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from made_sources import write_source

from sightline.mixtures.mixture import MixtureRecipe, SourceRecipe
from sightline.mixtures.plan import Plan, planned
from sightline.mixtures.stream import MixtureStream


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    write_source(folder, "large", rows=150, sets=50)
    write_source(folder, "middle", rows=41, sets=41)
    write_source(folder, "tiny", rows=5, sets=5)
    return folder


def some_plan(root, rng: np.random.Generator) -> Plan:
    """A mixture of random weights, lengths and step sizes; every second one with a curriculum."""
    steps = int(rng.integers(12, 40))
    is_staged = bool(rng.integers(2))
    return planned(
        MixtureRecipe(
            sources=(
                SourceRecipe(data="large", weight=float(rng.uniform(0.3, 3))),
                SourceRecipe(data="middle", weight=float(rng.uniform(0.3, 3)), first_step=5 if is_staged else 0, most_passes=1e3),
                SourceRecipe(data="tiny", most_passes=1e3, last_step=9 if is_staged else None),
            ),
            temperature=float(rng.choice([1.0, 2.0])),
            steps=steps,
            sets_per_step=int(rng.integers(3, 20)),
            questions_per_set=int(rng.integers(1, 4)),
            seed=int(rng.integers(1000)),
        ),
        root=root,
    )


def read(stream: MixtureStream, positions: np.ndarray) -> list[tuple]:
    """What stands at each position, as ids of its rows."""
    return [(one.position, one.source, tuple(row.sample_id for row in one.conversations)) for one in stream.units(positions)]


def numbered(stream: MixtureStream, positions: np.ndarray) -> list[tuple]:
    """The same without reading a row: numbers of source and unit."""
    return list(zip(positions.tolist(), *(one.tolist() for one in stream.plan.at(positions)), strict=True))


def seen_by_process(stream: MixtureStream, steps: range, what, *, rank: int, world: int, workers: int) -> list[list[tuple]]:
    """What one process sees in each step, read by so many loader workers of its own, worker w every so manieth unit of the step."""
    copies = [pickle.loads(pickle.dumps(stream)) for _ in range(workers)]
    found = []
    for step in steps:
        mine = np.array(stream.plan.positions_of(step))
        mine = mine[mine % world == rank]
        units: list = [None] * len(mine)
        for number, copy in enumerate(copies):
            units[number::workers] = what(copy, mine[number::workers])
        found.append(units)
    return found


@pytest.mark.parametrize(("seed", "what"), [*((seed, read) for seed in range(2)), *((seed, numbered) for seed in range(2, 10))])
def test_kills_and_resumes_with_other_processes_and_workers_lose_and_repeat_nothing(root, seed, what):
    rng = np.random.default_rng(seed)
    plan = some_plan(root, rng)
    whole = what(MixtureStream(plan), np.arange(plan.positions))
    stops = sorted(rng.choice(np.arange(1, plan.steps), size=4, replace=False).tolist())
    seen = []
    for first, last in pairwise([0, *stops, plan.steps]):
        world, workers = int(rng.integers(1, 6)), int(rng.integers(1, 4))
        stream = MixtureStream(planned(plan.recipe, root=root))  # a new process knows the recipe and the step alone
        overrun = range(first, min(last + 1, plan.steps))  # killed a step after its last checkpoint: that one is not counted
        for rank in range(world):
            of_steps = seen_by_process(stream, overrun, what, rank=rank, world=world, workers=workers)
            seen += [unit for units in of_steps[: last - first] for unit in units]
    assert len(seen) == plan.positions and sorted(seen) == whole


@pytest.mark.parametrize("seed", range(6))
def test_at_every_point_of_a_run_no_row_of_a_source_was_seen_twice_more_than_another(root, seed):
    """So that a pass is exact wherever it starts and ends, and whatever the other sources do meanwhile."""
    plan = some_plan(root, np.random.default_rng(100 + seed))
    source, unit = plan.at(np.arange(plan.positions))
    for number, planned_source in enumerate(plan.sources):
        mine = unit[source == number]
        assert len(mine) == planned_source.draws
        length = len(planned_source.units)
        for start in range(0, len(mine), length):  # each pass is a permutation, the last one a part of one
            one_pass = mine[start : start + length]
            assert len(set(one_pass.tolist())) == len(one_pass)
        counts = np.bincount(mine, minlength=length)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("seed", range(6))
def test_sources_of_a_phase_come_evenly_to_within_one_set_per_level(root, seed):
    plan = some_plan(root, np.random.default_rng(200 + seed))
    for phase in plan.phases:
        positions = np.arange(phase.interleave.length)
        source, _ = phase.interleave.at(positions)
        for number, count in enumerate(phase.interleave.counts):
            so_far = np.cumsum(source == number)
            due = (positions + 1) * count / phase.interleave.length
            assert np.abs(so_far - due).max() <= 2.0  # two levels of halving for three sources
