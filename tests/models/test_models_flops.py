"""Operations and memory by formula: against closed forms, published budgets and torch's own counter on the tiny siblings."""

import dataclasses

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sightline.errors import ConfigError
from sightline.models import PRESETS, SpatialVLForConditionalGeneration
from sightline.models.flops import Training, stage_work, total, utilisation, work_by_part
from sightline.models.geometry_encoders.vggt.options import VggtOptions
from sightline.models.preset_notes import NOTES
from sightline.models.presets_tiny import tiny_of
from sightline.models.sizes import FROZEN_VISION, FULL, LORA, describe, trained_as
from sightline.models.stages import Stage
from sightline.models.stages_geometry import vggt_stages
from sightline.models.synthetic import synthetic_batch
from sightline.models.tokenizer import train_tokenizer
from sightline.models.workload import TokenCounts, Workload, count_tokens

SMALL = Workload(views=4, width_px=120, height_px=90, text_tokens=60, answer_tokens=7, samples=2)
ROOM = Workload(views=8, width_px=640, height_px=480, text_tokens=200, answer_tokens=20)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["How far is the red dot from the camera?", "0 1 2 3 A B"], vocab_size=320)


def square_views(views: int, side_px: int) -> TokenCounts:
    none = {"images": 0, "rows": 1, "columns": 1, "merge": 1, "patch_values": 0, "visual": 0, "prefix": 0, "sequence": 0}
    return TokenCounts(**none, geometry_views=views, geometry_rows=side_px // 14, geometry_columns=side_px // 14)


@pytest.mark.parametrize(
    "views, side_px, published_tera", [(8, 448, 23.3), (8, 518, 34.8), (2, 448, 4.6), (16, 448, 59.8), (16, 518, 93.3), (32, 448, 173.0)]
)
def test_vggt_costs_what_its_budget_says(views, side_px, published_tera):
    stages = vggt_stages(VggtOptions(), square_views(views, side_px), 1, beginning="")
    assert sum(stage.forward_flops for stage in stages) / 1e12 == pytest.approx(published_tera, rel=0.01)


def test_a_qwen3_of_four_billion_costs_what_its_budget_says():
    """Forward of 1,024 and 4,096 tokens with the head on every one: 8.5 and 37.9 TF; full training three times as much."""
    config = PRESETS["vggt-perceiver"]()
    for tokens, published_tera in ((1024, 8.5), (4096, 37.9)):
        work = total(describe(config, Workload(views=0, text_tokens=tokens, answer_tokens=tokens), train=FULL).work)
        assert work.forward_flops / 1e12 == pytest.approx(published_tera, rel=0.01)
        assert work.step_flops == pytest.approx(3 * work.forward_flops, rel=1e-9)


def test_a_room_of_eight_views_costs_what_its_budget_says():
    """Qwen3-VL-4B: 2,600 tokens, 85.5 TF to train all of it, 70.6 with a frozen tower."""
    config = PRESETS["qwen3vl-sin3d"]()
    described = describe(config, ROOM, train=FULL)
    assert described.counts.sequence == 2600
    assert total(described.work).step_flops / 1e12 == pytest.approx(85.5, rel=0.01)
    assert total(describe(config, ROOM, train=FROZEN_VISION).work).step_flops / 1e12 == pytest.approx(70.6, rel=0.01)


@pytest.mark.parametrize("preset", NOTES)
@pytest.mark.parametrize("train", ["preset", FULL])
def test_torchs_counter_agrees_on_a_forward_and_on_a_training_step(preset, train, tokenizer):
    """To the fourth digit; within 3 % where depth is placed in patches, which is not counted. Attention counts whole, as it does there."""
    config = trained_as(tiny_of(preset, tokenizer), train)
    described = describe(config, SMALL)
    torch.manual_seed(0)
    model = SpatialVLForConditionalGeneration(config).train()
    model.set_attn_implementation("eager")
    batch = synthetic_batch(config, described.counts, SMALL)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as forward:
        loss, _ = model.answer_loss(**batch)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as backward:
        loss.backward()
    dense = total(work_by_part(described.stages, described.training, is_dense=True))
    near = 0.03 if config.geometry_encoder == "pointmap" else 1e-4
    assert forward.get_total_flops() == pytest.approx(dense.forward_flops, rel=near)
    assert forward.get_total_flops() + backward.get_total_flops() == pytest.approx(dense.step_flops, rel=near)


def test_only_pairs_that_see_each_other_are_useful():
    """A causal sequence of L tokens has L (L + 1) / 2 of L^2 pairs; everything else is the same."""
    described = describe(PRESETS["qwen3vl-base"](), ROOM)
    layers = next(stage for stage in described.stages if stage.name == "language layers")
    length = described.counts.sequence
    assert layers.attention_flops / layers.dense_attention_flops == pytest.approx((length + 1) / (2 * length))
    others = [stage for stage in described.stages if stage is not layers]
    assert all(stage.attention_flops == stage.dense_attention_flops for stage in others)


def test_what_is_trained_decides_what_a_step_costs():
    """A trained matrix costs 2 + 1 forwards, a frozen one before nothing 1, a frozen one after something 2; attention after it 3."""
    first = Stage(name="first", part="vision", weights=(), linear_flops=10.0, entry_flops=10.0)
    second = Stage(name="second", part="language", weights=(), sources=("first",), linear_flops=100.0, attention_flops=7.0)
    stages = [first, second]

    def step(**shares: float) -> dict[str, float]:
        work = work_by_part(stages, Training(trained_share=shares))
        return {part: work[part].step_flops for part in ("vision", "language")}

    assert step(first=0.0, second=0.0) == {"vision": 10.0, "language": 107.0}
    assert step(first=0.0, second=1.0) == {"vision": 10.0, "language": 321.0}
    assert step(first=1.0, second=0.0) == {"vision": 20.0, "language": 100.0 * 2 + 7.0 * 3}  # its input is data: no gradient of it
    assert step(first=1.0, second=1.0) == {"vision": 20.0, "language": 321.0}


def test_lora_costs_the_forward_and_the_gradient_of_the_input():
    stage = Stage(name="layers", part="language", weights=(), linear_flops=100.0, adapter_flops=1.0)
    frozen = Training(trained_share={"layers": 0.0}, lora_rank=4, adapted=("layers",))
    assert stage_work(stage, False, frozen).forward_flops == 104.0
    assert stage_work(stage, False, frozen).step_flops == 2 * 100.0 + 3 * 4.0
    described = describe(PRESETS["qwen3vl-base"](), ROOM, train=LORA)
    adapters = 36 * 16 * (2 * (2560 + 4096) + 2 * (2560 + 1024) + 3 * (2560 + 9728))
    assert described.parameters["language"].trainable == adapters and described.parameters["vision"].trainable == 0


@pytest.mark.parametrize("preset", NOTES)
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_memory_of_activations_is_what_autograd_keeps(preset, dtype, tokenizer):
    """Bytes of every tensor saved for the backward, weights and inputs apart, within a tenth of the estimate."""
    config = tiny_of(preset, tokenizer)
    described = describe(config, SMALL, dtype=dtype)
    number = {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
    model = SpatialVLForConditionalGeneration(config).to(number).train()
    batch = synthetic_batch(config, described.counts, SMALL, dtype=number)
    known = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *batch.values())}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss, _ = model.answer_loss(**batch)
        assert sum(kept.values()) == pytest.approx(described.memory.activations, rel=0.1)
    assert torch.isfinite(loss)


