"""Posed RGB-D scans in: the contract and its readers."""

from sightline.captures.capture import READERS, Capture, CaptureReader, Frame

__all__ = ["READERS", "Capture", "CaptureReader", "Frame"]
