"""The vision tower's fast parts compute what transformers' own parts compute."""

import pytest
import torch
from toy_models import toy_checkpoint, toy_samples
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionAttention, Qwen3VLVisionPatchEmbed

from sightline.models.vision_attention import EqualGridAttention


@pytest.fixture(scope="module")
def checkpoint():
    return toy_checkpoint("none")


def features(checkpoint, pixel_values: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return torch.cat(checkpoint.model.backbone.model.get_image_features(pixel_values, grid, return_dict=True).pooler_output)


@torch.no_grad()
def test_images_as_one_batch_give_the_features_of_images_one_by_one(checkpoint, monkeypatch):
    batch = checkpoint.processor.collate(toy_samples(checkpoint.processor, 4), padding_side="right")
    fast = features(checkpoint, batch.pixel_values, batch.image_grid_thw)
    monkeypatch.setattr(EqualGridAttention, "forward", Qwen3VLVisionAttention.forward)
    slow = features(checkpoint, batch.pixel_values, batch.image_grid_thw)
    torch.testing.assert_close(fast, slow, atol=1e-6, rtol=1e-5)
    assert slow.std() > 1e-3  # features that differ, or the comparison says nothing


@torch.no_grad()
def test_images_of_unequal_grids_do_not_see_each_other(checkpoint):
    """Two images of 6x8 and 4x4 patches together are the two alone, and a change in one leaves the other as it was."""
    pixels = torch.randn(6 * 8 + 4 * 4, 3 * 8 * 8, generator=torch.Generator().manual_seed(0))
    grid = torch.tensor([[1, 6, 8], [1, 4, 4]])
    together = features(checkpoint, pixels, grid)
    alone = [features(checkpoint, pixels[:48], grid[:1]), features(checkpoint, pixels[48:], grid[1:])]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=1e-5)
    pixels[48:] += 1.0
    torch.testing.assert_close(features(checkpoint, pixels, grid)[:12], together[:12], atol=0.0, rtol=0.0)


def test_the_patch_embedding_and_its_gradient_are_those_of_the_convolution(checkpoint):
    embed = checkpoint.model.backbone.model.visual.patch_embed
    pixels = torch.randn(20, 3 * 8 * 8, generator=torch.Generator().manual_seed(1))
    slow = Qwen3VLVisionPatchEmbed.forward(embed, pixels)
    torch.testing.assert_close(embed(pixels), slow, atol=1e-5, rtol=1e-5)
    wanted = torch.autograd.grad(slow.square().sum(), embed.proj.weight)[0]
    found = torch.autograd.grad(embed(pixels).square().sum(), embed.proj.weight)[0]
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-4)
