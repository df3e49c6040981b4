"""A small data set with one sample of every answer kind, written beside a store of handmade scans."""

from dataclasses import replace
from pathlib import Path

from small_store import write_scan

from sightline.answers.answer import ANSWER_FORMATS, format_from_row
from sightline.files import read_json, read_jsonl, write_json
from sightline.questions.question import Mark
from sightline.samples.export import ExportOptions
from sightline.samples.formats.pictures import place_files
from sightline.samples.formats.write import Prepared, finish, prepare, start
from sightline.samples.rebuild import sources_of
from sightline.samples.sample import Sample
from sightline.samples.shards import write_samples
from sightline.scenes.store import SceneStore

GATED = "Terms of Use (non-commercial research, no redistribution)"
KINDS = {  # kind -> options, true value
    "number": ({"unit": "m", "decimals": 2}, 1.234),
    "choice": ({"options": ["left", "right", "behind", "in front"]}, "C"),
    "word": ({"words": ["left", "right"]}, "right"),
    "point": ({"width": 320, "height": 240}, (412.3, 77.7)),
    "vector": ({"unit": "cm", "decimals": 0}, (41.2, -3.9, 90.4)),
    "box": ({"width": 320, "height": 240}, (10.0, 20.0, 300.0, 400.0)),
    "box3d": ({}, (1.0, 2.0, 0.5, 0.6, 0.4, 1.1, 30.0)),
    "image_set": ({"count": 2}, (2.0,)),
    "text": ({"max_chars": 60}, "the blue chair"),
}
DOT = Mark(frame_id="000001", u_px=100.0, v_px=60.0, colour="red", label="A")
assert set(KINDS) == set(ANSWER_FORMATS)


def sample_of_kind(kind: str, *, frames: tuple[str, ...], scan_id: str = "scan_a", index: int = 0, marks: tuple[Mark, ...] = ()) -> Sample:
    options, value = KINDS[kind]
    form = format_from_row(kind, options)
    return Sample(
        sample_id=f"{scan_id}/{kind}_task/{index:04d}",
        task=f"{kind}_task",
        split="train" if scan_id == "scan_a" else "held_out",
        scan_id=scan_id,
        place_id=f"place_of_{scan_id}",
        frame_ids=frames,
        image_paths=tuple(f"{scan_id}/color/{frame_id}.png" for frame_id in frames),
        marks=marks,
        question="What is it, and “where” is it?",
        answer_kind=kind,
        answer_options=form.to_row(),
        answer_text=form.render(value),
        answer_value=value,
        evidence={"gap_m": 0.2},
        template_id=f"{kind}_task.0",
        seed=0,
        generator_version="sightline test",
        source="handmade",
        licence="CC0-1.0",
    )


def some_samples(frame_ids: tuple[str, ...]) -> list[Sample]:
    """Every kind, on one, two and eight frames; dots on some; both splits."""
    a, b, c = frame_ids[:3]
    dot, other = replace(DOT, frame_id=a), replace(DOT, frame_id=b, colour="blue", label="B")
    made = [sample_of_kind(kind, frames=(a, b)) for kind in KINDS]
    made += [
        sample_of_kind("number", frames=(c,), index=1),
        sample_of_kind("number", frames=(a,), index=2, marks=(dot,)),
        sample_of_kind("choice", frames=(a, b), index=1, marks=(dot, other)),
        sample_of_kind("word", frames=(a, c), index=1, marks=(dot,)),  # the very picture of two samples before
        sample_of_kind("number", frames=(a,), index=3, marks=(replace(dot, u_px=222.0, colour="green"),)),  # the same frame, another dot
        sample_of_kind("text", frames=frame_ids[:8], index=1),
        sample_of_kind("text", frames=frame_ids[:8], index=2, marks=(dot,)),
        sample_of_kind("number", frames=(a,), scan_id="scan_b"),
        sample_of_kind("vector", frames=(a, b), scan_id="scan_b"),
    ]
    return made


def write_dataset(root: Path, samples: list[Sample] | None = None) -> Path:
    """The data set's folder; its store is `root / "store"`. Given samples replace the usual ones."""
    for seed, scan_id in enumerate(("scan_a", "scan_b")):
        if not (root / "store" / scan_id).exists():
            write_scan(root, scan_id, seed=seed)
    store = SceneStore(root / "store")
    samples = some_samples(tuple(frame.frame_id for frame in store.read("scan_a").frames)) if samples is None else samples
    folder = root / "set"
    for split in ("train", "held_out"):
        rows = [sample for sample in samples if sample.split == split]
        path = folder / "data" / f"{split}-00000-of-00001.parquet"
        if rows:
            write_samples(path, rows)
        else:
            path.unlink(missing_ok=True)
    sources = sources_of(store, sorted({sample.scan_id for sample in samples}))
    write_json(folder / "dataset.json", {"scene_store": "../store", "sources": sources})
    return folder


def planned(dataset: Path, out: Path, to: str, *, split=None, tasks=None, limit=None, store=None, **options) -> Prepared:
    return prepare(dataset, out, to=to, options=ExportOptions(**options), store=store, split=split, tasks=tasks, limit=limit)


def exported(dataset: Path, out: Path, to: str, **given) -> Path:
    prepared = planned(dataset, out, to, **given)
    for scan_id in start(prepared):
        place_files(scan_id, folder=str(prepared.about.folder))
    finish(prepared)
    return out


def rows_of(out: Path, to: str, split: str = "train") -> list[dict]:
    path = out / f"{split}.jsonl"
    return list(read_jsonl(path)) if path.exists() else read_json(out / f"{split}.json")
