"""Finds the images, poses and intrinsics of a scan folder and matches them with each other, by name, number or time."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures.options import CAPTURE_FILE, FolderOptions, fix
from sightline.errors import CaptureError, DataError
from sightline.files import safe_join

COLOR_NAMES = ("color", "colour", "rgb", "images", "image")
DEPTH_NAMES = ("depth", "depths")
INSTANCE_NAMES = ("instances", "instance")
POSE_NAMES = ("poses.txt", "poses.npy", "pose", "poses", "groundtruth.txt")
INTRINSICS_NAMES = ("K.txt", "intrinsics.txt", "intrinsic.txt", "intrinsic/intrinsic_color.txt", "intrinsics/intrinsic_color.txt")
DEPTH_INTRINSICS_NAMES = (
    "K_depth.txt",
    "depth_intrinsics.txt",
    "depth_intrinsic.txt",
    "intrinsic/intrinsic_depth.txt",
    "intrinsics/intrinsic_depth.txt",
)
OBJECTS_NAMES = ("objects.json",)
STRUCTURE_NAMES = ("structure.json",)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
TEXT_SUFFIXES = (".txt",)
_TIMESTAMP = re.compile(r"\d+\.\d+$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A file and the part of its name that tells it from its neighbours."""

    key: str
    path: Path

    @property
    def number(self) -> int | None:
        """The last whole number in the key."""
        digits = re.findall(r"\d+", self.key)
        return int(digits[-1]) if digits else None

    @property
    def time_s(self) -> float | None:
        """The key as a timestamp, where it is one (`1305031102.175304`)."""
        return float(self.key) if _TIMESTAMP.match(self.key) else None


def looks_like_scan(folder: Path) -> bool:
    """Whether a folder is described by a `capture.yaml`, or holds colour and depth folders of usual names. No image is opened."""
    if not folder.is_dir():
        return False
    return (folder / CAPTURE_FILE).is_file() or all(usual(folder, names) is not None for names in (COLOR_NAMES, DEPTH_NAMES))


def scan_folders(root: Path) -> list[Path]:
    """`root` itself where it is a scan, else those of its subfolders that are, in natural order."""
    if looks_like_scan(root):
        return [root]
    if not root.is_dir():
        return []
    return sorted((child for child in root.iterdir() if _visible(child) and looks_like_scan(child)), key=lambda path: natural(path.name))


