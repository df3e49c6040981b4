"""Second opinions on movements of tracked points: found under the dot by OpenCV's projection, moved by solving with the camera's pose."""

import re

import cv2
import numpy as np

from sightline.questions.checks.checker import POINT_REACH_PX, SMALL_M, Checker, WrongError
from sightline.questions.question import Question

UNITS_PER_M = {"cm": 100.0, "mm": 1000.0}
STILL_M = 0.01
RELATIVE = re.compile(r"relative to the camera", re.IGNORECASE)
COORDINATE = re.compile(r"\[x, y\] = \[(\d+), (\d+)\] in image 1")
FIRST_AXES = re.compile(r"first camera|camera of image 1|camera's (own )?axes|relative to the camera", re.IGNORECASE)


def point_movement_distance(checker: Checker, question: Question) -> None:
    _expect_movement(checker, question)


def point_movement_vector(checker: Checker, question: Question) -> None:
    if not FIRST_AXES.search(question.text):
        raise WrongError("the text does not say along which axes")
    _expect_movement(checker, question)


def _expect_movement(checker: Checker, question: Question) -> None:
    first, second = (checker.frame_of[frame_id] for frame_id in question.frame_ids)
    keeps = RELATIVE.search(question.text) is not None
    rows, next_rows, off_px, reach_px = _tracks_near(checker, question, first, second)
    near = off_px <= reach_px
    if not near.any():
        raise WrongError("no point that both images see was followed at that place")
    moved_m = np.array([_moved_m(checker, rows[index], next_rows[index], keeps=keeps) for index in np.flatnonzero(near)])
    said = question.answer.format.parse(question.answer.text)
    wanted = np.atleast_1d(np.asarray(said, dtype=float))
    found_m = moved_m if len(wanted) == 3 else np.linalg.norm(moved_m, axis=1, keepdims=True)
    found_m = np.where(np.linalg.norm(moved_m, axis=1, keepdims=True) < STILL_M, 0.0, found_m)
    per_m = UNITS_PER_M[question.answer.format.unit]
    off = np.abs(found_m * per_m - wanted).max(axis=1)
    if off.min() > 0.5 + SMALL_M * per_m:
        raise WrongError(", ".join(f"{one * per_m:.2f}" for one in found_m[int(np.argmin(off_px[near]))]))


def _tracks_near(checker: Checker, question: Question, first: int, second: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Rows of tracks that both frames see, in the first and in the second, how far from the place asked about, and how far they may be."""
    tracks = checker.facts.tracks
    here, there = (np.flatnonzero((tracks.frame == frame) & tracks.visible) for frame in (first, second))
    _, in_here, in_there = np.intersect1d(tracks.point[here], tracks.point[there], return_indices=True)
    rows, next_rows = here[in_here], there[in_there]
    camera = checker.facts.frames.intrinsics[first]
    (u_px, v_px), slack_px = _place(question, camera.width, camera.height)
    if not len(rows):
        return rows, next_rows, np.empty(0), 0.0
    pose = checker.camera_from_world[first]
    if np.isfinite(pose).all():
        points, turn, shift = tracks.point_world[rows], cv2.Rodrigues(pose[:3, :3])[0], pose[:3, 3]
    else:
        points, turn, shift = tracks.point_camera[rows], np.zeros(3), np.zeros(3)
    uv = cv2.projectPoints(np.ascontiguousarray(points, dtype=np.float64), turn, shift, camera.K, None)[0][:, 0]
    return rows, next_rows, np.hypot(uv[:, 0] - u_px, uv[:, 1] - v_px), POINT_REACH_PX + slack_px


def _place(question: Question, width: int, height: int) -> tuple[tuple[float, float], float]:
    """The pixel that is asked about in image 1, and how much its rounding moves it at most."""
    if question.marks:
        mark = question.marks[0]
        if mark.frame_id != question.frame_ids[0] or "in image 1" not in question.text:
            raise WrongError("the dot is not in image 1")
        return (mark.u_px, mark.v_px), 0.0
    found = COORDINATE.search(question.text)
    if not found:
        raise WrongError("the text names no place")
    x, y = float(found[1]), float(found[2])
    if "thousandths" in question.text:
        return (x / 1000.0 * width - 0.5, y / 1000.0 * height - 0.5), 0.0005 * float(np.hypot(width, height))
    return (x, y), 0.75


def _moved_m(checker: Checker, row: int, next_row: int, *, keeps: bool) -> np.ndarray:
    tracks = checker.facts.tracks
    if keeps:
        return tracks.point_camera[next_row] - tracks.point_camera[row]
    pose = checker.facts.frames.world_from_camera[tracks.frame[row]]
    ends = np.c_[tracks.point_world[[row, next_row]], np.ones(2)].T
    seen_from_first = np.linalg.solve(pose, ends)[:3]
    return seen_from_first[:, 1] - seen_from_first[:, 0]
