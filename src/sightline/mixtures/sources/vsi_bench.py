"""VSI-Bench: questions about a walk's video, with or without options, worded as the official prompt or as Spatial-MLLM's."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from sightline.config import build, config
from sightline.mixtures.source import BadRow, Origin, RawRow, place_of
from sightline.mixtures.sources.pieces import RefusedRowError, expect_read, media_path, picture_of, text_of, texts_of
from sightline.mixtures.sources.reading import rows_of
from sightline.samples.conversation import Conversation, Turn

PRE = "These are frames of a video."
POST_OPTIONS = "Answer with the option's letter from the given choices directly."
POST_NUMBER = "Please answer the question using a single word or phrase."


@config
class VsiBenchOptions:
    """How questions become prompts."""

    prompt: Literal["official", "spatial_mllm"] = "official"  # the second leaves out the first line
    media_prefix: str = ""  # before "<dataset>/<scene_name>.mp4"
    frame_policy: str = "uniform 32"


class VsiBench:
    """`id`, `dataset`, `scene_name`, `question_type`, `question`, `options` (a list or null), `ground_truth`."""

    version: ClassVar[int] = 1
    file_names: ClassVar[tuple[str, ...]] = ("*.jsonl", "*.parquet", "*.json")
    shows_scans: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = build(VsiBenchOptions, options, where="VsiBench")

    def read(self, files: Sequence[Path], *, skip: int = 0) -> Iterator[RawRow]:
        return rows_of(files, skip=skip)

    def convert(self, raw: RawRow, origin: Origin) -> Iterator[Conversation | BadRow]:
        try:
            yield self._conversation(expect_read(raw), raw, origin)
        except RefusedRowError as error:
            yield error.at(raw.found_at)

    def _conversation(self, row: Mapping[str, Any], raw: RawRow, origin: Origin) -> Conversation:
        dataset, scan_id = text_of(row, "dataset"), text_of(row, "scene_name")
        path = media_path(f"{dataset}/{scan_id}.mp4", "scene_name", origin, prefix=self.options.media_prefix)
        options = texts_of(row, "options")
        question = text_of(row, "question")
        lines = [PRE] if self.options.prompt == "official" else []
        lines += [question, *(["Options:", *options] if options else []), POST_OPTIONS if options else POST_NUMBER]
        return Conversation(
            sample_id=text_of(row, "id"),
            source=origin.source,
            task=text_of(row, "question_type"),
            split=origin.split,
            scan_id=scan_id,
            place_id=place_of(scan_id),
            pictures=(picture_of(path, dataset=dataset),),
            turns=(Turn(question="\n".join(lines), answer=text_of(row, "ground_truth")),),
            is_video=True,
            frame_policy=self.options.frame_policy,
            licence=origin.licence,
            found_at=raw.found_at,
            extra={"dataset": dataset, "question": question} | ({"options": json.dumps(options, ensure_ascii=False)} if options else {}),
        )
