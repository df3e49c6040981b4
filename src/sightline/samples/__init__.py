"""Question-answer rows with their provenance."""

from sightline.samples.sample import SCHEMA_VERSION, Sample

__all__ = ["SCHEMA_VERSION", "Sample"]
