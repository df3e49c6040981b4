"""What must hold of VGGT whatever its weights: symmetries, kept layers, grids, dtypes, gradients, compilation."""

import copy
import math

import pytest
import torch
from toy_vggt import EVERYTHING, TINY, images_of, made_vggt

from sightline.errors import ConfigError, ModelError, UnknownNameError
from sightline.models.geometry_encoders.vggt import Vggt, VggtOptions
from sightline.models.geometry_encoders.vggt.blocks import PatchEmbed, make_rope
from sightline.models.geometry_encoders.vggt.dense_head import resized, with_position
from sightline.models.geometry_encoders.vggt.poses import Cameras, cameras_from_encoding, encoding_from_cameras

CLOSE = 1e-5


@pytest.fixture(scope="module")
def vggt() -> Vggt:
    return made_vggt(**EVERYTHING)


def everything(vggt: Vggt, images: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        out = vggt(images)
    return {
        "tokens": torch.cat(out.tokens, dim=-1),
        "pose": out.pose_encoding.movedim(0, -1),
        "depth": out.depth.values,
        "depth confidence": out.depth.confidence,
        "points": out.points.values,
        "points confidence": out.points.confidence,
    }


def test_other_frames_than_the_first_may_come_in_any_order(vggt):
    images = images_of(1, 4, 42, 56)
    order = torch.tensor([0, 3, 1, 2])
    straight, shuffled = everything(vggt, images), everything(vggt, images[:, order])
    for name, found in shuffled.items():
        assert found.sub(straight[name][:, order]).abs().max() <= CLOSE, name


def test_the_first_frame_is_special(vggt):
    images = images_of(1, 3, 42, 56)
    order = torch.tensor([1, 0, 2])
    straight, shuffled = everything(vggt, images), everything(vggt, images[:, order])
    assert shuffled["tokens"].sub(straight["tokens"][:, order]).abs().max() > 1e-2


def test_scenes_of_a_batch_do_not_see_one_another(vggt):
    images = images_of(3, 2, 28, 70)
    together = everything(vggt, images)
    for scene in range(3):
        for name, found in everything(vggt, images[scene : scene + 1]).items():
            assert found[0].sub(together[name][scene]).abs().max() <= CLOSE, name


def test_frames_of_a_scene_see_one_another(vggt):
    images = images_of(1, 3, 28, 28)
    changed = images.clone()
    changed[:, 2] = 0.0
    tokens, other = everything(vggt, images)["tokens"], everything(vggt, changed)["tokens"]
    assert tokens[:, 0].sub(other[:, 0]).abs().max() > 1e-3


def test_more_frames_than_the_dense_head_takes_at_once_are_each_as_alone(vggt):
    tokens = [torch.randn(2, 5, 6, 128, generator=torch.Generator().manual_seed(layer)) for layer in range(4)]
    with torch.no_grad():
        together = vggt.depth_head(tokens, height_px=28, width_px=42)
        alone = vggt.depth_head([layer[1:, 3:4] for layer in tokens], height_px=28, width_px=42)
    assert together.values.shape == (2, 5, 28, 42, 1) and together.confidence.shape == (2, 5, 28, 42)
    assert alone.values[0, 0].sub(together.values[1, 3]).abs().max() <= CLOSE


def test_confidences_start_at_one_and_depth_is_positive(vggt):
    found = everything(vggt, images_of(1, 2, 28, 28))
    assert found["depth confidence"].min() > 1.0 and found["points confidence"].min() > 1.0 and found["depth"].min() > 0.0
    assert found["pose"][:, :, 7:].min() >= 0.0


def test_layers_asked_for_are_those_of_the_whole_run_in_the_order_asked(vggt):
    images = images_of(1, 2, 28, 42)
    with torch.no_grad():
        whole = vggt.aggregator(images, (0, 1, 2, 3))
        asked = vggt.aggregator(images, (-2, 0))
    assert len(asked) == 2 and torch.equal(asked[0], whole[2]) and torch.equal(asked[1], whole[0])
    assert whole[0].shape == (1, 2, 5 + 6, 128)


def test_nothing_runs_after_the_last_layer_asked_for(vggt):
    ran = []
    blocks = enumerate(vggt.aggregator.frame_blocks)
    handles = [block.register_forward_hook(lambda *_, number=number: ran.append(number)) for number, block in blocks]
    vggt.aggregator(images_of(1, 1, 14, 14), (1,))
    for handle in handles:
        handle.remove()
    assert ran == [0, 1]


def test_blocks_past_the_last_layer_asked_for_are_not_built():
    assert len(Vggt(VggtOptions(**TINY, layers=(1, -4))).aggregator.global_blocks) == 2
    assert len(Vggt(VggtOptions(**TINY, layers=(1,), heads=("camera",))).aggregator.global_blocks) == 4
    with pytest.raises(ModelError, match="layers below 2"):
        Vggt(VggtOptions(**TINY, layers=(1,))).aggregator(images_of(1, 1, 14, 14), (3,))


def test_heads_exist_only_when_asked_for(vggt):
    plain = Vggt(VggtOptions(**TINY))
    assert {name for name, _ in plain.named_children()} == {"aggregator"}
    out = plain(images_of(1, 1, 14, 14))
    assert out.pose_encoding is None and out.depth is None and out.points is None


@pytest.mark.parametrize("shape", [(1, 1, 3, 29, 28), (1, 1, 3, 28, 13), (1, 1, 3, 0, 14), (1, 3, 28, 28), (1, 1, 4, 28, 28)])
def test_frames_that_patches_do_not_fill_are_refused_with_their_size(vggt, shape):
    with pytest.raises(ModelError, match=f"{shape[-2]}x{shape[-1]}|{shape[-2]}, {shape[-1]}"):
        vggt.aggregator(torch.zeros(shape))


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_heads": 5},
        {"num_heads": 32},
        {"dino_heads": 5},
        {"layers": (4,)},
        {"layers": ()},
        {"img_size": 57},
        {"heads": ("depth",), "dense_features": 12},
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(wrong):
    with pytest.raises(ConfigError, match="vggt: expected"):
        VggtOptions(**{**TINY, **wrong})


def test_rotary_positions_turn_by_place_in_the_plane():
    """Closed form: a query at p and a key at q meet as sum over waves of cos(wave (p - q)), y and x apart."""
    rope = make_rope((2, 3), special_tokens=1, head_dim=8, base=100.0, device=torch.device("cpu"), dtype=torch.float32)
    ones = torch.zeros(1, 7, 1, 8)
    ones[..., [0, 1, 4, 5]] = 1.0  # the first of each turned pair
    turned = rope.turn(ones)[0, :, 0]
    places = [(0, 0)] + [(y, x) for y in (1, 2) for x in (1, 2, 3)]
    for i, (y, x) in enumerate(places):
        for j, (v, u) in enumerate(places):
            expected = sum(math.cos(wave * (y - v)) + math.cos(wave * (x - u)) for wave in (1.0, 0.1))
            assert abs(float(turned[i] @ turned[j]) - expected) < 1e-5
    assert torch.allclose(turned[1, :4], torch.tensor([math.cos(1), math.cos(0.1), math.sin(1), math.sin(0.1)]))


def test_patches_are_the_strided_convolution_they_are_stored_as():
    embed = PatchEmbed(14, 6)
    images = images_of(1, 2, 28, 42)[0]
    assert embed(images).sub(embed.proj(images).flatten(2).mT).abs().max() <= CLOSE


def test_a_position_code_has_pixel_centres_of_a_picture_with_unit_half_diagonal():
    coded = with_position(torch.zeros(1, 8, 3, 4), 2.0)[0]
    x, y = 2.0 / math.sqrt(5.0), 1.0 / math.sqrt(5.0)
    expected_x = [0.1 * math.sin(x * (2 * i + 1 - 4) / 4) for i in range(4)]
    expected_y = [0.1 * math.cos(0.1 * y * (2 * i + 1 - 3) / 3) for i in range(3)]
    assert torch.allclose(coded[0], torch.tensor(expected_x).expand(3, 4), atol=1e-7)
    assert torch.allclose(coded[7], torch.tensor(expected_y)[:, None].expand(3, 4), atol=1e-7)


def test_a_result_too_large_for_one_interpolation_is_made_in_parts(monkeypatch):
    x = torch.randn(5, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    whole = resized(x, (6, 8))
    monkeypatch.setattr("sightline.models.geometry_encoders.vggt.dense_head.MOST_ELEMENTS", 2 * 6 * 8 * 2)
    assert torch.equal(resized(x, (6, 8)), whole)


def test_norms_divide_by_the_published_small_numbers(vggt):
    eps = {name: module.eps for name, module in vggt.named_modules() if isinstance(module, torch.nn.LayerNorm)}
    assert {value for name, value in eps.items() if ".patch_embed." in name} == {1e-6}
    assert {value for name, value in eps.items() if ".patch_embed." not in name} == {1e-5}


def test_bf16_weights_stay_bf16_to_the_kept_tokens_and_heads_stay_in_fp32(vggt):
    low = copy.deepcopy(vggt)
    low.aggregator.to(torch.bfloat16)
    seen = set()
    handles = [
        module.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
        for module in low.aggregator.modules()
        if isinstance(module, torch.nn.Linear | torch.nn.LayerNorm)
    ]
    images = images_of(1, 2, 28, 42)
    with torch.no_grad():
        out, exact = low(images), vggt(images)
    for handle in handles:
        handle.remove()
    assert seen == {torch.bfloat16} and out.tokens[-1].dtype == torch.bfloat16
    assert out.depth.values.dtype == out.pose_encoding.dtype == torch.float32
    assert out.tokens[-1].float().sub(exact.tokens[-1]).norm() / exact.tokens[-1].norm() < 2e-2


def test_heads_in_bf16_are_refused(vggt):
    with pytest.raises(ModelError, match="heads in float32"):
        copy.deepcopy(vggt).to(torch.bfloat16)(images_of(1, 1, 14, 14))


def test_resized_positions_are_kept_per_grid_until_the_weights_change(vggt):
    changed = copy.deepcopy(vggt)
    vit, images = changed.aggregator.patch_embed, images_of(1, 1, 28, 42)
    with torch.inference_mode():
        changed.aggregator(images)
        kept = vit.positions((2, 3))
        assert vit.positions((2, 3)) is kept
    changed.requires_grad_(True)
    changed.aggregator(images)[0].sum().backward()  # nothing kept from inference mode stands in the way
    assert vit.pos_embed.grad[:, 1:].abs().max() > 0
    with torch.no_grad():
        vit.pos_embed.mul_(-1.0)
        assert torch.equal(vit.positions((2, 3)), -kept)
    # Cast there and back: rounded weights, perhaps at the old address.
    assert vit._positions and not changed.to(torch.bfloat16).aggregator.patch_embed._positions
    changed.to(torch.float32)
    assert torch.equal(vit.positions((2, 3)), vit._resized((2, 3)))


def test_every_trained_parameter_gets_a_gradient_and_recomputing_gives_the_same():
    vggt = made_vggt(**EVERYTHING).train()
    vggt.requires_grad_(True).aggregator.patch_embed.mask_token.requires_grad_(False)

    def gradients() -> dict[str, torch.Tensor]:
        vggt.zero_grad()
        out = vggt(images_of(1, 2, 28, 28))
        total = out.tokens[-1].square().mean() + out.pose_encoding.square().mean()
        for dense in (out.depth, out.points):
            total = total + dense.values.square().mean() + dense.confidence.square().mean()
        total.backward()
        return {name: parameter.grad for name, parameter in vggt.named_parameters() if parameter.requires_grad}

    plain = gradients()
    assert all(grad is not None and torch.isfinite(grad).all() and grad.abs().max() > 0 for grad in plain.values())
    plain = {name: grad.clone() for name, grad in plain.items()}
    vggt.aggregator.gradient_checkpointing = True
    for name, grad in gradients().items():
        assert torch.equal(grad, plain[name]), name


def test_the_aggregator_compiles_into_one_graph():
    vggt = made_vggt(depth=1, dino_depth=1, dense_layers=(0, 0, 0, 0))
    torch._dynamo.reset()
    compiled = torch.compile(vggt.aggregator, fullgraph=True, backend="eager")
    images = images_of(1, 2, 28, 42)
    with torch.no_grad():
        assert compiled(images)[0].sub(vggt.aggregator(images)[0]).abs().max() <= CLOSE


def test_initialised_parameters_follow_from_the_seed_and_replace_whatever_was_there():
    found = []
    for _ in range(2):
        vggt = Vggt(VggtOptions(**EVERYTHING))
        with torch.no_grad():
            for parameter in vggt.parameters():
                parameter.fill_(math.nan)
        torch.manual_seed(3)
        vggt.initialise()
        found.append(vggt.state_dict())
    assert all(torch.isfinite(tensor).all() and torch.equal(tensor, found[1][name]) for name, tensor in found[0].items())
    assert found[0]["aggregator.frame_blocks.0.ls1.gamma"].unique().tolist() == pytest.approx([0.01])
    assert found[0]["aggregator.patch_embed.blocks.0.ls1.gamma"].unique().tolist() == [1.0]


def test_fp32_weights_under_autocast_give_the_tokens_to_a_few_bits_and_exact_heads(vggt):
    images = images_of(1, 2, 28, 42)
    with torch.no_grad():
        exact = vggt(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = vggt(images)
    assert out.depth.values.dtype == out.pose_encoding.dtype == torch.float32
    assert out.tokens[-1].float().sub(exact.tokens[-1]).norm() / exact.tokens[-1].norm() < 2e-2


def test_a_camera_that_looks_along_x_from_a_known_place_is_read_from_its_numbers():
    """Closed form: camera x, y, z axes are world -y, -z, x; it stands at (1, 2, 3); 90 degrees wide."""
    axes = torch.tensor([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]], dtype=torch.float64)  # columns are the camera's axes
    world_from_camera = torch.eye(4, dtype=torch.float64)
    world_from_camera[:3, :3], world_from_camera[:3, 3] = axes, torch.tensor([1.0, 2.0, 3.0])
    intrinsics = torch.tensor([50.0, 50.0, 50.0, 30.0, 100.0, 60.0], dtype=torch.float64)
    encoding = encoding_from_cameras(Cameras(world_from_camera=world_from_camera, intrinsics=intrinsics))
    assert torch.allclose(encoding[:3], torch.tensor([2.0, 3.0, -1.0], dtype=torch.float64))  # camera from world: minus the place, turned
    assert torch.allclose(encoding[3:7].abs(), torch.full((4,), 0.5, dtype=torch.float64)) and encoding[6] > 0
    assert float(encoding[8]) == pytest.approx(math.pi / 2) and float(encoding[7]) == pytest.approx(2 * math.atan(30 / 50))
    back = cameras_from_encoding(encoding, height_px=60, width_px=100)
    assert torch.allclose(back.world_from_camera, world_from_camera) and torch.allclose(back.intrinsics, intrinsics)


def test_any_camera_survives_encoding_and_back():
    generator = torch.Generator().manual_seed(5)
    quat = torch.randn(200, 4, generator=generator, dtype=torch.float64)
    quat[:8] = torch.cat([torch.eye(4), -torch.eye(4)])  # half turns, where w is zero
    encoding = torch.cat([torch.randn(200, 3, generator=generator), quat, torch.rand(200, 2, generator=generator) + 0.2], dim=-1)
    cameras = cameras_from_encoding(encoding, height_px=294, width_px=518)
    again = cameras_from_encoding(encoding_from_cameras(cameras), height_px=294, width_px=518)
    assert again.world_from_camera.sub(cameras.world_from_camera).abs().max() < 1e-12
    assert again.intrinsics.sub(cameras.intrinsics).abs().max() < 1e-9
    rotation = cameras.world_from_camera[:, :3, :3]
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3, dtype=torch.float64), atol=1e-12)


