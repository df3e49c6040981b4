"""Reading the mixture block of a recipe: packaged or a file, with overrides that name sources by their labels."""

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.catalog import nearest
from sightline.config import build, read_yaml, recipe_path, with_overrides
from sightline.errors import ConfigError, UnknownNameError
from sightline.mixtures.mixture import MixtureRecipe, SourceRecipe

BLOCK = "mixture"


def read_mixture(name: str, overrides: Sequence[str] = ()) -> MixtureRecipe:
    """The block `mixture` of a recipe, by the recipe's packaged name or path; its other blocks are not looked at.

    `weight=2` of a source is `sources.LABEL.weight=2`, with or without `mixture.` before it. Raises ConfigError, and
    UnknownNameError naming the nearest key, source or recipe.
    """
    values = read_yaml(recipe_path(name)).get(BLOCK)
    if not isinstance(values, Mapping):
        raise ConfigError(f"{name}: expected a block '{BLOCK}:' with sources, found {'none' if values is None else type(values).__name__}")
    listed = values.get("sources")
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise ConfigError(f"{name}: {BLOCK}.sources: expected a list of sources, each with its data, found {listed!r}")
    labels = [build(SourceRecipe, one, where=f"{name}: {BLOCK}.sources, number {number}").label for number, one in enumerate(listed, 1)]
    own = [override.removeprefix(f"{BLOCK}.") for override in overrides]
    of_sources = [override.removeprefix("sources.") for override in own if override.startswith("sources.")]
    for override in of_sources:
        label = override.partition("=")[0].rpartition(".")[0]
        if label.partition(".tasks")[0] not in labels:
            raise UnknownNameError(
                f"override 'sources.{override}': no source called '{label}'.{nearest(label, labels)} Known: {', '.join(labels)}"
            )
    sources = [_changed(one, label, of_sources) for one, label in zip(listed, labels)]
    whole = with_overrides({**values, "sources": sources}, [one for one in own if not one.startswith("sources.")])
    for number, one in enumerate(sources, 1):
        build(SourceRecipe, one, where=f"{name}: {BLOCK}.sources, number {number}")
    return build(MixtureRecipe, whole, where=f"{name}: {BLOCK}")


def _changed(source: Mapping[str, Any], label: str, overrides: Sequence[str]) -> dict[str, Any]:
    mine = [one.removeprefix(f"{label}.") for one in overrides if one.startswith(f"{label}.")]
    return with_overrides(source, mine)
