"""Conversations of any source as encoded model inputs: pictures read and framed, marks drawn, geometry attached, turns written."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from sightline.errors import DataError
from sightline.models.encoded import Encoded, Seen, ShownView
from sightline.models.model import ENCODERS
from sightline.models.processor import SpatialVLProcessor
from sightline.models.processor_options import HOST
from sightline.models.sample_encoder import token_dots
from sightline.samples.conversation import Conversation, Turn
from sightline.samples.frames import View
from sightline.samples.media import Media

WithoutGeometry = Literal["refuse", "mask"]
GEOMETRY = {"depth_m": "depth", "intrinsics": "camera", "world_from_camera": "pose"}  # of a view, in words


class ConversationEncoder:
    """Encodes the conversations of one source. `frames` fills in pictures where a row leaves them open (a whole video, a scan)
    and may leave some out, by the position in the stream.

    `without_geometry`: a picture whose depth or pose the model needs and nobody knows is refused, or shown with its tokens masked.
    """

    def __init__(
        self,
        processor: SpatialVLProcessor,
        media: Media,
        *,
        without_geometry: WithoutGeometry = "refuse",
        frames: Callable[[Conversation, Media, int], Conversation] | None = None,
    ):
        self.processor = processor
        self.media = media
        self.without_geometry = without_geometry
        self.frames = frames

    def encode(self, conversation: Conversation, *, with_answer: bool = True) -> Encoded:
        """One conversation; without its answer the last turn is left open. Raises DataError, ModelError, CaptureError or SceneError naming
        the row: a missing picture, unknown geometry, too many tokens.
        """
        return self.encode_many((conversation,), with_answer=with_answer)[0]

    def encode_many(self, conversations: Sequence[Conversation], *, with_answer: bool = True, position: int = 0) -> list[Encoded]:
        """Conversations that show the same pictures, which are read, framed and cut into patches once and shared. Errors as `encode`."""
        first = conversations[0]
        shown = self._with_pictures(first, position)
        seen = self._seen(shown)
        found = []
        for conversation in conversations:
            filled = conversation if conversation is first and shown is first else self._with_pictures(conversation, position)
            if (filled.pictures, filled.marks) != (shown.pictures, shown.marks):
                raise DataError(f"{_where(conversation)}: expected the pictures and marks of {_where(first)}, found others")
            found.append(
                self.processor.encode_seen(
                    _words(filled.turns) if self.processor.is_blind else filled.turns,
                    seen,
                    where=_where(filled),
                    system=filled.system,
                    is_open=not with_answer,
                )
            )
        return found

    def _with_pictures(self, conversation: Conversation, position: int) -> Conversation:
        is_blind = self.processor.is_blind
        return conversation if self.frames is None or is_blind else self.frames(conversation, self.media, position)

    def _seen(self, conversation: Conversation) -> Seen:
        processor, where = self.processor, _where(conversation)
        if processor.is_blind:
            return processor.seen((), where=where)
        images = self.media.views(conversation, framings=processor.framings, with_depth=processor.needs_depth)
        if self.needs_geometry and self.without_geometry == "refuse":
            _expect_geometry(images, where)
        shown = [self._shown(conversation, number, views) for number, views in enumerate(images)]
        return processor.seen(shown, where=where)

    @property
    def needs_geometry(self) -> bool:
        """Whether the model has nothing to say of a picture without depth and pose."""
        processor = self.processor
        return processor.needs_depth and (processor.geometry_on == HOST or ENCODERS[processor.geometry_encoder].needs_depth)

    def _shown(self, conversation: Conversation, number: int, views: Sequence[View]) -> list[ShownView]:
        picture = conversation.pictures[number]
        marks = [mark for mark in conversation.marks if mark.frame_id == picture.frame_id]
        if not marks:
            return [self.processor.shown(view) for view in views]
        width, height = self.media.size(picture)
        dots = token_dots(self.processor, views, marks, width=width, height=height)
        return [self.processor.shown(view, dots=of_view) for view, of_view in zip(views, dots, strict=True)]


def _expect_geometry(images: Sequence[Sequence[View]], where: str) -> None:
    for number, views in enumerate(images, start=1):
        view = views[0]
        missing = [words for name, words in GEOMETRY.items() if getattr(view, name) is None]
        if missing:
            raise DataError(
                f"{where}: expected depth and pose of picture {number} of {len(images)}, found no {' and no '.join(missing)}. "
                "Fix: the source's scenes, without_geometry: mask to train on it nevertheless, or a model that needs no depth"
            )


def _words(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Turns without pictures, for a model that is shown none."""
    return tuple(replace(turn, picture_offsets=()) for turn in turns)


def _where(conversation: Conversation) -> str:
    return f"{conversation.source}: {conversation.sample_id}" + (f" ({conversation.found_at})" if conversation.found_at else "")
