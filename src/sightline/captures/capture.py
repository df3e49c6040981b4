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
    depth_index: int | None = None  # place of the map in `depth_path` where that is a depth pack and not an image


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SceneObject:
    """One object with its oriented box. `front_world` is the unit vector its front faces, where known."""

    object_id: int
    category: str
    box: Box
    front_world: np.ndarray | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)  # e.g. {"colour": "red"}


NO_WALL = -1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Opening:
    """A door, window or open passage in a wall."""

    kind: str  # door | window | opening
    wall_id: int  # NO_WALL where the wall is not known
    centre_world: np.ndarray  # (3,)
    width_m: float
    height_m: float
    rooms: tuple[int, ...]  # the one or two rooms it joins
    is_open: bool | None = None  # of a door, where known


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Wall:
    """A wall from a to b along its centre line, standing on the floor; straight unless it has an arc."""

    wall_id: int
    a_world: np.ndarray  # (3,)
    b_world: np.ndarray  # (3,)
    height_m: float
    thickness_m: float
    outline_world: np.ndarray | None = None  # (N, 3) corners of a wall that is no upright rectangle
    arc_centre_world: np.ndarray | None = None  # (3,) of a curved wall: it runs from a to b on a circle, counter-clockwise from above


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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledSurface:
    """Points on surfaces, such as the vertices of a mesh, and the object that each belongs to."""

    points_world: np.ndarray  # (N, 3)
    object_ids: np.ndarray  # (N,) int32, -1 = no object


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PointTracks:
    """Points followed through time: where each is in the camera of every frame, and whether it is seen there."""

    frame_ids: tuple[str, ...]  # T of them
    points_camera: np.ndarray  # (T, N, 3) float32 metres, OpenCV camera of that frame; NaN where not known
    visible: np.ndarray  # (T, N) bool
    object_ids: np.ndarray | None = None  # (N,) int32, -1 = no object


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
    surface: LabelledSurface | None = None  # where a mesh says which object each of its vertices belongs to
    tracks: PointTracks | None = None
    has_poses: bool = True  # False: every camera stands level at the origin, because nobody knows where it was
    notes: Mapping[str, Any] = field(default_factory=dict)  # what the reader recorded: up axis found, sensor model, seed


class CaptureReader(Protocol):
    """Reads one layout. Built with the folder or file it reads, `Reader(root, options)`; options are the reader's own."""

    name: ClassVar[str]

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None: ...

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether `root` looks like this layout; cheap, no image decoded."""
        ...

    def scan_ids(self, split: str) -> Sequence[str]:
        """Scan ids of a split; `all` is always known."""
        ...

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """Every file the scan is read from. An import is done again when one of them changed; none of them is opened here."""
        ...

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One scan. Raises CaptureError: missing file, wrong size, mostly bad poses.

        `workspace` is an existing empty folder for images that have to be taken out of a container, decoded, turned or
        undistorted. Its files belong to the capture: they are moved into the scene, or vanish with an import that fails.
        """
        ...


READERS: Catalog[type[CaptureReader]] = Catalog(
    "capture reader",
    {
        "rooms": "sightline.captures.rooms:RoomsReader",
        "folder": "sightline.captures.folder:FolderReader",
        "arkitscenes": "sightline.captures.arkitscenes.reader:ArkitScenesReader",
        "strayscanner": "sightline.captures.strayscanner.reader:StrayScannerReader",
        "record3d": "sightline.captures.record3d.reader:Record3DReader",
        "polycam": "sightline.captures.polycam.reader:PolycamReader",
        "scannet": "sightline.captures.scannet.reader:ScanNetReader",
        "colmap": "sightline.captures.colmap.reader:ColmapReader",
        "nerfstudio": "sightline.captures.nerfstudio:NerfstudioReader",
        "scannetpp": "sightline.captures.scannetpp.reader:ScanNetPPReader",
        "tum": "sightline.captures.tum:TumReader",
        "sevenscenes": "sightline.captures.sevenscenes:SevenScenesReader",
        "redwood": "sightline.captures.redwood:RedwoodReader",
        "tapvid3d": "sightline.captures.tapvid3d:TapVid3dReader",
        "roomplan": "sightline.captures.roomplan.reader:RoomPlanReader",
        "embodiedscan": "sightline.captures.embodiedscan.reader:EmbodiedScanReader",
        "threerscan": "sightline.captures.threerscan.reader:ThreeRScanReader",
        "matterport3d": "sightline.captures.matterport3d.reader:Matterport3DReader",
    },
)
