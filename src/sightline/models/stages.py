"""The stages that a forward passes through, with the matrix products of each: vision tower, language model, output head.

P patches and N tokens of a picture, L tokens of a sequence, D width of a stage. A product of (a, b) and (b, c) counts 2abc.
Only matrix products count: normalisation, activations and softmax are under a hundredth and no measure of useful work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from sightline.models.workload import TokenCounts, Workload

if TYPE_CHECKING:
    from sightline.models.config import SpatialVLConfig

VISION, GEOMETRY, FUSION, LANGUAGE = "vision", "geometry", "fusion", "language"
PARTS = (VISION, GEOMETRY, FUSION, LANGUAGE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Layers of one kind that run one after another, for all samples of a workload."""

    name: str
    part: str
    weights: tuple[str, ...]  # beginnings of the names of its parameters
    sources: tuple[str, ...] = ()  # the stages whose output it takes
    linear_flops: float = 0.0  # of the products with weights
    attention_flops: float = 0.0  # of the products between tokens that may see each other
    dense_attention_flops: float = 0.0  # of the same, with those that a mask throws away
    adapter_flops: float = 0.0  # of a LoRA adapter of rank 1 on every linear layer
    adapter_width: int = 0  # numbers in such adapters
    entry_flops: float = 0.0  # of the products whose input is data, through which no gradient goes further back
    layers: int = 1
    inputs: float = 0.0  # numbers that enter one layer
    kept: float = 0.0  # numbers in the compute precision that the backward needs, over all layers
    kept_float32: float = 0.0  # the same, of numbers in single precision
    rank_inputs: float = 0.0  # rows of the adapters: what a rank-1 adapter keeps for the backward, over all layers

    @property
    def forward_flops(self) -> float:
        """Useful ones."""
        return self.linear_flops + self.attention_flops


def backbone_stages(config: "SpatialVLConfig", counts: TokenCounts, workload: Workload, fused: tuple[str, ...]) -> list[Stage]:
    """Stages of the backbone; `fused` names the stages whose output reaches the language model beside the text."""
    kind = config.backbone
    vision = {"qwen3_vl": _qwen3_vl_vision, "qwen2_5_vl": _qwen2_5_vl_vision, "internvl": _internvl_vision}.get(kind)
    seen = vision(config.backbone_config, counts, workload.samples) if vision and counts.images else []
    return [*seen, *_language(config, counts, workload, fused)]


def _qwen3_vl_vision(config: Any, counts: TokenCounts, samples: int) -> list[Stage]:
    vision, images = config.vision_config, counts.images * samples
    blocks = block_stage(
        "vision blocks",
        ("backbone.model.visual.blocks.",),
        rows=images * counts.patches,
        pairs=images * counts.patches**2 * vision.depth,
        width=vision.hidden_size,
        mlp=(vision.intermediate_size, 2),
        layers=vision.depth,
    )
    merged = images * counts.rows * counts.columns
    wide = vision.hidden_size * counts.merge**2
    levels = len(vision.deepstack_visual_indexes)
    mergers = [_merger("merger", "backbone.model.visual.merger.", merged, wide, vision.out_hidden_size)]
    if levels:
        beginning = "backbone.model.visual.deepstack_merger_list."
        mergers.append(_merger("DeepStack mergers", beginning, merged, wide, vision.out_hidden_size, copies=levels))
    return [_patches("backbone.model.visual.", images, counts, vision.hidden_size), blocks, *mergers]


def _qwen2_5_vl_vision(config: Any, counts: TokenCounts, samples: int) -> list[Stage]:
    vision, images = config.vision_config, counts.images * samples
    full = len(vision.fullatt_block_indexes)
    window = vision.window_size // vision.patch_size // vision.spatial_merge_size  # merged tokens along its side
    within = sum((rows * columns * counts.merge**2) ** 2 for rows in _cut(counts.rows, window) for columns in _cut(counts.columns, window))
    blocks = block_stage(
        "vision blocks",
        ("backbone.model.visual.blocks.",),
        rows=images * counts.patches,
        pairs=images * (full * counts.patches**2 + (vision.depth - full) * within),
        width=vision.hidden_size,
        mlp=(vision.intermediate_size, 3),
        layers=vision.depth,
    )
    merged = images * counts.rows * counts.columns
    wide = vision.hidden_size * counts.merge**2
    merger = _merger("merger", "backbone.model.visual.merger.", merged, wide, vision.out_hidden_size)
    return [_patches("backbone.model.visual.", images, counts, vision.hidden_size), blocks, merger]


def _internvl_vision(config: Any, counts: TokenCounts, samples: int) -> list[Stage]:
    vision, images = config.vision_config, counts.images * samples
    tokens = counts.patches + 1  # and the class token
    blocks = block_stage(
        "vision blocks",
        ("backbone.model.vision_tower.encoder.",),
        rows=images * tokens,
        pairs=images * tokens**2 * vision.num_hidden_layers,
        width=vision.hidden_size,
        mlp=(vision.intermediate_size, 2),
        layers=vision.num_hidden_layers,
    )
    merged, wide, hidden = images * counts.rows * counts.columns, vision.hidden_size * counts.merge**2, config.text_config.hidden_size
    projector = stack_stage(
        "merger", VISION, ("backbone.model.multi_modal_projector.",), merged, ((wide, hidden), (hidden, hidden)), sources=("vision blocks",)
    )
    return [_patches("backbone.model.vision_tower.embeddings.", images, counts, vision.hidden_size), blocks, projector]


