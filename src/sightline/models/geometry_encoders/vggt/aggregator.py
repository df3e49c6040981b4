"""VGGT's aggregator: frames of a scene to tokens, attending in turn within each frame and across all of them.

Shapes: B scenes, S frames of a scene, T tokens of a frame (one camera token, registers, P patches), C channels.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sightline.errors import ModelError
from sightline.models.geometry_encoders.vggt.blocks import Block, PatchEmbed, Rope, make_rope
from sightline.models.geometry_encoders.vggt.dinov2 import MANY_GRIDS, DinoV2
from sightline.models.geometry_encoders.vggt.options import VggtOptions, resolved_layers

EPS = 1e-5
SCALE = 0.01
MEAN = (0.485, 0.456, 0.406)  # of red, green and blue over ImageNet, as the weights were trained
STD = (0.229, 0.224, 0.225)


class Aggregator(nn.Module):
    """Tokens `(B, S, T, 2C)` of chosen layers; a layer's tokens are those of its frame block, then those of its global block.

    The first frame of a scene has special tokens of its own: it is the one whose camera the scene is seen from.
    """

    def __init__(self, options: VggtOptions):
        super().__init__()
        self.options = options
        self.gradient_checkpointing = False  # recompute blocks in the backward pass; transformers switches it by this name
        channels, slots = options.embed_dim, 2  # of the first frame, of any other
        if options.patch_embed == "dinov2":
            self.patch_embed: nn.Module = DinoV2(
                img_size=options.img_size,
                patch_size=options.patch_size,
                channels=channels,
                depth=options.dino_depth,
                num_heads=options.dino_heads,
                mlp_ratio=4.0,  # of every published DINOv2; VGGT's own ratio does not reach it
                num_registers=options.num_registers,
            )
        else:
            self.patch_embed = PatchEmbed(options.patch_size, channels)
        self.frame_blocks = self._blocks()
        self.global_blocks = self._blocks()
        self.camera_token = nn.Parameter(torch.zeros(1, slots, 1, channels))
        self.register_token = nn.Parameter(torch.zeros(1, slots, options.num_registers, channels))
        self._ropes: dict[tuple, Rope] = {}

    def _blocks(self) -> nn.ModuleList:
        o = self.options
        return nn.ModuleList(
            [
                Block(o.embed_dim, o.num_heads, mlp_ratio=o.mlp_ratio, eps=EPS, scale=SCALE, is_qk_normed=True)
                for _ in range(o.needed_layers[-1] + 1)
            ]
        )

    @property
    def num_special_tokens(self) -> int:
        """Tokens of a frame before its patches: the camera token, then the registers."""
        return 1 + self.options.num_registers

    def forward(self, images: Tensor, layers: tuple[int, ...] | None = None) -> list[Tensor]:
        """Images `(B, S, 3, height, width)` in [0, 1] to tokens of `layers`, in that order (default: those of the options).

        Nothing after the last of them is computed. Raises ModelError for images of another shape or of sides that patches do not fill.
        """
        asked = resolved_layers(self.options.layers if layers is None else layers, self.options.depth)
        if not asked or max(asked) >= len(self.frame_blocks):
            raise ModelError(f"vggt: expected layers below {len(self.frame_blocks)}, those that were built, found {list(asked)}")
        grid_hw = self._grid_hw(images)
        scenes, frames = images.shape[:2]
        x = self._tokens(images)
        rope = self._rope(grid_hw, x.device, x.dtype)
        kept: dict[int, Tensor] = {}
        for layer in range(max(asked) + 1):
            within = self._run(self.frame_blocks[layer], x, rope, 1)
            x = self._run(self.global_blocks[layer], within, rope, frames)
            if layer in asked:
                kept[layer] = torch.cat([within, x], dim=-1).unflatten(0, (scenes, frames))
        return [kept[layer] for layer in asked]

    def _run(self, block: nn.Module, x: Tensor, rope: Rope, frames: int) -> Tensor:
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(block, x, rope, frames, use_reentrant=False)
        return block(x, rope, frames)

    def _grid_hw(self, images: Tensor) -> tuple[int, int]:
        size = self.options.patch_size
        if images.ndim != 5 or images.shape[2] != 3:
            raise ModelError(f"vggt: expected images (scenes, frames, 3, height, width), found {tuple(images.shape)}")
        height, width = images.shape[-2:]
        if height % size or width % size or not height or not width or not images.shape[1]:
            raise ModelError(
                f"vggt: expected frames with sides that are multiples of {size} px, found {height}x{width}: resize or crop them"
            )
        return height // size, width // size

    def _tokens(self, images: Tensor) -> Tensor:
        """Special and patch tokens `(B * S, T, C)`."""
        scenes, frames = images.shape[:2]
        dtype = self.camera_token.dtype
        # Numbers, not buffers: a buffer would be lost on the meta device, or rounded with the weights.
        channels = [(images[:, :, i] - MEAN[i]) / STD[i] for i in range(3)]
        patches = self.patch_embed(torch.stack(channels, dim=2).flatten(0, 1).to(dtype))
        first, other = torch.cat([self.camera_token, self.register_token], dim=2)[0].split(1)
        special = torch.cat([first, other.expand(frames - 1, -1, -1)]).repeat(scenes, 1, 1)
        return torch.cat([special.to(patches), patches], dim=1)

    def _rope(self, grid_hw: tuple[int, int], device: torch.device, dtype: torch.dtype) -> Rope:
        if torch.compiler.is_compiling():
            return self._made_rope(grid_hw, device, dtype)
        key = (grid_hw, device, dtype)
        if key not in self._ropes:
            if len(self._ropes) >= MANY_GRIDS:
                self._ropes.clear()
            with torch.inference_mode(False), torch.no_grad():  # else it could not be used where a gradient is wanted
                self._ropes[key] = self._made_rope(grid_hw, device, dtype)
        return self._ropes[key]

    def _made_rope(self, grid_hw: tuple[int, int], device: torch.device, dtype: torch.dtype) -> Rope:
        o = self.options
        return make_rope(
            grid_hw,
            special_tokens=self.num_special_tokens,
            head_dim=o.embed_dim // o.num_heads,
            base=o.rope_base,
            device=device,
            dtype=dtype,
        )

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_ropes": {}}  # not worth a place in a copy
