"""The vision tower's slow parts made fast for many small images, with the same parameters and the same results."""

from typing import Any

import torch
from torch import Tensor
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionAttention, Qwen3VLVisionPatchEmbed, apply_rotary_pos_emb_vision


class EqualGridAttention(Qwen3VLVisionAttention):
    """All images of equal size as one batch; transformers loops over them one by one."""

    def forward(self, hidden_states: Tensor, cu_seqlens: Tensor, position_embeddings: Any = None, **kwargs: Any) -> Tensor:
        """Tokens `(patches, D)` of all images; attention stays inside each image."""
        patches, images = hidden_states.shape[0], len(cu_seqlens) - 1
        is_equal = images > 1 and bool((cu_seqlens.diff() * images == patches).all())
        if not is_equal or self.config._attn_implementation not in ("sdpa", "eager"):
            return super().forward(hidden_states, cu_seqlens, position_embeddings=position_embeddings, **kwargs)
        cosine, sine = position_embeddings
        query, key, value = self.qkv(hidden_states).view(patches, 3, self.num_heads, self.head_dim).unbind(1)
        query, key = apply_rotary_pos_emb_vision(query, key, cosine, sine)
        by_image = [part.view(images, -1, self.num_heads, self.head_dim).transpose(1, 2) for part in (query, key, value)]
        attended = torch.nn.functional.scaled_dot_product_attention(*by_image, scale=self.scaling)
        return self.proj(attended.transpose(1, 2).reshape(patches, -1))


class FlatPatchEmbed(Qwen3VLVisionPatchEmbed):
    """Patches arrive flat and do not overlap, so their convolution is one matrix product; a convolution over them is far slower."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`(patches, 3 T p p)` pixel values to `(patches, D)`."""
        weight = self.proj.weight.flatten(1)
        return torch.nn.functional.linear(hidden_states.to(weight.dtype), weight, self.proj.bias)
