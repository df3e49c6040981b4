"""Our own VGGT: images of a scene to tokens, cameras, depth and points, with the original's weight names."""

from sightline.models.geometry_encoders.vggt.options import VggtOptions
from sightline.models.geometry_encoders.vggt.vggt import Vggt, VggtOutput
from sightline.models.geometry_encoders.vggt.weights import load_vggt, load_weights

__all__ = ["Vggt", "VggtOptions", "VggtOutput", "load_vggt", "load_weights"]
