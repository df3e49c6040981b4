"""What a training run is made of: data, model, optimiser, loop; read from YAML, saved with every run."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from sightline.config import as_mapping, build, config, load, read_yaml, recipe_path, with_overrides
from sightline.errors import ConfigError
from sightline.mixtures.mixture import MixtureRecipe
from sightline.mixtures.recipes import BLOCK, read_mixture


@config
class DataRecipe:
    """Which samples, and how they are shown."""

    samples: str = ""  # folder of a generated data set
    scenes: str = ""  # scene store its images lie in
    split: str = "train"
    tasks: tuple[str, ...] = ()  # empty: all
    scans: tuple[str, ...] = ()  # empty: all of the split
    per_task: int | None = None  # the first so many of each task, in the order of the data set's own shuffle
    allow_benchmark_scenes: bool = False  # train knowingly on scans that benchmarks ask about
    blind: bool = False  # show no image at all: what can be guessed from the words
    image_policy: str = "fixed"  # image_width x image_height; or "model": sizes as the model's design has them
    image_width: int = 128
    image_height: int = 96
    min_pixels: int | None = None  # of images whose size the model's design leaves free; None: its own limits
    max_pixels: int | None = None
    max_tokens: int = 1024
    min_valid_fraction: float = 0.25


@config
class ModelRecipe:
    """A preset trained from nothing, or a checkpoint to go on from."""

    preset: str = "tiny"
    start_from: str | None = None
    fusion: str = "sin3d"
    fusion_options: Mapping[str, Any] = Field(default_factory=dict)
    coordinate_frame: str = "first_camera"
    vocab_size: int = 1024


@config
class OptimiserRecipe:
    """AdamW with a cosine schedule; warm-up and schedule are counted in updates, not in batches."""

    learning_rate: float = 2e-3
    fusion_learning_rate: float = 1e-2
    final_share: float = 0.02  # of the learning rate, at the last update
    warmup_updates: int = 50
    weight_decay: float = 0.05  # of matrices; norms, biases, gates and embeddings have none
    beta1: float = 0.9
    beta2: float = 0.98
    clip_norm: float = 1.0


@config
class LoopRecipe:
    """How long, in what portions, and what is kept."""

    updates: int = 1000
    batch_size: int = 32  # samples of one forward pass
    naming_weight: float = 0.0  # of saying which visual token holds which dot: teaches a model without eyes to see marks
    accumulate: int = 1  # forward passes of one update
    rows_per_pass: int = 1  # of a mixture: packed rows of one forward pass; a step makes as many passes as it has rows
    workers: int = 0  # of a mixture: processes that prepare steps; they change no weight
    ahead: int = 2  # steps that each of them prepares before they are asked for
    seed: int = 0
    threads: int = 1  # of torch, so that runs side by side do not fight over cores
    log_every: int = 10
    save_every: int = 500
    keep_last: int = 2
    validate_every: int = 0  # 0: never


@config
class TrainRecipe:
    """A whole run: on one generated data set, which is held in memory, or on a mixture, which is streamed and says itself how long.

    Of `data`, a mixture takes how images are shown.
    """

    mixture: MixtureRecipe | None = None
    data: DataRecipe = Field(default_factory=DataRecipe)
    model: ModelRecipe = Field(default_factory=ModelRecipe)
    optimiser: OptimiserRecipe = Field(default_factory=OptimiserRecipe)
    loop: LoopRecipe = Field(default_factory=LoopRecipe)

    def __post_init__(self) -> None:
        loop, optimiser = self.loop, self.optimiser
        for name, value in (("updates", loop.updates), ("batch_size", loop.batch_size), ("accumulate", loop.accumulate)):
            if value < 1:
                raise ConfigError(f"recipe: loop.{name}: expected at least 1, found {value}")
        for name in ("log_every", "save_every", "keep_last", "threads", "rows_per_pass", "ahead"):
            if getattr(loop, name) < 1:
                raise ConfigError(f"recipe: loop.{name}: expected at least 1, found {getattr(loop, name)}")
        if not optimiser.learning_rate > 0 or not optimiser.fusion_learning_rate > 0:
            raise ConfigError(f"recipe: expected learning rates above 0, found {optimiser.learning_rate}, {optimiser.fusion_learning_rate}")
        if loop.workers < 0:
            raise ConfigError(f"recipe: loop.workers: expected 0 or more, found {loop.workers}")
        if self.mixture is not None:
            self._expect_of_mixture()
        elif optimiser.warmup_updates >= loop.updates:
            raise ConfigError(
                f"recipe: optimiser.warmup_updates={optimiser.warmup_updates} would last through all loop.updates={loop.updates}; "
                "the full learning rate would never be reached"
            )

    def _expect_of_mixture(self) -> None:
        """What a mixture says itself must not be said twice."""
        usual, loop = LoopRecipe(), self.loop
        fixes = {"updates": "mixture.steps or mixture.passes", "batch_size": "mixture.sets_per_step", "accumulate": "loop.rows_per_pass"}
        for name, fix in fixes.items():
            if getattr(loop, name) != getattr(usual, name):
                raise ConfigError(f"recipe: loop.{name}: expected none beside a mixture, found {getattr(loop, name)}. Fix: {fix}")
        shown = DataRecipe()
        for name in ("samples", "scenes", "split", "tasks", "scans", "per_task"):
            if getattr(self.data, name) != getattr(shown, name):
                raise ConfigError(
                    f"recipe: data.{name}: expected none beside a mixture, found {getattr(self.data, name)}. Fix: say it of a source of "
                    "mixture.sources"
                )


def load_recipe(name: str, overrides: Sequence[str] = ()) -> TrainRecipe:
    """A recipe by name or path with overrides; those of a mixture name its sources: `mixture.sources.LABEL.weight=2`."""
    values = read_yaml(recipe_path(name))
    if BLOCK not in values:
        return load(TrainRecipe, name, overrides)
    mixture = read_mixture(name, [one for one in overrides if one.startswith(f"{BLOCK}.")])
    others = [one for one in overrides if not one.startswith(f"{BLOCK}.")]
    return build(TrainRecipe, with_overrides({**values, BLOCK: as_mapping(mixture)}, others), where=name)
