"""Memory of a training step: weights, gradients, optimiser state and, estimated, what the backward needs of the forward.

The estimate of activations is a sum over layers of the tensors that the modules of transformers keep (`Stage.kept`, `Stage.kept_float32`),
for attention that does not write its scores down. What a kernel takes for itself, and what the allocator wastes, comes on top.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sightline.models.flops import Training, needs_input_gradient
from sightline.models.stages import Stage

BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}
SINGLE = 4  # bytes of a number in single precision
MOMENTS = 2  # AdamW's, in single precision


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes."""

    weights: float
    gradients: float
    optimiser: float
    activations: float

    @property
    def training(self) -> float:
        """All of it."""
        return self.weights + self.gradients + self.optimiser + self.activations


def memory_of(
    stages: Sequence[Stage], training: Training, *, parameters: int, trainable: int, dtype: str, is_checkpointed: bool = False
) -> Memory:
    """Memory for weights of `dtype` with AdamW. Weights of half precision have a copy in single precision beside its two moments."""
    adapters = adapter_parameters(stages, training)
    width = BYTES[dtype]
    per_trained = SINGLE * (MOMENTS + (width < SINGLE))
    return Memory(
        weights=width * (parameters + adapters),
        gradients=width * (trainable + adapters),
        optimiser=per_trained * (trainable + adapters),
        activations=activation_bytes(stages, training, width=width, is_checkpointed=is_checkpointed),
    )


def activation_bytes(stages: Sequence[Stage], training: Training, *, width: int, is_checkpointed: bool = False) -> float:
    """Bytes kept for the backward. With checkpointing, every layer's input, and everything within the one layer that is recomputed."""
    kept, largest_layer = 0.0, 0.0
    for stage in stages:
        if not training.is_trained(stage) and not needs_input_gradient(stage, stages, training):
            continue
        rank = training.lora_rank if stage.name in training.adapted else 0
        whole = width * (stage.kept + rank * stage.rank_inputs) + SINGLE * stage.kept_float32
        if is_checkpointed and stage.layers > 1:
            largest_layer = max(largest_layer, whole / stage.layers)
            kept += width * stage.inputs * stage.layers
        else:
            kept += whole
    return kept + largest_layer


def adapter_parameters(stages: Sequence[Stage], training: Training) -> int:
    """Numbers in the LoRA adapters: rank times input and output width of every linear layer."""
    return sum(training.lora_rank * stage.adapter_width for stage in stages if stage.name in training.adapted)
