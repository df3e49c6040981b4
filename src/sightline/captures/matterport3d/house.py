"""The annotations of a Matterport3D house: regions and objects of its `.house` file, and the object of every mesh vertex."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.capture import LabelledSurface, SceneObject
from sightline.captures.containers.meshes import read_ply
from sightline.captures.layouts import natural
from sightline.captures.segmented import (
    StoredBox,
    axis_box,
    box_from_stored,
    points_problem,
    read_groups,
    read_segments,
    stored_box_problem,
)
from sightline.captures.texts import read_text
from sightline.errors import CaptureError

MAX_BYTES = 256 << 20  # the largest house has 5 MB
VERSIONS = ("1.0", "1.1")
MAX_OBJECT_ID = 65534
NUM_WORDS = {"R": 20, "C": 6, "O": 16, "E": 5, "P": 13}  # region (20 tells it from others), category, object, segment, panorama
AREAS = {  # what the one-letter labels of regions stand for (Matterport3D, data_organization.md)
    **{"a": "bathroom", "b": "bedroom", "c": "closet", "d": "dining room", "e": "entryway", "f": "family room", "g": "garage"},
    **{"h": "hallway", "i": "library", "j": "laundry room", "k": "kitchen", "l": "living room", "m": "meeting room", "n": "lounge"},
    **{"o": "office", "p": "porch", "r": "recreation room", "s": "stairs", "t": "toilet", "u": "utility room", "v": "tv room"},
    **{"w": "gym", "x": "outdoors", "y": "balcony", "z": "other room", "B": "bar", "C": "classroom", "D": "dining booth"},
    **{"S": "spa", "Z": "junk", "-": "no label"},
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class House:
    """What is known of a house's contents."""

    objects: tuple[SceneObject, ...] | None
    surface: LabelledSurface | None
    skipped: dict[str, int]  # boxes left out, by reason
    regions: tuple[dict[str, Any], ...]  # JSON-able: index, label, level, centre, low and high corner, height
    region_of_panorama: dict[str, int]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Records:
    """The lines of a `.house` file by kind: (line number, words)."""

    path: Path
    lines: dict[str, list[tuple[int, list[str]]]]


def annotation_files(folder: Path) -> list[Path]:
    """Every file that `read_house` would read."""
    house = _house_files(folder)
    if house[0].is_file():
        return [path for path in house if path.is_file()]
    return [path for files in _region_files(folder) for path in files]


def read_house(folder: Path) -> House:
    """Objects and surface from `house_segmentations/`, else from `region_segmentations/`, else none.

    Raises CaptureError: a truncated `.house` file or one of an unknown version, an object twice, meshes and segments that do not fit.
    """
    house_path, mesh_path, segments_path = _house_files(folder)
    if not house_path.is_file():
        return _from_regions(_region_files(folder))
    records = _read_records(house_path)
    objects, skipped = _objects(records)
    surface = None
    if objects is not None and mesh_path.is_file() and segments_path.is_file():
        segment_objects = {_whole(records, "E", row, 3): _whole(records, "E", row, 2) for row in records.lines["E"]}
        kept = {one.object_id for one in objects}
        surface = _surface(mesh_path, segments_path, {segment: one for segment, one in segment_objects.items() if one in kept})
    return House(
        objects=objects,
        surface=surface,
        skipped=skipped,
        regions=tuple(_region(records, row) for row in records.lines["R"]),
        region_of_panorama={row[1][1]: _whole(records, "P", row, 3) for row in records.lines["P"]},
    )


def _house_files(folder: Path) -> tuple[Path, Path, Path]:
    place = folder / "house_segmentations"
    name = folder.resolve().name
    return place / f"{name}.house", place / f"{name}.ply", place / f"{name}.fsegs.json"


