"""Point tracks as a file of plain arrays and back."""

import tokenize
import zipfile
from pathlib import Path

import numpy as np

from sightline.captures.capture import PointTracks
from sightline.errors import CaptureError
from sightline.files import replacing


def write_tracks(tracks: PointTracks, path: Path) -> None:
    """Write `.npz` without objects; equal tracks give equal bytes."""
    arrays = {"frame_ids": np.array(tracks.frame_ids, dtype=np.str_), "points_camera": tracks.points_camera, "visible": tracks.visible}
    if tracks.object_ids is not None:
        arrays["object_ids"] = tracks.object_ids
    with replacing(path) as beside, beside.open("wb") as stream:
        np.savez(stream, **arrays)


def read_tracks(path: Path) -> PointTracks:
    """The inverse of `write_tracks`. Raises CaptureError for a missing or damaged file or arrays that do not fit each other."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            tracks = PointTracks(
                frame_ids=tuple(str(frame_id) for frame_id in arrays["frame_ids"]),
                points_camera=arrays["points_camera"],
                visible=arrays["visible"],
                object_ids=arrays["object_ids"] if "object_ids" in arrays else None,
            )
    except (OSError, ValueError, KeyError, EOFError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile) as error:
        raise CaptureError(f"{path}: expected tracks of points, found {error}") from error
    times, points = len(tracks.frame_ids), tracks.visible.shape[-1]
    if tracks.points_camera.shape != (times, points, 3) or tracks.visible.shape != (times, points):
        raise CaptureError(
            f"{path}: expected {times} frames of as many points as flags, "
            f"found shapes {tracks.points_camera.shape} and {tracks.visible.shape}"
        )
    return tracks
