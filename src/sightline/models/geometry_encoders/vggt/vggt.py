"""VGGT whole: images of a scene to tokens of chosen layers and, with heads, to cameras, depth and points."""

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import initialization as init

from sightline.errors import ModelError
from sightline.models.geometry_encoders.vggt.aggregator import Aggregator
from sightline.models.geometry_encoders.vggt.blocks import LayerScale
from sightline.models.geometry_encoders.vggt.camera_head import CameraHead
from sightline.models.geometry_encoders.vggt.dense_head import Dense, DenseHead
from sightline.models.geometry_encoders.vggt.dinov2 import DinoV2
from sightline.models.geometry_encoders.vggt.options import VggtOptions, resolved_layers

INITIAL_STD = 0.02
TOKEN_STD = 1e-6  # of tokens that start as good as absent


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VggtOutput:
    """B scenes of S frames. Lengths are in the scene's own unit, not metres. What no head was built for is None."""

    tokens: tuple[Tensor, ...]  # (B, S, T, 2 embed_dim) of each layer of the options, in their order
    pose_encoding: Tensor | None  # (N, B, S, 9) of every refinement pass, the last the best; see `poses.cameras_from_encoding`
    depth: Dense | None  # z in each frame's own camera, one channel
    points: Dense | None  # x y z in the first frame's camera


class Vggt(nn.Module):
    """The aggregator and the heads that the options ask for, with the names of the published weights.

    Parameters start as torch makes them, tokens at zero: load weights, or `initialise` (loading spares the random numbers).
    """

    def __init__(self, options: VggtOptions):
        super().__init__()
        self.options = options
        self.aggregator = Aggregator(options)
        channels = 2 * options.embed_dim
        if "camera" in options.heads:
            self.camera_head = CameraHead(
                channels, depth=options.camera_depth, num_heads=options.camera_heads, mlp_ratio=4.0, passes=options.camera_passes
            )
        for kind in ("depth", "point"):
            if kind in options.heads:
                head = DenseHead(
                    channels, kind=kind, patch_size=options.patch_size, features=options.dense_features, widths=options.dense_channels
                )
                self.add_module(f"{kind}_head", head)

    def forward(self, images: Tensor) -> VggtOutput:
        """Images `(B, S, 3, height, width)` in [0, 1]. Heads run in float32 whatever the aggregator's dtype. Raises ModelError."""
        o = self.options
        kept = dict(zip(o.needed_layers, self.aggregator(images, o.needed_layers)))
        encoding = depth = points = None
        if o.heads:
            self._expect_precise_heads()
            kind = images.device.type
            with torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext():
                if "camera" in o.heads:
                    encoding = self.camera_head(kept[o.depth - 1][:, :, 0].float())
                depth = self._dense("depth", kept, images)
                points = self._dense("point", kept, images)
        tokens = tuple(kept[layer] for layer in resolved_layers(o.layers, o.depth))
        return VggtOutput(tokens=tokens, pose_encoding=encoding, depth=depth, points=points)

    def _dense(self, kind: str, kept: dict[int, Tensor], images: Tensor) -> Dense | None:
        o = self.options
        if kind not in o.heads:
            return None
        layers = [kept[layer][:, :, self.aggregator.num_special_tokens :].float() for layer in resolved_layers(o.dense_layers, o.depth)]
        return self.get_submodule(f"{kind}_head")(layers, height_px=images.shape[-2], width_px=images.shape[-1])

    def _expect_precise_heads(self) -> None:
        for name, parameter in self.named_parameters():
            if not name.startswith("aggregator.") and parameter.dtype != torch.float32:
                raise ModelError(
                    f"vggt: expected heads in float32, found {name} in {parameter.dtype}: cast the aggregator alone "
                    "(model.aggregator.to(dtype), or load_vggt(..., dtype=dtype))"
                )

    @torch.no_grad()
    def initialise(self) -> None:
        """Initialise every parameter as before training, leaving loaded ones as they are."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                init.normal_(module.weight, std=INITIAL_STD)
                if module.bias is not None:
                    init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                init.ones_(module.weight)
                init.zeros_(module.bias)
            elif isinstance(module, LayerScale):
                init.constant_(module.gamma, module.initial)
            elif isinstance(module, DinoV2):
                init.normal_(module.pos_embed, std=INITIAL_STD)
                for token in (module.cls_token, module.register_tokens):
                    init.normal_(token, std=TOKEN_STD)
                init.zeros_(module.mask_token)
            elif isinstance(module, Aggregator):
                for token in (module.camera_token, module.register_token):
                    init.normal_(token, std=TOKEN_STD)
            elif isinstance(module, CameraHead):
                init.zeros_(module.empty_pose_tokens)
