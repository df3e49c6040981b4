"""What a training run would do, without doing it: data, model, parameters, updates, tokens."""

from pathlib import Path

from sightline.models.image_sizes import FIXED
from sightline.models.processor import SpatialVLProcessor
from sightline.models.sample_encoder import SampleEncoder
from sightline.training.recipe import TrainRecipe
from sightline.training.trainer import chosen_samples, start


def describe(recipe: TrainRecipe) -> list[str]:
    """Lines for people. Loads data and builds the model, trains nothing, writes nothing. Raises what `train` would raise."""
    samples = chosen_samples(recipe.data)
    checkpoint = start(recipe, samples)
    model, loop = checkpoint.model, recipe.loop
    encoder = SampleEncoder(checkpoint.processor, store=Path(recipe.data.scenes))
    some = samples[:: max(len(samples) // 50, 1)]
    tokens = sum(len(encoder.encode(sample, with_answer=True).input_ids) for sample in some) / len(some)
    asked = loop.updates * loop.batch_size * loop.accumulate
    fusion = sum(parameter.numel() for parameter in model.fusion_parameters())
    tasks = sorted({sample.task for sample in samples})
    origin = recipe.model.start_from or f"preset '{recipe.model.preset}' with fresh weights"
    return [
        f"data: {len(samples)} questions of {len({sample.scan_id for sample in samples})} scans; tasks {', '.join(tasks)}",
        f"images: {_sizes(checkpoint.processor)}" + ("; none is shown (blind)" if recipe.data.blind else ""),
        f"model: {origin}, fusion '{recipe.model.fusion}', {model.num_parameters():,} parameters, {fusion:,} of them the fusion's",
        f"loop: {loop.updates} updates of {loop.batch_size * loop.accumulate} questions = {asked / len(samples):.1f} passes over the data, "
        f"about {asked * tokens / 1e6:.1f} million tokens ({tokens:.0f} a question)",
    ]


def _sizes(processor: SpatialVLProcessor) -> str:
    """The size of images in words."""
    if processor.image_policy != FIXED:
        return f"sizes by the rule '{processor.image_policy}'"
    return f"{processor.image_width}x{processor.image_height}, {processor.tokens_per_image} tokens each"
