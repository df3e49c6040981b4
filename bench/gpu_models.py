"""Measures models on one GPU: its own GEMM peak and bandwidth, VGGT, every preset's forward and training step, the cost of 3-D codes.

    python bench/gpu_models.py --out gpu.json                     # at most 8 minutes on one H200
    python bench/gpu_models.py --public-vggt CHECKOUT             # beside the public module, in the same run
    python bench/gpu_models.py --tiny                             # everything on small siblings, in seconds, on any machine

Weights are random, the network is not used. Utilisation is useful operations (docs/models.md) over time, as a share of the peak measured
in the same run. A case that does not fit in memory, or for which no time is left, is a row that says so.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from gpu_rows import DATASHEET_FLOPS_PER_S, GIBI, HEADER, Case, Machine, Row, machine_words, row_of, run_all, timed
from sightline.models import PRESETS, SpatialVLConfig, SpatialVLForConditionalGeneration
from sightline.models.flops import total
from sightline.models.fusions.none import NoFusion
from sightline.models.geometry_encoders.vggt import Vggt, VggtOptions
from sightline.models.geometry_encoders.vggt.blocks import Block
from sightline.models.preset_notes import NOTES
from sightline.models.presets_tiny import VGGT as TINY_VGGT
from sightline.models.presets_tiny import tiny_of
from sightline.models.sizes import Described, describe
from sightline.models.stages_geometry import vggt_stages
from sightline.models.synthetic import synthetic_batch
from sightline.models.tokenizer import train_tokenizer
from sightline.models.workload import TokenCounts, Workload

MOST_SAMPLES = 4  # of a batch, where memory allows
SHARE_OF_MEMORY = 0.8  # that the estimate of a step may take
LEARNING_RATE = 1e-5


def gemm_rows(machine: Machine) -> list[Row]:
    """The fastest of several products of square and of model-like shapes: what everything else is a share of."""
    shapes = [(256, 256, 256)] if machine.is_tiny else [(8192, 8192, 8192), (16384, 4096, 4096), (16384, 2560, 9728)]
    rows = []
    for rows_, inner, columns in shapes:
        a = torch.randn(rows_, inner, device=machine.device, dtype=machine.dtype)
        b = torch.randn(columns, inner, device=machine.device, dtype=machine.dtype)
        flops = 2.0 * rows_ * inner * columns
        seconds = timed(machine, lambda a=a, b=b: a @ b.T, most=50)
        measured = dataclasses.replace(machine, gemm_flops_per_s=flops / statistics.median(seconds))
        note = f"{flops / statistics.median(seconds) / 1e12:.1f} TFLOP/s"
        rows.append(row_of(measured, f"GEMM {rows_}x{inner}x{columns}", seconds, flops, samples=1, note=note))
    return rows


def bandwidth_rows(machine: Machine) -> list[Row]:
    """A copy: every byte is read once and written once."""
    count = 2**20 if machine.is_tiny else 2**30
    source = torch.zeros(count, device=machine.device, dtype=torch.uint8)
    target = torch.empty_like(source)
    seconds = timed(machine, lambda: target.copy_(source), most=50)
    bytes_per_s = 2 * count / statistics.median(seconds)
    return [
        Row(
            case="copy",
            seconds=statistics.median(seconds),
            fastest_s=min(seconds),
            rounds=len(seconds),
            note=f"{bytes_per_s / 1e9:.0f} GB/s",
        )
    ]


def vggt_rows(machine: Machine, *, public: Path | None, is_compiled: bool) -> list[Row]:
    """The aggregator on 8 views of 448 px, one scene and several, eager and compiled, and the public one on the same images."""
    options = VggtOptions(**TINY_VGGT) if machine.is_tiny else VggtOptions()
    views, side = (2, 56) if machine.is_tiny else (8, 448)
    with torch.device(machine.device):
        model = Vggt(options).to(machine.dtype).eval()
    make_noise(model, machine)
    ours = model.aggregator
    kinds: list[tuple[str, Callable[[], torch.nn.Module]]] = [("ours", lambda: ours)]
    if is_compiled:
        kinds.append(("ours, compiled", lambda: compiled(ours)))
    if public is not None:
        kinds.append(("public", lambda: public_aggregator(public, machine)))
    rows: list[Row] = []
    fastest: dict[int, float] = {}  # seconds of ours, by scenes
    for kind, make in kinds:
        aggregator = make()
        for scenes in (1, 2) if machine.is_tiny else (1, 4):
            images = torch.rand(scenes, views, 3, side, side, device=machine.device, generator=machine.generator()).to(machine.dtype)
            flops = vggt_flops(options, views=views, side_px=side, scenes=scenes)
            with torch.no_grad(), torch.autocast(machine.device.type, torch.bfloat16, enabled=kind == "public"):
                seconds = timed(machine, lambda aggregator=aggregator, images=images: aggregator(images))
            middle = statistics.median(seconds)
            note = ""
            if kind == "public":
                note = f"ours is {middle / fastest[scenes]:.2f} times as fast"
            else:
                fastest[scenes] = min(middle, fastest.get(scenes, middle))
            rows.append(row_of(machine, f"VGGT {scenes} x {views} x {side} px, {kind}", seconds, flops, samples=scenes, note=note))
    return rows


def compiled(aggregator: torch.nn.Module) -> torch.nn.Module:
    """Block by block, in place: blocks of one kind share their code, so that few graphs are compiled."""
    for module in aggregator.modules():
        if isinstance(module, Block):
            module.compile(dynamic=False)
    return aggregator


def make_noise(model: torch.nn.Module, machine: Machine) -> None:
    """Weights of ordinary size: a product with zeros draws less power and runs faster than a real one."""
    generator = machine.generator()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.02, generator=generator)


def vggt_flops(options: VggtOptions, *, views: int, side_px: int, scenes: int) -> float:
    none = {"images": 0, "rows": 1, "columns": 1, "merge": 1, "patch_values": 0, "visual": 0, "prefix": 0, "sequence": 0}
    side = side_px // options.patch_size
    counts = TokenCounts(**none, geometry_views=views, geometry_rows=side, geometry_columns=side)
    return sum(stage.forward_flops for stage in vggt_stages(options, counts, scenes, beginning=""))


def public_aggregator(checkout: Path, machine: Machine) -> torch.nn.Module:
    """The public module with random weights in single precision under autocast, as its own example runs it."""
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    from vggt.models.aggregator import Aggregator

    model = Aggregator().to(machine.device).eval()
    make_noise(model, machine)
    return model


def preset_rows(machine: Machine, preset: str, tokenizer: object, *, most: int = MOST_SAMPLES) -> list[Row]:
    """Forward and training step with AdamW, as many samples to a batch as the estimate of memory allows, `most` at the most."""
    config = tiny_of(preset, tokenizer) if machine.is_tiny else PRESETS[preset]()
    workload, described = fitted(machine, config, most=most)
    model = built(machine, config)
    batch = synthetic_batch(config, described.counts, workload, device=machine.device, dtype=machine.dtype)
    work = total(described.work)
    model.eval()
    with torch.no_grad():
        seconds = timed(machine, lambda: model.answer_loss(**batch))
    tokens = f"{described.counts.sequence} tokens a sample"
    rows = [row_of(machine, f"{preset} forward", seconds, work.forward_flops, samples=workload.samples, note=tokens)]
    model.train()
    step = training_step(model, batch)
    if machine.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = timed(machine, step)
    estimate = f"estimate without single-precision copy {estimated_bytes(described) / GIBI:.1f} GiB"
    return [*rows, row_of(machine, f"{preset} step", seconds, work.step_flops, samples=workload.samples, note=estimate)]


def estimated_bytes(described: Described) -> float:
    """What a step takes here, where AdamW keeps its two moments in the weights' own format."""
    return described.memory.weights + 3 * described.memory.gradients + described.memory.activations


