"""Training data read as it is needed: the steps of a mixture as packed rows, each a pure function of recipe, step, rank and world."""

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.context import BaseContext
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sightline.errors import DataError, SightlineError
from sightline.mixtures.packing import balanced_rows
from sightline.mixtures.stream import MixtureStream, Unit
from sightline.models.backbones.backbone import VisionGrid
from sightline.models.conversation_encoder import ConversationEncoder
from sightline.models.encoded import Encoded
from sightline.models.model import IGNORED
from sightline.models.packed import Group, Packed, pack, share
from sightline.models.processor import SpatialVLProcessor
from sightline.training.data import Update


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PackedRows:
    """Some packed rows as a portion. Their pixels are uint8 until they are on the device."""

    packed: Packed
    grid: VisionGrid
    ids: tuple[str, ...]
    learned: int

    @property
    def tokens(self) -> int:
        return self.packed.useful_tokens

    @property
    def samples(self) -> int:
        return len(self.ids)

    def on(self, device: torch.device, *, dtype: torch.dtype, attention: str) -> dict[str, Tensor]:
        here = self.packed.to(device)
        return replace(here, inputs=here.inputs.with_pixels(self.grid)).for_loss(dtype=dtype, attention=attention)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepData:
    """What one process learns from in one step."""

    step: int
    portions: tuple[PackedRows, ...]
    useful_tokens: int
    computed_tokens: int  # padding included

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the rows that are shown, as `<source>/<id>`; none of a process that has nothing of its own in this step."""
        return tuple(one for portion in self.portions for one in portion.ids)

    @property
    def learned(self) -> int:
        return sum(portion.learned for portion in self.portions)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Member:
    """A group of samples with their ids."""

    group: Group
    ids: tuple[str, ...]


class StreamData:
    """The packed steps of a mixture. `encoders` are those of its sources by label; a step is `data[step]`.

    Nothing is remembered from step to step, so a run may stop anywhere and go on with other processes and workers. It pickles, for
    loader processes.
    """

    def __init__(
        self,
        stream: MixtureStream,
        encoders: Mapping[str, ConversationEncoder],
        processor: SpatialVLProcessor,
        *,
        rows_per_pass: int = 1,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        ahead: int = 2,
    ):
        """`rows_per_pass`: packed rows of one forward pass. `workers` processes prepare `ahead` steps each; 0: none is prepared before it
        is asked for. Raises DataError where there are more processes than sets of pictures in a step.
        """
        if world > stream.plan.recipe.sets_per_step:
            raise DataError(
                f"mixture: sets_per_step: expected at least one for each of {world} processes, found {stream.plan.recipe.sets_per_step}"
            )
        self.stream, self.encoders, self.processor = stream, dict(encoders), processor
        self.rows_per_pass, self.rank, self.world = rows_per_pass, rank, world
        self.workers, self.ahead = workers, ahead

    def __len__(self) -> int:
        return self.stream.plan.steps

    def __getitem__(self, step: int) -> StepData:
        """Raises DataError, ModelError, CaptureError or SceneError naming the row that cannot be shown."""
        members = [member for unit in self._units(step) for member in self._members(unit)] or [self._nothing(step)]
        budget = self.stream.plan.recipe.token_budget
        packing = balanced_rows([one.group.tokens for one in members], budget=budget, names=[", ".join(one.ids) for one in members])
        form = self.processor.form
        portions = []
        for start in range(0, len(packing.rows), self.rows_per_pass):
            rows = [[members[item] for item in row] for row in packing.rows[start : start + self.rows_per_pass]]
            packed = pack([[member.group for member in row] for row in rows], form, as_bytes=True)
            ids = tuple(one for row in rows for member in row for one in member.ids)
            learned = int((packed.inputs.labels != IGNORED).sum())
            portions.append(PackedRows(packed=packed, grid=form.grid, ids=ids, learned=learned))
        return StepData(
            step=step,
            portions=tuple(portions),
            useful_tokens=sum(one.packed.useful_tokens for one in portions),
            computed_tokens=sum(one.packed.group.numel() for one in portions),
        )

    def updates(self, first: int, last: int) -> Iterator[Update]:
        """Steps `first` to `last - 1`, prepared ahead by the workers. Raises what a step raises."""
        loader = DataLoader(
            _Steps(self),
            sampler=range(first, last),
            batch_size=None,
            num_workers=self.workers,
            prefetch_factor=self.ahead if self.workers else None,
            multiprocessing_context=_fresh_processes() if self.workers else None,
            collate_fn=_itself,
            worker_init_fn=_prepare_worker,
            generator=torch.Generator(),  # else a loader draws from the random state that a run saves and resumes
        )
        for found in loader:
            if isinstance(found, SightlineError):
                raise found
            yield Update(learned=found.learned, portions=found.portions, count=len(found.portions))

    def shown(self, update: int, portion: int) -> list[tuple[str, Encoded]]:
        """Ids and samples of one portion, each encoded alone, for messages."""
        wanted = set(self[update].portions[portion].ids)
        found = []
        for unit in self._units(update):
            encoded = self.encoders[unit.source].encode_many(unit.conversations, position=unit.position)
            found += [(name, one) for name, one in zip(_ids(unit), encoded, strict=True) if name in wanted]
        return found

    def _units(self, step: int) -> list[Unit]:
        return self.stream.step(step, rank=self.rank, world=self.world)

    def _members(self, unit: Unit) -> list[_Member]:
        encoded = self.encoders[unit.source].encode_many(unit.conversations, position=unit.position)
        return self._grouped(encoded, _ids(unit))

    def _grouped(self, samples: Sequence[Encoded], ids: Sequence[str]) -> list[_Member]:
        """One group, or as few halves as the budget asks for; each sample alone where its pictures do not all stand in the common part."""
        group = share(samples)
        if len(samples) == 1:
            return [_Member(group=group, ids=tuple(ids))]
        if not self._holds_pictures(group):
            return [_Member(group=share([sample]), ids=(name,)) for sample, name in zip(samples, ids, strict=True)]
        if group.tokens > self.stream.plan.recipe.token_budget:
            half = len(samples) // 2
            return [*self._grouped(samples[:half], ids[:half]), *self._grouped(samples[half:], ids[half:])]
        return [_Member(group=group, ids=tuple(ids))]

    def _nothing(self, step: int) -> _Member:
        """For a process without a set of its own in a short last step: the step's first, of which nothing is learned."""
        unit, *_ = self.stream.units(np.array(self.stream.plan.positions_of(step)[:1]))
        sample, *_ = self.encoders[unit.source].encode_many(unit.conversations[:1], position=unit.position)
        return _Member(group=share([replace(sample, labels=np.full_like(sample.labels, IGNORED))]), ids=())

    def _holds_pictures(self, group: Group) -> bool:
        return not np.isin(group.samples[0].input_ids[group.shared :], self.processor.placeholder_ids).any()


class _Steps(Dataset):
    """Steps for loader processes: what is wrong with one comes back as it is, not wrapped in the loader's own words."""

    def __init__(self, data: StreamData):
        self.data = data

    def __getitem__(self, step: int) -> StepData | SightlineError:
        try:
            return self.data[step]
        except SightlineError as error:
            return error


def _itself(found: Any) -> Any:
    return found


def _fresh_processes() -> BaseContext:
    """Workers begin without the threads of the training process: a fork of it may wait for ever for a lock of OpenCV or of CUDA."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # what they import is imported once
    return context


def _prepare_worker(number: int) -> None:
    """One thread a process: they share the machine with each other and the training."""
    cv2.setNumThreads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _ids(unit: Unit) -> list[str]:
    return [f"{unit.source}/{row.sample_id}" for row in unit.conversations]
