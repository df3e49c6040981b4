"""Every backbone with every geometry encoder and every fusion: it builds, runs and generates, or it is refused with the reason."""

import copy
from itertools import product

import pytest
import torch
from preset_cases import WORDS, batch_of, logits, opened, tokenizer, toy

from sightline.errors import ConfigError
from sightline.models.config import NO_ENCODER, SpatialVLConfig
from sightline.models.model import BACKBONES, ENCODERS, FUSIONS
from sightline.models.presets_tiny import FUSIONS as SMALL
from sightline.models.presets_tiny import VGGT, tiny_of
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration

RUNS = "runs"
REASONS = {
    ".": RUNS,
    "v": "the backbone has no visual tokens to change; choose a fusion that makes a prefix, 'perceiver'",
    "c": "the fusion needs coordinates; choose a geometry encoder that gives them, 'pointmap'",
    "f": "the fusion needs features; choose a geometry encoder that gives them, 'vggt'",
    "F": "the fusion needs coordinates, the encoder gives features; choose an encoder among 'pointmap'",
    "C": "the fusion needs features, the encoder gives coordinates; choose an encoder among 'vggt'",
    "t": "the encoder looks at whole views, the backbone at tiles cut out of them",
    "m": "expected visual tokens whose side is a whole number of geometry patches",
}
ENCODER_COLUMNS = ("none", "pointmap", "vggt")
TABLE = """
            qwen3_vl  qwen2_5_vl  internvl  qwen3
none        ...       ...         ...       vvv
sin3d       c.F       c.F         c.F       vvv
mlp3d       c.F       c.F         c.F       vvv
add         fCm       fC.         fCt       vvv
cross       fC.       fC.         fCt       vvv
perceiver   fC.       fC.         fCt       fC.
"""
PRESET_OF = {"qwen3_vl": "qwen3vl-base", "qwen2_5_vl": "vggt-cross", "internvl": "internvl", "qwen3": "vggt-perceiver"}


def read_table() -> dict[tuple[str, str, str], str]:
    heads, *rows = (line.split() for line in TABLE.strip().splitlines())
    return {
        (backbone, encoder, row[0]): REASONS[letter]
        for row in rows
        for backbone, letters in zip(heads, row[1:], strict=True)
        for encoder, letter in zip(ENCODER_COLUMNS, letters, strict=True)
    }


EXPECTED = read_table()


def config_of(backbone: str, encoder: str, fusion: str, changes: dict | None = None) -> SpatialVLConfig:
    of_backbone = tiny_of(PRESET_OF[backbone], tokenizer()).backbone_config
    fields = {
        "backbone": backbone,
        "backbone_config": copy.deepcopy(of_backbone),
        "geometry_encoder": encoder,
        "geometry_options": VGGT if encoder == "vggt" else {},
        "fusion": fusion,
        "fusion_options": SMALL.get(fusion, {}),
        "prefix_token_id": tokenizer().convert_tokens_to_ids("<|video_pad|>"),
    }
    return SpatialVLConfig(**{**fields, **(changes or {})})


def test_the_table_knows_every_part_so_that_a_new_one_is_added_here():
    assert set(EXPECTED) == set(product(BACKBONES, (NO_ENCODER, *ENCODERS), FUSIONS))


@pytest.mark.parametrize(("backbone", "encoder", "fusion"), [chosen for chosen, expected in EXPECTED.items() if expected != RUNS])
def test_an_impossible_combination_is_refused_with_the_reason(backbone, encoder, fusion):
    with pytest.raises(ConfigError) as caught:
        SpatialVLForConditionalGeneration(config_of(backbone, encoder, fusion))
    assert EXPECTED[backbone, encoder, fusion] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("backbone", "encoder", "fusion"), [chosen for chosen, expected in EXPECTED.items() if expected == RUNS])
def test_every_other_combination_builds_runs_and_generates(backbone, encoder, fusion):
    torch.manual_seed(0)
    model = opened(SpatialVLForConditionalGeneration(config_of(backbone, encoder, fusion)).eval())
    # VGGT's 14 px patches and a token of 16 px meet at multiples of 112 px.
    size = {"rows": 7, "columns": 7} if (backbone, encoder) == ("qwen3_vl", "vggt") else {}
    samples = [toy(model.config, 1, 2, **size), toy(model.config, 2, 1, **size)]
    batch = batch_of(model, samples, padding_side="left", with_answer=False)
    outputs = logits(model, batch.inputs)
    assert outputs.shape == (*batch.inputs["input_ids"].shape, len(tokenizer())) and outputs.isfinite().all()
    found = model.generate(**batch.inputs, max_new_tokens=2, do_sample=False, suppress_tokens=list(range(WORDS.start)))
    assert found.shape[1] == batch.inputs["input_ids"].shape[1] + 2
    assert torch.equal(found[:, -2], outputs[:, -1, WORDS.start :].argmax(dim=-1) + WORDS.start)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rope_rule": "transformers_4"}, "is known for backbone 'qwen2_5_vl' alone"),
        ({"rope_rule": "newest"}, "rope_rule: expected one of transformers_5, transformers_4, found 'newest'"),
        ({"views_per_step": 2}, "views_per_step: expected 1 .2 with backbone 'qwen2_5_vl'"),
        ({"fusion": "perceiver", "prefix_token_id": None}, "prefix_token_id: expected the id of the placeholder"),
        ({"fusion": "perceiver", "fuse_deepstack": True}, "fuse_deepstack: expected a backbone with DeepStack levels"),
        ({"backbone": "internvl"}, "expected a backbone_config of model_type 'internvl', found 'qwen3_vl'"),
    ],
)
def test_choices_beside_the_three_are_checked_too(changes, reason):
    with pytest.raises(ConfigError, match=reason):
        SpatialVLForConditionalGeneration(config_of("qwen3_vl", "vggt", "cross", changes))
