"""COLMAP models, text and binary."""