def usual(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of these names that exists in the folder."""
    return next((folder / name for name in names if (folder / name).exists()), None)


def inside(folder: Path, relative: str, *, key: str) -> Path:
    """A path that `capture.yaml` or an option names. Raises CaptureError where it leads out of the folder or to nothing."""
    try:
        path = safe_join(folder, relative)
    except DataError as error:
        raise CaptureError(f"{folder}: {key}: {error}") from error
    if not any(sign in relative for sign in "*?[") and not path.exists():
        raise CaptureError(f"{path}: expected what `{key}` names, found nothing there")
    return path


def found(folder: Path, given: str | None, names: Sequence[str], *, key: str, what: str) -> Path:
    """The path an option gives, or the usual one. Raises CaptureError naming what was looked for."""
    if given is not None:
        return inside(folder, given, key=key)
    path = usual(folder, names)
    if path is None:
        raise CaptureError(f"{folder}: expected {what}, found none of {', '.join(names)}. {fix(**{key: 'PATH'})}")
    return path


def natural(name: str) -> tuple[tuple[int, float, str], ...]:
    """A sort key in which 2 comes before 10; a whole name that is a timestamp sorts as a number."""
    if _TIMESTAMP.match(name):
        return ((0, float(name), ""),)
    return tuple((0, float(part), part) if part.isdigit() else (1, 0.0, part) for part in re.split(r"(\d+)", name) if part)


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, sorted; hidden ones left out."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and _visible(path))


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")


def files_of(place: Path, *, suffixes: tuple[str, ...], what: str) -> list[Named]:
    """The files of a folder, or those that match a pattern, in natural order. Raises CaptureError when there is none or one is foreign."""
    if any(sign in place.name for sign in "*?["):
        named = [Named(key=_starred(place.name, path.name), path=path) for path in place.parent.glob(place.name) if _visible(path)]
    elif place.is_dir():
        named = [Named(key=path.stem, path=path) for path in place.iterdir() if _visible(path) and path.is_file()]
    else:
        raise CaptureError(f"{place}: expected a folder of {what}, found {'a file' if place.exists() else 'no folder'}")
    wanted = [one for one in named if one.path.suffix.lower() in suffixes]
    if not wanted:
        other = sorted({one.path.suffix for one in named})
        beside = f" (only {', '.join(other)} files)" if other else ""
        raise CaptureError(f"{place}: expected {what} ({' '.join(suffixes)}), found none{beside}")
    twice = [key for key, count in Counter(one.key for one in wanted).items() if count > 1]
    if twice:
        names = ", ".join(sorted(one.path.name for one in wanted if one.key == twice[0]))
        raise CaptureError(f"{place}: expected one file per frame, found {names} for frame '{twice[0]}'")
    return sorted(wanted, key=lambda one: natural(one.key))


def _starred(pattern: str, name: str) -> str:
    """The part of a name that the first `*` of a pattern stands for."""
    expression = re.escape(pattern).replace(r"\*", "(.*)").replace(r"\?", "(.)")
    match = re.fullmatch(expression, name)
    return match[1] if match and match.groups() else Path(name).stem


def match_all(color: Sequence[Named], others: Sequence[Named], *, what: str) -> list[Path]:
    """One file of `others` per colour image, by name, else by number. Raises CaptureError unless they pair up exactly."""
    for key in (lambda one: one.key, lambda one: one.number):
        paired = _paired(color, others, key)
        if paired is not None:
            return paired
    counts = f"{len(color)} colour images in {color[0].path.parent}, {len(others)} {what} in {others[0].path.parent}"
    missing = _first_without(color, others)
    if missing is not None:
        raise CaptureError(f"{counts}: expected one of each per frame, found no {what[:-1]} for {missing.path.name}")
    extra = _first_without(others, color)
    name = extra.path.name if extra is not None else others[-1].path.name
    raise CaptureError(f"{counts}: expected one of each per frame, found no colour image for {name}")


def _paired(color: Sequence[Named], others: Sequence[Named], key: Callable[[Named], object]) -> list[Path] | None:
    table = {key(other): other.path for other in others}
    keys = [key(one) for one in color]
    if None in keys or len(set(keys)) != len(keys) or len(table) != len(others) or set(keys) != set(table):
        return None
    return [table[one] for one in keys]


def _first_without(these: Sequence[Named], those: Sequence[Named]) -> Named | None:
    names, numbers = {one.key for one in those}, {one.number for one in those} - {None}
    return next((one for one in these if one.key not in names and one.number not in numbers), None)


def match_some(color: Sequence[Named], others: Sequence[Named]) -> list[Path | None]:
    """The file of the same name or else number for each colour image, None where there is none."""
    by_key: Mapping[str, Path] = {one.key: one.path for one in others}
    by_number: Mapping[int | None, Path] = {one.number: one.path for one in others if one.number is not None}
    if any(one.key in by_key for one in color):
        return [by_key.get(one.key) for one in color]
    return [by_number.get(one.number) for one in color]


def nearest_in_time(times_s: np.ndarray, wanted_s: np.ndarray, *, max_gap_s: float) -> np.ndarray:
    """For each wanted time the index of the nearest of `times_s`, -1 where that is further than `max_gap_s` away."""
    if not len(times_s):
        return np.full(len(wanted_s), -1)
    order = np.argsort(times_s, kind="stable")
    right = np.clip(np.searchsorted(times_s[order], wanted_s), 1, max(len(order) - 1, 1))
    left = order[right - 1]
    right = order[np.minimum(right, len(order) - 1)]
    nearest = np.where(np.abs(times_s[left] - wanted_s) <= np.abs(times_s[right] - wanted_s), left, right)
    return np.where(np.abs(times_s[nearest] - wanted_s) <= max_gap_s, nearest, -1)


def color_place(folder: Path, options: FolderOptions) -> Path:
    """Where the colour images are. Raises CaptureError; an empty folder gets its own words."""
    if not folder.is_dir():
        raise CaptureError(f"{folder}: expected a scan folder, found {'a file' if folder.exists() else 'nothing'}")
    if not any(_visible(child) for child in folder.iterdir()):
        raise CaptureError(f"{folder}: expected a scan folder with colour images, depth images, poses and intrinsics, found an empty one")
    return found(folder, options.color, COLOR_NAMES, key="color", what="a folder of colour images")
