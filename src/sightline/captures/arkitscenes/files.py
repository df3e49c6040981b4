"""Finds the scans of ARKitScenes in either of its layouts, the files of their frames by time, and what its tables say of them."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sightline.captures.folder import id_of
from sightline.captures.layouts import natural
from sightline.errors import CaptureError

FOLDS = ("Training", "Validation")
LAYOUTS = ("3dod", "raw")
COLOURS = ("lowres_wide", "vga_wide", "wide")
TRAJECTORY = "lowres_wide.traj"
ANNOTATION = "_3dod_annotation.json"
SPLIT_TABLES = ("3dod_train_val_splits.csv", "raw_train_val_splits.csv")
METADATA = "metadata.csv"
TABLE_LEVELS = 4  # <fold>, <layout>, the download folder, and one above it
MAX_TABLE_BYTES = 64 << 20
_FRAMES = "_frames"
_STEM = re.compile(r"(?:(?P<video>.+)_)?(?P<seconds>\d+(?:\.\d+)?)$")
_NOT_KNOWN = ("", "na", "nan", "none")


@dataclass(frozen=True, kw_only=True, slots=True)
class ArkitScan:
    """One recording on disk."""

    video_id: str
    layout: str  # 3dod | raw
    folder: Path  # <id>/
    frames: Path  # where lowres_wide/ and its neighbours lie: <id>/<id>_frames in 3dod, <id> in raw
    fold: str | None  # of the folder it lies in

    @property
    def annotation(self) -> Path | None:
        """The file of labelled boxes, where it was downloaded. Raises CaptureError where there is only one of another recording."""
        path = self.folder / f"{self.video_id}{ANNOTATION}"
        if path.is_file():
            return path
        other = next(iter(sorted(self.folder.glob(f"*{ANNOTATION}"))), None)
        if other is not None:
            raise CaptureError(f"{other}: expected {path.name}, found an annotation of another recording. Fix: move it away")
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What the tables say of one recording."""

    visit_id: str | None = None
    fold: str | None = None
    sky_direction: str | None = None
    visit_folds: tuple[str, ...] = ()  # folds in which recordings of the same visit lie
    tables: tuple[Path, ...] = ()


def scan_at(folder: Path) -> ArkitScan | None:
    """The recording in this very folder, told by the names of its subfolders; None where it is something else."""
    fold = folder.parent.name if folder.parent.name in FOLDS else None
    if not folder.is_dir():
        return None
    for frames in sorted(folder.glob(f"*{_FRAMES}")):
        if (frames / "lowres_wide").is_dir():
            return ArkitScan(video_id=frames.name.removesuffix(_FRAMES), layout="3dod", folder=folder, frames=frames, fold=fold)
    if any((folder / f"{colour}_intrinsics").is_dir() and (folder / colour).is_dir() for colour in COLOURS):
        return ArkitScan(video_id=id_of(folder), layout="raw", folder=folder, frames=folder, fold=fold)
    return None


def scans_at(root: Path) -> Iterator[ArkitScan]:
    """The recording at `root`, or those below it in the layouts' own folders (`3dod/Training/<id>`, `raw/Validation/<id>`, ...)."""
    here = scan_at(root)
    if here is not None:
        yield here
        return
    for group in (root, *(root / layout for layout in LAYOUTS)):
        for place in (group, *(group / fold for fold in FOLDS)):
            children = place.iterdir() if place.is_dir() else ()
            visible = (child for child in children if child.name not in (*FOLDS, *LAYOUTS) and not child.name.startswith("."))
            for child in sorted(visible, key=lambda path: natural(path.name)):
                found = scan_at(child)
                if found is not None:
                    yield found


def files_by_time(folder: Path, suffixes: tuple[str, ...], *, video_id: str) -> dict[int, Path]:
    """Milliseconds -> file, in the order of time, of files named `<video id>_<seconds>`.

    Raises CaptureError: no folder, no such file, one that belongs to another recording, two of one time.
    """
    if not folder.is_dir():
        raise CaptureError(f"{folder}: expected a folder of {'/'.join(suffixes)} files named {video_id}_SECONDS, found no folder")
    found: dict[int, Path] = {}
    for path in folder.iterdir():
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        match = _STEM.match(path.stem)
        if match is None or match["video"] not in (None, video_id):
            raise CaptureError(f"{path}: expected a name like {video_id}_SECONDS{path.suffix} of this recording, found another")
        time_ms = round(float(match["seconds"]) * 1000)
        if time_ms in found:
            raise CaptureError(f"{path}: expected one file per millisecond, found {found[time_ms].name} of the same time")
        found[time_ms] = path
    if not found:
        raise CaptureError(f"{folder}: expected {'/'.join(suffixes)} files named {video_id}_SECONDS, found none")
    return dict(sorted(found.items()))


