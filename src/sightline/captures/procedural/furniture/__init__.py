"""Furniture and small things of procedural rooms: each a design of several solids, drawn with a random generator."""
