"""Matterport3D houses."""