def fitted(machine: Machine, config: SpatialVLConfig, *, most: int = MOST_SAMPLES) -> tuple[Workload, Described]:
    """The largest batch whose estimate fits."""
    one = Workload(views=2, width_px=84, height_px=56, text_tokens=30, answer_tokens=5) if machine.is_tiny else Workload()
    dtype = "fp32" if machine.dtype is torch.float32 else "bf16"
    for samples in range(1 if machine.is_tiny else most, 0, -1):
        workload = dataclasses.replace(one, samples=samples)
        described = describe(config, workload, dtype=dtype)
        if machine.device.type != "cuda" or estimated_bytes(described) < SHARE_OF_MEMORY * torch.cuda.mem_get_info()[0]:
            break
    return workload, described


def built(machine: Machine, config: SpatialVLConfig) -> SpatialVLForConditionalGeneration:
    """The model with random weights, made on the device in its number format."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(machine.dtype)
    try:
        torch.manual_seed(0)
        with torch.device(machine.device):
            model = SpatialVLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(usual)
    return model.to(machine.device)


def training_step(model: SpatialVLForConditionalGeneration, batch: dict[str, torch.Tensor]) -> Callable[[], None]:
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=LEARNING_RATE, fused=learned[0].is_cuda)

    def step() -> None:
        loss, count = model.answer_loss(**batch)
        (loss / count).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def coding_rows(machine: Machine, tokenizer: object) -> list[Row]:
    """Training steps of one model with its 3-D codes, from depth and pose on, and without, in turn."""
    config = tiny_of("qwen3vl-sin3d", tokenizer) if machine.is_tiny else PRESETS["qwen3vl-sin3d"]()
    workload, described = fitted(machine, config)
    model = built(machine, config).train()
    batch = synthetic_batch(config, described.counts, workload, device=machine.device, dtype=machine.dtype)
    step = training_step(model, batch)
    fusion, encoder = model.fusion, model.geometry_encoder
    without = NoFusion(config.sizes(geometry_channels=0, encoder_patch_px=None), {})
    on: list[float] = []
    off: list[float] = []
    for _ in range(3 if machine.is_tiny else 4):
        for seconds, parts in ((on, (fusion, encoder)), (off, (without, None))):
            model.fusion, model.geometry_encoder = parts
            seconds += timed(machine, step, most=5)[-5:]
    model.fusion, model.geometry_encoder = fusion, encoder
    more = statistics.median(on) / statistics.median(off) - 1.0
    work = total(described.work).step_flops
    return [
        row_of(machine, "step with 3-D codes", on, work, samples=workload.samples, note=f"{100 * more:+.2f} % of a step"),
        row_of(machine, "step without them", off, work, samples=workload.samples),
    ]


def preset_case(name: str, tokenizer: object) -> Case:
    """A preset with a batch that should fit, and with one sample where it does not."""
    return Case(
        name=name,
        run=lambda machine: preset_rows(machine, name, tokenizer),
        smaller=lambda machine: preset_rows(machine, name, tokenizer, most=1),
    )


def measure(arguments: Sequence[str], say: Callable[[str], None]) -> list[Row]:
    """Everything, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="small siblings on the CPU")
    parser.add_argument("--out", type=Path, help="file that gets the rows as JSON")
    parser.add_argument("--public-vggt", type=Path, help="checkout of the public VGGT, to be timed beside ours")
    parser.add_argument("--presets", default=",".join(NOTES), help="comma-separated; default: all")
    parser.add_argument("--no-compile", action="store_true", help="without the compiled VGGT, which takes a minute to compile")
    parser.add_argument("--budget-s", type=float, default=440.0, help="no case begins after so many seconds")
    parser.add_argument("--case-s", type=float, default=6.0, help="rounds of one case end after so many seconds")
    given = parser.parse_args(arguments)
    is_gpu = torch.cuda.is_available() and not given.tiny
    if not is_gpu and not given.tiny:
        parser.error("no GPU is there; --tiny runs small siblings on the CPU")
    machine = Machine(
        device=torch.device("cuda" if is_gpu else "cpu"),
        dtype=torch.bfloat16 if is_gpu else torch.float32,
        is_tiny=given.tiny,
        ends_at_s=time.monotonic() + given.budget_s,
        case_s=given.case_s,
    )
    say(f"{time.strftime('%Y-%m-%d')}  {machine_words(machine)}")
    say(HEADER)
    tokenizer = train_tokenizer(["How far is the red dot from the camera?", "0 1 2 3"], vocab_size=320) if given.tiny else None
    found = run_all(machine, [Case(name="GEMM", run=gemm_rows)], say)
    peak = max((row.useful_flops / row.seconds for row in found if row.status == "ok"), default=DATASHEET_FLOPS_PER_S)
    machine = dataclasses.replace(machine, gemm_flops_per_s=peak)
    is_compiled = not given.no_compile and not given.tiny
    cases = [
        Case(name="copy", run=bandwidth_rows),
        Case(name="VGGT", run=lambda machine: vggt_rows(machine, public=given.public_vggt, is_compiled=is_compiled)),
        Case(name="3-D codes", run=lambda machine: coding_rows(machine, tokenizer)),
        *(preset_case(name, tokenizer) for name in given.presets.split(",")),
    ]
    found += run_all(machine, cases, say)
    if given.out is not None:
        told = {"date": time.strftime("%Y-%m-%d"), "machine": machine_words(machine), "rows": [dataclasses.asdict(row) for row in found]}
        given.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return found


def main() -> None:
    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    measure(sys.argv[1:], say)


if __name__ == "__main__":
    main()
