"""Reads what a training run logged: one JSON object per line with `update` and numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sightline.errors import DataError
from sightline.files import read_jsonl

PREFERRED = ("loss", "validation/", "learning_rate", "gradient_norm", "gate", "tokens_per_s", "samples_per_s")  # the order of charts
UNDRAWN = frozenset(("seconds",))  # time passed is no curve


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One logged number over optimiser updates."""

    updates: tuple[float, ...]
    values: tuple[float, ...]


def read_metrics(path: Path) -> Mapping[str, Series]:
    """Every number in a metrics file, by name, in the order of the lines; keys may come and go, `null` and text are passed over.

    Raises DataError naming file and line: no object, no whole `update`, NaN or infinity.
    """
    if not path.is_file():
        raise DataError(f"{path}: expected the metrics of a training run, found no file")
    collected: dict[str, tuple[list[float], list[float]]] = {}
    for number, row in enumerate(read_jsonl(path), start=1):
        update = row.get("update") if isinstance(row, dict) else None
        if isinstance(update, bool) or not isinstance(update, int) or update < 0:
            raise DataError(f"{path}:{number}: expected an object with a whole, non-negative 'update', found {str(row)[:80]}")
        for name, value in row.items():
            if name != "update" and isinstance(value, int | float) and not isinstance(value, bool):
                updates, values = collected.setdefault(name, ([], []))
                updates.append(float(update))
                values.append(float(value))
    return {name: Series(updates=tuple(updates), values=tuple(values)) for name, (updates, values) in collected.items()}


def in_order(names: Iterable[str]) -> list[str]:
    """The names worth a chart: the usual ones first (`validation/` stands for all of its kind), the others by alphabet."""

    def place(name: str) -> tuple[int, str]:
        kind = name.partition("/")[0] + "/" if "/" in name else name
        return (PREFERRED.index(kind) if kind in PREFERRED else len(PREFERRED)), name

    return sorted(set(names) - UNDRAWN, key=place)
