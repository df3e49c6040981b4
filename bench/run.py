"""Prints what one unit of each stage costs in CPU seconds, ours beside the plain way in the same run. Used by `make bench`."""

import logging
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.captures.procedural import build_room, render
from sightline.captures.procedural.walk import walk
from sightline.captures.rooms import RoomsOptions, room_scan_ids, write_room_scan
from sightline.config import as_mapping, load
from sightline.facts.measure import MeasureOptions, measure, measure_scan
from sightline.facts.motion import all_pairs
from sightline.facts.overlap import pair_overlap
from sightline.facts.visibility import cloud_of, view_frame
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.visibility import NEAR_M, TOLERANCE_M, TOLERANCE_SHARE, unpack_words, visible_reference, visible_words
from sightline.questions.engine import ask_all
from sightline.questions.question import TASKS, TaskOptions
from sightline.samples.generate import finish_dataset, generate_scan
from sightline.scenes.build import import_scan
from sightline.scenes.store import SceneStore

from timing import interleaved, ratio, row

ROUNDS = 5
NUM_SCANS = 2


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def prepare(folder: Path) -> SceneStore:
    """Two small flats, rendered, imported, measured and asked about."""
    options = as_mapping(replace(RoomsOptions(), num_frames=24))
    for scan_id in room_scan_ids(NUM_SCANS):
        write_room_scan(scan_id, out=str(folder / "captures"), seed=11, options=options)
        where = {"source": str(folder / "captures"), "reader": "rooms", "options": {}, "store": str(folder / "scenes")}
        import_scan(scan_id, **where, copy_images=False, verify=True)
        measure_scan(scan_id, store=str(folder / "scenes"), options={})
    return SceneStore(folder / "scenes")


def bench_rendering() -> None:
    room = build_room(5, RoomsOptions())
    poses = walk(room, np.random.default_rng(0), num_frames=6)
    cameras = {size: Intrinsics.from_field_of_view(horizontal_deg=70.0, width=size, height=size * 3 // 4) for size in (320, 640)}
    cases = {
        f"render {size}x{size * 3 // 4}, shadows, anti-aliased": (lambda c=camera: [render(room, c, pose) for pose in poses], len(poses))
        for size, camera in cameras.items()
    }
    for timed in interleaved(cases, rounds=ROUNDS).values():
        say(row(timed, "frame"))


def bench_facts(store: SceneStore) -> None:
    scene = store.read(store.scan_ids()[0])
    cloud = cloud_of(scene)
    limits = {"near_m": NEAR_M, "tolerance_m": TOLERANCE_M, "tolerance_share": TOLERANCE_SHARE}
    views = [view_frame(frame, cloud, **limits) for frame in scene.frames]
    words = np.stack([view.words for view in views])
    first, second = all_pairs(len(views))
    masks = np.stack([unpack_words(word, len(cloud.points_world)) for word in words])

    def plain_overlap() -> list[float]:
        """The neighbour's way: two boolean vectors and two sums for every pair."""
        return [
            np.logical_and(masks[i], masks[j]).sum() / max(np.logical_or(masks[i], masks[j]).sum(), 1)
            for i, j in zip(first, second, strict=True)
        ]

    def cameras(frame, view) -> dict:
        kept = {"depth_m": view.depth_m, "depth_intrinsics": frame.depth_intrinsics, "intrinsics": frame.intrinsics}
        return {**kept, "world_from_camera": frame.world_from_camera}

    seen = list(zip(scene.frames, views, strict=True))

    def ours() -> None:
        for frame, view in seen:
            visible_words(cloud.points_world, bounds_world=cloud.bounds_world, **cameras(frame, view))

    def plain() -> None:
        for frame, view in seen:
            visible_reference(cloud.points_world, **cameras(frame, view))

    times = interleaved(
        {
            f"visibility of {len(cloud.points_world)} points, packed bits": (ours, len(views)),
            "visibility, plain float64 NumPy": (plain, len(views)),
            "overlap, packed bits": (lambda: [pair_overlap(words, first, second) for _ in range(50)], 50 * len(first)),
            "overlap, boolean vectors": (plain_overlap, len(first)),
            "all facts of a scan": (lambda: measure(scene, MeasureOptions()), 1),
        },
        rounds=ROUNDS,
    )
    units = ("frame", "frame", "pair", "pair", "scan")
    for timed, unit in zip(times.values(), units, strict=True):
        say(row(timed, unit))
    fast_visibility, slow_visibility, fast_overlap, slow_overlap, _ = times.values()
    say(ratio(slow_visibility, fast_visibility))
    say(ratio(slow_overlap, fast_overlap))


def bench_questions(store: SceneStore) -> None:
    facts = measure(store.read(store.scan_ids()[0]), MeasureOptions())
    asked = ask_all(facts, list(TASKS), seed=0, options=TaskOptions())
    case = {"questions, all tasks": (lambda: ask_all(facts, list(TASKS), seed=0, options=TaskOptions()), max(len(asked.questions), 1))}
    timed = interleaved(case, rounds=ROUNDS)["questions, all tasks"]
    say(row(timed, "question") + f"  ({1 / sorted(timed.cpu_s)[len(timed.cpu_s) // 2]:.0f} per CPU second)")


def bench_models(store: SceneStore, folder: Path) -> None:
    from sightline.inference.generate import Answerer
    from sightline.models.sample_encoder import SampleEncoder
    from sightline.samples.shards import read_samples
    from sightline.training.data import TrainingData
    from sightline.training.recipe import TrainRecipe
    from sightline.training.trainer import fit, start

    results = {
        scan_id: generate_scan(
            scan_id, store=str(store.root), out=str(folder / "samples"), tasks=list(TASKS), split="train", seed=0, options={}
        )
        for scan_id in store.scan_ids()
    }
    finish_dataset(folder / "samples", store=store.root, scan_ids=store.scan_ids(), results=results, seed=0, options={})
    samples = read_samples(folder / "samples")
    steps, answered = 5, 64
    cases = {}
    for fusion in ("none", "sin3d"):
        keys = [f"data.samples={folder / 'samples'}", f"data.scenes={store.root}", f"model.fusion={fusion}", "optimiser.warmup_updates=1"]
        recipe = load(TrainRecipe, "rooms/demo", with_steps(keys, steps))
        checkpoint = start(recipe, samples)
        data = TrainingData.encode(
            samples, SampleEncoder(checkpoint.processor, store=store.root), batch_size=recipe.loop.batch_size, seed=0
        )
        run = folder / "runs" / fusion

        def train(checkpoint=checkpoint, data=data, recipe=recipe, run=run) -> None:
            fit(checkpoint, data, recipe, run, made_from="bench", resume=False)

        cases[f"training step, {fusion}, {recipe.loop.batch_size} questions"] = (train, steps)
        answerer = Answerer(checkpoint)
        cases[f"answer, {fusion}"] = (
            lambda answerer=answerer: answerer.answer(samples[:answered], store=store.root, batch_size=answered),
            answered,
        )
    times = interleaved(cases, rounds=3)
    for name, timed in times.items():
        say(row(timed, "step" if name.startswith("training") else "question"))
    train_none, _, train_sin3d, _ = times.values()
    say(ratio(train_sin3d, train_none))


def with_steps(keys: list[str], steps: int) -> list[str]:
    """A few updates, nothing saved in between."""
    return [*keys, f"loop.updates={steps}", f"loop.save_every={10 * steps}", f"loop.log_every={steps}"]


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bench_rendering()
        store = prepare(folder)
        bench_facts(store)
        bench_questions(store)
        bench_models(store, folder)


if __name__ == "__main__":
    main()
