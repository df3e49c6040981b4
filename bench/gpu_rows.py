"""What the GPU bench is made of: a machine with a time limit, cases, timed rounds, and the rows of its table."""

import gc
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import transformers

DATASHEET_FLOPS_PER_S = 989e12  # of an H100 or H200: dense bf16
GIBI = 2.0**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One case. What was not measured is None; `status` says why."""

    case: str
    status: str = "ok"
    samples: int | None = None
    seconds: float | None = None  # median of the rounds
    fastest_s: float | None = None
    rounds: int | None = None
    useful_flops: float | None = None
    of_peak: float | None = None  # of the GEMM peak measured in this run
    of_datasheet: float | None = None
    peak_bytes: int | None = None  # of memory allocated
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Where it runs, and until when."""

    device: torch.device
    dtype: torch.dtype
    is_tiny: bool
    ends_at_s: float  # of time.monotonic
    case_s: float  # that one case's rounds may take
    gemm_flops_per_s: float = 0.0

    @property
    def left_s(self) -> float:
        return self.ends_at_s - time.monotonic()

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def generator(self) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A name and what measures it."""

    name: str
    run: Callable[[Machine], list[Row]]
    smaller: Callable[[Machine], list[Row]] | None = None  # tried where the case does not fit in memory


def timed(machine: Machine, work: Callable[[], object], *, most: int = 20) -> list[float]:
    """Seconds of each round after two to warm up, until the time of a case is over."""
    for _ in range(0 if machine.is_tiny else 2):
        work()
    machine.wait()
    began, seconds = time.monotonic(), []
    while len(seconds) < (2 if machine.is_tiny else most) and (len(seconds) < 3 or time.monotonic() - began < machine.case_s):
        start = time.perf_counter()
        work()
        machine.wait()
        seconds.append(time.perf_counter() - start)
        if machine.left_s < 0 and seconds:
            break
    return seconds


def row_of(machine: Machine, name: str, seconds: Sequence[float], flops: float, *, samples: int, note: str = "") -> Row:
    middle = statistics.median(seconds)
    return Row(
        case=name,
        samples=samples,
        seconds=middle,
        fastest_s=min(seconds),
        rounds=len(seconds),
        useful_flops=flops,
        of_peak=flops / middle / machine.gemm_flops_per_s,
        of_datasheet=None if machine.device.type != "cuda" else flops / middle / DATASHEET_FLOPS_PER_S,
        peak_bytes=torch.cuda.max_memory_allocated() if machine.device.type == "cuda" else None,
        note=note,
    )


def run_all(machine: Machine, cases: Sequence[Case], say: Callable[[str], None]) -> list[Row]:
    """Every case in turn; memory that was left behind is given back between them."""
    found: list[Row] = []
    for case in cases:
        if machine.left_s <= 0:
            found.append(Row(case=case.name, status="no time left"))
            say(line(found[-1]))
            continue
        for attempt in (case.run, case.smaller):
            if attempt is None:
                break
            rows, has_run = attempted(machine, case.name, attempt)
            for row in rows:
                say(line(row))
            found += rows
            if has_run:
                break
    return found


def attempted(machine: Machine, name: str, run: Callable[[Machine], list[Row]]) -> tuple[list[Row], bool]:
    """The rows of a case, and whether it fitted in memory."""
    if machine.device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        return run(machine), True
    except torch.OutOfMemoryError as error:
        return [Row(case=name, status="out of memory", note=str(error).splitlines()[0][:100])], False


HEADER = f"{'case':42s} {'samples':>7s} {'ms':>10s} {'fastest':>10s} {'TF':>9s} {'of peak':>8s} {'of 989':>7s} {'GiB':>7s}  note"


def line(row: Row) -> str:
    """One row of the table."""
    if row.status != "ok":
        return f"{row.case:42s} {row.status}  {row.note}".rstrip()
    empty = ""
    cells = [
        f"{row.case:42s}",
        f"{row.samples if row.samples is not None else empty:>7}",
        f"{1e3 * row.seconds:10.3f}",
        f"{1e3 * row.fastest_s:10.3f}",
        f"{empty if row.useful_flops is None else format(row.useful_flops / 1e12, '.3f'):>9s}",
        f"{empty if row.of_peak is None else format(100 * row.of_peak, '.1f') + ' %':>8s}",
        f"{empty if row.of_datasheet is None else format(100 * row.of_datasheet, '.1f') + ' %':>7s}",
        f"{empty if row.peak_bytes is None else format(row.peak_bytes / GIBI, '.2f'):>7s}",
    ]
    return f"{' '.join(cells)}  {row.note}".rstrip()


def machine_words(machine: Machine) -> str:
    name = torch.cuda.get_device_name() if machine.device.type == "cuda" else platform.processor() or platform.machine()
    return f"{name}, torch {torch.__version__}, transformers {transformers.__version__}, {str(machine.dtype).removeprefix('torch.')}"
