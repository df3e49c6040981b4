"""Training curves: TensorBoard scalars and a JSON-lines file, both at the true update number."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from sightline.files import read_jsonl, write_text

METRICS = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one logged stretch of updates looked like; `update` is how many were done."""

    update: int
    loss: float  # per answer token, over the stretch
    learning_rate: float
    gradient_norm: float  # before clipping, mean over the stretch
    tokens_per_s: float  # all tokens, images included
    samples_per_s: float
    gate: float
    seconds: float  # of training so far
    waited: float  # share of the stretch's time that the next data was waited for


class Metrics:
    """Writes both; a resumed run drops what was logged after the state it goes on from. Of several processes only one writes."""

    def __init__(self, run: Path, *, from_update: int, is_writer: bool = True):
        self.path = run / METRICS
        self._board = None
        if not is_writer:
            return
        kept = [row for row in read_jsonl(self.path) if row["update"] <= from_update] if self.path.is_file() and from_update else []
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=from_update + 1 if from_update else None)

    def add(self, measured: Measured) -> None:
        """One stretch."""
        if self._board is None:
            return
        row = asdict(measured)
        for name, value in row.items():
            if name != "update":
                self._board.add_scalar(f"train/{name}", value, measured.update)
        self._append(row)

    def add_validation(self, update: int, values: dict[str, float]) -> None:
        """What a validation callable returned."""
        if self._board is None:
            return
        for name, value in values.items():
            self._board.add_scalar(f"validation/{name}", value, update)
        self._append({"update": update, **{f"validation/{name}": value for name, value in values.items()}})

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def _append(self, row: dict[str, float]) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
