"""Units of answers that are lengths: factor from metres, and how many digits after the point are said."""

PER_M = {"m": 1.0, "cm": 100.0, "mm": 1000.0}
DECIMALS = {"m": 1, "cm": 0, "mm": 0}
