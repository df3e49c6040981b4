"""Ways to give 3-D coordinates to visual tokens."""
