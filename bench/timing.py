"""CPU seconds of interleaved calls: minimum, median and maximum per case, and ratios taken within one run."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One case: seconds of CPU and wall time per unit of work, over the rounds."""

    name: str
    cpu_s: tuple[float, ...]
    wall_s: tuple[float, ...]


def interleaved(cases: dict[str, tuple[Callable[[], object], int]], *, rounds: int) -> dict[str, Timed]:
    """Run every case once to warm up, then all of them in turn, `rounds` times. A case is (function, units of work per call)."""
    for function, _ in cases.values():
        function()
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    wall: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (function, units) in cases.items():
            cpu_began, wall_began = time.process_time(), time.perf_counter()
            function()
            cpu[name].append((time.process_time() - cpu_began) / units)
            wall[name].append((time.perf_counter() - wall_began) / units)
    return {name: Timed(name=name, cpu_s=tuple(cpu[name]), wall_s=tuple(wall[name])) for name in cases}


def row(timed: Timed, unit: str) -> str:
    """One line of the table, in the unit that reads best."""
    low, middle, high = min(timed.cpu_s), statistics.median(timed.cpu_s), max(timed.cpu_s)
    scale, word = (1.0, "s") if middle >= 1 else (1e3, "ms") if middle >= 1e-3 else (1e6, "us")
    wall = statistics.median(timed.wall_s)
    return (
        f"{timed.name:46s} {middle * scale:9.3f} {word} CPU per {unit:9s} "
        f"[{low * scale:.3f} .. {high * scale:.3f}]  wall {wall * scale:.3f} {word}"
    )


def ratio(slow: Timed, fast: Timed) -> str:
    """How many times less CPU `fast` takes, round by round: median and range."""
    ratios = [a / b for a, b in zip(slow.cpu_s, fast.cpu_s)]
    return f"{slow.name} / {fast.name}: {statistics.median(ratios):.1f}x [{min(ratios):.1f} .. {max(ratios):.1f}]"
