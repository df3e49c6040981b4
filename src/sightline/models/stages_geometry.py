"""The stages of the geometry encoders, with the matrix products of each.

Only VGGT has any: points from depth are sums, no products of weights.
"""

from typing import TYPE_CHECKING

from torch import nn

from sightline.models.stages import GEOMETRY, Stage, block_stage, linear_shapes, stack_stage
from sightline.models.workload import TokenCounts

if TYPE_CHECKING:
    from sightline.models.geometry_encoders.vggt.options import VggtOptions


def vggt_stages(options: "VggtOptions", counts: TokenCounts, samples: int, *, beginning: str) -> list[Stage]:
    """VGGT's aggregator up to the last layer that is kept, without heads. `beginning` is that of its parameters' names."""
    width, views = options.embed_dim, counts.geometry_views
    patches = counts.geometry_rows * counts.geometry_columns
    within = patches + 1 + options.num_registers  # a class token stands beside DINOv2's registers, a camera token beside VGGT's
    rows, frames = samples * views * within, samples * views
    dino = options.patch_embed == "dinov2"
    own = f"{beginning}patch_embed."
    stages = [
        Stage(
            name="geometry patches",
            part=GEOMETRY,
            weights=(f"{own}patch_embed.",) if dino else (own,),
            linear_flops=2.0 * frames * patches * 3 * options.patch_size**2 * width,
            entry_flops=2.0 * frames * patches * 3 * options.patch_size**2 * width,
            inputs=frames * patches * 3 * options.patch_size**2,
            kept=frames * patches * 3 * options.patch_size**2,
        )
    ]
    if dino:
        stages.append(
            block_stage(
                "DINOv2 blocks",
                (f"{own}blocks.", f"{own}norm.", f"{own}cls_token", f"{own}register_tokens", f"{own}mask_token", f"{own}pos_embed"),
                rows=rows,
                pairs=frames * within**2 * options.dino_depth,
                width=width,
                mlp=(4 * width, 2),
                layers=options.dino_depth,
                part=GEOMETRY,
                sources=("geometry patches",),
            )
        )
    layers = options.needed_layers[-1] + 1
    special = (f"{beginning}camera_token", f"{beginning}register_token")
    for name, kind, pairs in (
        ("frame blocks", "frame_blocks", frames * within**2),
        ("global blocks", "global_blocks", samples * (views * within) ** 2),
    ):
        stages.append(
            block_stage(
                name,
                (f"{beginning}{kind}.", *special) if kind == "frame_blocks" else (f"{beginning}{kind}.",),
                rows=rows,
                pairs=pairs * layers,
                width=width,
                mlp=(int(options.mlp_ratio * width), 2),
                layers=layers,
                part=GEOMETRY,
                sources=(stages[-1].name,),
            )
        )
    return stages


def geometry_stages(encoder: nn.Module | None, counts: TokenCounts, samples: int) -> list[Stage]:
    """Stages of a geometry encoder: VGGT's, none of one without weights, and of a foreign one its linear layers, once per patch."""
    if encoder is None or not any(True for _ in encoder.parameters()):
        return []
    if encoder.name == "vggt":
        return vggt_stages(encoder.vggt.options, counts, samples, beginning="geometry_encoder.vggt.aggregator.")
    rows, shapes = samples * counts.geometry_tokens, linear_shapes(encoder)
    return [stack_stage("geometry encoder", GEOMETRY, ("geometry_encoder.",), rows, shapes, sources=(), is_entry=True)] if shapes else []
