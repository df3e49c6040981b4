"""No fusion: the plain vision-language model, the baseline of every comparison."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from sightline.errors import UnknownNameError
from sightline.models.model import GeometryTokens, Sizes, VisualTokens


class NoFusion(nn.Module):
    """Leaves the visual tokens as they are."""

    name: ClassVar[str] = "none"
    needs: ClassVar[str] = "nothing"
    makes: ClassVar[str] = "visual"

    def __init__(self, sizes: Sizes, options: Mapping[str, Any]):
        super().__init__()
        if options:
            raise UnknownNameError(f"fusion 'none': takes no options, found '{next(iter(options))}'")

    def forward(self, visual: VisualTokens, geometry: GeometryTokens | None) -> Tensor:
        """Visual tokens `(N, D)`, unchanged."""
        return visual.tokens

    def reset(self) -> None:
        """Nothing to initialise."""

    def gate_size(self) -> float:
        return 0.0
