"""Stray Scanner recordings."""
