"""Rows that are chats: LLaVA, ShareGPT, Qwen-VL and OpenAI messages differ in the names of their keys."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from sightline.config import build, config
from sightline.mixtures.source import BadRow, Origin, RawRow, place_of, scan_named
from sightline.mixtures.sources.pieces import (
    RefusedRowError,
    each,
    expect_read,
    id_of,
    is_video_path,
    media_path,
    picture_of,
    shortly,
    text_of,
    turns_of,
)
from sightline.mixtures.sources.reading import rows_of
from sightline.samples.conversation import Conversation, Picture

USER, ASSISTANT, SYSTEM = ("human", "user"), ("gpt", "assistant"), "system"
SCENE_KEYS = ("scene_id", "scene_name", "scan_id")
TASK_KEYS = ("question_type", "task")
KEPT_KEYS = ("dataset", "data_source", "gt_value")  # of the row, for its scorer; and every plain value of its `metadata`


@config
class ChatOptions:
    """How a set of chats is read."""

    media_prefix: str = ""  # put before every path that does not start with it
    frame_policy: str = ""  # of rows with a video or a scan: "uniform 32"
    dataset: str = ""  # says whose scans bare numbers are: scannet, scannetpp or arkitscenes
    ids: Literal["source", "row"] = "source"  # row: by the place in the file, for sets whose ids repeat
    task: str = ""  # of rows that name none


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What the media keys of a row name."""

    pictures: tuple[Picture, ...]
    is_video: bool = False
    per_placeholder: int = 1
    scan_id: str = ""  # named instead of pictures


