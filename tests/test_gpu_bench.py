"""The GPU bench runs whole on small siblings without a GPU, and says what did not fit or had no time."""

import importlib.util
import json
import math
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

BENCH = Path(__file__).parent.parent / "bench" / "gpu_models.py"
PUBLIC = """
from sightline.models.geometry_encoders.vggt import Vggt, VggtOptions
from sightline.models.presets_tiny import VGGT


class Aggregator:
    def __new__(cls):
        return Vggt(VggtOptions(**VGGT)).aggregator
"""


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("gpu_models", BENCH)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(BENCH.parent))  # as when it is run
    spec.loader.exec_module(module)
    sys.path.remove(str(BENCH.parent))
    return module


def machine(bench, *, ends_at_s=math.inf):
    return bench.Machine(
        device=torch.device("cpu"), dtype=torch.float32, is_tiny=True, ends_at_s=ends_at_s, case_s=0.0, gemm_flops_per_s=1e12
    )


def test_everything_is_measured_on_small_siblings(bench, tmp_path, monkeypatch):
    package = tmp_path / "public" / "vggt" / "models"
    package.mkdir(parents=True)
    (package / "aggregator.py").write_text(PUBLIC, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    lines = []
    out = tmp_path / "gpu.json"
    rows = bench.measure(["--tiny", "--out", str(out), "--public-vggt", str(tmp_path / "public")], lines.append)
    for name in [name for name in sys.modules if name == "vggt" or name.startswith("vggt.")]:
        del sys.modules[name]
    assert all(row.status == "ok" and row.seconds > 0 for row in rows)
    wanted = {f"{preset} {kind}" for preset in bench.NOTES for kind in ("forward", "step")}
    assert wanted | {"copy", "step with 3-D codes", "step without them"} <= {row.case for row in rows}
    assert all(0 < row.of_peak for row in rows if row.useful_flops)
    public = [row for row in rows if row.case.endswith("public")]
    assert len(public) == 2 and all("times as fast" in row.note for row in public)
    assert json.loads(out.read_text())["rows"] == [bench.dataclasses.asdict(row) for row in rows]
    assert lines[1] == bench.HEADER and len(lines) == 2 + len(rows)


def test_a_step_is_more_work_than_a_forward_and_frozen_parts_less(bench):
    from sightline.models.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(["a 1"], vocab_size=300)
    forward, step = bench.preset_rows(machine(bench), "qwen3vl-base", tokenizer)
    assert 2.8 < step.useful_flops / forward.useful_flops < 3.0  # pixels need no gradient
    forward, step = bench.preset_rows(machine(bench), "spatial-mllm", tokenizer)
    assert 1.0 < step.useful_flops / forward.useful_flops < 3.0


def test_what_does_not_fit_is_tried_smaller_and_told(bench):
    def large(machine):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nmore")

    def small(machine):
        return [bench.Row(case="small", seconds=1.0, fastest_s=1.0)]

    lines = []
    rows = bench.run_all(
        machine(bench), [bench.Case(name="large", run=large, smaller=small), bench.Case(name="huge", run=large)], lines.append
    )
    assert [(row.case, row.status) for row in rows] == [("large", "out of memory"), ("small", "ok"), ("huge", "out of memory")]
    assert "Tried to allocate 20.00 GiB." in lines[0] and "more" not in lines[0]


def test_other_mistakes_are_not_hidden(bench):
    def broken(machine):
        raise ValueError("wrong shape")

    with pytest.raises(ValueError, match="wrong shape"):
        bench.run_all(machine(bench), [bench.Case(name="broken", run=broken)], lambda text: None)


def test_no_case_begins_after_the_time_is_over(bench):
    lines = []
    rows = bench.run_all(machine(bench, ends_at_s=0.0), [bench.Case(name="late", run=lambda machine: [])], lines.append)
    assert [(row.case, row.status) for row in rows] == [("late", "no time left")] and lines[0].split() == ["late", "no", "time", "left"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_without_a_gpu_the_way_to_run_is_told(bench, capsys):
    with pytest.raises(SystemExit):
        bench.measure([], lambda text: None)
    assert "--tiny runs small siblings" in capsys.readouterr().err
