"""What each preset of a published design is: base weights and their licences, sizes, source, and where it differs from that source."""

from dataclasses import dataclass

VGGT = "facebook/VGGT-1B"


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """One hub repository. Which revision of it is for the user to pin: a name alone may mean other weights tomorrow."""

    hub_id: str
    licence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PresetNote:
    """One preset in words."""

    what: str
    source: str
    differs: str  # from the source
    sizes: tuple[str, ...]  # published sizes of the backbone, the default first
    backbone: str  # family in the hub ids of `weights`

    def weights(self, size: str) -> tuple[Weights, ...]:
        """The base weights at a size: those of the backbone, then those of the geometry encoder."""
        return WEIGHTS[self.backbone][size]


APACHE = "Apache-2.0"
VGGT_WEIGHTS = Weights(
    hub_id=VGGT,
    licence="CC-BY-NC-4.0; for commercial use facebook/VGGT-1B-Commercial, same sizes, on request, not for military use",
)
INTERNVL_LICENCE = "MIT, with Qwen2.5 inside (its licence applies)"
QWEN3_VL = {size: (Weights(hub_id=f"Qwen/Qwen3-VL-{size.upper()}-Instruct", licence=APACHE),) for size in ("4b", "2b", "8b")}
QWEN2_5_VL = {
    "3b": Weights(hub_id="Qwen/Qwen2.5-VL-3B-Instruct", licence="Qwen Research License: not for commercial use"),
    "7b": Weights(hub_id="Qwen/Qwen2.5-VL-7B-Instruct", licence=APACHE),
}
INTERNVL3 = {size: (Weights(hub_id=f"OpenGVLab/InternVL3-{size.upper()}-hf", licence=INTERNVL_LICENCE),) for size in ("2b", "1b", "8b")}
WEIGHTS = {
    "Qwen3-VL": QWEN3_VL,
    "Qwen2.5-VL + VGGT": {size: (weights, VGGT_WEIGHTS) for size, weights in QWEN2_5_VL.items()},
    "Qwen3 + VGGT": {"4b": (Weights(hub_id="Qwen/Qwen3-4B-Instruct-2507", licence=APACHE), VGGT_WEIGHTS)},
    "InternVL3": {
        size: (Weights(hub_id=f"OpenGVLab/InternVL3-{size.upper()}-hf", licence=INTERNVL_LICENCE),) for size in ("2b", "1b", "8b")
    },
}

NOTES = {
    "qwen3vl-base": PresetNote(
        what="Qwen3-VL without geometry",
        source="Qwen3-VL",
        differs="nothing",
        sizes=("4b", "2b", "8b"),
        backbone="Qwen3-VL",
    ),
    "qwen3vl-sin3d": PresetNote(
        what="Qwen3-VL with a sinusoidal code of 3-D positions from depth and pose",
        source="Video-3D-LLM's position code, on Qwen3-VL",
        differs="points are averaged per 2-D patch over valid depth alone, waves of 0.1 to 20 m, a learned gate that starts at 0",
        sizes=("4b", "2b", "8b"),
        backbone="Qwen3-VL",
    ),
    "qwen3vl-mlp3d": PresetNote(
        what="Qwen3-VL with a learned code of 3-D positions from depth and pose",
        source="Video-3D-LLM's learned code, on Qwen3-VL",
        differs="as qwen3vl-sin3d",
        sizes=("4b", "2b", "8b"),
        backbone="Qwen3-VL",
    ),
    "spatial-mllm": PresetNote(
        what="Qwen2.5-VL on video, VGGT tokens added to its visual tokens",
        source="Spatial-MLLM v1.1 (v1.0 by version=v1.0)",
        differs="only the aggregator layer that is used is kept; VGGT's heads are not loaded",
        sizes=("3b", "7b"),
        backbone="Qwen2.5-VL + VGGT",
    ),
    "vggt-perceiver": PresetNote(
        what="frozen VGGT, resampled to a prefix of a language model without eyes",
        source="vggt-qwen3's idea",
        differs="all tokens of all views are resampled, with their view and place; one geometry token per view; the resampler learns, and "
        "is 1024 wide, not 4096",
        sizes=("4b",),
        backbone="Qwen3 + VGGT",
    ),
    "vggt-cross": PresetNote(
        what="visual tokens of Qwen2.5-VL attend to VGGT's patch and camera tokens",
        source="VLM-3R's fusion",
        differs="on Qwen2.5-VL instead of LLaVA-Video, after its merger, with VGGT instead of CUT3R, a gate that starts at 0, no dropout",
        sizes=("3b", "7b"),
        backbone="Qwen2.5-VL + VGGT",
    ),
    "internvl": PresetNote(
        what="InternVL3 without geometry, at most six tiles per image",
        source="the MultiSPA recipe",
        differs="InternVL3 as transformers has it, where the recipe took InternVL2-8B",
        sizes=("2b", "1b", "8b"),
        backbone="InternVL3",
    ),
}
