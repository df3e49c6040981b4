"""A table of facts as a few plain lines, for whoever has just measured a scan."""

import numpy as np

from sightline.facts.fact import ON_FLOOR, FactTable

OVERLAP_EDGES = (0.0, 0.05, 0.15, 0.35, 0.6, 0.9, 1.0)


def describe(table: FactTable) -> list[str]:
    """Lines without markup: frames, pairs with a histogram of overlap, movement, points, objects per category, views; what is missing."""
    return [*_measured_lines(table), *(f"  not whole: {kind}: {reason}" for kind, reason in sorted(table.skips.items()))]


def _measured_lines(table: FactTable) -> list[str]:
    """What is there."""
    frames, pairs = table.frames, table.pairs
    count = len(frames.frame_ids)
    lines = [
        f"{table.scan_id}: {count} frames, {len(pairs.first)} of {count * (count - 1) // 2} pairs, {len(table.points.frame)} points "
        f"(place {table.place_id}, source {table.source})",
        f"  a frame sees {_spread(frames.visible_points, '.0f')} scene points; depth readings on {_mean(frames.depth_coverage)} of pixels",
    ]
    if table.is_strict:
        lines.append("  visibility: strict (0 < z < reading, no tolerance); its overlaps and shares do not compare with others")
    if len(pairs.first):
        lines.append(f"  overlap of pairs: {_histogram(pairs.overlap)}")
        lines.append(f"  movement of pairs: {_spread(pairs.distance_m, '.2f')} m, turn {_spread(np.abs(pairs.yaw_deg), '.0f')} deg")
    if len(table.points.frame):
        lines.append(f"  depth of points: {_spread(table.points.depth_m, '.2f')} m")
    lines += _match_lines(table)
    lines += _structure_lines(table)
    if table.objects is None:
        return [*lines, "  objects: not known in this scan"]
    named = ", ".join(f"{category} {number}" for category, number in sorted(table.counts.items(), key=lambda one: (-one[1], one[0])))
    lines.append(f"  objects: {len(table.objects)} ({named})" if table.objects else "  objects: none")
    views = table.object_views
    if views is not None and len(views.frame):
        seen = len(np.unique(views.object_id))
        lines.append(
            f"  object views: {len(views.frame)} of {seen} objects, {_mean(views.visible_share)} of an object visible, "
            f"{_mean(1.0 - views.inside_share)} beyond the image, {_mean(views.hidden_share)} of the rest hidden"
            + (f"; {np.nanmean(views.pixel_share):.1%} of the image" if np.isfinite(views.pixel_share).any() else "")
        )
    times = table.object_times
    if times is not None and len(times.object_id):
        shown = times.views > 0
        lines.append(f"  object times: seen in {_spread(times.views[shown], '.0f')} frames, {np.count_nonzero(~shown)} objects in none")
    sets = table.coverage
    if sets is not None:
        alone, objects = np.count_nonzero(sets.second < 0), len(np.unique(sets.object_id))
        lines.append(f"  coverage: {alone} frames alone and {len(sets.first) - alone} pairs span a dimension of {objects} objects")
    if table.object_pairs is not None and len(table.object_pairs.first):
        lines.append(f"  object gaps: {_spread(table.object_pairs.closest_m, '.2f')} m")
    return lines


def _match_lines(table: FactTable) -> list[str]:
    """Correspondences and tracks, where there are any."""
    lines = []
    matched, tracks, windows = table.correspondences, table.tracks, table.track_windows
    if matched is not None:
        pairs = len(np.unique(np.stack([matched.first, matched.second]), axis=1).T)
        lines.append(f"  correspondences: {len(matched.first)} points that both frames of {pairs} pairs see")
    if tracks is not None and windows is not None and len(tracks.point):
        _, rows = np.unique(tracks.point, return_index=True)
        body = tracks.body[rows]
        lines.append(
            f"  tracks: {len(rows)} points over {len(np.unique(tracks.frame))} frames, {np.count_nonzero(body == 0)} still, "
            f"{np.count_nonzero(body > 0)} on {max(int(body.max()), 0)} moving bodies, {np.count_nonzero(body < 0)} on none"
        )
        known = np.isfinite(windows.displacement_m).all() if len(windows.point) else True
        moved = (windows.displacement_m if known else windows.apparent_m)[windows.body > 0]
        how = "" if known else " as the camera sees it"
        lines.append(f"  track windows: {len(windows.point)}; what moves moved {_spread(np.linalg.norm(moved, axis=1), '.2f')} m{how}")
    return lines


def _structure_lines(table: FactTable) -> list[str]:
    """Rooms, links, free space and places, those that are known."""
    lines = []
    if table.rooms is not None:
        areas = ", ".join(f"{area_m2:.1f}" for area_m2 in table.rooms.area_m2)
        lines.append(f"  rooms: {areas} m2 by {'outline' if table.rooms.from_outline.all() else 'alpha shape of the floor seen'}")
    if table.room_links is not None:
        inner = np.count_nonzero(table.room_links.second >= 0)
        lines.append(f"  room links: {inner} between rooms, {len(table.room_links.first) - inner} outwards")
    space = table.free_space
    if space is not None:
        free_m2, taken_m2 = ((np.count_nonzero(space.cells == kind, axis=1) * space.cell_m**2).sum() for kind in (1, 2))
        lines.append(f"  free space: {free_m2:.1f} m2 free, {taken_m2:.1f} m2 taken, cells of {space.cell_m[0]:.2f} m")
    places = table.object_places
    if places is not None and len(places.object_id):
        on_floor, on_object = np.count_nonzero(places.support_id == ON_FLOOR), np.count_nonzero(places.support_id >= 0)
        nowhere = len(places.object_id) - on_floor - on_object
        lines.append(f"  object places: {on_floor} on the floor, {on_object} on another object, {nowhere} hang or cannot be told")
    return lines


def _mean(shares: np.ndarray) -> str:
    """Mean of the finite shares."""
    finite = shares[np.isfinite(shares)]
    return f"{finite.mean():.0%}" if len(finite) else "unknown"


def _spread(values: np.ndarray, form: str) -> str:
    """Median and range of the finite values."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return "unknown"
    return f"{np.median(finite):{form}} ({finite.min():{form}} to {finite.max():{form}})"


def _histogram(overlap: np.ndarray) -> str:
    finite = overlap[np.isfinite(overlap)]
    counted, _ = np.histogram(finite, bins=OVERLAP_EDGES)
    parts = [f"{low:.0%}-{high:.0%}: {number}" for low, high, number in zip(OVERLAP_EDGES, OVERLAP_EDGES[1:], counted)]
    blind = len(overlap) - len(finite)
    return ", ".join(parts) + (f", unknown: {blind}" if blind else "")
