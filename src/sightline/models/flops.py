"""Useful floating-point operations of a forward and of a training step, as model FLOP utilisation counts them.

Only matrix products count. Attention counts the pairs of tokens that may see each other: in the language model each token and those
before it. Vision tower and geometry encoder count; frozen parts count their forward alone, and a LoRA-trained matrix the forward and
the gradient of its input; the output head counts on learned tokens alone; padding and recomputed forwards do not count.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sightline.models.stages import PARTS, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What is trained: the share of each stage's weights (by name), and the rank of LoRA adapters on the stages named."""

    trained_share: Mapping[str, float]  # 0 frozen, 1 all of its matrices
    lora_rank: int = 0
    adapted: tuple[str, ...] = ()

    def is_trained(self, stage: Stage) -> bool:
        return self.trained_share[stage.name] > 0 or (self.lora_rank > 0 and stage.name in self.adapted)


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Operations of one part of the model, or of all of it."""

    forward_flops: float
    step_flops: float  # forward and backward of one training step

    def __add__(self, other: "Work") -> "Work":
        return Work(forward_flops=self.forward_flops + other.forward_flops, step_flops=self.step_flops + other.step_flops)


def work_by_part(stages: Sequence[Stage], training: Training, *, is_dense: bool = False) -> dict[str, Work]:
    """Operations of each part. `is_dense` counts attention the way kernels without knowledge of the mask compute it."""
    parts = {part: Work(forward_flops=0.0, step_flops=0.0) for part in PARTS}
    for stage in stages:
        parts[stage.part] += stage_work(stage, needs_input_gradient(stage, stages, training), training, is_dense=is_dense)
    return parts


def total(parts: Mapping[str, Work]) -> Work:
    """All parts together."""
    return sum(parts.values(), Work(forward_flops=0.0, step_flops=0.0))


def stage_work(stage: Stage, has_gradient_before: bool, training: Training, *, is_dense: bool = False) -> Work:
    """A product with a weight costs its forward once more for the gradient of its input, and once more for that of the weight.

    A product between tokens costs two forwards more. Nothing is computed backwards where neither the stage nor anything before it learns.
    """
    attention = stage.dense_attention_flops if is_dense else stage.attention_flops
    forward = stage.linear_flops + attention
    share = training.trained_share[stage.name]
    is_trained = training.is_trained(stage)
    rank = training.lora_rank if stage.name in training.adapted else 0
    adapter = rank * stage.adapter_flops
    if not is_trained and not has_gradient_before:
        return Work(forward_flops=forward, step_flops=forward)
    into = stage.linear_flops - (0.0 if has_gradient_before else stage.entry_flops)
    backward = into + share * stage.linear_flops + 2.0 * attention
    return Work(forward_flops=forward + adapter, step_flops=forward + backward + 3.0 * adapter)


def needs_input_gradient(stage: Stage, stages: Sequence[Stage], training: Training) -> bool:
    """Whether anything that feeds this stage learns, so that its input needs a gradient."""
    by_name = {one.name: one for one in stages}
    return any(training.is_trained(by_name[name]) for name in _before(stage, by_name.get))


def _before(stage: Stage, named: Callable[[str], Stage | None]) -> set[str]:
    found: set[str] = set()
    waiting = list(stage.sources)
    while waiting:
        name = waiting.pop()
        source = named(name)
        if name not in found and source is not None:
            found.add(name)
            waiting.extend(source.sources)
    return found


def utilisation(flops: float, *, seconds: float, peak_flops_per_s: float) -> float:
    """Share of a machine's peak that was useful work."""
    return flops / seconds / peak_flops_per_s
