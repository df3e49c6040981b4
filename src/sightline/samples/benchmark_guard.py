"""Keeps scans that benchmarks ask about out of training: named by benchmark, refused unless the user says otherwise."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from sightline.config import build, config, read_yaml
from sightline.errors import ConfigError, DataError

LISTS = "recipes/benchmarks/scenes.yaml"
NAMED_FIRST = 5  # scans named in an error
# How the data sets name what benchmarks ask about: a room of ScanNet, a scene of ScanNet++, a video of ARKitScenes.
_TOKEN = re.compile(r"(?<![0-9A-Za-z])(?:scene[0-9]{4}|[0-9a-f]{10}|[0-9]{8})(?![0-9A-Za-z])")


@config
class BenchmarkScenes:
    """Lists of scans and the benchmarks that ask about them."""

    benchmarks: Mapping[str, tuple[str, ...]]
    lists: Mapping[str, str]  # ids with spaces between them


@dataclass(frozen=True, kw_only=True, slots=True)
class Guarded:
    """A scan that benchmarks ask about."""

    scan_id: str
    benchmarks: tuple[str, ...]


def benchmarks_of(scan_id: str, place_id: str, *, more: Path | None = None) -> tuple[str, ...]:
    """Names of the benchmarks that ask about this scan, or about another one of the same room, in order.

    `more` is a YAML file in the form of the packaged one, for lists of one's own. Raises ConfigError for a bad one.
    """
    tokens = room_tokens(scan_id, place_id)
    paths = (None,) if more is None else (None, more)
    found = {name for path in paths for name, ids in _ids_of(path).items() if tokens & ids}
    return tuple(sorted(found))


def room_tokens(*names: str) -> frozenset[str]:
    """What the lists call the rooms that these ids of scans and places speak of: scene0000 of scene0000_00."""
    return frozenset(_TOKEN.findall(" ".join(names)))


def benchmark_ids() -> Mapping[str, frozenset[str]]:
    """The packaged lists: benchmark -> rooms and scans that it asks about, as `room_tokens` names them."""
    return _ids_of(None)


def guarded(places: Mapping[str, str], *, more: Path | None = None) -> tuple[Guarded, ...]:
    """Those of the scans (id -> place id) that a benchmark asks about, by id."""
    found = ((scan_id, benchmarks_of(scan_id, places[scan_id], more=more)) for scan_id in sorted(places))
    return tuple(Guarded(scan_id=scan_id, benchmarks=names) for scan_id, names in found if names)


def refuse_guarded(places: Mapping[str, str], *, fix: str, more: Path | None = None) -> None:
    """Raise DataError where training scans (id -> place id) are scans of a benchmark; `fix` says what to do instead."""
    found = guarded(places, more=more)
    if found:
        names = sorted({name for one in found for name in one.benchmarks})
        first = ", ".join(one.scan_id for one in found[:NAMED_FIRST]) + (", ..." if len(found) > NAMED_FIRST else "")
        raise DataError(
            f"{len(found)} of {len(places)} training scans are scans that benchmarks ask about ({', '.join(names)}): {first}. Fix: {fix}"
        )


@lru_cache(maxsize=8)
def _ids_of(path: Path | None) -> Mapping[str, frozenset[str]]:
    """Benchmark -> ids."""
    source = path or Path(str(resources.files("sightline") / LISTS))
    scenes = build(BenchmarkScenes, read_yaml(source), where=str(source))
    for name, wanted in scenes.benchmarks.items():
        for one in wanted:
            if one not in scenes.lists:
                raise ConfigError(f"{source}: benchmark '{name}': no list called '{one}', known: {', '.join(scenes.lists)}")
    return {name: frozenset(word for one in wanted for word in scenes.lists[one].split()) for name, wanted in scenes.benchmarks.items()}
