"""Tables of the facts page: rooms, coverage, correspondences, tracks and their movements, those that were measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.facts.fact import FactTable

AXES = ("height", "width", "length")


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One table of the page; the first column holds names."""

    title: str
    words: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def rooms(table: FactTable) -> Table | None:
    """Area, centre and doors of every room."""
    if table.rooms is None:
        return None
    labels = {room.room_index: room.label for room in table.structure.rooms} if table.structure is not None else {}
    rows = []
    for index, area_m2, centre, known in zip(
        table.rooms.room_index, table.rooms.area_m2, table.rooms.centre_world, table.rooms.from_outline
    ):
        ways = "\u2013"
        if table.room_links is not None:
            ways = str(np.count_nonzero((table.room_links.first == index) | (table.room_links.second == index)))
        things = "\u2013" if table.object_places is None else str(np.count_nonzero(table.object_places.room_index == index))
        name = labels.get(int(index), "whole scan")
        how = "outline" if known else "floor seen"
        rows.append((f"{index} {name}", f"{area_m2:.2f}", ", ".join(f"{at:.2f}" for at in centre), ways, things, how))
    heads = ("room", "area m\u00b2", "centre m", "doors and passages", "objects", "from")
    return Table(title="Rooms", words="Floor area and its centroid.", heads=heads, rows=tuple(rows))


def coverage(table: FactTable) -> Table | None:
    """Minimal frame sets per dimension."""
    sets = table.coverage
    if sets is None or len(sets.first) == 0:
        return None
    rows = []
    for axis, name in enumerate(AXES):
        mine = sets.axis == axis
        alone = mine & (sets.second < 0)
        objects = np.unique(sets.object_id[mine])
        needs_two = len(objects) - len(np.unique(sets.object_id[alone]))
        rows.append((name, str(len(objects)), str(alone.sum()), str(mine.sum() - alone.sum()), str(needs_two)))
    heads = ("dimension", "objects", "frames alone", "pairs", "objects that no frame spans alone")
    words = "Minimal sets of frames whose visible points span a dimension of an object."
    return Table(title="Coverage", words=words, heads=heads, rows=tuple(rows))


def correspondences(table: FactTable) -> Table | None:
    """How many points pairs of frames share."""
    found = table.correspondences
    if found is None or len(found.first) == 0:
        return None
    counts = np.unique(np.stack([found.first, found.second]), axis=1, return_counts=True)[1]
    shift_px = np.linalg.norm(found.second_uv - found.first_uv, axis=1)
    rows = (
        ("pairs of frames", f"{len(counts):,}"),
        ("correspondences", f"{len(found.first):,}"),
        ("per pair", _spread(counts, ".0f")),
        ("shift between the images, px", _spread(shift_px, ".0f")),
        ("depth change, m", _spread(found.second_depth_m - found.first_depth_m, ".2f")),
    )
    words = "Surface points that both frames of a pair see. Median and range."
    return Table(title="Correspondences", words=words, heads=("of", "value"), rows=rows)


def tracks(table: FactTable) -> Table | None:
    """Points of every rigid body, how often they are seen."""
    found = table.tracks
    if found is None or len(found.point) == 0:
        return None
    rows = []
    for body in np.unique(found.body):
        mine = found.body == body
        name = "still" if body == 0 else "no body found" if body < 0 else f"body {body}"
        rows.append((name, str(len(np.unique(found.point[mine]))), f"{found.visible[mine].mean():.0%}"))
    return Table(
        title="Tracks", words="Tracked points by the rigid body they move with.", heads=("body", "points", "seen"), rows=tuple(rows)
    )


def windows(table: FactTable) -> Table | None:
    """How far points of every body move over their windows."""
    found = table.track_windows
    if found is None or len(found.point) == 0:
        return None
    moved_m, apparent_m = np.linalg.norm(found.displacement_m, axis=1), np.linalg.norm(found.apparent_m, axis=1)
    rows = []
    for body in np.unique(found.body):
        mine = found.body == body
        name = "still" if body == 0 else "no body found" if body < 0 else f"body {body}"
        rows.append((name, str(mine.sum()), _spread(moved_m[mine], ".2f"), _spread(apparent_m[mine], ".2f")))
    heads = ("body", "windows", "moved m", "moved as seen by the camera m")
    return Table(title="Movements", words="Between two frames that both see the point. Median and range.", heads=heads, rows=tuple(rows))


def _spread(values: np.ndarray | Sequence[float], form: str) -> str:
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if len(finite) == 0:
        return "unknown"
    return f"{np.median(finite):{form}} ({finite.min():{form}} to {finite.max():{form}})"
