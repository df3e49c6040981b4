"""ScanNet++, iPhone and DSLR."""
