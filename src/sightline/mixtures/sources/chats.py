"""The chat layouts by name: which keys hold turns and pictures in each."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sightline.mixtures.source import Origin
from sightline.mixtures.sources.chat import Chats, Shown
from sightline.mixtures.sources.pieces import RefusedRowError, each, shortly


class Llava(Chats):
    """LLaVA: `id`, `image` (a path or a list) or `video`, `conversations` of `from` and `value`."""


class ShareGpt(Chats):
    """ShareGPT as LLaMA-Factory reads it: `conversations` or `messages`, `system`, `images`, `videos` (files, or lists of frames)."""

    turn_keys: ClassVar[tuple[str, ...]] = ("conversations", "messages")
    image_keys: ClassVar[tuple[str, ...]] = ("images", "image")
    video_keys: ClassVar[tuple[str, ...]] = ("videos", "video")


class QwenVl(Chats):
    """The finetuning code of Qwen-VL and its followers (Spatial-MLLM, VSI-590K): either pair of keys for turns, one or several pictures."""

    turn_keys: ClassVar[tuple[str, ...]] = ("conversations", "conversation", "messages")
    image_keys: ClassVar[tuple[str, ...]] = ("image", "images")


class Video3dLlm(Chats):
    """Video-3D-LLM: `video` names a scan ("scannet/scene0000_00") whose posed frames are shown, `metadata` its data set and type."""

    file_names: ClassVar[tuple[str, ...]] = ("*.json",)
    shows_scans: ClassVar[bool] = True


class OpenAi(Chats):
    """Messages of the chat completion kind: `content` is text, or parts of text and pictures in the order in which they are shown."""

    file_names: ClassVar[tuple[str, ...]] = ("*.jsonl",)
    turn_keys: ClassVar[tuple[str, ...]] = ("messages",)
    image_keys: ClassVar[tuple[str, ...]] = ()
    video_keys: ClassVar[tuple[str, ...]] = ()

    def message(self, message: Any, field: str) -> tuple[str, str]:
        if not isinstance(message, dict) or not isinstance(message.get("content"), list):
            return super().message(message, field)
        words = [_words(part, f"{field}.content[{number}]") for number, part in enumerate(message["content"])]
        return super().message({"role": message.get("role"), "content": "".join(words)}, field)

    def shown(self, row: Mapping[str, Any], origin: Origin) -> Shown:
        parts = [part for message in each(row["messages"], "messages") for part in _parts(message)]
        named: dict[str, list[Any]] = {"image": [], "video": []}
        for kind, value in filter(None, map(_media, parts)):
            named[kind].append(value)
        return self.shown_of(named["image"], "messages", named["video"], "messages", origin)


def _parts(message: Any) -> list[Any]:
    return message["content"] if isinstance(message, dict) and isinstance(message.get("content"), list) else []


def _media(part: Any) -> tuple[str, Any] | None:
    """Kind and path of a part that is a picture: `{"type": "image_url", "image_url": {"url": ...}}`, or with the path itself."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in ("image", "image_url", "video", "video_url"):
        return None
    value = part.get(kind, part.get("value", part.get("url")))
    value = value.get("url") if isinstance(value, dict) else value
    return kind.removesuffix("_url"), value


def _words(part: Any, field: str) -> str:
    found = _media(part)
    if found:
        return f"<{found[0]}>"
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text", part.get("value")), str):
        words = part.get("text", part.get("value"))
        if "<image>" in words or "<video>" in words:
            raise RefusedRowError(field, "placeholder_mismatch", f"expected pictures as parts of their own, found {shortly(words)}")
        return words
    raise RefusedRowError(field, "unsupported", f"expected a part of text or a picture, found {shortly(part)}")
