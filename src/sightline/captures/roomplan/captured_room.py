"""Apple RoomPlan's CapturedRoom and CapturedStructure JSON as walls, openings, rooms and objects in a +z-up world."""

import json
import mmap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.capture import Opening, Room, SceneObject, Structure, Wall
from sightline.captures.roomplan.parts import (
    FAR_M,
    LISTS,
    WORLD_FROM_STORED,
    Part,
    box_pose,
    enum_name,
    numbers,
    read_list,
    transform,
    whole,
)
from sightline.captures.roomplan.structure import Section, build_structure, room_word
from sightline.captures.texts import decoded
from sightline.errors import CaptureError
from sightline.files import BYTE_ORDER_MARK
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import apply, inverse, rotate

MAX_BYTES = 256 << 20  # the opaque core model of a whole structure takes a few dozen megabytes
MAX_PARTS = 20_000
MAX_BAD_SHARE = 0.2  # more parts than this that cannot be used is a broken export; one of a few is not
MARKS = (b'"walls"', b'"transform"', b'"dimensions"')


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RoomPlan:
    """What RoomPlan found, in its own world turned +z up: heading and origin are those of the ARKit session."""

    structure: Structure
    objects: tuple[SceneObject, ...]
    notes: Mapping[str, Any]


def looks_like_roomplan(path: Path) -> bool:
    """Whether a file holds the words that a CapturedRoom always has. They are searched for, nothing is parsed."""
    if path.suffix.lower() != ".json" or not path.is_file() or not 0 < path.stat().st_size <= MAX_BYTES:
        return False
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text[:64].removeprefix(BYTE_ORDER_MARK.encode()).lstrip(b" \t\r\n").startswith(b"{") and all(
            text.find(mark) >= 0 for mark in MARKS
        )


def read_captured_room(path: Path) -> RoomPlan:
    """A CapturedRoom or CapturedStructure, of iOS 16 or later, as Swift's encoder writes it.

    Parts that cannot be used (a pose that is mirrored, sheared or not finite, an extent of zero) are left out and counted in
    `notes`. Raises CaptureError naming file and field: not JSON, no list of walls, a transform that is not 16 numbers or stored
    row by row, an identifier twice, more than a fifth of the parts unusable.
    """
    return room_plan_of(_document(path), where=str(path))


def room_plan_of(document: Any, *, where: str) -> RoomPlan:
    """As `read_captured_room`, of a document that is already parsed."""
    if not isinstance(document, dict) or not any(isinstance(document.get(key), list) for key in ("walls", "rooms")):
        found = f"keys {', '.join(sorted(document)[:12]) or 'of nothing'}" if isinstance(document, dict) else type(document).__name__
        raise CaptureError(f"{where}: expected a CapturedRoom with a list of walls, or a CapturedStructure with rooms, found {found}")
    skipped: dict[str, Counter[str]] = {kind: Counter() for kind in LISTS}
    rooms = _rooms_of(document, where=where)
    repeated: Counter[str] = Counter()
    parts = {}
    for kind in LISTS:
        if not rooms or document.get(kind):
            parts[kind] = _once(read_list(document.get(kind), kind, where=where, skipped=skipped[kind]))
        else:
            parts[kind] = _merged(rooms, kind, where=where, skipped=skipped[kind], repeated=repeated)
    _refuse_mostly_bad(parts, skipped, where=where)
    sections = _sections(document, rooms, where=where)
    built = build_structure(parts, sections)
    notes = _kept(document, where=where)
    notes["stories"] = sorted({part.story for kind in LISTS for part in parts[kind]})
    notes["sections"] = [{"label": room_word(one.label), "story": one.story} for one in sections]
    sure = {kind: Counter(part.attributes["confidence"] for part in parts[kind] if "confidence" in part.attributes) for kind in LISTS}
    notes["surface_confidence"] = {kind: dict(sorted(counts.items())) for kind, counts in sure.items() if counts and kind != "objects"}
    if rooms:
        notes["rooms_merged"] = len(rooms)
    if repeated:
        notes["parts_repeated"] = dict(sorted(repeated.items()))
    if built.counts:
        notes["structure_counts"] = dict(built.counts)
    left_out = {kind: dict(sorted(counts.items())) for kind, counts in skipped.items() if counts}
    if "objects" in left_out:
        notes["objects_skipped"] = left_out.pop("objects")
    if left_out:
        notes["surfaces_skipped"] = left_out
    return RoomPlan(structure=built.structure, objects=objects_of(parts["objects"]), notes=notes)


