"""The keys of `capture.yaml`: what a folder of posed RGB-D images may say about itself, and every option of `sightline import`."""

import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from sightline.config import build, config, read_yaml
from sightline.errors import ConfigError

CAPTURE_FILE = "capture.yaml"
SIGNED_AXES = ("+x", "-x", "+y", "-y", "+z", "-z")
SAYS_ITSELF = ("folder", "rooms")  # readers whose conventions a `capture.yaml` states
FLAGS = ("depth_unit_m", "pose_direction", "camera_axes", "up_axis")  # options of the command line; the others are given as key=value
O = TypeVar("O")
_SIZE = re.compile(r"\s*(\d+)\s*[xX,]\s*(\d+)\s*$")


def _size(value: Any) -> Any:
    """`640x480` as well as `[640, 480]`."""
    match = _SIZE.match(value) if isinstance(value, str) else None
    return (int(match[1]), int(match[2])) if match else value


def _axis(value: Any) -> Any:
    """`z` as well as `+z`, `+Z`."""
    text = value.strip().lower() if isinstance(value, str) else value
    return f"+{text}" if text in ("x", "y", "z") else text


ImageSize = Annotated[tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]], BeforeValidator(_size)]
UpAxis = Annotated[Literal["auto", "+x", "-x", "+y", "-y", "+z", "-z"], BeforeValidator(_axis)]


@config
class ScanOptions:
    """What every import may say about its scans, whatever the layout. Readers add options of their own by inheriting from it."""

    place_id: str | None = None
    """Id of the room or visit, where the layout's own is not wanted. Scans of one place always fall into one split."""
    licence: str | None = None
    """Licence of the images, where it is not the usual one of the layout; carried into every sample made from them."""
    frame_step: Annotated[int, Field(ge=1)] = 1
    """Take every n-th frame of a dense recording."""
    max_frames: Annotated[int, Field(ge=2)] | None = None
    """Take at most this many frames, evenly spread over the recording, after `frame_step`."""

    def chosen(self, count: int) -> list[int]:
        """The places of the frames to take among `count`."""
        places = list(range(0, count, self.frame_step))
        if self.max_frames is None or len(places) <= self.max_frames:
            return places
        last = len(places) - 1
        return [places[round(step * last / (self.max_frames - 1))] for step in range(self.max_frames)]


def scan_options(kind: type[O], given: Mapping[str, Any]) -> O:
    """Options of a reader from those of the command (None means not given). Raises ConfigError naming the nearest key."""
    return build(kind, {key.replace("-", "_"): value for key, value in given.items() if value is not None}, where="import options")


