"""The stages of the fusions, with the matrix products of each.

N visual tokens of D channels, G geometry tokens of C channels, W width of an attention.
"""

from dataclasses import replace

from torch import nn

from sightline.models.stages import FUSION, Stage, linear_shapes, stack_stage
from sightline.models.workload import TokenCounts


def fusion_stages(model: nn.Module, counts: TokenCounts, samples: int, *, sources: tuple[str, ...]) -> list[Stage]:
    """Stages of the fusion and of its copies at DeepStack levels; `sources` are the stages that it reads.

    Of a fusion that is not ours: its linear layers, once for each token that it makes.
    """
    fusion, copies = model.fusion, 1 + len(model.deepstack_fusions)
    if not linear_shapes(fusion):
        return []
    stages = {"add": _add, "cross": _cross, "perceiver": _perceiver}.get(fusion.name, _any)(fusion, counts, samples, sources)
    if copies == 1:
        return stages
    return [_copied(stage, copies) for stage in stages]


def _any(fusion: nn.Module, counts: TokenCounts, samples: int, sources: tuple[str, ...]) -> list[Stage]:
    """Codes of coordinates begin with data: no gradient goes back into a measured point."""
    rows = samples * (counts.prefix if fusion.makes == "prefix" else counts.visual)
    is_entry = fusion.needs == "coordinates"
    return [stack_stage("fusion", FUSION, ("fusion.",), rows, linear_shapes(fusion), sources=sources, is_entry=is_entry)]


def _add(fusion: nn.Module, counts: TokenCounts, samples: int, sources: tuple[str, ...]) -> list[Stage]:
    """A bottleneck works on each geometry token, the rest on each visual token."""
    narrow = linear_shapes(fusion.narrow) if fusion.options.bottleneck_width is not None else []
    shapes = linear_shapes(fusion)[len(narrow) :]
    stages = []
    if narrow:
        rows = samples * counts.geometry_tokens
        stages.append(stack_stage("bottleneck", FUSION, ("fusion.narrow.",), rows, narrow, sources=sources))
        sources = (*sources, "bottleneck")
    own = tuple(f"fusion.{name}." for name, _ in fusion.named_children() if name != "narrow")
    return [*stages, stack_stage("fusion", FUSION, own, samples * counts.visual, shapes, sources=sources)]


def _cross(fusion: nn.Module, counts: TokenCounts, samples: int, sources: tuple[str, ...]) -> list[Stage]:
    """Every visual token looks at the patches and the camera tokens of the views of its step."""
    width, hidden, channels = fusion.options.width, fusion.sizes.hidden_size, fusion.sizes.geometry_channels
    seen = samples * (counts.geometry_tokens + counts.geometry_views)
    looking = samples * counts.visual
    per_step = seen / (samples * counts.images)
    attention = 4.0 * width * looking * per_step
    return [
        Stage(
            name="fusion",
            part=FUSION,
            weights=("fusion.",),
            sources=sources,
            linear_flops=2.0 * (looking * 2 * hidden * width + seen * 2 * channels * width),
            attention_flops=attention,
            dense_attention_flops=attention,
            inputs=looking * hidden,
            # Norms, queries and what they found of each visual token; norm, keys and values of each geometry token.
            kept=looking * (6 * hidden + 3 * width) + seen * (2 * channels + 3 * width),
        )
    ]


def _perceiver(fusion: nn.Module, counts: TokenCounts, samples: int, sources: tuple[str, ...]) -> list[Stage]:
    """Latents look at the tokens of all views in every layer, then at each other."""
    options, hidden, channels = fusion.options, fusion.sizes.hidden_size, fusion.sizes.geometry_channels
    width, layers, views = options.latent_dim, options.layers, samples * counts.geometry_views
    seen, latents = samples * counts.geometry_tokens + views, samples * options.latents
    facts = linear_shapes(fusion.facts) if options.geometry_tokens else []
    attention = 4.0 * width * layers * latents * (seen / samples + options.latents)
    within = seen * channels * width + layers * (2 * seen + (6 + 2 * options.ffn_multiple) * latents) * width**2
    around = views * sum(into * out for into, out in facts) + samples * counts.prefix * width * hidden
    return [
        Stage(
            name="fusion",
            part=FUSION,
            weights=("fusion.",),
            sources=sources,
            linear_flops=2.0 * (within + around),
            attention_flops=attention,
            dense_attention_flops=attention,
            entry_flops=2.0 * views * facts[0][0] * facts[0][1] if facts else 0.0,
            layers=layers,
            inputs=latents * width,
            # Of each token seen: its norms, and in every layer its normed code, key and value. Of each latent: all that layers make of it.
            kept=seen * (2 * channels + width) + layers * (seen * 3 * width + latents * (13 + 2 * options.ffn_multiple) * width),
        )
    ]


def _copied(stage: Stage, copies: int) -> Stage:
    numbers = ("linear_flops", "attention_flops", "dense_attention_flops", "adapter_flops", "entry_flops", "kept", "kept_float32")
    scaled = {name: copies * getattr(stage, name) for name in numbers}
    return replace(stage, **scaled, layers=copies, weights=(*stage.weights, "deepstack_fusions."))
