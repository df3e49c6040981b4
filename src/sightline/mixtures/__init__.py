"""The right rows in the right order: sources by name, their layouts, the shuffle of a mixture."""

from sightline.mixtures.source import SOURCES, BadRow, Origin, RawRow, SourceLayout

__all__ = ["SOURCES", "BadRow", "Origin", "RawRow", "SourceLayout"]
