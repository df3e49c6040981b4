"""The options of an import from the ScanNet layout."""

from typing import Literal

from sightline.captures.options import ImageSize, ScanOptions
from sightline.config import config


@config
class ScanNetOptions(ScanOptions):
    """What an import of ScanNet scans may say."""

    frames: Literal["auto", "sens", "exported"] = "auto"
    """Which frames to read where both are there: the recording (`auto`, its images are the original ones) or those exported from it."""
    boxes: Literal["oriented", "axis"] = "oriented"
    """Boxes of objects: upright with the smallest footprint, or along the axes of the aligned world."""
    annotations: bool = True
    """Whether to read mesh, segments and objects where the scan has them."""
    instances: bool | None = None
    """Whether to make instance images from `_2d-instance-filt.zip` (or `_2d-instance.zip`); where the archive is there, by default."""
    label_map: str | None = None
    """Path of `scannetv2-labels.combined.tsv`, where it lies neither beside the scan nor at the data set's root."""
    colour_camera: Literal["stored", "from_depth"] = "stored"
    """`from_depth`: the depth camera scaled to the colour size, for scans whose stored colour camera is that of the depth images."""
    image_size: ImageSize | None = None
    """Size that the stored colour camera belongs to, where exported colour images were resized; the camera is then scaled per axis."""
