"""The verb that says what a run would see, before it sees it: mix."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.errors import ConfigError, MissingExtraError, ModelError
from sightline.verbs.common import Overrides

if TYPE_CHECKING:
    from sightline.mixtures.costs import Costs
    from sightline.mixtures.leaks import LeakReport
    from sightline.mixtures.near_questions import Alike
    from sightline.mixtures.plan import Plan, PlannedSource

Line = tuple[int, str]  # depth in the tree, and what is said
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
SHOWN_LETTERS = 160  # of a question or answer


def mix(
    recipe: Annotated[str, typer.Argument(help="Recipe with a block mixture: mixtures/rooms, ..., or a YAML file.")],
    overrides: Overrides = None,
    root: Annotated[Path, typer.Option(help="Folder that data, media and scenes of the recipe are relative to.")] = Path(),
    tokenizer: Annotated[Path | None, typer.Option(help="Folder of a tokenizer; without it four characters count as a token.")] = None,
    image: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Size of the images that the model sees, in pixels.")] = "640x480",
    window: Annotated[int, typer.Option(help="Pixels of a visual token: patch times merge, 28 or 32.")] = 28,
    frames_per_step: Annotated[int, typer.Option(help="Frames of a video that share their tokens: 2 where the model pairs them.")] = 1,
    hashes: Annotated[Path | None, typer.Option(help="Compare pictures by content too; their digests are kept in this file.")] = None,
    near: Annotated[bool, typer.Option("--near/--no-near", help="Look for questions in nearly the same words.")] = True,
    show: Annotated[int, typer.Option(min=0, help="Print the first N sets of pictures with their questions.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    dump: Annotated[Path | None, typer.Option(help="Write the ids of rows that some steps show, one JSON line a set.")] = None,
    first_step: Annotated[int, typer.Option(min=0, help="First step of --dump.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Steps of --dump.")] = 1,
    rank: Annotated[int, typer.Option(min=0, help="Process of --dump.")] = 0,
    world: Annotated[int, typer.Option(min=1, help="Processes of the run: what each packs, and what --dump divides.")] = 1,
) -> None:
    """Lay out a mixture as a tree: rows, passes, tokens, steps, what it shares with benchmarks. Exit code 2 where it may not be run."""
    from sightline.mixtures.costs import ImageCost, costs_of
    from sightline.mixtures.leaks import leaks_of, refuse_leaks
    from sightline.mixtures.picture_hashes import PictureHashes
    from sightline.mixtures.plan import planned
    from sightline.mixtures.recipes import read_mixture

    if rank >= world:
        raise ConfigError(f"--rank: expected 0 to {world - 1} of --world {world}, found {rank}")
    width, height = _size(image)
    cost = ImageCost(width_px=width, height_px=height, window_px=window, frames_per_step=frames_per_step)
    chosen = read_mixture(recipe, overrides or [])
    plan = planned(chosen, root=root)
    costs = costs_of(plan, image=cost, count_tokens=None if tokenizer is None else _counter(tokenizer), world=world)
    report = leaks_of(plan, root=root, hashes=None if hashes is None else PictureHashes(hashes), near=near)
    how = "four characters a token" if tokenizer is None else f"tokens of {tokenizer}"
    measured = f"{how}, images of {width}x{height} with {cost.tokens} tokens"
    if as_json:
        typer.echo(json.dumps(_as_json(plan, costs, report, measured=measured), indent=1, ensure_ascii=False))
    else:
        _echo_tree([(0, f"mixture {recipe}"), *_plan_lines(plan, costs, measured), *_leak_lines(report)])
        for line in _first_rows(plan, show) if show else ():
            typer.echo(line)
    for line in refuse_leaks(report, allow=chosen.allow_leaks):
        typer.echo(line, err=True)
    if dump is not None:
        count = _dump(plan, dump, first=first_step, steps=steps, rank=rank, world=world)
        typer.echo(f"{count} sets of pictures of steps {first_step} to {first_step + steps - 1} in {dump}", err=as_json)


def _plan_lines(plan: "Plan", costs: "Costs", measured: str) -> Iterator[Line]:
    from sightline.mixtures.plan import of_tasks

    recipe = plan.recipe
    yield 1, f"sources: {len(plan.sources)}"
    for source in plan.sources:
        yield from _source_lines(plan, source, costs)
    tasks = of_tasks(plan)
    yield 1, f"tasks: {len(tasks)}"
    for task, rows in sorted(tasks.items(), key=lambda item: (-item[1], item[0])):
        yield 2, f"{task or '(none named)'}: {rows:,} rows"
    if len(plan.phases) > 1:
        yield 1, f"phases: {len(plan.phases)}"
        for phase in plan.phases:
            shown = [f"{one.recipe.label} {count:,}" for one, count in zip(plan.sources, phase.interleave.counts) if count]
            yield 2, f"from step {phase.start // recipe.sets_per_step:,}: {', '.join(shown)} sets"
    yield 1, f"the run ({measured})"
    yield 2, f"{plan.steps:,} steps of {recipe.sets_per_step} sets: {plan.positions:,} sets of pictures, {_big(costs.images)} images"
    yield 2, f"{_big(costs.tokens)} tokens: {_big(costs.visual_tokens)} of images, {_big(costs.text_tokens)} of words and markers"
    yield (
        2,
        f"packing: {costs.useful_share:.2%} useful tokens in {costs.rows_per_step:.1f} rows a step, budget {recipe.token_budget:,}, "
        f"measured on {costs.packed_steps} steps",
    )
    if costs.too_long:
        yield 2, f"{costs.too_long} sampled sets are longer than the token budget, the first of them {costs.longest}: a run refuses them"


def _source_lines(plan: "Plan", source: "PlannedSource", costs: "Costs") -> Iterator[Line]:
    recipe, units = source.recipe, source.units
    yield 2, f"{recipe.label}: {len(units.rows):,} of {len(source.table):,} rows, {recipe.folder}, split '{recipe.split}'"
    for reason, rows in units.left_out.items():
        yield 3, f"left out: {rows:,} {reason}"
    yield 3, f"{len(units):,} sets of pictures, {len(units.rows) / len(units):.2f} questions each, at most {plan.recipe.questions_per_set}"
    span = "" if recipe.first_step == 0 and recipe.last_step is None else f", steps {recipe.first_step} to {recipe.last_step or 'the last'}"
    share = source.draws / plan.positions
    yield 3, f"weight {recipe.weight:g}: drawn {source.draws:,} times ({share:.1%}), {source.passes:.2f} passes{span}"
    cost = costs.by_source.get(recipe.label)
    if cost is not None:
        yield (
            3,
            f"{cost.images_per_unit:.1f} images, {cost.tokens_per_unit:,.0f} tokens a set, {cost.visual_tokens_per_unit:,.0f} of images; "
            f"the longest {cost.longest_unit:,}, of {cost.sampled_units} sampled",
        )
        if cost.unknown_frames:
            yield 3, f"{cost.unknown_frames} of {cost.sampled_units} sampled sets do not say how many frames they show: counted as one"


def _leak_lines(report: "LeakReport") -> Iterator[Line]:
    evaluates = ", ".join(report.evaluates_on) or "nothing"
    yield 1, f"benchmarks: evaluates on {evaluates}"
    for line in report.leaks():
        yield 2, f"LEAK: {line}"
    for line in report.warnings():
        yield 2, f"warning: {line}"
    if not report.has_leaks and report.evaluates_on:
        yield 2, "no room, picture or question of theirs is in training"
    for whose, counts in (("training", report.picture_counts), ("benchmarks", report.benchmark_picture_counts)):
        if counts:
            yield 2, f"pictures of {whose} by content: {', '.join(f'{count:,} {what}' for what, count in counts.items())}"
    found = report.duplicates
    if not found.was_looked_for:
        return
    yield 1, f"questions: {found.questions:,} taken, {found.texts:,} different by their words"
    yield 2, f"{found.repeated:,} repeat another about the same pictures, with the same answer"
    yield 2, f"{found.near:,} have another in nearly the same words about the same pictures"
    yield from _examples(found.examples)
    if found.benchmark_texts:
        yield (
            2,
            f"of {found.benchmark_texts:,} different questions of benchmarks, {found.same_in_benchmark:,} stand in training in the same "
            f"words and {found.near_in_benchmark:,} in nearly the same, wherever they are asked",
        )
        yield from _examples(found.benchmark_examples)


def _examples(found: "tuple[Alike, ...]") -> Iterator[Line]:
    for one in found:
        same = len(os.path.commonprefix([one.first, one.second]))
        begin = 0 if max(len(one.first), len(one.second)) <= SHOWN_LETTERS else max(0, same - SHOWN_LETTERS // 2)  # show where they differ
        first, second = (f"{'...' if begin else ''}{_short(text[begin:])}" for text in (one.first, one.second))
        yield 3, f"{one.jaccard:.2f}: '{first}' ({one.first_id}) and '{second}' ({one.second_id})"


def _first_rows(plan: "Plan", count: int) -> Iterator[str]:
    import numpy as np

    from sightline.mixtures.stream import MixtureStream

    for unit in MixtureStream(plan).units(np.arange(min(count, plan.positions))):
        shown = unit.conversations[0]
        pictures = ", ".join(f"{one.path}{'' if one.frame is None else f' frame {one.frame}'}" for one in shown.pictures)
        yield f"position {unit.position}, {unit.source}: {pictures or shown.scan_id or 'no picture'}"
        for row in unit.conversations:
            for turn in row.turns:
                yield f"  {row.sample_id}: {_short(turn.question)} -> {_short(turn.answer)}"


def _dump(plan: "Plan", path: Path, *, first: int, steps: int, rank: int, world: int) -> int:
    from sightline.files import write_text
    from sightline.mixtures.stream import MixtureStream

    stream, lines = MixtureStream(plan), []
    for step in range(first, first + steps):
        for unit in stream.step(step, rank=rank, world=world):
            ids = [row.sample_id for row in unit.conversations]
            lines.append(json.dumps({"step": step, "position": unit.position, "source": unit.source, "ids": ids}, ensure_ascii=False))
    write_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def _as_json(plan: "Plan", costs: "Costs", report: "LeakReport", *, measured: str) -> dict[str, Any]:
    from sightline.config import as_mapping
    from sightline.mixtures.plan import of_tasks

    sources = {
        one.recipe.label: {
            "rows": len(one.units.rows),
            "rows_of_table": len(one.table),
            "left_out": dict(one.units.left_out),
            "sets": len(one.units),
            "draws": one.draws,
            "passes": one.passes,
            "tasks": dict(one.units.rows_of_task),
        }
        for one in plan.sources
    }
    phases = [{"start": one.start, "counts": list(one.interleave.counts)} for one in plan.phases]
    return {
        "recipe": as_mapping(plan.recipe),
        "steps": plan.steps,
        "sets": plan.positions,
        "sources": sources,
        "tasks": dict(of_tasks(plan)),
        "phases": phases,
        "costs": {"measured": measured, "tokens": costs.tokens, **asdict(costs)},
        "leaks": {**asdict(report), "has_leaks": report.has_leaks, "said": report.leaks(), "warnings": report.warnings()},
    }


def _echo_tree(lines: list[Line]) -> None:
    """A rich tree on a terminal, indented plain lines elsewhere."""
    if not sys.stdout.isatty():
        for depth, text in lines:
            typer.echo("  " * depth + text)
        return
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    path = [Tree(Text(lines[0][1]))]
    for depth, text in lines[1:]:
        del path[depth:]
        style = "bold red" if text.startswith("LEAK") else "yellow" if text.startswith("warning") else ""
        path.append(path[-1].add(Text(text, style=style)))
    Console().print(path[0])


def _counter(folder: Path) -> Callable[[str], int]:
    """Tokens of a text by a tokenizer's folder. Raises ModelError where there is none."""
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelError(f"--tokenizer: expected a folder with one of {', '.join(TOKENIZER_FILES)}, found none in {folder}")
    try:
        if (folder / TOKENIZER_FILES[0]).is_file():  # read without transformers, which takes seconds to import
            from tokenizers import Tokenizer

            whole = Tokenizer.from_file(str(folder / TOKENIZER_FILES[0]))
            return lambda text: len(whole.encode(text, add_special_tokens=False).ids)
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingExtraError("transformers", "train") from error
    loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return lambda text: len(loaded.encode(text, add_special_tokens=False))


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]+)x([0-9]+)", text)
    if not found:
        raise ConfigError(f"--image: expected WIDTHxHEIGHT such as 640x480, found '{text}'")
    return int(found[1]), int(found[2])


def _big(number: float) -> str:
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.2f} {name}"
    return f"{number:,.0f}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_LETTERS else f"{line[: SHOWN_LETTERS - 3]}..."
