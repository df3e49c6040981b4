"""Lines of the 3-D page that come from what is known of a room: walls, doors, windows, and the paths of tracked points."""

import numpy as np

from sightline.captures.capture import Opening, Structure, Wall
from sightline.geometry.transforms import apply
from sightline.scenes.scene import Scene

ARC_STEP_DEG = 7.5
MAX_TRACKS = 150
UP = np.array([0.0, 0.0, 1.0])


def wall_segments_world(wall: Wall) -> np.ndarray:
    """`(S, 2, 3)`: the outline of a wall's middle plane; a curved one in short straight pieces."""
    if wall.outline_world is not None:
        return closed(wall.outline_world)
    foot = _foot(wall)
    head = foot + wall.height_m * UP
    along = [np.stack([line[:-1], line[1:]], axis=1) for line in (foot, head)]
    posts = np.stack([foot[[0, -1]], head[[0, -1]]], axis=1)
    return np.concatenate([*along, posts])


def foot_segments_world(wall: Wall) -> np.ndarray:
    """`(S, 2, 3)`: the line that a wall stands on."""
    foot = _foot(wall)
    return np.stack([foot[:-1], foot[1:]], axis=1)


def _foot(wall: Wall) -> np.ndarray:
    return _arc(wall) if wall.arc_centre_world is not None else np.stack([wall.a_world, wall.b_world])


def _arc(wall: Wall) -> np.ndarray:
    """Points on the circle from a to b, counter-clockwise seen from above."""
    centre = np.asarray(wall.arc_centre_world)
    start, end = wall.a_world[:2] - centre[:2], wall.b_world[:2] - centre[:2]
    first = np.arctan2(start[1], start[0])
    sweep = (np.arctan2(end[1], end[0]) - first) % (2.0 * np.pi)
    angles = first + np.linspace(0.0, sweep, max(2, int(np.degrees(sweep) / ARC_STEP_DEG) + 1))
    radius_m = float(np.linalg.norm(start))
    flat = centre[:2] + radius_m * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.c_[flat, np.full(len(flat), wall.a_world[2])]


def opening_segments_world(opening: Opening, structure: Structure) -> np.ndarray:
    """`(S, 2, 3)`: the frame of a door, window or passage; none where its wall is not known."""
    wall = next((one for one in structure.walls if one.wall_id == opening.wall_id), None)
    if wall is None:
        return np.zeros((0, 2, 3))
    along = along_opening_world(opening, wall)
    half = 0.5 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    corners = opening.centre_world + half[:, :1] * opening.width_m * along + half[:, 1:] * opening.height_m * UP
    return closed(corners)


def along_opening_world(opening: Opening, wall: Wall) -> np.ndarray:
    """The level unit vector `(3,)` along a wall where an opening is; along its circle in a curved one."""
    along = (wall.b_world - wall.a_world) * np.array([1.0, 1.0, 0.0])
    if wall.arc_centre_world is not None:
        along = np.cross(UP, (opening.centre_world - wall.arc_centre_world) * np.array([1.0, 1.0, 0.0]))
    return along / max(float(np.linalg.norm(along)), 1e-9)


def closed(corners: np.ndarray) -> np.ndarray:
    """`(N, 2, 3)` sides of a polygon `(N, 3)`."""
    return np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)


def track_segments_world(scene: Scene) -> np.ndarray:
    """`(S, 2, 3)`: the ways of some tracked points between frames that both see them; none where no camera pose is known."""
    if scene.tracks is None or not scene.has_poses:
        return np.zeros((0, 2, 3))
    tracks, poses = scene.tracks, {frame.frame_id: frame.world_from_camera for frame in scene.frames}
    every = max(1, tracks.visible.shape[1] // MAX_TRACKS)
    kept = [place for place, frame_id in enumerate(tracks.frame_ids) if frame_id in poses]
    points = np.array([apply(poses[tracks.frame_ids[place]], tracks.points_camera[place, ::every].astype(np.float64)) for place in kept])
    visible = tracks.visible[kept, ::every]
    if len(kept) < 2:
        return np.zeros((0, 2, 3))
    both = visible[:-1] & visible[1:] & np.isfinite(points[:-1]).all(axis=2) & np.isfinite(points[1:]).all(axis=2)
    return np.stack([points[:-1][both], points[1:][both]], axis=1)
