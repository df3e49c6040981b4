"""Named data sets: what each is, where it lives, how to obtain it, under which terms, and how many rows it should have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from sightline.catalog import nearest
from sightline.config import build, config, read_yaml
from sightline.errors import ConfigError, DataError, UnknownNameError
from sightline.files import sha256_of
from sightline.mixtures.source import SOURCES
from sightline.mixtures.sources.reading import names_of
from sightline.samples.benchmark_guard import LISTS, BenchmarkScenes

PACKAGED = "recipes/datasets"
TRAIN = "train"


@config
class SplitFiles:
    """One split of a data set, as its publishers call it."""

    files: tuple[str, ...]  # below the folder that the user obtained; globs are allowed
    rows: int | None = None  # as published; None: not known
    sha256: Mapping[str, str] = field(default_factory=dict)  # of a file, where it is known
    scenes_in: tuple[str, ...] = ()  # lists of recipes/benchmarks/scenes.yaml that every scan must be in
    scenes_not_in: tuple[str, ...] = ()  # and lists that no scan may be in


@config
class DataSet:
    """An entry of the registry: the content of `recipes/datasets/<name>.yaml`, or of a file of one's own."""

    what: str
    layout: str  # of SOURCES
    splits: Mapping[str, SplitFiles]
    where: str = "unknown"  # where it lives
    obtain: str = "unknown"  # how to get it
    licence: str = "unknown"
    media: str = ""  # the pictures its rows name, and whose they are
    options: Mapping[str, Any] = field(default_factory=dict)  # of the layout
    benchmark_splits: tuple[str, ...] = ()  # held out: never to be trained on
    notes: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """An entry with its name and the file it stands in."""

    name: str
    path: Path
    entry: DataSet

    def split(self, split: str | None) -> tuple[str, SplitFiles]:
        """A split by name; the only one, or `train`, by default. Raises UnknownNameError."""
        known = list(self.entry.splits)
        chosen = split or (known[0] if len(known) == 1 else TRAIN)
        if chosen not in known:
            raise UnknownNameError(f"data set '{self.name}': no split called '{chosen}'.{nearest(chosen, known)} Known: {', '.join(known)}")
        return chosen, self.entry.splits[chosen]


def data_sets(more: Sequence[Path] = ()) -> dict[str, Named]:
    """Every entry by name: the packaged ones, then those of the folders (or files) given, which may replace them. Raises ConfigError."""
    found: dict[str, Named] = {}
    for folder in (Path(str(resources.files("sightline") / PACKAGED)), *more):
        if not folder.exists():
            raise ConfigError(f"{folder}: expected a YAML file or a folder of them, found none")
        for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else [folder]:
            found[path.stem] = _read(path)
    return found


def data_set(name: str, more: Sequence[Path] = ()) -> Named:
    """An entry by name, or the YAML file of one. Raises UnknownNameError naming the nearest, ConfigError for a bad file."""
    if name.endswith((".yaml", ".yml")):
        return _read(Path(name))
    known = data_sets(more)
    if name not in known:
        raise UnknownNameError(f"no data set called '{name}'.{nearest(name, list(known))} Known: {', '.join(known)}")
    return known[name]


def source_files(named: Named, split: str, folder: Path) -> list[Path]:
    """The files of a split below the folder that the user obtained, or the one file given. Raises DataError naming what is missing."""
    if folder.is_file():
        return [folder]
    files: list[Path] = []
    for pattern in named.entry.splits[split].files:
        matching = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not matching:
            raise DataError(
                f"{folder}: expected {pattern} of data set '{named.name}', split '{split}', found none. "
                f"How to obtain it: {named.entry.obtain}"
            )
        files += [path for path in matching if path not in files]
    return files


def check_sums(named: Named, split: str, files: Sequence[Path]) -> dict[str, str]:
    """SHA-256 by the files' names (below the folder they share). Raises DataError for a file that is not the one known."""
    sums = {name: sha256_of(path) for name, path in zip(names_of(files), files)}
    for path, found in zip(files, sums.values()):
        wanted = named.entry.splits[split].sha256.get(path.name)
        if wanted is not None and wanted != found:
            raise DataError(f"{path}: expected SHA-256 {wanted} of data set '{named.name}', found {found}: another version, or damaged")
    return sums


@lru_cache(maxsize=1)
def scene_lists() -> Mapping[str, frozenset[str]]:
    """Lists of rooms and scans by name, as the guard of benchmarks keeps them."""
    path = Path(str(resources.files("sightline") / LISTS))
    scenes = build(BenchmarkScenes, read_yaml(path), where=str(path))
    return {name: frozenset(ids.split()) for name, ids in scenes.lists.items()}


def _read(path: Path) -> Named:
    entry = build(DataSet, read_yaml(path), where=str(path))
    SOURCES[entry.layout](entry.options)  # a wrong layout or option is told here, not at the first row
    if not entry.splits:
        raise ConfigError(f"{path}: splits: expected at least one, found none")
    for name, split in entry.splits.items():
        for listed in (*split.scenes_in, *split.scenes_not_in):
            if listed not in scene_lists():
                raise UnknownNameError(
                    f"{path}: splits.{name}: no list of scenes called '{listed}'.{nearest(listed, list(scene_lists()))} "
                    f"Known: {', '.join(scene_lists())}"
                )
    for name in entry.benchmark_splits:
        if name not in entry.splits:
            raise ConfigError(f"{path}: benchmark_splits: expected names of splits ({', '.join(entry.splits)}), found '{name}'")
    return Named(name=path.stem, path=path, entry=entry)
