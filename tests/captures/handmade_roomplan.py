"""Small RoomPlan documents made by hand: a wall, a floor, a box where one wants them, in RoomPlan's own +y-up world."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np


def pose(x: float, y: float, z: float, *, yaw_deg: float = 0.0) -> list[float]:
    """Column by column: turned about +y (from +z towards +x, as right-handed), centred at (x, y, z)."""
    cosine, sine = math.cos(math.radians(yaw_deg)), math.sin(math.radians(yaw_deg))
    return [cosine, 0.0, -sine, 0.0, 0.0, 1.0, 0.0, 0.0, sine, 0.0, cosine, 0.0, x, y, z, 1.0]


def part(kind: str, identifier: str, size: list[float], transform: list[float], **more: Any) -> dict[str, Any]:
    return {"identifier": identifier, "category": {kind: {}}, "dimensions": size, "transform": transform, **more}


def wall(identifier: str, a: tuple[float, float], b: tuple[float, float], *, height: float = 2.5, foot: float = 0.0, **more: Any) -> dict:
    """A wall over two points (x, z) of RoomPlan's floor."""
    along = np.subtract(b, a)
    yaw_deg = math.degrees(math.atan2(-along[1], along[0]))
    middle = np.add(a, b) / 2.0
    made = pose(middle[0], foot + height / 2.0, middle[1], yaw_deg=yaw_deg)
    return part("wall", identifier, [float(np.linalg.norm(along)), height, 0.0], made, **more)


def floor(corners: list[tuple[float, float]], *, height: float = 0.0, identifier: str = "floor", **more: Any) -> dict:
    """A floor of corners (x, z): its plane's y is the world's -z, its z is up."""
    lying = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, height, 0.0, 1.0]
    return part("floor", identifier, [1.0, 1.0, 0.0], lying, polygonCorners=[[x, -z, 0.0] for x, z in corners], **more)


SQUARE = [(0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0)]


def square_walls(*, foot: float = 0.0, prefix: str = "w", **more: Any) -> list[dict]:
    """Four walls around 4 m x 3 m."""
    return [wall(f"{prefix}{n}", SQUARE[n], SQUARE[(n + 1) % 4], foot=foot, **more) for n in range(4)]


def room(**more: Any) -> dict[str, Any]:
    """A CapturedRoom of four walls."""
    lists: dict[str, Any] = {kind: [] for kind in ("doors", "windows", "openings", "objects")}
    return {"identifier": "room", "version": 2, "walls": square_walls(), **lists, **more}


def save(document: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
