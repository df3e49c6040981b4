"""ARKitScenes, the `3dod` and the `raw` download."""
