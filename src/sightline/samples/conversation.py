"""The contract of a conversation: one training row of any source, ours or foreign, with its pictures wherever they lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sightline.errors import DataError
from sightline.questions.question import Mark
from sightline.samples.sample import Sample

STORE, FOLDER, TAR, VIDEO = "store", "folder", "tar", "video"
PLACES = (STORE, FOLDER, TAR, VIDEO)


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """Where one shown image comes from. `path` is relative to the source's media root (of a store picture: to the scene store)."""

    place: str  # one of PLACES
    path: str  # a file; of a tar shard "<shard>.tar/<member>"; of a video the video file
    frame: int | None = None  # index in a video, counted from 0; None: the whole video, of which frames are still to be chosen
    scan_id: str = ""  # with frame_id: the frame of the scene store that depth, pose and intrinsics come from; "" = none
    frame_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One question and its answer. `picture_offsets` are the characters of `question` before which a picture stands, in their order."""

    question: str  # without placeholders
    answer: str
    picture_offsets: tuple[int, ...] = ()  # first turn: empty means that the pictures no later turn places come before the words


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """One row. Every answer of every turn is learned, in training; the last one is asked for, in evaluation."""

    sample_id: str  # unique in its source
    source: str  # the registered name
    task: str  # question type, or "" where the source has none
    split: str  # train | held_out | test: as the source says
    scan_id: str  # "" where the source names no scan
    place_id: str  # the room, for the leak guard; "" where unknown
    pictures: tuple[Picture, ...]
    turns: tuple[Turn, ...]
    is_video: bool = False  # the pictures are frames of one video, in order of time
    frame_policy: str = ""  # "uniform 32": frames the source itself takes of a whole video, or of a scan where it shows no picture
    system: str = ""  # a system turn of the source's own
    references: tuple[str, ...] = ()  # every accepted answer of the last turn, where there are several
    marks: tuple[Mark, ...] = ()  # drawn into store pictures, by frame_id
    licence: str = ""
    found_at: str = ""  # "<file>: line 12" or "<file>: row 3", for messages
    extra: Mapping[str, str] = field(default_factory=dict)  # of the source, kept for its scorer: situation, options, ...


def conversation_of(sample: Sample, *, source: str) -> Conversation:
    """One of our own samples as a conversation of one turn, instruction included."""
    pictures = tuple(
        Picture(place=STORE, path=path, scan_id=sample.scan_id, frame_id=frame_id)
        for frame_id, path in zip(sample.frame_ids, sample.image_paths, strict=True)
    )
    return Conversation(
        sample_id=sample.sample_id,
        source=source,
        task=sample.task,
        split=sample.split,
        scan_id=sample.scan_id,
        place_id=sample.place_id,
        pictures=pictures,
        turns=(Turn(question=sample.prompt, answer=sample.answer_text),),
        marks=sample.marks,
        licence=sample.licence,
    )


def with_frames(conversation: Conversation, frames: Sequence[int]) -> Conversation:
    """A conversation about a whole video with these frames of it, in order of time, at the place where the video stood.

    Raises DataError where there is no whole video, or no frame.
    """
    wholes = [place for place, picture in enumerate(conversation.pictures) if picture.place == VIDEO and picture.frame is None]
    if len(wholes) != 1 or not frames:
        raise DataError(
            f"{conversation.found_at or conversation.sample_id}: expected one whole video and frames to show of it, "
            f"found {len(wholes)} and {len(frames)}"
        )
    place = wholes[0]
    shown = tuple(replace(conversation.pictures[place], frame=int(frame)) for frame in sorted(frames))
    turns, before = [], len(conversation.pictures) - sum(len(turn.picture_offsets) for turn in conversation.turns)
    for turn in conversation.turns:
        here = place - before
        offsets = turn.picture_offsets
        if 0 <= here < len(offsets):
            offsets = (*offsets[:here], *([offsets[here]] * len(shown)), *offsets[here + 1 :])
        before += len(turn.picture_offsets)
        turns.append(replace(turn, picture_offsets=offsets))
    pictures = (*conversation.pictures[:place], *shown, *conversation.pictures[place + 1 :])
    return replace(conversation, pictures=pictures, turns=tuple(turns), is_video=len(pictures) == len(shown))