def test_weights_gradients_and_optimiser_are_counted_by_their_bytes():
    """4.44 B in bf16: 2 bytes of weight, 2 of gradient, 12 of AdamW and its single-precision copy; 8 where weights are single already."""
    config = PRESETS["qwen3vl-base"]()
    memory = describe(config, ROOM).memory
    assert (memory.weights, memory.gradients, memory.optimiser) == tuple(4_437_815_808 * each for each in (2, 2, 12))
    assert describe(config, ROOM, dtype="fp32").memory.optimiser == 4_437_815_808 * 8
    assert describe(config, ROOM, is_checkpointed=True).memory.activations < memory.activations / 5
    with pytest.raises(ConfigError, match="dtype: expected one of bf16, fp16, fp32, found 'int8'"):
        describe(config, ROOM, dtype="int8")
    with pytest.raises(ConfigError, match="train: expected one of preset, full, frozen-vision, lora, found 'all'"):
        describe(config, ROOM, train="all")


def test_two_samples_cost_twice_one():
    config = PRESETS["spatial-mllm"]()
    one, two = (describe(config, dataclasses.replace(ROOM, samples=samples)) for samples in (1, 2))
    assert total(two.work).step_flops == pytest.approx(2 * total(one.work).step_flops)
    assert two.memory.activations == pytest.approx(2 * one.memory.activations) and two.memory.weights == one.memory.weights


def test_tokens_are_counted_as_the_backbone_cuts_images():
    """640x480: 20 x 15 tokens of 32 px; 23 x 17 of 28 px, two views to a step; six tiles of 256 and one of the whole."""
    assert count_tokens(PRESETS["qwen3vl-base"](), ROOM).visual == 8 * 20 * 15
    spatial = count_tokens(PRESETS["spatial-mllm"](), ROOM, encoder_patch_px=14)
    assert (spatial.visual, spatial.geometry_rows, spatial.geometry_columns) == (4 * 23 * 17, 34, 46)
    assert count_tokens(PRESETS["spatial-mllm"](), dataclasses.replace(ROOM, views=7), encoder_patch_px=14).geometry_views == 8
    assert count_tokens(PRESETS["internvl"](), dataclasses.replace(ROOM, views=1)).visual == 7 * 256


def test_a_workload_that_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="width_px: expected at least 1, found 0"):
        Workload(width_px=0)
    with pytest.raises(ConfigError, match="answer_tokens: expected at most the 10 text tokens, found 20"):
        Workload(text_tokens=10)
    crowded = Workload(views=8, text_tokens=20, answer_tokens=10)
    config = PRESETS["qwen3vl-base"]()
    with pytest.raises(ConfigError, match="text_tokens: expected at least 26 for 8 pictures and the answer, found 20"):
        synthetic_batch(config, count_tokens(config, crowded), crowded)


def test_utilisation_is_work_over_what_the_machine_could_do():
    assert utilisation(395e12, seconds=1.0, peak_flops_per_s=790e12) == 0.5
