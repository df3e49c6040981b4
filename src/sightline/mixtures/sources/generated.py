"""Data sets that `sightline generate` made: samples as conversations of one turn."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from sightline.config import build, config
from sightline.errors import DataError
from sightline.mixtures.source import BadRow, Origin, RawRow
from sightline.mixtures.sources.pieces import RefusedRowError, expect_read
from sightline.mixtures.sources.reading import rows_of
from sightline.samples.conversation import Conversation, conversation_of
from sightline.samples.shards import SCHEMA, sample_of

EVERY = "all"  # the split that takes the rows of both


@config
class GeneratedOptions:
    """There is nothing to choose."""


class Generated:
    """Parquet files of samples. Pictures are the scene store's; rows keep split and licence, and only the split asked for is taken."""

    version: ClassVar[int] = 1
    file_names: ClassVar[tuple[str, ...]] = ("data/*.parquet",)
    shows_scans: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any]) -> None:
        build(GeneratedOptions, options, where="Generated")

    def read(self, files: Sequence[Path], *, skip: int = 0) -> Iterator[RawRow]:
        for path in files:
            _expect_samples(path)
        return rows_of(files, skip=skip)

    def convert(self, raw: RawRow, origin: Origin) -> Iterator[Conversation | BadRow]:
        try:
            row = expect_read(raw)
            sample = _sample(row, raw.found_at)
        except RefusedRowError as error:
            yield error.at(raw.found_at)
            return
        if origin.split in (EVERY, sample.split):
            yield conversation_of(sample, source=origin.source)


def _expect_samples(path: Path) -> None:
    try:
        found = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: expected a whole Parquet file of samples, found a damaged one ({error})") from error
    for column in SCHEMA:
        if column.name not in found.names or found.field(column.name).type != column.type:
            kind = found.field(column.name).type if column.name in found.names else "none"
            raise DataError(f"{path}: expected samples with column '{column.name}' of {column.type}, found {kind}")


def _sample(row: Mapping[str, Any], where: str) -> Any:
    try:
        return sample_of(row, where=where)
    except DataError as error:
        raise RefusedRowError("", "malformed", str(error).removeprefix(f"{where}: ")) from error