def nearest(files: Mapping[int, Path], time_ms: int, *, within_ms: int) -> Path | None:
    """The file nearest in time, None where none is within `within_ms`."""
    for away in range(within_ms + 1):
        for sign in (-1, 1):
            if time_ms + sign * away in files:
                return files[time_ms + sign * away]
    return None


def seconds_of(path: Path) -> str:
    """The part of a frame's file name that says when it was taken."""
    match = _STEM.match(path.stem)
    assert match is not None, "only asked of files that files_by_time gave"
    return match["seconds"]


def table_row(scan: ArkitScan, known: dict[Path, dict[str, Row]]) -> Row:
    """What the tables in the scan's parent folders say of it; `known` keeps those that were read. Raises CaptureError for a damaged one."""
    result = Row(fold=scan.fold)
    for parent in list(scan.folder.resolve().parents)[:TABLE_LEVELS]:
        for name in (*SPLIT_TABLES, METADATA):
            path = parent / name
            if path.is_file():
                if path not in known:
                    known[path] = _read_table(path)
                row = known[path].get(scan.video_id)
                result = result if row is None else _joined(result, row, path)
    return result


def _joined(first: Row, second: Row, path: Path) -> Row:
    if first.visit_id is not None and second.visit_id not in (None, first.visit_id):
        raise CaptureError(f"{path}: expected visit {first.visit_id} as in {first.tables[-1]}, found {second.visit_id}")
    return Row(
        visit_id=first.visit_id or second.visit_id,
        fold=first.fold or second.fold,
        sky_direction=first.sky_direction or second.sky_direction,
        visit_folds=tuple(sorted({*first.visit_folds, *second.visit_folds})),
        tables=(*first.tables, path),
    )


def _read_table(path: Path) -> dict[str, Row]:
    """Rows by video id; nothing for a `metadata.csv` that is not of this data set."""
    required = path.name != METADATA
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise CaptureError(f"{path}: expected a table of at most {MAX_TABLE_BYTES} bytes, found {path.stat().st_size}")
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        if not required:
            return {}
        raise CaptureError(f"{path}: expected a table with columns video_id, visit_id, fold, found a damaged one ({error})") from error
    if not rows or not {"video_id", "visit_id"} <= set(rows[0]):
        if not required:
            return {}
        raise CaptureError(f"{path}: expected columns video_id and visit_id, found {', '.join(map(str, rows[0])) if rows else 'no row'}")
    table: dict[str, Row] = {}
    folds: dict[str, set[str]] = {}
    for number, values in enumerate(rows, start=2):
        visit_id, fold = _visit(values.get("visit_id"), where=f"{path}:{number}"), values.get("fold") or None
        row = Row(visit_id=visit_id, fold=fold, sky_direction=values.get("sky_direction") or None)
        video_id = (values.get("video_id") or "").strip()
        if video_id in table and table[video_id] != row:
            raise CaptureError(f"{path}:{number}: expected video {video_id} once, found it again with other values")
        table[video_id] = row
        if visit_id is not None and fold is not None:
            folds.setdefault(visit_id, set()).add(fold)
    return {
        video_id: Row(
            visit_id=row.visit_id,
            fold=row.fold,
            sky_direction=row.sky_direction,
            visit_folds=tuple(sorted(folds.get(row.visit_id or "", ()))),
        )
        for video_id, row in table.items()
    }


def _visit(value: str | None, *, where: str) -> str | None:
    text = (value or "").strip()
    if text.lower() in _NOT_KNOWN:
        return None
    text = text.removesuffix(".0")  # tables written through floating point
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        raise CaptureError(f"{where}: visit_id: expected a number, found {text[:40]!r}")
    return text
