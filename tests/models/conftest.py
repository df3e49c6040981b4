"""Markers of transformers' common model tests, known only where those tests are run."""

import os

MARKERS = ("accelerate_tests", "flash_attn_test", "flash_attn_3_test", "flash_attn_4_test", "generate", "torch_compile_test")


def pytest_configure(config):
    if os.environ.get("SIGHTLINE_TRANSFORMERS_TESTS"):
        for marker in MARKERS:
            config.addinivalue_line("markers", f"{marker}: one of transformers' own")
