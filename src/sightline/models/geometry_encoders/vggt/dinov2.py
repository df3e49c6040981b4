"""DINOv2 with register tokens: the vision transformer that makes VGGT's patch tokens.

Shapes: R images, P patches of an image, C channels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightline.models.geometry_encoders.vggt.blocks import Block, PatchEmbed

EPS = 1e-6
MANY_GRIDS = 32  # grids of one data set are a handful; more are a stream of odd sizes, not worth keeping


class DinoV2(nn.Module):
    """Patch tokens `(R, P, C)` of normalised images `(R, 3, h, w)`, after the final norm."""

    def __init__(self, *, img_size: int, patch_size: int, channels: int, depth: int, num_heads: int, mlp_ratio: float, num_registers: int):
        super().__init__()
        self.patch_size = patch_size
        self.learned_side = img_size // patch_size  # patches along each axis of the learned position embedding
        self.cls_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.learned_side**2, channels))
        self.register_tokens = nn.Parameter(torch.zeros(1, num_registers, channels))
        # Stands for hidden patches in DINOv2's own training; kept for its name in the weights, without a gradient here.
        self.mask_token = nn.Parameter(torch.zeros(1, channels), requires_grad=False)
        self.patch_embed = PatchEmbed(patch_size, channels)
        self.blocks = nn.ModuleList([Block(channels, num_heads, mlp_ratio=mlp_ratio, eps=EPS, scale=1.0) for _ in range(depth)])
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self._positions: dict[tuple, Tensor] = {}
        self._positions_of: tuple[Tensor, int, int] | None = None

    def forward(self, images: Tensor) -> Tensor:
        grid_hw = images.shape[-2] // self.patch_size, images.shape[-1] // self.patch_size
        x = self.prefixed(self.patch_embed(images), grid_hw)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, x.shape[1] - grid_hw[0] * grid_hw[1] :])

    def prefixed(self, patches: Tensor, grid_hw: tuple[int, int]) -> Tensor:
        """Patches with their positions, after the class token (which has a position) and the registers (which have none)."""
        cls_token = self.cls_token + self.pos_embed[:, :1]
        special = torch.cat([cls_token, self.register_tokens], dim=1).expand(len(patches), -1, -1)
        return torch.cat([special, patches + self.positions(grid_hw)], dim=1)

    def positions(self, grid_hw: tuple[int, int]) -> Tensor:
        """Learned positions `(1, P, C)` resized to a grid; kept per grid while no gradient is wanted and the weights stay as they are."""
        weight = self.pos_embed
        if torch.compiler.is_compiling() or weight.is_inference() or (torch.is_grad_enabled() and weight.requires_grad):
            return self._resized(grid_hw)
        of = weight, weight.data_ptr(), weight._version
        if self._positions_of is None or self._positions_of[0] is not weight or self._positions_of[1:] != of[1:]:
            self._forget()
            self._positions_of = of
        if grid_hw not in self._positions:
            if len(self._positions) >= MANY_GRIDS:
                self._positions.clear()
            with torch.inference_mode(False), torch.no_grad():  # else it could not be used where a gradient is wanted
                self._positions[grid_hw] = self._resized(grid_hw)
        return self._positions[grid_hw]

    def _resized(self, grid_hw: tuple[int, int]) -> Tensor:
        learned = self.pos_embed[:, 1:]
        if grid_hw == (self.learned_side, self.learned_side):
            return learned
        square = learned.float().unflatten(1, (self.learned_side, self.learned_side)).permute(0, 3, 1, 2)
        resized = functional.interpolate(square, size=grid_hw, mode="bicubic", antialias=True)
        return resized.permute(0, 2, 3, 1).flatten(1, 2).to(learned.dtype)

    def _forget(self) -> None:
        self._positions = {}
        self._positions_of = None

    def _apply(self, *args, **kwargs):
        self._forget()  # moved or cast weights may come to lie at an old address
        return super()._apply(*args, **kwargs)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_positions": {}, "_positions_of": None}  # not worth a place in a copy
