"""Question-answer rows with their provenance."""

from sightline.samples.export import EXPORTS, ExportFormat
from sightline.samples.sample import SCHEMA_VERSION, Sample

__all__ = ["EXPORTS", "SCHEMA_VERSION", "ExportFormat", "Sample"]
