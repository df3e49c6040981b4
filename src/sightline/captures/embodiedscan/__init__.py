"""EmbodiedScan infos over scans of four sources."""