class Chats:
    """The reading that all chat layouts share; a layout says which keys it has."""

    version: ClassVar[int] = 1
    file_names: ClassVar[tuple[str, ...]] = ("*.jsonl", "*.json")
    shows_scans: ClassVar[bool] = False
    turn_keys: ClassVar[tuple[str, ...]] = ("conversations",)
    image_keys: ClassVar[tuple[str, ...]] = ("image",)
    video_keys: ClassVar[tuple[str, ...]] = ("video",)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = build(ChatOptions, options, where=type(self).__name__)

    def read(self, files: Sequence[Path], *, skip: int = 0) -> Iterator[RawRow]:
        return rows_of(files, skip=skip)

    def convert(self, raw: RawRow, origin: Origin) -> Iterator[Conversation | BadRow]:
        try:
            yield self.conversation(expect_read(raw), raw, origin)
        except RefusedRowError as error:
            yield error.at(raw.found_at)

    def conversation(self, row: Mapping[str, Any], raw: RawRow, origin: Origin) -> Conversation:
        """A row as a conversation. Raises RefusedRowError."""
        system, pairs = self.pairs(row)
        shown = self.shown(row, origin)
        turns = turns_of(pairs, pictures=len(shown.pictures), per_placeholder=shown.per_placeholder, placeless=bool(shown.scan_id))
        metadata = row.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        scan_id = shown.scan_id or self.scan_of(row, metadata, shown.pictures)
        needs_policy = shown.scan_id or (shown.is_video and shown.pictures[0].frame is None and is_video_path(shown.pictures[0].path))
        return Conversation(
            sample_id=raw.name if self.options.ids == "row" else id_of(row, raw),
            source=origin.source,
            task=_first_text((row, metadata), TASK_KEYS) or self.options.task,
            split=origin.split,
            scan_id=scan_id,
            place_id=place_of(scan_id),
            pictures=shown.pictures,
            turns=turns,
            is_video=shown.is_video,
            frame_policy=self.options.frame_policy if needs_policy else "",
            system=system,
            references=self.references(row, metadata),
            licence=origin.licence,
            found_at=raw.found_at,
            extra=self.extra(row, metadata),
        )

    def pairs(self, row: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
        """The system turn and the questions with their answers, placeholders in them. Raises RefusedRowError for turns out of order."""
        key = next((key for key in self.turn_keys if key in row), None)
        if key is None:
            raise RefusedRowError(self.turn_keys[0], "malformed", f"expected turns under {_either(self.turn_keys)}, found none")
        system, said = "", []
        for number, message in enumerate(each(row[key], key)):
            role, words = self.message(message, f"{key}[{number}]")
            if role == SYSTEM and not number:
                system = words
                continue
            wanted = USER if len(said) % 2 == 0 else ASSISTANT
            if role not in wanted:
                raise RefusedRowError(f"{key}[{number}]", "broken_turns", f"expected a turn of {_either(wanted)}, found {shortly(role)}")
            said.append(words)
        if not said or len(said) % 2:
            raise RefusedRowError(key, "broken_turns", f"expected an answer after every question, found {len(said)} turns")
        return system or text_of(row, "system", default=""), list(zip(said[0::2], said[1::2]))

    def message(self, message: Any, field: str) -> tuple[str, str]:
        """Role and words of one turn."""
        if not isinstance(message, dict):
            raise RefusedRowError(field, "malformed", f"expected a turn with role and words, found {shortly(message)}")
        role = message.get("from", message.get("role"))
        words = message.get("value", message.get("content"))
        if not isinstance(role, str) or not isinstance(words, str):
            raise RefusedRowError(field, "malformed", f"expected role and words as text, found {shortly(message)}")
        return role, words

    def shown(self, row: Mapping[str, Any], origin: Origin) -> Shown:
        """Pictures that the row's media keys name, in order."""
        images, image_key = self._media(row, self.image_keys)
        videos, video_key = self._media(row, self.video_keys)
        return self.shown_of(images, image_key, videos, video_key, origin)

    def shown_of(self, images: Sequence[Any], image_key: str, videos: Sequence[Any], video_key: str, origin: Origin) -> Shown:
        """Pictures at these paths, in order."""
        if images and videos:
            raise RefusedRowError(video_key, "unsupported", "expected images or a video, found both in one row")
        if not videos:
            paths = [self.path(one, image_key, origin) for one in images]
            return Shown(pictures=tuple(picture_of(path, dataset=self.options.dataset) for path in paths))
        if len(videos) > 1:
            raise RefusedRowError(video_key, "unsupported", f"expected one video in a row, found {len(videos)}")
        if isinstance(videos[0], list):  # its frames as images
            paths = [self.path(one, video_key, origin) for one in videos[0]]
            frames = tuple(picture_of(path, dataset=self.options.dataset) for path in paths)
            return Shown(pictures=frames, is_video=True, per_placeholder=max(1, len(frames)))
        path = self.path(videos[0], video_key, origin)
        if is_video_path(path):
            return Shown(pictures=(picture_of(path, dataset=self.options.dataset),), is_video=True)
        scan_id = scan_named(path, dataset=self.options.dataset)
        if not scan_id:
            raise RefusedRowError(video_key, "malformed", f"expected a video file or a scan, found {shortly(videos[0])}")
        return Shown(pictures=(), is_video=True, scan_id=scan_id)

    def path(self, value: Any, field: str, origin: Origin) -> str:
        if not isinstance(value, str) or not value:
            raise RefusedRowError(field, "malformed", f"expected the path of a picture, found {shortly(value)}")
        return media_path(value, field, origin, prefix=self.options.media_prefix)

    def scan_of(self, row: Mapping[str, Any], metadata: Mapping[str, Any], pictures: Sequence[Picture]) -> str:
        """The scan that the row names, or the one that all its pictures are of."""
        said = _first_text((row, metadata), SCENE_KEYS)
        if said:
            dataset = self.options.dataset or _first_text((row, metadata), ("dataset", "data_source"))
            return scan_named(said, dataset=dataset) or said
        scans = {picture.scan_id for picture in pictures}
        return scans.pop() if len(scans) == 1 else ""

    def references(self, row: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[str, ...]:
        answers = metadata.get("answers")
        return tuple(one for one in answers if isinstance(one, str)) if isinstance(answers, list) else ()

    def extra(self, row: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, str]:
        kept = {key: row[key] for key in KEPT_KEYS if row.get(key) is not None}
        kept |= {key: value for key, value in metadata.items() if isinstance(value, str | int | float)}
        return {key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for key, value in kept.items()}

    def _media(self, row: Mapping[str, Any], keys: Sequence[str]) -> tuple[list[Any], str]:
        there = [key for key in keys if row.get(key)]
        if len(there) > 1:
            raise RefusedRowError(there[1], "malformed", f"expected one of {_either(keys)}, found {_either(there)} in one row")
        if not there:
            return [], keys[0] if keys else ""
        value = row[there[0]]
        return (value if isinstance(value, list) else [value]), there[0]


def _first_text(places: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str:
    return next((place[key] for place in places for key in keys if isinstance(place.get(key), str)), "")


def _either(names: Sequence[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)
