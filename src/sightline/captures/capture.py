"""The contract of a capture: posed RGB-D frames of one scan, in Sightline's conventions, and what is known of the room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from sightline.catalog import Catalog
from sightline.geometry.boxes import Box
from sightline.geometry.cameras import Intrinsics


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Frame:
    """One posed image. The depth map may have its own size; `depth_intrinsics` is the camera at that size."""

    frame_id: str
    time_s: float
    rgb_path: Path
    depth_path: Path | None
    depth_scale_m: float  # stored unit -> metres, 0.001 for millimetre PNGs
    intrinsics: Intrinsics  # of the colour image
    depth_intrinsics: Intrinsics  # of the depth image
    world_from_camera: np.ndarray  # (4, 4) float64, metres, OpenCV camera, gravity-aligned +z-up world
    instance_path: Path | None = None  # uint16 PNG of object_id + 1 at depth size, 0 = none; only where exactly known


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SceneObject:
    """One object with its oriented box. `front_world` is the unit vector its front faces, where known."""

    object_id: int
    category: str
    box: Box
    front_world: np.ndarray | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)  # e.g. {"colour": "red"}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Opening:
    """A door, window or open passage in a wall."""

    kind: str  # door | window | opening
    wall_id: int
    centre_world: np.ndarray  # (3,)
    width_m: float
    height_m: float
    rooms: tuple[int, ...]  # the one or two rooms it joins


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Wall:
    """A straight wall from a to b along its centre line, standing on the floor."""

    wall_id: int
    a_world: np.ndarray  # (3,)
    b_world: np.ndarray  # (3,)
    height_m: float
    thickness_m: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Room:
    """One room: its inner floor outline, counter-clockwise seen from above."""

    room_index: int
    label: str
    outline_world: np.ndarray  # (N, 2) metres
    floor_z_m: float
    ceiling_z_m: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Structure:
    """Walls, openings and rooms where they are known."""

    rooms: tuple[Room, ...]
    walls: tuple[Wall, ...]
    openings: tuple[Opening, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedFrame:
    """A frame that was left out, and why (a counted reason code such as `pose_not_finite`)."""

    frame_id: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Capture:
    """One scan as its reader found it, already in Sightline's frames and units."""

    scan_id: str
    place_id: str  # scans that share a room share this; the key that splits never cut
    source: str  # name of the reader
    licence: str
    frames: tuple[Frame, ...]
    skipped: tuple[SkippedFrame, ...] = ()
    objects: tuple[SceneObject, ...] | None = None  # None: not known; (): known to be empty
    structure: Structure | None = None
    mesh_path: Path | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)  # what the reader recorded: up axis found, sensor model, seed


class CaptureReader(Protocol):
    """Reads one layout. Built with the folder it reads: `Reader(root, options)`; options are the reader's own, as strings or numbers."""

    name: ClassVar[str]

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None: ...

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether `root` looks like this layout; cheap, no image decoded."""
        ...

    def scan_ids(self, split: str) -> Sequence[str]:
        """Scan ids of a split; `all` is always known."""
        ...

    def read(self, scan_id: str) -> Capture:
        """Raises CaptureError: missing file, wrong size, mostly bad poses."""
        ...


READERS: Catalog[type[CaptureReader]] = Catalog(
    "capture reader",
    {
        "rooms": "sightline.captures.rooms:RoomsReader",
        "folder": "sightline.captures.folder:FolderReader",
    },
)
