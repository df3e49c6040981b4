"""The bench of geometry runs at its smallest size and says what it measured."""

from pathlib import Path

import torch

BENCH = Path(__file__).parents[2] / "bench"


def test_the_quick_bench_of_geometry_prints_every_part(monkeypatch, capsys):
    threads = torch.get_num_threads()
    monkeypatch.syspath_prepend(str(BENCH))
    from model_geometry import main

    try:
        main(["--quick"])
    finally:
        torch.set_num_threads(threads)
    said = capsys.readouterr().out
    parts = ("largest difference between the two ways", "resident memory grows", "computed anew / hit, kept as int8", "from disk (wall)")
    for part in parts:
        assert part in said
