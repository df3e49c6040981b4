"""Dots on tracked points that stand beside a point of another body: which of the two is meant, nobody could tell."""

import numba
import numpy as np

from sightline.facts.fact import FactTable, TrackFacts

NOTHING = -(2**31)  # no body has this number


def own_bodies(body: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Bodies `(N,)` int64 in which each point that belongs to none is one of its own."""
    return np.where(body < 0, -1 - point.astype(np.int64), body.astype(np.int64))


def are_crowded(facts: FactTable, tracks: TrackFacts, rows: np.ndarray, *, share: float) -> np.ndarray:
    """Which of the dots on `rows (V,)` of tracks have a visible point of another body near them `(V,)` bool.

    Near is the same or a neighbouring cell of a grid of `share` of the image's width: all that is within one cell's side, nothing that is
    more than two away in either direction.
    """
    cameras = np.array([[one.fx, one.fy, one.cx, one.cy, one.width, one.height] for one in facts.frames.intrinsics]).reshape(-1, 6)
    order = np.argsort(tracks.frame, kind="stable")
    starts = np.searchsorted(tracks.frame[order], np.arange(len(cameras) + 1))
    frame = tracks.frame[rows].astype(np.int64)
    by_frame = np.argsort(frame, kind="stable")
    is_crowded = np.zeros(len(rows), dtype=bool)
    _mark_crowded(
        np.ascontiguousarray(tracks.point_camera, dtype=np.float64),
        np.ascontiguousarray(tracks.visible),
        own_bodies(tracks.body, tracks.point),
        cameras,
        order,
        starts,
        np.asarray(rows, dtype=np.int64),
        by_frame,
        np.searchsorted(frame[by_frame], np.arange(len(cameras) + 1)),
        share,
        is_crowded,
    )
    return is_crowded


@numba.njit(cache=True, nogil=True)
def _mark_crowded(
    points, visible, body, cameras, order, starts, dots, by_frame, dot_starts, share, is_crowded
):  # pragma: no cover - compiled
    """Frame by frame: the least and the greatest body in each cell, then the cells round each dot. A rim of cells stays empty."""
    for frame in range(len(cameras)):
        if dot_starts[frame] == dot_starts[frame + 1]:
            continue
        cell_px = max(1.0, share * cameras[frame, 4])
        columns, lines = int(cameras[frame, 4] / cell_px) + 4, int(cameras[frame, 5] / cell_px) + 4
        least = np.full((columns, lines), NOTHING, dtype=np.int64)
        most = np.full((columns, lines), NOTHING, dtype=np.int64)
        for place in range(starts[frame], starts[frame + 1]):
            row = order[place]
            if not visible[row] or not points[row, 2] > 0.0:
                continue
            column, line = _cell(points[row], cameras[frame], cell_px, columns, lines)
            if least[column, line] == NOTHING:
                least[column, line] = most[column, line] = body[row]
            least[column, line] = min(least[column, line], body[row])
            most[column, line] = max(most[column, line], body[row])
        for place in range(dot_starts[frame], dot_starts[frame + 1]):
            dot = by_frame[place]
            row = dots[dot]
            column, line = _cell(points[row], cameras[frame], cell_px, columns, lines)
            for u in range(column - 1, column + 2):
                for v in range(line - 1, line + 2):
                    if least[u, v] != NOTHING and (least[u, v] != body[row] or most[u, v] != body[row]):
                        is_crowded[dot] = True


@numba.njit(cache=True, nogil=True)
def _cell(point, camera, cell_px, columns, lines):  # pragma: no cover - compiled
    """Column and line of the cell of a point's pixel; what lies outside the image goes into cells at its border."""
    u_px, v_px = camera[0] * point[0] / point[2] + camera[2], camera[1] * point[1] / point[2] + camera[3]
    column = min(max(u_px / cell_px, 0.0), columns - 3.0)
    line = min(max(v_px / cell_px, 0.0), lines - 3.0)
    return int(column) + 1, int(line) + 1