def objects_of(parts: Sequence[Part]) -> tuple[SceneObject, ...]:
    """One object per part, numbered in the order of the file, under RoomPlan's own name for its kind."""
    return tuple(
        SceneObject(
            object_id=number,
            category=part.category,
            box=Box(size_m=part.size_m[[0, 2, 1]], world_from_object=box_pose(part)),
            attributes=part.attributes,
        )
        for number, part in enumerate(parts)
    )


def moved(plan: RoomPlan, world_from_stored: np.ndarray) -> RoomPlan:
    """The plan in the world of a phone scan of the same ARKit session.

    `world_from_stored` (4, 4) is the scan's own motion out of the stored +y-up world, as its `Convention` holds it; where that only
    turns +y up to +z, the plan stays as it is. Raises CaptureError for a motion that does not keep the vertical.
    """
    world_from_plan = np.asarray(world_from_stored, dtype=np.float64) @ inverse(WORLD_FROM_STORED)
    if world_from_plan.shape != (4, 4) or not np.isfinite(world_from_plan).all() or world_from_plan[2, 2] < 1.0 - 1e-4:
        raise CaptureError(
            "RoomPlan: expected a scan whose stored world is +y up like the plan's (ARKit), found one whose up leans from it; "
            "a floor plan cannot be tilted. Fix: --up-axis +y"
        )
    structure = plan.structure
    return replace(
        plan,
        structure=Structure(
            rooms=tuple(_moved_room(room, world_from_plan) for room in structure.rooms),
            walls=tuple(_moved_wall(wall, world_from_plan) for wall in structure.walls),
            openings=tuple(_moved_opening(opening, world_from_plan) for opening in structure.openings),
        ),
        objects=tuple(
            replace(
                one,
                box=one.box.moved(world_from_plan),
                front_world=None if one.front_world is None else rotate(world_from_plan, one.front_world),
            )
            for one in plan.objects
        ),
    )


def _moved_room(room: Room, motion: np.ndarray) -> Room:
    corners = np.column_stack([room.outline_world, np.full(len(room.outline_world), room.floor_z_m)])
    up_m = float(motion[2, 3])
    return replace(room, outline_world=apply(motion, corners)[:, :2], floor_z_m=room.floor_z_m + up_m, ceiling_z_m=room.ceiling_z_m + up_m)


def _moved_wall(wall: Wall, motion: np.ndarray) -> Wall:
    return replace(
        wall,
        a_world=apply(motion, wall.a_world),
        b_world=apply(motion, wall.b_world),
        outline_world=None if wall.outline_world is None else apply(motion, wall.outline_world),
        arc_centre_world=None if wall.arc_centre_world is None else apply(motion, wall.arc_centre_world),
    )


def _moved_opening(opening: Opening, motion: np.ndarray) -> Opening:
    return replace(opening, centre_world=apply(motion, opening.centre_world))


