"""The training data in memory, and an order of it that is a pure function of the seed and the batch number."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sightline.errors import DataError
from sightline.models.backbones.backbone import VisionGrid
from sightline.models.encoded import Encoded, ModelInputs
from sightline.models.model import IGNORED
from sightline.models.processor import SpatialVLProcessor
from sightline.models.sample_encoder import SampleEncoder
from sightline.samples.sample import Sample

SORTED_BATCHES = 16  # batches sorted by length together: little padding, and still a new mixture every epoch


class Portion(Protocol):
    """What one forward pass is shown."""

    tokens: int  # that belong to a sample
    samples: int

    def on(self, device: torch.device, *, dtype: torch.dtype, attention: str) -> dict[str, Tensor]:
        """Keyword arguments of `answer_loss`, for a model of that type and attention implementation."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Update:
    """What one update of the weights learns from."""

    learned: int  # answer tokens of all portions
    portions: Iterable[Portion]
    count: int  # of portions


class Feed(Protocol):
    """Training data by the number of the update: the same after any restart."""

    def updates(self, first: int, last: int) -> Iterator[Update]:
        """Updates `first` to `last - 1`."""
        ...

    def shown(self, update: int, portion: int) -> Sequence[tuple[str, Encoded]]:
        """Ids and samples of one portion, for messages."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batch:
    """A padded batch as a portion. Its pixels are uint8 until they are on the device."""

    inputs: ModelInputs
    grid: VisionGrid

    @property
    def tokens(self) -> int:
        return int(self.inputs.attention_mask.sum())

    @property
    def samples(self) -> int:
        return len(self.inputs.input_ids)

    def on(self, device: torch.device, *, dtype: torch.dtype, attention: str) -> dict[str, Tensor]:
        return self.inputs.to(device).with_pixels(self.grid).for_loss()


class TrainingData:
    """Encoded samples, served as batches. Batch k is the same on every machine, after any restart."""

    def __init__(self, encoded: Sequence[Encoded], sample_ids: Sequence[str], *, batch_size: int, seed: int):
        if not encoded:
            raise DataError("training data: expected at least one sample, found none")
        self.encoded = list(encoded)
        self.sample_ids = list(sample_ids)
        self.batch_size = min(batch_size, len(self.encoded))
        self.seed = seed
        self._lengths = np.array([len(sample.input_ids) for sample in self.encoded])
        self._learned = np.array([int((sample.labels != IGNORED).sum()) for sample in self.encoded])
        self._epoch = lru_cache(maxsize=2)(self._batches_of_epoch)

    @classmethod
    def encode(
        cls,
        samples: Sequence[Sample],
        encoder: SampleEncoder,
        *,
        batch_size: int,
        seed: int,
        on_progress: Callable[[int], None] | None = None,
    ) -> "TrainingData":
        """Encode every sample once. Raises DataError or ModelError naming the sample that does not fit."""
        encoded = []
        for sample in samples:
            encoded.append(encoder.encode(sample, with_answer=True))
            if on_progress is not None:
                on_progress(1)
        return cls(encoded, [sample.sample_id for sample in samples], batch_size=batch_size, seed=seed)

    @property
    def batches_per_epoch(self) -> int:
        return len(self.encoded) // self.batch_size

    def rows(self, batch: int) -> np.ndarray:
        """Indices of the samples of batch number `batch`, counted over all epochs."""
        epoch, within = divmod(batch, self.batches_per_epoch)
        return self._epoch(epoch)[within]

    def ids(self, batch: int) -> list[str]:
        """Sample ids of a batch."""
        return [self.sample_ids[row] for row in self.rows(batch)]

    def learned_tokens(self, batch: int) -> int:
        """How many answer tokens a batch teaches."""
        return int(self._learned[self.rows(batch)].sum())

    def inputs(self, batch: int, processor: SpatialVLProcessor, *, as_bytes: bool = False) -> ModelInputs:
        """A batch, right-padded; `as_bytes` as of `collated`."""
        return processor.collate([self.encoded[row] for row in self.rows(batch)], padding_side="right", as_bytes=as_bytes)

    def feed(self, processor: SpatialVLProcessor, *, accumulate: int) -> "BatchFeed":
        """So many batches an update."""
        return BatchFeed(self, processor, accumulate)

    def _batches_of_epoch(self, epoch: int) -> list[np.ndarray]:
        """Each sample at most once; the few left over by the batch size differ from epoch to epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        shuffled = rng.permutation(len(self.encoded))[: self.batches_per_epoch * self.batch_size]
        window = SORTED_BATCHES * self.batch_size
        pieces = [shuffled[start : start + window] for start in range(0, len(shuffled), window)]
        ordered = np.concatenate([piece[np.argsort(self._lengths[piece], kind="stable")] for piece in pieces])
        batches = np.split(ordered, self.batches_per_epoch)
        return [batches[index] for index in rng.permutation(len(batches))]


class BatchFeed:
    """The batches of data in memory as updates, each batch made when its turn comes."""

    def __init__(self, data: TrainingData, processor: SpatialVLProcessor, accumulate: int):
        self.data, self.processor, self.accumulate = data, processor, accumulate

    def updates(self, first: int, last: int) -> Iterator[Update]:
        grid = self.processor.form.grid
        for update in range(first, last):
            batches = range(update * self.accumulate, (update + 1) * self.accumulate)
            yield Update(
                learned=sum(self.data.learned_tokens(batch) for batch in batches),
                portions=(Batch(inputs=self.data.inputs(batch, self.processor, as_bytes=True), grid=grid) for batch in batches),
                count=self.accumulate,
            )

    def shown(self, update: int, portion: int) -> list[tuple[str, Encoded]]:
        batch = update * self.accumulate + portion
        return [(self.data.sample_ids[row], self.data.encoded[row]) for row in self.data.rows(batch)]
