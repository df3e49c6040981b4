"""The contract of a mixture: which rows of which sources, how often, in what order; written as one block of a recipe."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from sightline.config import config
from sightline.errors import ConfigError
from sightline.mixtures.sampling import FrameSampling

PERCENT = "%"  # `data: folder%30` keeps 30 per cent of the rows, as in Spatial-MLLM's recipes


@config
class SourceRecipe:
    """One source: a folder of imported conversations, and what is taken of it."""

    data: str  # folder that `sightline data import` made; with %N at its end, N per cent of its rows
    name: str = ""  # in plans and messages; the folder's name by default
    split: str = "train"
    weight: float = 1.0  # sets of pictures per pass: 2 shows each twice, 0.5 every other one
    share: float | None = None  # of all sets that are shown, against the other sources' shares, whatever their sizes; instead of weight
    cap: int | None = None  # rows at most, always the same ones
    tasks: Mapping[str, float] = Field(default_factory=dict)  # weight of each task that is taken, against the largest; empty: all alike
    first_step: int = 0  # curriculum: the source is shown from this step
    last_step: int | None = None  # and before this one
    most_passes: float = 16.0  # a plan that shows the same rows more often than this is refused
    media: str = ""  # root of its pictures
    scenes: str = ""  # scene store of its depth and poses
    frames: FrameSampling | None = None  # of rows about a scan or a whole video; by default each row's own way
    view_dropout: float = 0.0  # share of the frames of a video or scan that is left out at each showing
    least_views: int = 1  # that stay
    without_geometry: Literal["refuse", "mask"] = "refuse"  # a sample without depth or pose in a run with geometry

    def __post_init__(self) -> None:
        where = f"source '{self.label}'"
        if not self.weight > 0:
            raise ConfigError(f"{where}: weight: expected more than 0, found {self.weight}; leave the source out instead")
        if self.share is not None and (not self.share > 0 or self.weight != 1.0):
            raise ConfigError(f"{where}: share: expected more than 0 and no weight beside it, found {self.share} and weight {self.weight}")
        if self.cap is not None and self.cap < 1:
            raise ConfigError(f"{where}: cap: expected 1 or more, found {self.cap}")
        if any(not weight >= 0 for weight in self.tasks.values()) or (self.tasks and not max(self.tasks.values()) > 0):
            raise ConfigError(f"{where}: tasks: expected weights of 0 or more, one of them above 0, found {dict(self.tasks)}")
        if self.first_step < 0 or (self.last_step is not None and self.last_step <= self.first_step):
            raise ConfigError(f"{where}: expected 0 <= first_step < last_step, found {self.first_step} and {self.last_step}")
        if not 0 <= self.view_dropout < 1 or self.least_views < 1:
            found = f"{self.view_dropout} and {self.least_views}"
            raise ConfigError(f"{where}: view_dropout, least_views: expected a share of 0 to below 1 and at least 1 view, found {found}")
        if not self.most_passes > 0:
            raise ConfigError(f"{where}: most_passes: expected more than 0, found {self.most_passes}")
        if not 0 < self.percent <= 100:
            raise ConfigError(f"{where}: expected a share of 1 to 100 per cent after '{PERCENT}', found {self.percent:g}")

    @property
    def folder(self) -> str:
        """`data` without its share."""
        return self.data.rpartition(PERCENT)[0] if self._has_share else self.data

    @property
    def percent(self) -> float:
        """Share of its rows that is taken."""
        return float(self.data.rpartition(PERCENT)[2]) if self._has_share else 100.0

    @property
    def label(self) -> str:
        return self.name or self.folder.rstrip("/").rpartition("/")[2]

    @property
    def _has_share(self) -> bool:
        return PERCENT in self.data and self.data.rpartition(PERCENT)[2].replace(".", "", 1).isdigit()


@config
class MixtureRecipe:
    """Sources and how they are mixed. A step is one update: so many sets of pictures, each with up to so many questions about it."""

    sources: tuple[SourceRecipe, ...]
    temperature: float = 1.0  # 1: by size times weight; larger: more alike; shares are their 1/temperature-th power
    steps: int | None = None  # one of steps and passes; neither: one pass
    passes: float | None = None  # over all sources together
    sets_per_step: int = 32
    questions_per_set: int = 1
    token_budget: int = 8192  # of one packed row
    seed: int = 0
    evaluates_on: tuple[str, ...] = ()  # benchmarks whose rooms must not be trained on
    allow_leaks: bool = False

    def __post_init__(self) -> None:
        if not self.sources:
            raise ConfigError("mixture: sources: expected at least one, found none")
        labels = [source.label for source in self.sources]
        for label in labels:
            if labels.count(label) > 1:
                raise ConfigError(f"mixture: sources: expected different names, found '{label}' twice; give one of them a name")
        without = [source.label for source in self.sources if source.share is None]
        if without and len(without) < len(self.sources):
            raise ConfigError(f"mixture: share: expected for every source or for none, found none for {', '.join(without)}")
        if not without and self.temperature != 1.0:
            raise ConfigError(f"mixture: temperature: expected 1 where shares are given, found {self.temperature}")
        for name in ("sets_per_step", "questions_per_set", "token_budget"):
            if getattr(self, name) < 1:
                raise ConfigError(f"mixture: {name}: expected 1 or more, found {getattr(self, name)}")
        if not self.temperature > 0:
            raise ConfigError(f"mixture: temperature: expected more than 0, found {self.temperature}")
        if self.steps is not None and self.passes is not None:
            raise ConfigError(f"mixture: expected steps or passes, found both ({self.steps} and {self.passes})")
        if (self.steps is not None and self.steps < 1) or (self.passes is not None and not self.passes > 0):
            raise ConfigError(f"mixture: expected steps of 1 or more or passes above 0, found {self.steps} and {self.passes}")
