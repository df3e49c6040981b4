"""Rebuilding rows that name a scan, such as ScanQA's and SQA3D's, with posed views of a store, one picture from above, or both."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sightline import __version__
from sightline.captures.images import write_rgb_png
from sightline.captures.poses import convention_of_notes
from sightline.config import as_mapping
from sightline.errors import DataError
from sightline.files import fingerprint, replacing_folder, sha256_of, write_json
from sightline.geometry.transforms import apply, inverse, rotate
from sightline.mixtures.importing import FORMAT, MANIFEST, manifest_of
from sightline.mixtures.scene_pictures import SceneFrames, with_frames
from sightline.samples.birdseye import BirdsEyeOptions, birdseye_of_scene, sqa3d_heading_rad
from sightline.samples.conversation import FOLDER, Conversation, Picture
from sightline.samples.conversation_files import DATA_FOLDER, ConversationTable, write_conversations
from sightline.samples.conversation_rows import SCHEMA_VERSION
from sightline.scenes.scene import Scene

BIRDSEYE_FOLDER = "birdseye"
AGENT_WORDS = "The red arrow in the first image, a view from above, shows where I am and where I look. "


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneViews:
    """What each row is to show."""

    frames: SceneFrames  # where the frames come from
    with_views: bool = True  # show them
    birdseye: BirdsEyeOptions | None = None  # show the scene from above, before them
    with_agent: bool = False  # with an arrow where SQA3D says that one stands; then there is one picture per place, not per scene
    centres_raw: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)  # middle of the raw mesh's bounds, by scan id
    max_missing_share: float = 0.0  # of rows whose scan the store lacks or whose place lies outside the picture

    def __post_init__(self) -> None:
        if not self.with_views and self.birdseye is None:
            raise DataError("rebuilding: expected views, a view from above, or both; found neither")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rebuilt:
    """What was written."""

    rows: int
    scans: int
    pictures: int  # files written; views of the store are only named
    left_out: Mapping[str, int]  # reason -> rows
    is_new: bool = True


def rebuild(folder: Path, out: Path, views: SceneViews) -> Rebuilt:
    """Write the conversations of `folder` with pictures to `out`, which appears whole or not at all; done before, it is not done again.

    Raises DataError where more rows than allowed cannot be shown, saying why.
    """
    table = ConversationTable(folder)
    if out.exists() and (out.resolve() == folder.resolve() or (any(out.iterdir()) and manifest_of(out) is None)):
        raise DataError(f"{out}: expected a new folder, or conversations rebuilt before, found another folder's files")
    known = set(views.frames.store.scan_ids())
    wanted, left_out = _wanted(table, views, known)
    if sum(left_out.values()) > views.max_missing_share * len(table) or not wanted:
        raise DataError(_too_many(folder, len(table), left_out, views.max_missing_share))
    made_from = _made_from(table, views, sorted(wanted))
    done = manifest_of(out)
    if done is not None and done.get("made_from") == made_from:
        return Rebuilt(rows=done["num_rows"], scans=len(wanted), pictures=done["pictures"], left_out=left_out, is_new=False)
    with replacing_folder(out) as beside:
        shown = {scan_id: _scan_pictures(scan_id, agents, beside, views) for scan_id, agents in wanted.items()}
        lost: Counter[str] = Counter()
        rows = write_conversations(beside, _filled(table, shown, views, lost))
        left_out.update(lost)
        if sum(left_out.values()) > views.max_missing_share * len(table) or not rows:
            raise DataError(_too_many(folder, len(table), left_out, views.max_missing_share))
        pictures = sum(1 for _ in (beside / BIRDSEYE_FOLDER).rglob("*.png"))
        _write_manifest(folder, beside, out, views, made_from=made_from, rows=rows, pictures=pictures, left_out=left_out)
    return Rebuilt(rows=rows, scans=len(shown), pictures=pictures, left_out=left_out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Agent:
    """Where SQA3D says that one stands and looks."""

    position: tuple[float, float, float]  # from the middle of the raw mesh's bounds, in its axes
    heading_rad: float  # in these axes

    @property
    def name(self) -> str:
        return fingerprint([*self.position, self.heading_rad])[:16]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """Pictures of one scan."""

    birdseye: Picture | None
    agents: Mapping[str, Picture]  # by name; those outside the picture are missing


def agent_of(conversation: Conversation) -> Agent | None:
    """The place that an SQA3D row keeps in `extra`, None for a row without one. Raises DataError for a broken one."""
    if "position" not in conversation.extra:
        return None
    try:
        position, rotation = (json.loads(conversation.extra[name]) for name in ("position", "rotation"))
        numbers = [float(position[axis]) for axis in "xyz"] + [float(rotation[axis]) for axis in ("_z", "_w")]
    except (KeyError, TypeError, ValueError) as error:
        where = conversation.found_at or conversation.sample_id
        raise DataError(f"{where}: expected position x, y, z and rotation _x, _y, _z, _w, found another ({error!r})") from error
    if not all(map(math.isfinite, numbers)):
        raise DataError(f"{conversation.found_at or conversation.sample_id}: expected a finite position and rotation, found {numbers}")
    return Agent(position=(numbers[0], numbers[1], numbers[2]), heading_rad=sqa3d_heading_rad(numbers[3], numbers[4]))


def agent_in_world(agent: Agent, scene: Scene, centre_raw: tuple[float, float, float] | None = None) -> tuple[np.ndarray, float]:
    """Place `(3,)` and heading of an agent in the scene's world.

    SQA3D counts from the middle of the bounds of the raw mesh. Where `centre_raw` does not say it, the bounds of the scan's cloud stand in:
    a cloud from depth ends within some centimetres of a mesh from the same depth, unless one of them holds stray points.
    """
    world_from_raw = convention_of_notes(scene.notes).world_from_stored
    if centre_raw is None:
        raw = apply(inverse(world_from_raw), np.asarray(scene.points_world, np.float64))
        centre = (raw.min(axis=0) + raw.max(axis=0)) / 2
    else:
        centre = np.asarray(centre_raw, np.float64)
    position = apply(world_from_raw, (centre + np.asarray(agent.position))[None])[0]
    along = rotate(world_from_raw, np.array([[math.cos(agent.heading_rad), math.sin(agent.heading_rad), 0.0]]))[0]
    return position, math.atan2(along[1], along[0])


def _too_many(folder: Path, rows: int, left_out: Counter[str], share: float) -> str:
    reasons = ", ".join(f"{count} rows {reason}" for reason, count in left_out.most_common(4))
    return (
        f"{folder}: expected at most {share:.1%} of {rows} rows without a scene to show, found {sum(left_out.values())}: {reasons}. "
        "Fix: --scans MAP.json where the store has other ids, or --max-missing-share"
    )


def _wanted(table: ConversationTable, views: SceneViews, known: set[str]) -> tuple[dict[str, dict[str, Agent]], Counter[str]]:
    """Scans of the store in the order of the rows, each with the agents to draw; and rows whose scan is not there."""
    wanted: dict[str, dict[str, Agent]] = {}
    left_out: Counter[str] = Counter()
    for conversation in table:
        scan_id = views.frames.scan_of(conversation)
        if scan_id not in known:
            left_out[f"of scan {scan_id}, which the store lacks"] += 1
            continue
        agents = wanted.setdefault(scan_id, {})
        agent = agent_of(conversation) if views.with_agent else None
        if agent is not None:
            agents[agent.name] = agent
    return wanted, left_out


def _scan_pictures(scan_id: str, agents: Mapping[str, Agent], folder: Path, views: SceneViews) -> _Shown:
    if views.birdseye is None:
        return _Shown(birdseye=None, agents={})
    scene = views.frames.store.read(scan_id)
    rendered = birdseye_of_scene(scene, views.birdseye)
    drawn = {}
    for name, agent in agents.items():
        position, heading_rad = agent_in_world(agent, scene, views.centres_raw.get(scan_id))
        if rendered.shows(position):
            drawn[name] = _written(folder, f"{BIRDSEYE_FOLDER}/{scan_id}/{name}.png", rendered.with_agent(position, heading_rad), scan_id)
    return _Shown(birdseye=_written(folder, f"{BIRDSEYE_FOLDER}/{scan_id}.png", rendered.rgb, scan_id), agents=drawn)


def _written(folder: Path, name: str, rgb: np.ndarray, scan_id: str) -> Picture:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_rgb_png(folder / name, rgb)
    return Picture(place=FOLDER, path=name, scan_id=scan_id)


def _filled(table: ConversationTable, shown: Mapping[str, _Shown], views: SceneViews, lost: Counter[str]) -> Iterator[Conversation]:
    for conversation in table:
        scan_id = views.frames.scan_of(conversation)
        if scan_id not in shown:
            continue
        before, agent = shown[scan_id].birdseye, agent_of(conversation) if views.with_agent else None
        if agent is not None:
            if agent.name not in shown[scan_id].agents:
                lost["with a place outside the picture"] += 1
                continue
            before, conversation = shown[scan_id].agents[agent.name], _with_words(conversation)
        pictures = () if before is None else (before,)
        if views.with_views:
            yield views.frames.fill(conversation, before=pictures)
        else:
            yield with_frames(conversation, (), scan_id=scan_id, before=pictures)


def _with_words(conversation: Conversation) -> Conversation:
    """The first question begins with what the arrow means."""
    first, *others = conversation.turns
    offsets = tuple(offset + len(AGENT_WORDS) for offset in first.picture_offsets)
    return replace(conversation, turns=(replace(first, question=AGENT_WORDS + first.question, picture_offsets=offsets), *others))


def _made_from(table: ConversationTable, views: SceneViews, scan_ids: list[str]) -> str:
    store = views.frames.store
    return fingerprint(
        {
            "version": [__version__, SCHEMA_VERSION],
            "conversations": [sha256_of(path) for path in table.files],
            "scans": {scan_id: (store.marker(scan_id) or {}).get("content") for scan_id in scan_ids},
            **_as_json(views),
        }
    )


def _as_json(views: SceneViews) -> dict[str, object]:
    """How the rows are shown."""
    index = views.frames.index
    return {
        "sampling": None if views.frames.sampling is None or not views.with_views else as_mapping(views.frames.sampling),
        "index": None if index is None else {scan_id: list(choice.frame_ids) for scan_id, choice in sorted(index.choices.items())},
        "birdseye": None if views.birdseye is None else as_mapping(views.birdseye),
        "with_agent": views.with_agent,
        "centres_raw": {scan_id: list(centre) for scan_id, centre in sorted(views.centres_raw.items())},
        "scan_ids": views.frames.scans,
    }


def _write_manifest(
    folder: Path, beside: Path, out: Path, views: SceneViews, *, made_from: str, rows: int, pictures: int, left_out: Mapping[str, int]
) -> None:
    """The source's manifest, with what was made here in place of what was made there."""
    parts = sorted((beside / DATA_FOLDER).glob("*.parquet"))
    source = manifest_of(folder) if folder.is_dir() else None
    write_json(
        beside / MANIFEST,
        {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "source": None,
            "split": None,
            "is_benchmark": False,
            "licence": "",
            **(source or {}),
            "made_from": made_from,
            "made_by": f"sightline {__version__}",
            "media_root": str(out.absolute()) if views.birdseye is not None else None,
            "num_rows": rows,
            "pictures": pictures,
            "left_out": dict(left_out),
            "views": _as_json(views),
            "files": [{"file": f"{DATA_FOLDER}/{path.name}", "sha256": sha256_of(path)} for path in parts],
        },
    )