def test_a_principal_point_away_from_the_centre_is_refused():
    with pytest.raises(ModelError, match="principal points"):
        encoding_from_cameras(Cameras(world_from_camera=torch.eye(4), intrinsics=torch.tensor([50.0, 50, 20, 30, 100, 60])))


def test_a_misspelt_option_is_named():
    from sightline.config import build

    with pytest.raises(UnknownNameError, match="embed_dim"):
        build(VggtOptions, {"embed_dims": 64}, where="test")


def test_shapes_follow_on_the_meta_device_and_memory_given_later_is_used():
    with torch.device("meta"):
        vggt = Vggt(VggtOptions(**EVERYTHING))
        out = vggt(torch.zeros(2, 3, 3, 28, 42))
    assert out.tokens[-1].shape == (2, 3, 5 + 6, 128) and out.points.values.shape == (2, 3, 28, 42, 3)
    images = images_of(1, 2, 28, 42)
    vggt.to_empty(device="cpu").load_state_dict(made_vggt(**EVERYTHING).state_dict())
    assert torch.equal(vggt(images).tokens[-1], made_vggt(**EVERYTHING)(images).tokens[-1])


def test_a_copy_of_a_used_model_carries_no_kept_tables(vggt):
    with torch.no_grad():
        vggt(images_of(1, 1, 28, 42))
    other = copy.deepcopy(vggt)
    assert vggt.aggregator._ropes and vggt.aggregator.patch_embed._positions
    assert not other.aggregator._ropes and not other.aggregator.patch_embed._positions
