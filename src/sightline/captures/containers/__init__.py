"""Files of others, opened without trusting them: archives, videos, meshes, arrays, pickled values."""
