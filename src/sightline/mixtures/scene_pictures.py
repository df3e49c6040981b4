"""Pictures of a scene store for conversations that name a scan or a whole video and leave open which frames are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sightline.captures.capture import Frame
from sightline.config import build
from sightline.errors import DataError
from sightline.mixtures.sampling import HOWS, FrameIndex, FrameSampling, choose_frames, drop_views
from sightline.samples.conversation import STORE, VIDEO, Conversation, Picture
from sightline.samples.conversation import with_frames as with_video_frames
from sightline.samples.frames import image_path_of
from sightline.scenes.store import SceneStore

SOURCE_SCAN = "source_scan_id"  # in `extra`: what the source calls the scan, where the store calls it otherwise


def with_frames(conversation: Conversation, frames: Sequence[Frame], *, scan_id: str, before: Sequence[Picture] = ()) -> Conversation:
    """A conversation about a scan or a whole video, with these frames of the scene store's `scan_id` instead, in that order.

    They stand where the video stood, else before the words; `before` are pictures shown ahead of them, such as one from above. A row of
    another scan id gets the store's and keeps its own in `extra`; its room stays, for the leak guard. Raises DataError for a row that
    shows chosen pictures already, or where there is nothing to show.
    """
    shown = tuple(Picture(place=STORE, path=image_path_of(scan_id, frame), scan_id=scan_id, frame_id=frame.frame_id) for frame in frames)
    filled = (*before, *shown)
    wholes = [picture for picture in conversation.pictures if picture.place == VIDEO and picture.frame is None]
    where = conversation.found_at or conversation.sample_id
    if not filled or len(wholes) != len(conversation.pictures) or len(wholes) > 1:
        raise DataError(
            f"{where}: expected a row that names a scan or one whole video and frames to show of it, found {len(conversation.pictures)} "
            f"pictures, {len(wholes)} whole videos and {len(filled)} frames"
        )
    if wholes:
        conversation = with_video_frames(conversation, range(len(filled)))
    extra = dict(conversation.extra)
    if conversation.scan_id not in ("", scan_id):
        extra[SOURCE_SCAN] = conversation.scan_id
    return replace(conversation, pictures=filled, is_video=not before, frame_policy="", scan_id=scan_id, extra=extra)


def without_views(conversation: Conversation, *, share: float, at_least: int, seed: int, position: int) -> Conversation:
    """View dropout: a conversation about the frames of a video or scan without some of them; a function of seed and position alone.

    A row whose words may name single pictures (`is_video` is False), and one with a mark in a picture, stays as it is.
    """
    is_whole = any(picture.place == VIDEO and picture.frame is None for picture in conversation.pictures)
    if not conversation.is_video or conversation.marks or is_whole:
        return conversation
    kept = set(drop_views(len(conversation.pictures), share=share, at_least=at_least, seed=seed, position=position))
    pictures = tuple(picture for number, picture in enumerate(conversation.pictures) if number in kept)
    first = len(conversation.pictures) - sum(len(turn.picture_offsets) for turn in conversation.turns)
    turns = []
    for turn in conversation.turns:
        offsets = tuple(offset for number, offset in enumerate(turn.picture_offsets, start=first) if number in kept)
        first += len(turn.picture_offsets)
        turns.append(replace(turn, picture_offsets=offsets))
    return replace(conversation, pictures=pictures, turns=tuple(turns))


def sampling_of_policy(policy: str, *, where: str) -> FrameSampling:
    """The sampling that a row's own `frame_policy` names: `uniform 32`. Raises DataError for another form."""
    how, _, count = policy.partition(" ")
    if how not in HOWS or not count.isdecimal() or int(count) < 1:
        raise DataError(f"{where}: expected a frame policy such as 'uniform 32' ({', '.join(HOWS)} and a count), found '{policy}'")
    return build(FrameSampling, {"how": how, "count": int(count)}, where=where)


class SceneFrames:
    """Fills in frames of a store, row by row: those of an index, else chosen when a scan is first asked for. It pickles small.

    `scans` maps the rows' scan ids to the store's where they differ. Without `sampling` each row's own frame policy counts.
    """

    def __init__(
        self, store: Path, *, sampling: FrameSampling | None = None, index: FrameIndex | None = None, scans: Mapping[str, str] | None = None
    ):
        self.store = SceneStore(store)
        self.sampling = index.sampling if index is not None else sampling
        self.index, self.scans = index, dict(scans or {})
        self._chosen: dict[tuple[str, FrameSampling], tuple[Frame, ...]] = {}

    def scan_of(self, conversation: Conversation) -> str:
        """The store's id of the row's scan. Raises DataError for a row without one."""
        if not conversation.scan_id:
            raise DataError(f"{conversation.found_at or conversation.sample_id}: expected a scan_id to show frames of, found none")
        return self.scans.get(conversation.scan_id, conversation.scan_id)

    def frames(self, scan_id: str, sampling: FrameSampling) -> tuple[Frame, ...]:
        """The frames of a scan. Raises SceneError for a scan that is not in the store, DataError for one that is not in the index."""
        if (scan_id, sampling) not in self._chosen:
            scene = self.store.read(scan_id)
            if self.index is None:
                choice = choose_frames(scene, sampling)
            elif scan_id in self.index.choices:
                choice = self.index.choices[scan_id]
            else:
                raise DataError(f"{scene.root}: expected frames of this scan in the index, found {len(self.index.choices)} other scans")
            self._chosen[scan_id, sampling] = choice.frames_of(scene)
        return self._chosen[scan_id, sampling]

    def fill(self, conversation: Conversation, *, before: Sequence[Picture] = ()) -> Conversation:
        """The row with its frames. Raises DataError for a row that names neither scan nor way of sampling."""
        scan_id, where = self.scan_of(conversation), conversation.found_at or conversation.sample_id
        sampling = self.sampling or sampling_of_policy(conversation.frame_policy, where=where)
        return with_frames(conversation, self.frames(scan_id, sampling), scan_id=scan_id, before=before)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_chosen": {}}
