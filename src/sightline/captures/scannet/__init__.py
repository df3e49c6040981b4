"""ScanNet v2 recordings and exported frames."""
