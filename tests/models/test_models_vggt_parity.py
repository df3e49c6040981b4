"""Our VGGT gives the numbers of the public modules (frozen) and of transformers' DINOv2 (live), and has the published names and shapes."""

import json
from pathlib import Path

import pytest
import torch
from toy_vggt import EVERYTHING, fill, images_of, made_vggt

from sightline.models.geometry_encoders.vggt import Vggt, VggtOptions
from sightline.models.geometry_encoders.vggt.dinov2 import DinoV2
from sightline.models.geometry_encoders.vggt.poses import cameras_from_encoding, encoding_from_cameras

EXPECTED = json.loads((Path(__file__).parents[1] / "data" / "vggt" / "expected.json").read_text(encoding="utf-8"))
CLOSE = 1e-5


def case_name(case) -> str:
    return f"{case['patch_embed']}-{case['scenes']}x{case['frames']}x{case['height']}x{case['width']}"


@pytest.mark.parametrize("case", EXPECTED["cases"], ids=case_name)
def test_tokens_cameras_depth_and_points_are_those_of_the_public_modules(case):
    vggt = made_vggt(**EVERYTHING, patch_embed=case["patch_embed"])
    with torch.no_grad():
        out = vggt(images_of(case["scenes"], case["frames"], case["height"], case["width"]))
    found = {
        "layer_0": out.tokens[0],
        "layer_3": out.tokens[3],
        "pose_encoding": out.pose_encoding,
        "depth": out.depth.values,
        "depth_confidence": out.depth.confidence,
        "points": out.points.values,
        "points_confidence": out.points.confidence,
    }
    for name, expected in case["outputs"].items():
        flat = found[name].flatten().double()
        assert list(found[name].shape) == expected["shape"], name
        assert (flat[expected["at"]] - torch.tensor(expected["values"], dtype=torch.float64)).abs().max() <= CLOSE, name
        assert abs(float(flat.mean()) - expected["mean"]) <= CLOSE, name
        assert abs(float(flat.std(unbiased=False)) - expected["std"]) <= CLOSE, name


def test_poses_are_those_of_the_public_functions_both_ways():
    poses = EXPECTED["poses"]
    encoding = torch.tensor(poses["encoding"]).view(5, 9)
    cameras = cameras_from_encoding(encoding, height_px=poses["height"], width_px=poses["width"])
    camera_from_world = torch.tensor(poses["camera_from_world"]).view(5, 3, 4)
    assert torch.linalg.inv(cameras.world_from_camera)[:, :3].sub(camera_from_world).abs().max() <= CLOSE
    matrices = torch.tensor(poses["K"]).view(5, 3, 3)
    expected = torch.stack([matrices[:, 0, 0], matrices[:, 1, 1], matrices[:, 0, 2], matrices[:, 1, 2]], dim=-1)
    torch.testing.assert_close(cameras.intrinsics[:, :4], expected, rtol=1e-5, atol=1e-4)
    assert cameras.intrinsics[:, 4:].tolist() == [[poses["width"], poses["height"]]] * 5
    assert encoding_from_cameras(cameras).sub(torch.tensor(poses["encoded_again"]).view(5, 9)).abs().max() <= CLOSE


@pytest.mark.parametrize("size", [(56, 56), (56, 84), (98, 42), (42, 70)])
def test_patch_tokens_are_those_of_transformers_dinov2(size):
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    ours = fill(DinoV2(img_size=56, patch_size=14, channels=48, depth=3, num_heads=4, mlp_ratio=4.0, num_registers=4)).eval()
    theirs = Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(
            hidden_size=48, num_hidden_layers=3, num_attention_heads=4, mlp_ratio=4, image_size=56, patch_size=14, num_register_tokens=4
        )
    ).eval()
    theirs.load_state_dict(as_transformers(ours.state_dict(), set(theirs.state_dict())), strict=True)
    images = images_of(1, 2, *size)[0]
    with torch.no_grad():
        assert ours(images).sub(theirs(images).last_hidden_state[:, 5:]).abs().max() <= CLOSE


def as_transformers(state, known):
    """Our weights under the names of transformers, those of 5.x or the older ones, whichever the model has."""
    is_new = any(".attention.q_proj." in name for name in known)
    parts = ("q_proj", "k_proj", "v_proj") if is_new else ("attention.query", "attention.key", "attention.value")
    out = "o_proj" if is_new else "output.dense"
    named = {}
    for name, tensor in state.items():
        if ".attn.qkv." in name:
            stem, _, kind = name.replace("blocks.", "encoder.layer.").partition(".attn.qkv.")
            named.update({f"{stem}.attention.{part}.{kind}": piece for part, piece in zip(parts, tensor.chunk(3))})
            continue
        if name.startswith("blocks."):
            name = name.replace("blocks.", "encoder.layer.").replace("attn.proj", f"attention.{out}")
            name = name.replace("ls1.gamma", "layer_scale1.lambda1").replace("ls2.gamma", "layer_scale2.lambda1")
        elif name.startswith("patch_embed.proj"):
            name = name.replace("patch_embed.proj", "embeddings.patch_embeddings.projection")
        elif name.startswith("norm."):
            name = name.replace("norm.", "layernorm.")
        else:
            name = "embeddings." + name.replace("pos_embed", "position_embeddings")
        named[name] = tensor
    return named


