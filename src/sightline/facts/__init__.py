"""What is measured of a scene, once, with units."""

from sightline.facts.fact import KINDS, FactTable

__all__ = ["KINDS", "FactTable"]
