"""AdamW in groups (with and without decay, fusion apart) and a cosine schedule counted in updates."""

import math

import torch

from sightline.models.spatial_vl import SpatialVLForConditionalGeneration
from sightline.training.recipe import OptimiserRecipe


def make_optimiser(model: SpatialVLForConditionalGeneration, recipe: OptimiserRecipe) -> torch.optim.AdamW:
    """Matrices decay; embeddings and everything with one dimension (norms, biases, gates) do not. Fusions learn at their own rate."""
    fusion = {id(parameter) for parameter in model.fusion_parameters()}
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        rate = recipe.fusion_learning_rate if id(parameter) in fusion else recipe.learning_rate
        decay = recipe.weight_decay if parameter.ndim > 1 and id(parameter) not in embeddings else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": parameters, "lr": rate, "peak_rate": rate, "weight_decay": decay} for (rate, decay), parameters in groups.items()],
        betas=(recipe.beta1, recipe.beta2),
        eps=1e-9,
        fused=True,
    )


def share_of_rate(update: int, *, updates: int, warmup_updates: int, final_share: float) -> float:
    """Learning rate of update number `update` (from 0) as a share of its peak: linear warm-up, then a half cosine to `final_share`."""
    if update < warmup_updates:
        return (update + 1) / warmup_updates
    done = (update - warmup_updates) / max(updates - warmup_updates - 1, 1)
    return final_share + (1.0 - final_share) * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))


def set_rates(optimiser: torch.optim.Optimizer, share: float) -> None:
    """Scale every group's rate from its own peak."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak_rate"] * share
