"""The verb that describes models before any weight is read: models."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.errors import ConfigError

if TYPE_CHECKING:
    from sightline.models.sizes import Described
    from sightline.models.workload import Workload

BILLION, TERA, GIBI = 1e9, 1e12, 2.0**30


def models(
    preset: Annotated[str | None, typer.Argument(help="One preset in detail. Default: all of them.")] = None,
    views: Annotated[int, typer.Option(help="Images of a sample.")] = 8,
    width: Annotated[int, typer.Option(help="Their width in pixels.")] = 640,
    height: Annotated[int, typer.Option(help="Their height in pixels.")] = 480,
    text_tokens: Annotated[int, typer.Option(help="Tokens of prompt, image markers, question and answer.")] = 150,
    answer_tokens: Annotated[int, typer.Option(help="Those of them that are learned.")] = 20,
    samples: Annotated[int, typer.Option(help="Samples of a batch.")] = 1,
    dtype: Annotated[str, typer.Option(help="Number format: bf16, fp16 or fp32.")] = "bf16",
    train: Annotated[str, typer.Option(help="What learns: preset, full, frozen-vision or lora.")] = "preset",
    lora_rank: Annotated[int, typer.Option(help="Rank of the adapters of --train lora.")] = 16,
    checkpointing: Annotated[bool, typer.Option("--checkpointing", help="Layers keep their input alone for the backward.")] = False,
    size: Annotated[str | None, typer.Option(help="Another published size, such as 2b.")] = None,
    version: Annotated[str | None, typer.Option(help="Of spatial-mllm: v1.1 or v1.0.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Another backbone: qwen3_vl, qwen2_5_vl, internvl or qwen3.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Another geometry encoder, or none.")] = None,
    fusion: Annotated[str | None, typer.Option(help="Another fusion.")] = None,
    deepstack: Annotated[bool | None, typer.Option(help="Fuse into the DeepStack levels too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: parameters, operations and bytes.")] = False,
) -> None:
    """List model presets with their parameters, and tokens, memory and operations for a given input. Reads no weights."""
    from sightline.models.choices import choose
    from sightline.models.preset_notes import NOTES
    from sightline.models.sizes import describe
    from sightline.models.workload import Workload

    changes = {"size": size, "version": version, "backbone": backbone, "encoder": encoder, "fusion": fusion, "fuse_deepstack": deepstack}
    wanted = {name: value for name, value in changes.items() if value is not None}
    if preset is None and wanted:
        raise ConfigError(
            f"--{next(iter(wanted)).replace('fuse_', '')}: expected a preset to change, found none. Known: {', '.join(NOTES)}"
        )
    if lora_rank < 1:
        raise ConfigError(f"--lora-rank: expected at least 1, found {lora_rank}")
    workload = Workload(
        views=views,
        width_px=width,
        height_px=height,
        text_tokens=text_tokens,
        answer_tokens=min(answer_tokens, text_tokens),
        samples=samples,
    )
    how = {"train": train, "dtype": dtype, "lora_rank": lora_rank, "is_checkpointed": checkpointing}
    described = {name: describe(choose(name, **wanted), workload, **how) for name in ([preset] if preset else NOTES)}
    if as_json:
        typer.echo(json.dumps({name: _as_json(name, one, size) for name, one in described.items()}, indent=2))
    elif preset is None:
        _echo_all(described, workload, train=train, dtype=dtype)
    else:
        _echo_one(preset, described[preset], workload, train=train, dtype=dtype, size=None if backbone else size)


def _as_json(name: str, one: "Described", size: str | None) -> dict[str, Any]:
    from sightline.models.flops import total
    from sightline.models.preset_notes import NOTES

    work, note = total(one.work), NOTES[name]
    chosen = size if size in note.sizes else note.sizes[0]
    parts = {
        part: {
            "parameters": sizes.total,
            "trainable": sizes.trainable,
            "forward_flops": one.work[part].forward_flops,
            "step_flops": one.work[part].step_flops,
        }
        for part, sizes in one.parameters.items()
    }
    return {
        "what": note.what,
        "weights": [{"hub_id": weights.hub_id, "licence": weights.licence} for weights in note.weights(chosen)],
        "parameters": sum(sizes.total for sizes in one.parameters.values()),
        "trainable": sum(sizes.trainable for sizes in one.parameters.values()),
        "parts": parts,
        "visual_tokens": one.counts.visual,
        "prefix_tokens": one.counts.prefix,
        "sequence_tokens": one.counts.sequence,
        "forward_flops": work.forward_flops,
        "step_flops": work.step_flops,
        "memory_bytes": {
            "weights": one.memory.weights,
            "gradients": one.memory.gradients,
            "optimiser": one.memory.optimiser,
            "activations": one.memory.activations,
            "training": one.memory.training,
        },
    }


def _echo_all(described: dict[str, "Described"], workload: "Workload", *, train: str, dtype: str) -> None:
    from sightline.models.flops import total

    columns = ["preset", "B params", "trained", "vision", "geometry", "fusion", "language", "visual", "prefix", "tokens"]
    columns += ["forward TF", "step TF", "weights GiB", "step GiB"]
    rows = []
    for name, one in described.items():
        sizes, work = one.parameters, total(one.work)
        total_b, trained_b = (sum(getattr(part, field) for part in sizes.values()) / BILLION for field in ("total", "trainable"))
        parts = [f"{part.total / BILLION:.3f}" for part in sizes.values()]
        tokens = [str(one.counts.visual), str(one.counts.prefix), str(one.counts.sequence)]
        flops = [f"{work.forward_flops / TERA:.1f}", f"{work.step_flops / TERA:.1f}"]
        memory = [f"{one.memory.weights / GIBI:.1f}", f"{one.memory.training / GIBI:.1f}"]
        rows.append([name, f"{total_b:.2f}", f"{trained_b:.2f}", *parts, *tokens, *flops, *memory])
    _echo_table(columns, rows)
    typer.echo(_given(workload, train=train, dtype=dtype))


def _echo_one(preset: str, one: "Described", workload: "Workload", *, train: str, dtype: str, size: str | None) -> None:
    from sightline.models.flops import total
    from sightline.models.preset_notes import NOTES
    from sightline.models.sizes import TRAINED

    note = NOTES[preset]
    typer.echo(f"{preset}: {note.what}")
    typer.echo(f"after {note.source}; differs: {note.differs}")
    for weights in note.weights(size or note.sizes[0]):
        typer.echo(f"weights: {weights.hub_id}@REVISION ({weights.licence})")
    rows = []
    for part, sizes in one.parameters.items():
        if sizes.total:
            work = one.work[part]
            rows.append([part, *_millions(sizes.total, sizes.trainable), *_tera(work.forward_flops, work.step_flops)])
    work = total(one.work)
    totals = [sum(getattr(sizes, field) for sizes in one.parameters.values()) for field in ("total", "trainable")]
    rows.append(["all", *_millions(*totals), *_tera(work.forward_flops, work.step_flops)])
    _echo_table(["part", "M params", "M trained", "forward TF", "step TF"], rows)
    counts, memory = one.counts, one.memory
    typer.echo(f"tokens: {counts.visual} visual + {counts.prefix} prefix + {workload.text_tokens} text = {counts.sequence} of a sample")
    kinds = ("weights", "gradients", "optimiser", "activations", "training")
    typer.echo("memory GiB: " + ", ".join(f"{kind} {getattr(memory, kind) / GIBI:.2f}" for kind in kinds) + " in all")
    typer.echo(f"trained: {TRAINED[train]}")
    typer.echo(_given(workload, train=train, dtype=dtype))


def _given(workload: "Workload", *, train: str, dtype: str) -> str:
    return (
        f"for {workload.samples} x {workload.views} views of {workload.width_px}x{workload.height_px}, {workload.text_tokens} text tokens "
        f"({workload.answer_tokens} learned), {dtype}, --train {train}; TF = 10^12 useful operations"
    )


def _millions(*numbers: float) -> list[str]:
    return [f"{number / 1e6:,.2f}" for number in numbers]


def _tera(*numbers: float) -> list[str]:
    return [f"{number / TERA:.3f}" for number in numbers]


def _echo_table(columns: list[str], rows: list[list[str]]) -> None:
    """A rich table on a terminal, aligned plain lines elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*columns)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in rows:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(len(row[index]) for row in [columns, *rows]) for index in range(len(columns))]
    for row in [columns, *rows]:
        first, *others = (cell.ljust(width) if index == 0 else cell.rjust(width) for index, (cell, width) in enumerate(zip(row, widths)))
        typer.echo("  ".join([first, *others]).rstrip())
