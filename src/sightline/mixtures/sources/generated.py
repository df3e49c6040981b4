"""Data sets that `sightline generate` made: samples as conversations of one turn."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sightline.config import build, config
from sightline.errors import DataError
from sightline.mixtures.source import BadRow, Origin, RawRow
from sightline.mixtures.sources.pieces import RefusedRowError, expect_read
from sightline.mixtures.sources.reading import rows_of
from sightline.samples.conversation import Conversation, conversation_of
from sightline.samples.shards import sample_of

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


def _sample(row: Mapping[str, Any], where: str) -> Any:
    try:
        return sample_of(row, where=where)
    except KeyError as error:
        raise RefusedRowError(str(error), "malformed", f"expected column {error} of samples, found none") from error
    except DataError as error:
        raise RefusedRowError("", "malformed", str(error).removeprefix(f"{where}: ")) from error
