"""Many samples in one sequence: questions about the same pictures share them, and no sample sees another.

A group is K questions over one set of pictures: what their token ids have in common at the start, pictures included, stands once, and each
question goes on from there as a branch of its own. A row holds several groups one after the other. A token sees those before it in its own
branch and in the common part of its own group; positions of a branch go on from the common part, and those of each group start at zero.
So every token has exactly the context and the positions it has alone, and the loss is the sum of the losses of the samples apart.

Shapes: R rows of L tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sightline.errors import ModelError
from sightline.models.collation import InputForm, collated, token_positions
from sightline.models.encoded import Encoded, ModelInputs
from sightline.models.model import IGNORED

PADDING = -1
COMMON = 0  # branch number of the part that a group shares


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Group:
    """K samples over one set of pictures, and how many tokens they share."""

    samples: tuple[Encoded, ...]
    shared: int

    @property
    def tokens(self) -> int:
        """Of the whole group in a row."""
        return self.shared + sum(len(sample.input_ids) - self.shared for sample in self.samples)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Packed:
    """Model inputs whose rows hold several samples, and who may see whom."""

    inputs: ModelInputs  # its attention mask is of no use here: ask `dense_mask` or `flex_mask`
    group: Tensor  # (R, L) which group of its row a token belongs to, -1 for padding
    branch: Tensor  # (R, L) 0 in the common part, then 1, 2, ...
    useful_tokens: int

    def dense_mask(self, dtype: torch.dtype) -> Tensor:
        """`(R, 1, L, L)` of 0 where a token may look and the least number of `dtype` where not. Padding sees itself alone."""
        length = self.group.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=self.group.device).tril()
        same_group = self.group[:, :, None] == self.group[:, None, :]
        is_open = (self.branch[:, None, :] == COMMON) | (self.branch[:, :, None] == self.branch[:, None, :])
        itself = torch.eye(length, dtype=torch.bool, device=self.group.device)
        sees = causal & same_group & is_open & (self.group[:, :, None] != PADDING) | itself
        return torch.zeros(sees.shape, dtype=dtype, device=sees.device).masked_fill(~sees, torch.finfo(dtype).min)[:, None]

    def flex_mask(self) -> object:
        """The same as a block mask for FlexAttention, which skips what nobody may see."""
        from torch.nn.attention.flex_attention import create_block_mask

        group, branch = self.group, self.branch

        def sees(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            same_group = (group[row, query] == group[row, key]) & (group[row, query] != PADDING)
            is_open = (branch[row, key] == COMMON) | (branch[row, key] == branch[row, query])
            return (query >= key) & same_group & is_open | (query == key)

        rows, length = group.shape
        return create_block_mask(sees, rows, None, length, length, device=str(group.device))

    def for_loss(self, *, dtype: torch.dtype, attention: str) -> dict[str, Tensor]:
        """Keyword arguments of `answer_loss` for a model of that attention implementation."""
        mask = self.flex_mask() if attention == "flex_attention" else self.dense_mask(dtype)
        return {**self.inputs.for_loss(), "attention_mask": mask}

    def to(self, device: torch.device | str) -> "Packed":
        """The same rows on a device."""
        return replace(self, inputs=self.inputs.to(device), group=self.group.to(device), branch=self.branch.to(device))


def share(samples: Sequence[Encoded]) -> Group:
    """One group. Raises ModelError for samples that do not show the same pictures."""
    first = samples[0]
    for sample in samples[1:]:
        if not (_is_same(sample.grid_hw, first.grid_hw) and _is_same(sample.patches, first.patches)):
            raise ModelError("shared pictures: expected questions over the same pictures with the same marks, found others")
    # Each branch keeps at least one token before its first learned one: the token that predicts it must be its own.
    most = (
        min(int((sample.labels != IGNORED).argmax()) if (sample.labels != IGNORED).any() else len(sample.labels) for sample in samples) - 1
    )
    ids = np.stack([sample.input_ids[:most] for sample in samples])
    differs = (ids != ids[0]).any(axis=0)
    return Group(samples=tuple(samples), shared=int(differs.argmax()) if differs.any() else most)


def _is_same(one: np.ndarray, other: np.ndarray) -> bool:
    return one is other or np.array_equal(one, other)


def pack(rows: Sequence[Sequence[Group]], form: InputForm, *, length: int | None = None, as_bytes: bool = False) -> Packed:
    """Rows of groups as tensors, padded on the right to the longest row or to `length`; `as_bytes` as of `collated`.

    Raises ModelError for a row that is longer.
    """
    counts = [sum(group.tokens for group in row) for row in rows]
    length = max(counts) if length is None else length
    if max(counts) > length:
        raise ModelError(f"packing: expected rows of at most {length} tokens, found {max(counts)}")
    shape = (len(rows), length)
    ids, labels = np.full(shape, form.pad_id, np.int64), np.full(shape, IGNORED, np.int64)
    types, positions = np.zeros(shape, np.int64), np.zeros((3, *shape), np.int64)
    groups, branches = np.full(shape, PADDING, np.int64), np.full(shape, COMMON, np.int64)
    for row, members in enumerate(rows):
        at = 0
        for number, group in enumerate(members):
            for branch, sample in enumerate(group.samples, start=1):
                row_types, place = token_positions(sample, form)
                for part, which in ((slice(0, group.shared), COMMON), (slice(group.shared, None), branch)):
                    if which == COMMON and branch > 1:
                        continue
                    count = len(sample.input_ids[part])
                    here = slice(at, at + count)
                    ids[row, here], labels[row, here] = sample.input_ids[part], sample.labels[part]
                    types[row, here], positions[:, row, here] = row_types[part], place[:, part]
                    groups[row, here], branches[row, here] = number, which
                    at += count
    shown = [group.samples[0] for row in rows for group in row]
    apart = collated(shown, form, padding_side="right", as_bytes=as_bytes)  # pictures, cameras and geometry, once for each group
    inputs = replace(
        apart,
        input_ids=torch.from_numpy(ids),
        attention_mask=torch.from_numpy((groups != PADDING).astype(np.int64)),
        labels=torch.from_numpy(labels),
        mm_token_type_ids=torch.from_numpy(types) if form.has_mrope else None,
        position_ids=torch.from_numpy(positions if form.has_mrope else positions[0]),
        views_per_sample=torch.tensor([sample.views for sample in shown]) if any(sample.views for sample in shown) else None,
    )
    return Packed(inputs=inputs, group=torch.from_numpy(groups), branch=torch.from_numpy(branches), useful_tokens=sum(counts))