def _document(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CaptureError(f"{path}: expected at most {MAX_BYTES} bytes of JSON, found {path.stat().st_size}")
        return parse_document(path.read_bytes(), where=str(path))
    except OSError as error:
        raise CaptureError(f"{path}: expected a RoomPlan JSON file, found one that cannot be read ({error})") from error


def parse_document(text: bytes, *, where: str) -> Any:
    """JSON in UTF-8 without a key twice. `NaN` is let in, because it makes one part unusable and not the file. Raises CaptureError."""
    try:
        return json.loads(decoded(text, where), object_pairs_hook=_mapping)
    except ValueError as error:
        raise CaptureError(f"{where}: expected JSON, found {error}") from error
    except RecursionError as error:
        raise CaptureError(f"{where}: expected JSON of a few levels, found one nested too deeply") from error


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key '{next(key for key in keys if keys.count(key) > 1)}' twice")
    return mapping


def _rooms_of(document: dict[str, Any], *, where: str) -> list[dict[str, Any]]:
    """The rooms of a CapturedStructure; none for a CapturedRoom."""
    rooms = document.get("rooms") or []
    if not isinstance(rooms, list) or not all(isinstance(room, dict) for room in rooms):
        raise CaptureError(f"{where}: rooms: expected a list of rooms, found something else")
    origins = [room.get("referenceOriginTransform") for room in rooms]
    if not document.get("walls") and any(origin is not None and origin != origins[0] for origin in origins):
        raise CaptureError(
            f"{where}: rooms: expected the merged walls of a CapturedStructure, found {len(rooms)} rooms that each have their own "
            "referenceOriginTransform, whose meaning is not documented. Fix: export the structure that StructureBuilder made, or import "
            "each room by itself"
        )
    return rooms


def _kept(document: dict[str, Any], *, where: str) -> dict[str, Any]:
    """What the document says of itself."""
    notes: dict[str, Any] = {}
    if document.get("identifier") is not None:
        notes["identifier"] = str(document["identifier"])[:200]
    for key in ("version", "story"):
        if document.get(key) is not None:
            notes[key] = whole(document[key], f"{where}: {key}")
    if document.get("referenceOriginTransform") is not None:  # its direction is not documented: kept, not used
        origin = transform(document["referenceOriginTransform"], f"{where}: referenceOriginTransform")
        notes["reference_origin_transform"] = origin.tolist() if np.isfinite(origin).all() else "not finite"
    return notes


def _once(parts: list[Part]) -> list[Part]:
    seen: dict[str, str] = {}
    for part in parts:
        if part.identifier is not None and seen.setdefault(part.identifier, part.place) != part.place:
            raise CaptureError(
                f"{part.place}: expected every identifier once, found {part.identifier} again, first in {seen[part.identifier]}"
            )
    return parts


def _merged(rooms: Sequence[dict[str, Any]], kind: str, *, where: str, skipped: Counter[str], repeated: Counter[str]) -> list[Part]:
    """The parts of all rooms; one that several rooms share, such as the wall between them, is taken once and counted."""
    merged: list[Part] = []
    seen: set[str] = set()
    for number, room in enumerate(rooms):
        place = f"{where}: rooms[{number}]"
        for part in _once(read_list(room.get(kind), kind, where=place, skipped=skipped)):
            if part.identifier is not None and part.identifier in seen:
                repeated[kind] += 1
                continue
            merged.append(part)
            seen |= {part.identifier} if part.identifier is not None else set()
    return merged


def _refuse_mostly_bad(parts: Mapping[str, Sequence[Part]], skipped: Mapping[str, Counter[str]], *, where: str) -> None:
    bad = sum(counts.total() for counts in skipped.values())
    total = bad + sum(len(some) for some in parts.values())
    if total > MAX_PARTS:
        raise CaptureError(f"{where}: expected at most {MAX_PARTS} surfaces and objects, found {total}")
    if bad > max(1, MAX_BAD_SHARE * total):
        reasons = ", ".join(f"{kind} {reason}: {number}" for kind, counts in skipped.items() for reason, number in sorted(counts.items()))
        raise CaptureError(
            f"{where}: expected surfaces and objects that can be used, found {bad} of {total} that cannot ({reasons}). "
            f"More than {MAX_BAD_SHARE:.0%} is a broken export; export the room again"
        )
    if total == bad:
        raise CaptureError(f"{where}: expected surfaces or objects, found none")


def _sections(document: dict[str, Any], rooms: Sequence[dict[str, Any]], *, where: str) -> list[Section]:
    sources = [(document, where)] if document.get("sections") else [(room, f"{where}: rooms[{n}]") for n, room in enumerate(rooms)]
    sections = []
    for source, place in sources:
        values = source.get("sections") or []
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise CaptureError(f"{place}: sections: expected a list of mappings, found something else")
        for number, value in enumerate(values):
            spot = f"{place}: sections[{number}]"
            centre = None if value.get("center") is None else numbers(value["center"], 3, f"{spot}: center")
            known = centre is not None and np.isfinite(centre).all() and np.abs(centre).max() < FAR_M
            sections.append(
                Section(
                    label=enum_name(value.get("label"), f"{spot}: label")[0],
                    story=whole(value.get("story", 0), f"{spot}: story"),
                    centre_world=apply(WORLD_FROM_STORED, centre) if known else None,
                )
            )
    return sections
