"""VGGT's camera head: the camera tokens of a scene's frames to pose encodings, refined in a few passes with the same weights.

Shapes: B scenes, S frames, C channels of a kept token (twice those of the aggregator), N passes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightline.models.geometry_encoders.vggt.aggregator import EPS, SCALE
from sightline.models.geometry_encoders.vggt.blocks import Block, Mlp

ENCODING = 9  # translation 3, quaternion xyzw 4, vertical and horizontal field of view in radians
FIRST_FIELD_OF_VIEW = 7


class CameraHead(nn.Module):
    """Pose encodings `(N, B, S, 9)` of every pass, the last the best. Frames attend to one another."""

    def __init__(self, channels: int, *, depth: int, num_heads: int, mlp_ratio: float, passes: int):
        super().__init__()
        self.passes = passes
        self.token_norm = nn.LayerNorm(channels, eps=EPS)
        self.trunk_norm = nn.LayerNorm(channels, eps=EPS)
        self.trunk = nn.Sequential(*[Block(channels, num_heads, mlp_ratio=mlp_ratio, eps=EPS, scale=SCALE) for _ in range(depth)])
        self.empty_pose_tokens = nn.Parameter(torch.zeros(1, 1, ENCODING))  # the pose before the first pass, learned
        self.embed_pose = nn.Linear(ENCODING, channels)
        self.poseLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(channels, 3 * channels))  # named as in the published weights
        self.pose_branch = Mlp(channels, channels // 2, ENCODING)

    def forward(self, camera_tokens: Tensor) -> Tensor:
        """Camera tokens `(B, S, C)` of the aggregator's last layer."""
        tokens = self.token_norm(camera_tokens)
        normed = functional.layer_norm(tokens, tokens.shape[-1:], eps=1e-6)
        encoding: Tensor | None = None
        passes = []
        for _ in range(self.passes):
            # Each pass learns its own step: no gradient through the pose that it starts from.
            start = self.empty_pose_tokens.expand(*tokens.shape[:2], -1) if encoding is None else encoding.detach()
            shift, scale, gate = self.poseLN_modulation(self.embed_pose(start)).chunk(3, dim=-1)
            step = self.pose_branch(self.trunk_norm(self.trunk(tokens + gate * (normed * (1.0 + scale) + shift))))
            encoding = step if encoding is None else encoding + step
            # Only what is handed out is kept positive; the refinement goes on from the raw numbers.
            passes.append(torch.cat([encoding[..., :FIRST_FIELD_OF_VIEW], encoding[..., FIRST_FIELD_OF_VIEW:].relu()], dim=-1))
        return torch.stack(passes)
