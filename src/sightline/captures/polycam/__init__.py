"""Polycam raw exports."""
