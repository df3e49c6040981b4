"""Outlines of rooms from walls alone: closed loops of lines whose ends meet."""

from collections.abc import Sequence

import numpy as np

JOIN_M = 0.15  # ends of walls that belong to one corner; RoomPlan lets them miss each other by a few centimetres


def closed_loops(lines: Sequence[np.ndarray], *, join_m: float = JOIN_M) -> list[np.ndarray]:
    """Outlines `(N, 2)` of the closed loops that lines `(K, 2)` make, each corner in the middle of the ends that meet there.

    Lines that lead nowhere are left out first. Where three or more lines still meet in a corner, which room ends where is not
    said, and what hangs together there makes no loop.
    """
    corner_of, corners = _corners([end for line in lines for end in (line[0], line[-1])], join_m)
    edges = {
        number: (corner_of[2 * number], corner_of[2 * number + 1])
        for number in range(len(lines))
        if corner_of[2 * number] != corner_of[2 * number + 1]
    }
    while dead := [number for number, ends in edges.items() if any(_degree(edges, corner) == 1 for corner in ends)]:
        for number in dead:
            del edges[number]
    simple = {corner for ends in edges.values() for corner in ends if _degree(edges, corner) == 2}
    loops = []
    while edges:
        number, (start, corner) = next(iter(edges.items()))
        del edges[number]
        outline = [corners[start], *lines[number][1:-1]]
        is_simple = start in simple
        while corner != start and corner in simple:
            number, (first, last) = next((other, ends) for other, ends in edges.items() if corner in ends)
            del edges[number]
            outline += [corners[corner], *(lines[number] if first == corner else lines[number][::-1])[1:-1]]
            corner = last if first == corner else first
        if is_simple and corner == start:
            loops.append(np.array(outline))
    return loops


def _corners(ends: Sequence[np.ndarray], join_m: float) -> tuple[list[int], list[np.ndarray]]:
    """The corner that each end belongs to, and where the corners are."""
    members: list[list[np.ndarray]] = []
    corner_of = []
    for end in ends:
        gaps_m = [float(np.linalg.norm(np.mean(group, axis=0) - end)) for group in members]
        nearest = int(np.argmin(gaps_m)) if gaps_m else -1
        if nearest < 0 or gaps_m[nearest] > join_m:
            members.append([])
            nearest = len(members) - 1
        members[nearest].append(end)
        corner_of.append(nearest)
    return corner_of, [np.mean(group, axis=0) for group in members]


def _degree(edges: dict[int, tuple[int, int]], corner: int) -> int:
    return sum(corner in ends for ends in edges.values())