def _region_files(folder: Path) -> list[tuple[Path, Path, Path]]:
    """(mesh, segments, objects) of each region that has all three, in the order of their numbers."""
    place = folder / "region_segmentations"
    meshes = sorted(place.glob("region*.ply"), key=lambda path: natural(path.name))
    files = [(path, path.with_suffix(".fsegs.json"), path.with_suffix(".semseg.json")) for path in meshes]
    return [three for three in files if all(path.is_file() for path in three)]


def _read_records(path: Path) -> _Records:
    text = read_text(path, max_bytes=MAX_BYTES)
    rows = [(number, line.split()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    head = rows[0][1] if rows else []
    if len(head) != 2 or head[0] != "ASCII" or head[1] not in VERSIONS:
        raise CaptureError(f"{path}:1: expected 'ASCII {' or '.join(VERSIONS)}', found {' '.join(head)[:40]!a}")
    if len(rows) < 2 or rows[1][1][0] != "H" or len(rows[1][1]) < 13:
        raise CaptureError(f"{path}:2: expected a line 'H name label ...' with the counts of the house, found none")
    lines: dict[str, list[tuple[int, list[str]]]] = {kind: [] for kind in NUM_WORDS}
    for number, words in rows[2:]:
        kind = words[0]
        if (kind in "RP" and len(words) != NUM_WORDS[kind]) or kind not in NUM_WORDS:
            continue  # portals, which share their letter with panoramas, and kinds that nothing is read from
        if len(words) < NUM_WORDS[kind]:
            raise CaptureError(f"{path}:{number}: expected a record {kind} of at least {NUM_WORDS[kind]} words, found {len(words)}")
        lines[kind].append((number, words))
    records = _Records(path=path, lines=lines)
    if head[1] == "1.1":
        for kind, place in (("P", 4), ("E", 7), ("O", 8), ("C", 9), ("R", 10)):
            stated = _whole(records, "H", rows[1], place)
            if len(lines[kind]) != stated:
                raise CaptureError(
                    f"{path}: expected {stated} records {kind} as line 2 says, found {len(lines[kind])}; the file is truncated"
                )
    return records


def _whole(records: _Records, kind: str, row: tuple[int, list[str]], place: int) -> int:
    number, words = row
    try:
        return int(words[place])
    except ValueError as error:
        raise CaptureError(f"{records.path}:{number}: record {kind}: expected a whole number, found {words[place][:40]!a}") from error


def _floats(records: _Records, row: tuple[int, list[str]], first: int, count: int) -> np.ndarray:
    number, words = row
    try:
        return np.array([float(word) for word in words[first : first + count]])
    except ValueError as error:
        raise CaptureError(f"{records.path}:{number}: expected {count} numbers from word {first + 1} on, found {error}") from error


def _region(records: _Records, row: tuple[int, list[str]]) -> dict[str, Any]:
    numbers = _floats(records, row, 6, 10)
    if not np.isfinite(numbers).all():
        raise CaptureError(f"{records.path}:{row[0]}: record R: expected finite numbers, found {numbers.tolist()}")
    return {
        "region_index": _whole(records, "R", row, 1),
        "level": _whole(records, "R", row, 2),
        "label": AREAS.get(row[1][5], row[1][5]),
        "centre_world": numbers[:3].tolist(),
        "low_world": numbers[3:6].tolist(),
        "high_world": numbers[6:9].tolist(),
        "height_m": float(numbers[9]),
    }


def _objects(records: _Records) -> tuple[tuple[SceneObject, ...] | None, dict[str, int]]:
    """Objects with their oriented boxes: centre, two axes and three half extents."""
    if not records.lines["O"] and not records.lines["C"]:
        return None, {}
    names = {_whole(records, "C", row, 1): (row[1][3].replace("#", " "), row[1][5].replace("#", " ")) for row in records.lines["C"]}
    objects, seen, skipped = [], set(), Counter[str]()
    for row in records.lines["O"]:
        object_id, category = _whole(records, "O", row, 1), _whole(records, "O", row, 3)
        if object_id in seen or not 0 <= object_id <= MAX_OBJECT_ID:
            raise CaptureError(f"{records.path}:{row[0]}: record O: expected each of 0 to {MAX_OBJECT_ID} once, found {object_id}")
        seen.add(object_id)
        numbers = _floats(records, row, 4, 12)
        axes = numbers[3:9].reshape(2, 3)
        with np.errstate(invalid="ignore"):
            stored = StoredBox(centre_stored=numbers[:3], size_m=2.0 * numbers[9:], axes_stored=np.vstack([axes, np.cross(*axes)]))
        problem = stored_box_problem(stored) or ("label_missing" if category not in names else None)
        if problem:
            skipped[problem] += 1
            continue
        label, mpcat40 = names[category]
        attributes = {"mpcat40": mpcat40, "region": str(_whole(records, "O", row, 2))}
        box = box_from_stored(stored, world_from_stored=np.eye(4))
        objects.append(SceneObject(object_id=object_id, category=label, box=box, attributes=attributes))
    return tuple(objects), dict(sorted(skipped.items()))


def _surface(mesh_path: Path, segments_path: Path, object_of: dict[int, int]) -> LabelledSurface:
    """Vertices labelled by the faces around them; where an object touches what is none, the vertex is the object's."""
    mesh = read_ply(mesh_path)
    if mesh.faces is None:
        raise CaptureError(f"{mesh_path}: expected triangles, found vertices alone")
    segments = read_segments(segments_path, num_vertices=len(mesh.faces))
    known, places = np.unique(segments, return_inverse=True)
    face_objects = np.array([object_of.get(int(segment), -1) for segment in known], dtype=np.int32)[places]
    order = np.argsort(face_objects, kind="stable")  # none first, so that an object writes over it
    object_ids = np.full(len(mesh.vertices_stored), -1, dtype=np.int32)
    object_ids[mesh.faces[order].reshape(-1)] = np.repeat(face_objects[order], 3)
    return LabelledSurface(points_world=mesh.vertices_stored, object_ids=object_ids)


def _from_regions(files: list[tuple[Path, Path, Path]]) -> House:
    """Objects of every region's own files, numbered on from region to region; boxes as annotated, else along the axes."""
    objects: list[SceneObject] = []
    points, ids, regions = [], [], []
    skipped: Counter[str] = Counter()
    first_id = 0
    for mesh_path, segments_path, groups_path in files:
        groups = read_groups(groups_path)
        last_id = first_id + max((group.object_id for group in groups), default=-1)
        if last_id > MAX_OBJECT_ID:
            raise CaptureError(f"{groups_path}: expected at most {MAX_OBJECT_ID} objects in a house, found id {last_id}")
        surface = _surface(mesh_path, segments_path, {int(one): group.object_id for group in groups for one in group.segments})
        region = mesh_path.stem.removeprefix("region")
        kept = []
        for group in groups:
            inside = surface.points_world[surface.object_ids == group.object_id]
            problem = stored_box_problem(group.obb) if group.obb is not None else points_problem(inside)
            if problem:
                skipped[problem] += 1
                continue
            box = axis_box(inside) if group.obb is None else box_from_stored(group.obb, world_from_stored=np.eye(4))
            number = first_id + group.object_id
            objects.append(SceneObject(object_id=number, category=group.label, box=box, attributes={"region": region}))
            kept.append(group.object_id)
        points.append(surface.points_world)
        ids.append(np.where(np.isin(surface.object_ids, kept), surface.object_ids + first_id, -1).astype(np.int32))
        regions.append({"region_index": int(region) if region.isdigit() else region, "first_object_id": first_id})
        first_id = last_id + 1
    if not files:
        return House(objects=None, surface=None, skipped={}, regions=(), region_of_panorama={})
    surface = LabelledSurface(points_world=np.concatenate(points), object_ids=np.concatenate(ids))
    return House(
        objects=tuple(objects), surface=surface, skipped=dict(sorted(skipped.items())), regions=tuple(regions), region_of_panorama={}
    )
