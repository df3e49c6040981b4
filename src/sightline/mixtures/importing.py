"""Converting a source into a data set of conversations: part by part, resumable, with a manifest of what it was made from."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sightline import __version__
from sightline.errors import DataError
from sightline.files import fingerprint, read_json, read_jsonl, sha256_of, write_json
from sightline.mixtures.registry import Named, check_sums, source_files
from sightline.mixtures.source import SOURCES, BadRow, Origin, RawRow, SourceLayout
from sightline.mixtures.sources.reading import names_of
from sightline.mixtures.validation import Checker, Report, require
from sightline.samples.conversation import Conversation
from sightline.samples.conversation_files import DATA_FOLDER, ROWS_PER_FILE, ConversationTable, part_path, write_part
from sightline.samples.conversation_rows import SCHEMA_VERSION

MANIFEST = "conversations.json"
FORMAT = "sightline-conversations"
PROBLEMS_FILE = "problems.jsonl"
STAGING = ".partial"  # parts and their record until all are there
RECORD = "record.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """What is imported, from where, and how strictly."""

    named: Named
    split: str
    files: tuple[Path, ...]
    media_root: Path | None = None
    allow: tuple[str, ...] = ()
    max_bad_share: float = 0.0
    limit: int | None = None  # rows of the source
    options: dict[str, Any] = field(default_factory=dict)  # of the layout, over those of the registry

    @classmethod
    def of(cls, named: Named, split: str | None, folder: Path, **how: Any) -> "Import":
        """The import of a split whose files lie in a folder. Raises DataError naming what is missing."""
        chosen, _ = named.split(split)
        return cls(named=named, split=chosen, files=tuple(source_files(named, chosen, folder)), **how)

    @property
    def layout(self) -> SourceLayout:
        return SOURCES[self.named.entry.layout]({**self.named.entry.options, **self.options})

    @property
    def origin(self) -> Origin:
        return Origin(source=self.named.name, split=self.split, licence=self.named.entry.licence, media_root=self.media_root)

    def rows(self, *, skip: int = 0) -> Iterator[RawRow]:
        """Rows of the source without the first `skip`, up to the limit."""
        left = None if self.limit is None else max(0, self.limit - skip)
        return islice(self.layout.read(self.files, skip=skip), left)


def conversations(job: Import) -> Iterator[Conversation | BadRow]:
    """All that the source says, in order."""
    layout, origin = job.layout, job.origin
    for raw in job.rows():
        yield from layout.convert(raw, origin)


def import_source(job: Import, out: Path, checker: Checker, *, rows_per_file: int = ROWS_PER_FILE) -> tuple[Report, bool]:
    """Write `OUT/data/*.parquet`, `conversations.json` and, where rows are bad, `problems.jsonl`; returns counts and whether work was done.

    A stopped import goes on after its last whole part; a finished one of the same files and options is not done again. Data sets of
    equal sources have equal bytes. Raises DataError where too many rows are bad: then the problems are written and no data.
    """
    sums = check_sums(job.named, job.split, job.files)
    layout = job.layout
    made_from = fingerprint(
        {
            "source": job.named.name,
            "split": job.split,
            "layout": job.named.entry.layout,
            "versions": [layout.version, SCHEMA_VERSION],
            "options": {**job.named.entry.options, **job.options},
            "licence": job.named.entry.licence,
            "sums": sorted(sums.items()),
            "limit": job.limit,
            "allow": sorted(job.allow),
            "looks_for_pictures": checker.media is not None,
            "media_root": str(job.media_root),
            "rows_per_file": rows_per_file,
        }
    )
    done = manifest_of(out)
    if done is not None and done.get("made_from") == made_from:
        report = Report.from_json(done["report"])
        require(report, max_bad_share=job.max_bad_share)
        return report, False
    staging = out / STAGING
    record = _resumed(staging, made_from, checker)
    report, parts, raw_rows = Report.from_json(record["report"]), record["parts"], record["raw_rows"]
    source, pending = _Counted(job.rows(skip=raw_rows)), []
    while True:
        stream = checker.good(_converted(source, layout, job.origin, at_least=rows_per_file), report, pending)
        path = part_path(staging, len(parts))
        before = source.count
        written = write_part(path, stream)
        if source.count == before:
            break
        _append(staging / PROBLEMS_FILE, pending)
        pending.clear()
        raw_rows += source.count - before
        if written:
            parts.append({"file": f"{DATA_FOLDER}/{path.name}", "num_rows": written, "sha256": sha256_of(path)})
        problem_bytes = (staging / PROBLEMS_FILE).stat().st_size
        write_json(
            staging / RECORD,
            {"made_from": made_from, "raw_rows": raw_rows, "problem_bytes": problem_bytes, "parts": parts, "report": report.as_json()},
        )
    _finish(job, out, made_from=made_from, sums=sums, parts=parts, report=report, raw_rows=raw_rows)
    return report, True


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished data set of conversations, None where there is none."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{path}: expected format '{FORMAT}', found another file")
    return manifest


def _finish(job: Import, out: Path, *, made_from: str, sums: dict[str, str], parts: list[Any], report: Report, raw_rows: int) -> None:
    staging = out / STAGING
    problems = staging / PROBLEMS_FILE
    if problems.is_file() and problems.stat().st_size:
        os.replace(problems, out / PROBLEMS_FILE)
    elif (out / PROBLEMS_FILE).is_file():
        (out / PROBLEMS_FILE).unlink()
    try:
        require(report, max_bad_share=job.max_bad_share, fix=f"All of them: {out / PROBLEMS_FILE}. Fix: --max-bad-share, or --allow KIND")
    except DataError:
        shutil.rmtree(staging)
        raise
    (out / MANIFEST).unlink(missing_ok=True)  # from here on the old data set is gone
    if (out / DATA_FOLDER).exists():
        shutil.rmtree(out / DATA_FOLDER)
    os.replace(staging / DATA_FOLDER, out / DATA_FOLDER)
    entry = job.named.entry
    write_json(
        out / MANIFEST,
        {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "made_from": made_from,
            "made_by": f"sightline {__version__}",
            "source": job.named.name,
            "what": entry.what,
            "split": job.split,
            "is_benchmark": job.split in entry.benchmark_splits,
            "licence": entry.licence,
            "layout": entry.layout,
            "converter_version": job.layout.version,
            "options": {**entry.options, **job.options},
            "shows_scans": job.layout.shows_scans,
            "media_root": None if job.media_root is None else str(job.media_root),
            "source_files": [
                {"file": name, "num_bytes": path.stat().st_size, "sha256": sums[name]} for name, path in zip(names_of(job.files), job.files)
            ],
            "source_rows": raw_rows,
            "expected_rows": entry.splits[job.split].rows,
            "num_rows": report.kept,
            "files": parts,
            "report": report.as_json(),
        },
    )
    shutil.rmtree(staging)


def _resumed(staging: Path, made_from: str, checker: Checker) -> dict[str, Any]:
    """The record of an import that was stopped, its ids known again; a fresh one where there is none, or of something else."""
    path = staging / RECORD
    if path.is_file():
        record = read_json(path)
        if record.get("made_from") == made_from:
            kept = {staging / part["file"] for part in record["parts"]}
            for child in (staging / DATA_FOLDER).glob("*") if (staging / DATA_FOLDER).is_dir() else ():
                if child not in kept:
                    child.unlink()
            os.truncate(staging / PROBLEMS_FILE, record["problem_bytes"])
            if kept:
                checker.seen(ConversationTable(staging).column("id"))
            checker.seen(one["sample_id"] for one in read_jsonl(staging / PROBLEMS_FILE) if one["sample_id"])
            return record
    if staging.exists():
        shutil.rmtree(staging)
    staging.mkdir(parents=True)
    return {"raw_rows": 0, "parts": [], "report": Report().as_json()}


class _Counted:
    """An iterator that counts what was taken."""

    def __init__(self, rows: Iterator[RawRow]):
        self._rows, self.count = rows, 0

    def __iter__(self) -> Iterator[RawRow]:
        return self

    def __next__(self) -> RawRow:
        row = next(self._rows)
        self.count += 1
        return row


def _converted(source: _Counted, layout: SourceLayout, origin: Origin, *, at_least: int) -> Iterator[Conversation | BadRow]:
    """What the next rows say, whole rows, until there are so many conversations or bad rows."""
    count = 0
    for raw in source:
        for one in layout.convert(raw, origin):
            count += 1
            yield one
        if count >= at_least:
            return


def _append(path: Path, problems: Sequence[BadRow]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        for one in problems:
            stream.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")
