"""No fusion: the plain vision-language model, the baseline of every comparison."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from sightline.errors import UnknownNameError
from sightline.models.fusions.gated import expect_same_grid
from sightline.models.model import GeometryTokens


class NoFusion(nn.Module):
    """Leaves the visual tokens as they are."""

    name: ClassVar[str] = "none"
    needs_geometry: ClassVar[bool] = False

    def __init__(self, hidden_size: int, options: Mapping[str, Any]):
        super().__init__()
        if options:
            raise UnknownNameError(f"fusion 'none': takes no options, found '{next(iter(options))}'")

    def forward(self, visual: Tensor, geometry: GeometryTokens | None) -> Tensor:
        """Visual tokens `(N, D)`, unchanged; geometry of another grid is refused all the same."""
        if geometry is not None:
            expect_same_grid(self.name, visual, geometry)
        return visual

    def reset(self) -> None:
        """Nothing to initialise."""

    def gate_size(self) -> float:
        return 0.0
