"""What a training run would do, without doing it: data, model, parameters, updates, tokens."""

from pathlib import Path

import numpy as np

from sightline.mixtures.plan import Plan
from sightline.models.checkpoints import Checkpoint
from sightline.models.image_sizes import FIXED
from sightline.models.processor import SpatialVLProcessor
from sightline.models.sample_encoder import SampleEncoder
from sightline.training.mixture_data import planned_mixture, streamed, words_of
from sightline.training.recipe import TrainRecipe
from sightline.training.trainer import chosen_samples, start

SAMPLED_STEPS = 4  # of a mixture, read, encoded and packed as a run would


def describe(recipe: TrainRecipe) -> list[str]:
    """Lines for people. Loads data and builds the model, trains nothing, writes nothing. Raises what `train` would raise."""
    if recipe.mixture is not None:
        return _of_mixture(recipe, planned_mixture(recipe))
    samples = chosen_samples(recipe.data)
    checkpoint = start(recipe, samples)
    loop = recipe.loop
    encoder = SampleEncoder(checkpoint.processor, store=Path(recipe.data.scenes))
    some = samples[:: max(len(samples) // 50, 1)]
    tokens = sum(len(encoder.encode(sample, with_answer=True).input_ids) for sample in some) / len(some)
    asked = loop.updates * loop.batch_size * loop.accumulate
    tasks = sorted({sample.task for sample in samples})
    return [
        f"data: {len(samples)} questions of {len({sample.scan_id for sample in samples})} scans; tasks {', '.join(tasks)}",
        *_model_lines(recipe, checkpoint),
        f"loop: {loop.updates} updates of {loop.batch_size * loop.accumulate} questions = {asked / len(samples):.1f} passes over the data, "
        f"about {asked * tokens / 1e6:.1f} million tokens ({tokens:.0f} a question)",
    ]


def _of_mixture(recipe: TrainRecipe, plan: Plan) -> list[str]:
    checkpoint = start(recipe, (), words=words_of(plan))
    data = streamed(recipe, plan, checkpoint.processor)
    steps = sorted({int(step) for step in np.linspace(0, plan.steps - 1, SAMPLED_STEPS)})
    sampled = [data[step] for step in steps]
    useful, computed = sum(one.useful_tokens for one in sampled), sum(one.computed_tokens for one in sampled)
    questions, passes = sum(len(one.ids) for one in sampled), sum(len(one.portions) for one in sampled)
    sources = (
        f"{one.recipe.label}: {len(one.units.rows):,} questions over {len(one.units):,} sets of pictures, {one.passes:.2f} passes"
        for one in plan.sources
    )
    return [
        *(f"data: {line}" for line in sources),
        *_model_lines(recipe, checkpoint),
        f"loop: {plan.steps:,} updates of {plan.recipe.sets_per_step} sets of pictures, about {useful / len(steps) * plan.steps / 1e6:.1f} "
        f"million tokens ({useful / questions:.0f} a question)",
        f"packing: {useful / computed:.1%} useful tokens in rows of up to {plan.recipe.token_budget:,}, {passes / len(steps):.1f} forward "
        f"passes an update of {recipe.loop.rows_per_pass} rows each, measured on steps {', '.join(map(str, steps))}",
    ]


def _model_lines(recipe: TrainRecipe, checkpoint: Checkpoint) -> list[str]:
    model = checkpoint.model
    fusion = sum(parameter.numel() for parameter in model.fusion_parameters())
    origin = recipe.model.start_from or f"preset '{recipe.model.preset}' with fresh weights"
    return [
        f"images: {_sizes(checkpoint.processor)}" + ("; none is shown (blind)" if recipe.data.blind else ""),
        f"model: {origin}, fusion '{recipe.model.fusion}', {model.num_parameters():,} parameters, {fusion:,} of them the fusion's",
    ]


def _sizes(processor: SpatialVLProcessor) -> str:
    """The size of images in words."""
    if processor.image_policy != FIXED:
        return f"sizes by the rule '{processor.image_policy}'"
    return f"{processor.image_width}x{processor.image_height}, {processor.tokens_per_image} tokens each"
