"""What either sensor of a ScanNet++ scene gives to its reader, and the options of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from sightline.captures.assemble import StoredConvention, StoredFrame
from sightline.captures.capture import SkippedFrame
from sightline.captures.options import ScanOptions
from sightline.config import config


@config
class ScanNetPPOptions(ScanOptions):
    """Options of a ScanNet++ import."""

    sensor: Literal["iphone", "dslr"] | None = None
    """Which pictures to take; the phone's where the scene has them."""
    undistort: bool = False
    """DSLR: resample the fisheye pictures into pinhole ones where the undistorted ones are not there."""
    pictures: Literal["auto", "undistorted", "fisheye", "colmap"] = "auto"
    """DSLR: undistorted pictures (`transforms_undistorted.json`), fisheye ones (`transforms.json`), or fisheye ones by the COLMAP model."""
    depth: Literal["auto", "mesh", "none"] = "auto"
    """DSLR: depth rendered from the laser-scanned mesh, or none. `auto` renders where the package embreex is installed."""
    depth_long_side_px: Annotated[int, Field(ge=16, le=4096)] = 640
    """DSLR: longer side of the rendered depth maps."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SensorFrames:
    """Frames of one sensor in its stored convention; what was left out; what is worth noting."""

    stored: Sequence[StoredFrame]
    skipped: Sequence[SkippedFrame]
    convention: StoredConvention
    where: str
    notes: dict[str, Any]
