"""Cleaned, verified scans on disk."""

from sightline.scenes.scene import Scene, Verification

__all__ = ["Scene", "Verification"]
