"""Sightline: posed RGB-D scans in, spatial question-answer data, geometry-aware models and honest scores out."""

__version__ = "0.1.0"