def _patches(beginning: str, images: int, counts: TokenCounts, width: int) -> Stage:
    own = (f"{beginning}patch_embed", f"{beginning}pos_embed", f"{beginning}cls_token", f"{beginning}position_embeddings")
    rows = images * counts.patches
    return Stage(
        name="patch embedding",
        part=VISION,
        weights=own,
        linear_flops=2.0 * rows * counts.patch_values * width,
        entry_flops=2.0 * rows * counts.patch_values * width,
        inputs=rows * counts.patch_values,
        kept=rows * counts.patch_values,
    )


def _merger(name: str, beginning: str, rows: int, wide: int, out: int, *, copies: int = 1) -> Stage:
    return stack_stage(name, VISION, (beginning,), rows, ((wide, wide), (wide, out)), sources=("vision blocks",), copies=copies)


def stack_stage(
    name: str,
    part: str,
    weights: tuple[str, ...],
    rows: float,
    shapes: Sequence[tuple[int, int]],
    *,
    sources: tuple[str, ...],
    copies: int = 1,
    is_entry: bool = False,
) -> Stage:
    """Linear layers one after another: normalised input, then for each layer its input and for each activation its own."""
    first, hidden = shapes[0][0], sum(into for into, _ in shapes[1:])
    return Stage(
        name=name,
        part=part,
        weights=weights,
        sources=sources,
        linear_flops=2.0 * rows * sum(into * out for into, out in shapes) * copies,
        adapter_flops=2.0 * rows * sum(into + out for into, out in shapes) * copies,
        adapter_width=sum(into + out for into, out in shapes) * copies,
        entry_flops=2.0 * rows * shapes[0][0] * shapes[0][1] * copies if is_entry else 0.0,
        layers=copies,
        inputs=rows * first,
        kept=rows * (2 * first + 2 * hidden) * copies,
        rank_inputs=rows * len(shapes) * copies,
    )


def block_stage(
    name: str,
    weights: tuple[str, ...],
    *,
    rows: float,
    pairs: float,
    width: int,
    mlp: tuple[int, int],
    layers: int,
    part: str = VISION,
    sources: tuple[str, ...] = ("patch embedding",),
) -> Stage:
    """Transformer blocks of `rows` tokens in which `pairs` of tokens meet (over all layers); `mlp` is its width and matrix count.

    Kept for the backward, per token and layer: two norms (input and output), query, key, value and attended values, and of the MLP the
    output and the activation of each of its inner matrices (a gated one also their product).
    """
    inner, matrices = mlp
    attention = 4.0 * width * pairs
    return Stage(
        name=name,
        part=part,
        weights=weights,
        sources=sources,
        linear_flops=2.0 * rows * layers * (4 * width**2 + matrices * width * inner),
        attention_flops=attention,
        dense_attention_flops=attention,
        adapter_flops=2.0 * rows * layers * (8 * width + matrices * (width + inner)),
        adapter_width=layers * (8 * width + matrices * (width + inner)),
        layers=layers,
        inputs=rows * width,
        kept=rows * layers * (8 * width + (2 if matrices == 2 else 4) * inner),
        rank_inputs=rows * layers * (4 + matrices),
    )


def _language(config: "SpatialVLConfig", counts: TokenCounts, workload: Workload, fused: tuple[str, ...]) -> list[Stage]:
    text = config.get_text_config()
    beginning = "backbone.model." if config.backbone == "qwen3" else "backbone.model.language_model."
    width, inner, layers = text.hidden_size, text.intermediate_size, text.num_hidden_layers
    head = getattr(text, "head_dim", None) or width // text.num_attention_heads
    query, key = text.num_attention_heads * head, text.num_key_value_heads * head
    length, rows = counts.sequence, workload.samples * counts.sequence
    matrices = ((width, query), (width, key), (width, key), (query, width), (width, inner), (width, inner), (inner, width))
    normed = query + key if config.backbone in ("qwen3", "qwen3_vl") else 0  # query and key have norms of their own
    is_tied = bool(config.tie_word_embeddings)
    embedding = f"{beginning}embed_tokens."
    learned = workload.samples * workload.answer_tokens
    return [
        Stage(name="embedding", part=LANGUAGE, weights=(embedding,)),
        Stage(
            name="language layers",
            part=LANGUAGE,
            weights=(f"{beginning}layers.",),
            sources=("embedding", *fused),
            linear_flops=2.0 * rows * layers * sum(into * out for into, out in matrices),
            attention_flops=4.0 * query * workload.samples * layers * length * (length + 1) / 2,
            dense_attention_flops=4.0 * query * workload.samples * layers * length**2,
            adapter_flops=2.0 * rows * layers * sum(into + out for into, out in matrices),
            adapter_width=layers * sum(into + out for into, out in matrices),
            layers=layers,
            inputs=rows * width,
            # Norms keep their output; rotated query and key, value, attended values; gate and up, the activated gate, their product.
            kept=rows * layers * (4 * width + 2 * query + 2 * key + normed + 4 * inner),
            kept_float32=rows * layers * (2 * width + normed),  # transformers normalises in single precision
            rank_inputs=rows * layers * len(matrices),
        ),
        Stage(
            name="output head",
            part=LANGUAGE,
            weights=(f"{beginning}norm.", embedding if is_tied else "backbone.lm_head."),
            sources=("language layers",),
            linear_flops=2.0 * learned * width * text.vocab_size,
            inputs=rows * width,
            kept=rows * width + learned * (width + text.vocab_size),
            kept_float32=rows * width + 2 * learned * text.vocab_size,
        ),
    ]


def _cut(length: int, window: int) -> list[int]:
    """Lengths of the windows that cover a side, the last one short."""
    return [min(window, length - start) for start in range(0, length, window)]


def linear_shapes(module: nn.Module) -> list[tuple[int, int]]:
    """Input and output width of every linear layer, in the order in which they were made."""
    return [(layer.in_features, layer.out_features) for layer in module.modules() if isinstance(layer, nn.Linear)]
