"""Spatial-MLLM as published, v1.0 and v1.1, in this family: config rewritten, names mapped, unused VGGT heads dropped by name.

Both are Qwen2.5-VL with VGGT tokens added to its visual tokens; they differ in names, in the depth of the connector and in the order in
which frames, rows, columns and channels are merged. Positions are those of their training (transformers 4.51).
"""

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2_5_VLConfig

from sightline.errors import ModelError
from sightline.models.base_weights import KEY_MAPPING, load_mapped, read_config
from sightline.models.config import SpatialVLConfig
from sightline.models.sources import Source
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration

UNUSED_HEADS = ("camera_head", "point_head", "depth_head", "track_head")  # of VGGT: stored, never run by these models
_OURS = ("spatial_config", "connector_config")  # what v1.1 adds to the config of Qwen2.5-VL
PARTS = {  # what these models were made from, by their own training script; which revisions, it does not say
    "backbone": {"place": "Qwen/Qwen2.5-VL-3B-Instruct"},
    "geometry_encoder": {"place": "facebook/VGGT-1B", "name": "cc-by-nc-4.0", "is_commercial_use_allowed": False},
}
_AGGREGATOR = "geometry_encoder.vggt.aggregator."


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How one version names what it adds to Qwen2.5-VL."""

    version: str
    encoder: str  # prefix of VGGT's weights
    connector: str  # prefix of the connector's
    fusion_options: Mapping[str, Any]

    def key_mapping(self) -> dict[str, str]:
        """Patterns of their names to our names."""
        return {
            rf"^{re.escape(self.encoder)}aggregator\.": _AGGREGATOR,
            rf"^{re.escape(self.connector)}": "fusion.",
            **KEY_MAPPING["qwen2_5_vl"],
        }


LAYOUTS = (
    Layout(version="1.1", encoder="spatial_encoder.vggt_model.", connector="connector.", fusion_options={"version": "1.1"}),
    Layout(version="1.0", encoder="vggt.", connector="vggt_embedding_merger.", fusion_options={"version": "1.0"}),
)


def load_published(source: Source, *, dtype: torch.dtype | str = "auto", device_map: Any = None) -> SpatialVLForConditionalGeneration:
    """A published Spatial-MLLM in evaluation mode: every weight of it but the unused heads'. Raises ModelError."""
    folder = source.folder()
    shapes = tensor_shapes(folder)
    layout = layout_of(shapes, folder)
    config = published_config(folder, layout, shapes)
    model, misfits = load_mapped(
        folder,
        config,
        layout.key_mapping(),
        part=("backbone.", "geometry_encoder.", "fusion."),
        seed=0,
        dtype=dtype,
        device_map=device_map,
        unused=tuple(f"{layout.encoder}{head}." for head in UNUSED_HEADS),
    )
    if misfits:
        raise ModelError(f"{folder}: expected the weights of Spatial-MLLM {layout.version} and no other, found {misfits}")
    model.config.made_from = {"published": {"model": f"Spatial-MLLM {layout.version}", **source.record()}, **PARTS, "fresh": []}
    return model.eval()


def published_config(folder: Path, layout: Layout, shapes: Mapping[str, tuple[int, ...]]) -> SpatialVLConfig:
    """Our config of a published folder; VGGT's sizes, which it does not tell in full, from the shapes of its weights. Raises ModelError."""
    written = read_config(folder)
    layer = written.get("connector_config", {}).get("spatial_embeds_layer_idx", -1)
    kind = written.get("connector_config", {}).get("connector_type", "mlp_add")
    if kind != "mlp_add":
        raise ModelError(f"{folder}/config.json: connector_type: expected 'mlp_add', the one that was published, found '{kind}'")
    backbone = {key: value for key, value in written.items() if key not in (*_OURS, "architectures")} | {"model_type": "qwen2_5_vl"}
    return SpatialVLConfig(
        backbone="qwen2_5_vl",
        backbone_config=Qwen2_5_VLConfig.from_dict(backbone),
        geometry_encoder="vggt",
        geometry_options=vggt_sizes(shapes, f"{layout.encoder}aggregator.", folder) | {"layer": layer},
        fusion="add",
        fusion_options=dict(layout.fusion_options),
        rope_rule="transformers_4",
        views_per_step=2,
        frozen=["geometry_encoder.*"],
    )


def layout_of(shapes: Mapping[str, tuple[int, ...]], folder: Path) -> Layout:
    """Which version a folder holds. Raises ModelError for neither."""
    for layout in LAYOUTS:
        if any(name.startswith(layout.connector) for name in shapes) and any(name.startswith(layout.encoder) for name in shapes):
            return layout
    wanted = " or ".join(f"'{layout.encoder}*' with '{layout.connector}*' ({layout.version})" for layout in LAYOUTS)
    raise ModelError(f"{folder}: expected the weights of Spatial-MLLM, {wanted}, found neither among {len(shapes)} names")


def vggt_sizes(shapes: Mapping[str, tuple[int, ...]], prefix: str, folder: Path) -> dict[str, int]:
    """Options of the geometry encoder from the shapes of VGGT's weights. DINOv2 has as many heads as the aggregator, as published."""
    try:
        _, _, registers, channels = shapes[f"{prefix}register_token"]
        head_dim = shapes[f"{prefix}frame_blocks.0.attn.q_norm.weight"][0]
        patch = shapes[f"{prefix}patch_embed.patch_embed.proj.weight"][-1]
        learned = shapes[f"{prefix}patch_embed.pos_embed"][1] - 1  # but for the class token
    except KeyError as error:
        raise ModelError(f"{folder}: expected VGGT's aggregator with a DINOv2 patch embedding, found no weight {error}") from error
    return {
        "img_size": round(learned**0.5) * patch,
        "patch_size": patch,
        "embed_dim": channels,
        "depth": _count(shapes, f"{prefix}frame_blocks."),
        "num_heads": channels // head_dim,
        "num_registers": registers,
        "dino_depth": _count(shapes, f"{prefix}patch_embed.blocks."),
        "dino_heads": channels // head_dim,
    }


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a folder, from the headers of its safetensors alone. Raises ModelError for a damaged file."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            start = stream.read(8)
            size = struct.unpack("<Q", start)[0] if len(start) == 8 else path.stat().st_size
            if size + 8 > path.stat().st_size:
                raise ModelError(f"{path}: expected a whole safetensors file, found one that is cut off")
            try:
                header = json.loads(stream.read(size))
                shapes |= {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ModelError(f"{path}: expected a safetensors header, found something else ({error})") from error
    return shapes


def _count(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> int:
    return len({name.removeprefix(prefix).partition(".")[0] for name in shapes if name.startswith(prefix)})
