"""Reads ScanNet's table of labels: what each annotator's word means in NYU40 and other vocabularies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sightline.captures.texts import read_text
from sightline.errors import CaptureError

FILE_NAME = "scannetv2-labels.combined.tsv"
WORD, NYU40_ID, NYU40_CLASS = "raw_category", "nyu40id", "nyu40class"


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelRow:
    """One word of the annotators. Cells of the table may be empty."""

    nyu40_id: int | None
    nyu40_class: str


def read_label_table(path: Path) -> Mapping[str, LabelRow]:
    """Word -> row; the first row of a word stands. Raises CaptureError: missing columns, rows of other lengths, ids that are no numbers."""
    lines = read_text(path).splitlines()
    columns = lines[0].split("\t") if lines else []
    missing = [name for name in (WORD, NYU40_ID) if name not in columns]
    if missing:
        raise CaptureError(f"{path}:1: expected tab-separated columns with {WORD} and {NYU40_ID}, found no {' and no '.join(missing)}")
    rows: dict[str, LabelRow] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise CaptureError(f"{path}:{number}: expected {len(columns)} cells like the first line, found {len(cells)}")
        row = dict(zip(columns, cells))
        stated = row[NYU40_ID].strip()
        if stated and not (stated.isascii() and stated.isdigit() and len(stated) < 4):
            raise CaptureError(f"{path}:{number}: {NYU40_ID}: expected a whole number or nothing, found {stated[:40]!r}")
        known = LabelRow(nyu40_id=int(stated) if stated else None, nyu40_class=row.get(NYU40_CLASS, "").strip())
        rows.setdefault(row[WORD].strip(), known)
    return rows


def attributes_of(word: str, table: Mapping[str, LabelRow] | None) -> dict[str, str]:
    """What the table knows of a word, as attributes of an object; nothing where there is no table."""
    if table is None:
        return {}
    row = table.get(word)
    known = {"raw_category": word}
    if row is not None and row.nyu40_id is not None:
        known["nyu40"] = str(row.nyu40_id)
    if row is not None and row.nyu40_class:
        known["nyu40_class"] = row.nyu40_class
    return known
