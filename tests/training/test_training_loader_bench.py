"""The bench of loading runs at its smallest size and says what it measured."""

from pathlib import Path

import cv2
import pytest
import torch

BENCH = Path(__file__).parents[2] / "bench"


def test_the_quick_bench_of_loading_prints_every_part(monkeypatch, capsys):
    pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    threads, of_opencv = torch.get_num_threads(), cv2.getNumThreads()
    monkeypatch.syspath_prepend(str(BENCH))
    from loader import main

    try:
        main(["--quick"])
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(of_opencv)
    said = capsys.readouterr().out
    parts = ("Pillow and transformers, 64x48 / ours", "training step, K = 1 / training step, K = 8", "useful tokens", "lines: 1,000 rows")
    for part in (*parts, "random reads a CPU second", "32 sets of step 1,000,000, read"):
        assert part in said
