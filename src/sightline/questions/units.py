"""Units of answers that are lengths: factor from metres, and how many digits after the point are said."""

PER_M = {"m": 1.0, "cm": 100.0, "mm": 1000.0}
DECIMALS = {"m": 1, "cm": 0, "mm": 0}
VECTOR_DECIMALS = {"m": 2, "cm": 0, "mm": 0}  # components are often a fraction of the whole, so they are said to the centimetre