@config
class FolderOptions:
    """Every key of `capture.yaml`, and every option a folder import takes; an option wins over the file.

    Paths are relative to the folder that holds `capture.yaml` and may not lead out of it. A path left out is looked for
    under its usual names. `color`, `depth`, `instances` name a folder, or a pattern such as `frames/*.color.jpg`.
    """

    layout: str | None = None
    """Name of the program that wrote the folder, by which a reader of its own knows it. This reader does not look at it."""
    scan_id: str | None = None
    """Id of the scan; the folder's name when left out."""
    place_id: str | None = None
    """Id of the room or visit. Scans of one place always fall into one split. The scan id when left out."""
    licence: str = "unknown"
    """Licence of the images, carried into every sample made from them."""
    color: str | None = None
    """Colour images (8-bit JPEG, PNG or WebP). Usual: `color/ colour/ rgb/ images/ image/`."""
    depth: str | None = None
    """Depth images: 16-bit single-channel PNG, z along the optical axis (not the length of the ray), 0 = no reading.
    Usual: `depth/ depths/`."""
    instances: str | None = None
    """Instance images: 16-bit PNG at depth size, object_id + 1, 0 = none. Usual: `instances/ instance/`. Only read beside `objects`."""
    poses: str | None = None
    """Camera poses. Usual: `poses.txt` (one row-major 4x4 or 3x4 per line, in the order of the sorted colour images),
    `pose/ poses/` (one such text file per colour image, same name), `groundtruth.txt` (`time_s x y z qx qy qz qw` per line)."""
    intrinsics: str | tuple[float, float, float, float] | None = None
    """Camera matrix of the colour images: a text file with a 3x3, a 4x4 or `fx fy cx cy`, or those four numbers themselves, in pixels.
    Usual: `K.txt intrinsics.txt intrinsic.txt intrinsic/intrinsic_color.txt`."""
    depth_intrinsics: str | tuple[float, float, float, float] | None = None
    """Camera matrix of the depth images, where it is not the colour camera scaled to the depth size.
    Usual: `K_depth.txt depth_intrinsics.txt depth_intrinsic.txt intrinsic/intrinsic_depth.txt`."""
    image_size: ImageSize | None = None
    """Width and height in pixels that `intrinsics` belongs to, where the colour images have another; it is then scaled per axis."""
    depth_unit_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.001
    """Metres per stored depth unit: 0.001 for millimetres, 0.0002 for 1/5000 m, 0.00025 for quarter millimetres."""
    pose_unit_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Metres per unit of the pose translations: 0.001 where they are millimetres."""
    pose_direction: Literal["world_from_camera", "camera_from_world"] = "world_from_camera"
    """What a pose matrix does: takes camera points to the world (its last column is the camera's place), or world points to the camera."""
    camera_axes: Literal["opencv", "opengl"] = "opencv"
    """Axes of the stored camera: OpenCV +x right, +y down, +z forward; OpenGL (also ARKit, Blender) +x right, +y up, -z forward."""
    up_axis: UpAxis = "auto"
    """The stored world's axis that points up; `auto` measures it from the way the cameras are held and the largest level surfaces."""
    objects: str | None = None
    """JSON list of known objects with boxes, in the stored world (format: docs of `sightline.captures.records`). Usual: `objects.json`."""
    structure: str | None = None
    """JSON of known rooms, walls and openings, in the stored world, which must then be +z up. Usual: `structure.json`."""
    frame_rate_hz: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Images per second, for `time_s` where no timestamps are known. Left at 1, time counts frames."""
    frame_step: Annotated[int, Field(ge=1)] = 1
    """Take every n-th colour image of a dense recording."""
    max_time_gap_s: Annotated[float, Field(gt=0)] = 0.02
    """How far apart in time a colour image, its depth image and its pose may be, where they are matched by timestamps."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Anything worth keeping with the scan: device, sensor model, seed. Copied to the scene's notes."""


OPTION_NAMES = tuple(FolderOptions.__dataclass_fields__)


def read_options(folder: Path, overrides: Mapping[str, Any]) -> FolderOptions:
    """`capture.yaml` of `folder` where there is one, with `overrides` on top (None means not given). Raises ConfigError."""
    described = folder / CAPTURE_FILE
    given = {key.replace("-", "_"): value for key, value in overrides.items() if value is not None}
    build(FolderOptions, given, where="import options")
    values = read_yaml(described) if described.is_file() else {}
    where = str(described) if described.is_file() else "import options"
    return build(FolderOptions, {**values, **given}, where=where)


def fix(**options: Any) -> str:
    """The end of an error message: the command-line option that mends it, and the same as a key of `capture.yaml`."""
    flags = " ".join(_argument(key, _plain(value)) for key, value in options.items())
    keys = ", ".join(f"{key}: {_plain(value)}" for key, value in options.items())
    return f"Fix: {flags} (or `{keys}` in {CAPTURE_FILE})"


def mend(source: str, **options: Any) -> str:
    """As `fix`, for a scan read by the reader `source`: a layout that states its conventions does not take them as options."""
    if source in SAYS_ITSELF or ":" in source:
        return fix(**options)
    flags = " ".join(_argument(key, _plain(value)) for key, value in options.items())
    return (
        f"The layout '{source}' says otherwise, so these files are not as it says. Fix: export them again, or describe them in a "
        f"{CAPTURE_FILE} and import with --format folder {flags}"
    )


def _argument(key: str, value: str) -> str:
    """How `sightline import SOURCE STORE ...` takes an option."""
    return f"--{key.replace('_', '-')} {value}" if key in FLAGS else f"{key}={value}"


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(str(inner) for inner in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def check_scan_id(scan_id: str, *, where: str) -> str:
    """A scan id names a folder of the store: refuse anything else. Raises ConfigError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", scan_id):
        raise ConfigError(f"{where}: scan_id: expected letters, digits, '.', '_' or '-' (at most 128), found {scan_id!r}")
    return scan_id