def block_shapes(width: int, head: int | None = None) -> dict[str, tuple[int, ...]]:
    shapes = {
        "norm1.weight": (width,),
        "norm1.bias": (width,),
        "attn.qkv.weight": (3 * width, width),
        "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width),
        "attn.proj.bias": (width,),
        "ls1.gamma": (width,),
        "norm2.weight": (width,),
        "norm2.bias": (width,),
        "mlp.fc1.weight": (4 * width, width),
        "mlp.fc1.bias": (4 * width,),
        "mlp.fc2.weight": (width, 4 * width),
        "mlp.fc2.bias": (width,),
        "ls2.gamma": (width,),
    }
    if head:
        shapes.update({f"attn.{which}_norm.{kind}": (head,) for which in "qk" for kind in ("weight", "bias")})
    return shapes


def dense_shapes(out: int) -> dict[str, tuple[int, ...]]:
    widths = (256, 512, 1024, 1024)
    shapes = {"norm.weight": (2048,), "norm.bias": (2048,)}
    for place, width in enumerate(widths):
        shapes |= {f"projects.{place}.weight": (width, 2048, 1, 1), f"projects.{place}.bias": (width,)}
        shapes |= {f"scratch.layer{place + 1}_rn.weight": (256, width, 3, 3)}
        for unit in ("resConfUnit1", "resConfUnit2")[place == 3 :]:
            for conv in ("conv1", "conv2"):
                stem = f"scratch.refinenet{place + 1}.{unit}.{conv}"
                shapes |= {f"{stem}.weight": (256, 256, 3, 3), f"{stem}.bias": (256,)}
        stem = f"scratch.refinenet{place + 1}.out_conv"
        shapes |= {f"{stem}.weight": (256, 256, 1, 1), f"{stem}.bias": (256,)}
    for place, kernel in ((0, 4), (1, 2), (3, 3)):
        shapes |= {f"resize_layers.{place}.weight": (widths[place], widths[place], kernel, kernel)}
        shapes |= {f"resize_layers.{place}.bias": (widths[place],)}
    shapes |= {"scratch.output_conv1.weight": (128, 256, 3, 3), "scratch.output_conv1.bias": (128,)}
    shapes |= {"scratch.output_conv2.0.weight": (32, 128, 3, 3), "scratch.output_conv2.0.bias": (32,)}
    return shapes | {"scratch.output_conv2.2.weight": (out, 32, 1, 1), "scratch.output_conv2.2.bias": (out,)}


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of facebook/VGGT-1B but for its track head."""
    vit = "aggregator.patch_embed."
    shapes = {
        "aggregator.camera_token": (1, 2, 1, 1024),
        "aggregator.register_token": (1, 2, 4, 1024),
        f"{vit}cls_token": (1, 1, 1024),
        f"{vit}pos_embed": (1, 1370, 1024),
        f"{vit}register_tokens": (1, 4, 1024),
        f"{vit}mask_token": (1, 1024),
        f"{vit}patch_embed.proj.weight": (1024, 3, 14, 14),
        f"{vit}patch_embed.proj.bias": (1024,),
        f"{vit}norm.weight": (1024,),
        f"{vit}norm.bias": (1024,),
    }
    for block in range(24):
        shapes |= {f"{vit}blocks.{block}.{name}": shape for name, shape in block_shapes(1024).items()}
        for kind in ("frame", "global"):
            shapes |= {f"aggregator.{kind}_blocks.{block}.{name}": shape for name, shape in block_shapes(1024, 64).items()}
    camera = {"empty_pose_tokens": (1, 1, 9), "embed_pose.weight": (2048, 9), "embed_pose.bias": (2048,)}
    camera |= {f"{norm}.{kind}": (2048,) for norm in ("token_norm", "trunk_norm") for kind in ("weight", "bias")}
    camera |= {"poseLN_modulation.1.weight": (6144, 2048), "poseLN_modulation.1.bias": (6144,)}
    camera |= {"pose_branch.fc1.weight": (1024, 2048), "pose_branch.fc1.bias": (1024,)}
    camera |= {"pose_branch.fc2.weight": (9, 1024), "pose_branch.fc2.bias": (9,)}
    camera |= {f"trunk.{block}.{name}": shape for block in range(4) for name, shape in block_shapes(2048).items()}
    shapes |= {f"camera_head.{name}": shape for name, shape in camera.items()}
    shapes |= {f"depth_head.{name}": shape for name, shape in dense_shapes(2).items()}
    return shapes | {f"point_head.{name}": shape for name, shape in dense_shapes(4).items()}


@pytest.fixture(scope="module")
def full_size() -> Vggt:
    with torch.device("meta"):
        return Vggt(VggtOptions(heads=("camera", "depth", "point")))


def test_the_1403_names_and_shapes_are_the_published_ones(full_size):
    found = {name: tuple(tensor.shape) for name, tensor in full_size.state_dict().items()}
    assert len(found) == 1403
    assert found == published_shapes()


@pytest.mark.parametrize(
    "part, count",
    [
        ("aggregator", 909_112_320),
        ("aggregator.patch_embed", 304_372_736),
        ("aggregator.frame_blocks", 302_364_672),
        ("aggregator.global_blocks", 302_364_672),
        ("camera_head", 216_174_610),
        ("depth_head", 32_654_562),
        ("point_head", 32_654_628),
    ],
)
def test_every_part_has_the_published_number_of_parameters(full_size, part, count):
    assert sum(parameter.numel() for parameter in full_size.get_submodule(part).parameters()) == count
