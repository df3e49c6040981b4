"""Record3D recordings."""
