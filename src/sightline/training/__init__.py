"""Training of models on samples."""
