"""The data set browser: a folder with one page, opened from disk, that shows any number of questions as cards with their marks drawn."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from sightline.captures.images import read_rgb
from sightline.errors import DataError
from sightline.files import read_json, replacing, replacing_folder, write_text
from sightline.questions.question import MARK_COLOURS
from sightline.reports.cards import card_text
from sightline.samples.quality import spread
from sightline.samples.sample import Sample
from sightline.samples.shards import read_samples

ROWS_PER_FILE = 1000  # of one script that the page loads when it needs it
IMAGE_PX = 480  # width of a frame's picture; each frame is written once, however many questions show it
JPEG_QUALITY = 80
PAGE, IMAGES, ROWS = "index.html", "images", "rows"


@dataclass(frozen=True, kw_only=True, slots=True)
class Browsed:
    """What a browser folder holds."""

    page: Path
    questions: int
    frames: int


def write_browser(dataset: Path, out: Path, *, store: Path | None = None, per_task: int | None = None) -> Browsed:
    """Write the browser of a data set into the folder `out`, atomically.

    All questions, or at most `per_task` of each task, spread over scans. `store` is the scene store that the images lie in; by default
    the one the data set was made from. The page asks for nothing but its own files: scripts with the rows, and the frames' pictures.
    Raises DataError for a data set without questions, and what reading its images raises.
    """
    samples = spread(read_samples(dataset), per_task=per_task)
    if not samples:
        raise DataError(f"{dataset}: expected questions to show, found none")
    known = read_json(dataset / "dataset.json")
    images = store or dataset / known["scene_store"]
    with replacing_folder(out) as beside:
        sizes = _write_images(samples, images, beside / IMAGES)
        rows = [_row(sample, sizes) for sample in samples]
        for index, part in enumerate(_parts(rows)):
            write_text(beside / ROWS / f"{index:05d}.js", f"sightlineRows({index}, {_script_json(part)});\n")
        about = {
            "title": dataset.name,
            "rows": len(rows),
            "rows_per_file": ROWS_PER_FILE,
            "colours": {name: "rgb({}, {}, {})".format(*rgb) for name, rgb in MARK_COLOURS.items()},
            # what filters need of every question, so that the rows themselves are loaded only when they are shown
            "index": [[row["task"], row["split"], row["scan"], row["template"]] for row in rows],
            "audit": known.get("audit", {}),
            "skips": known.get("skips", {}),
        }
        page = (resources.files("sightline.reports") / "templates" / "browser.html").read_text(encoding="utf-8")
        write_text(beside / PAGE, page.replace("/*ABOUT*/null", _script_json(about)))
    return Browsed(page=out / PAGE, questions=len(rows), frames=len(sizes))


def _write_images(samples: Sequence[Sample], store: Path, folder: Path) -> dict[str, tuple[str, int, int]]:
    """Write each frame once; path in the store -> (file name, width, height of the stored frame)."""
    folder.mkdir(parents=True)
    sizes: dict[str, tuple[str, int, int]] = {}
    for path in dict.fromkeys(path for sample in samples for path in sample.image_paths):
        image = Image.fromarray(read_rgb(store / path))
        name = f"{len(sizes):06d}.jpg"
        sizes[path] = (name, image.width, image.height)
        if image.width > IMAGE_PX:
            image = image.resize((IMAGE_PX, round(image.height * IMAGE_PX / image.width)), Image.Resampling.LANCZOS)
        with replacing(folder / name) as beside:
            image.save(beside, format="JPEG", quality=JPEG_QUALITY)
    return sizes


def _row(sample: Sample, sizes: Mapping[str, tuple[str, int, int]]) -> dict[str, Any]:
    """One question as the page shows it: words, pictures with marks in stored pixels, check values, where it comes from."""
    words = card_text(sample)
    pictures = []
    for frame_id, path in zip(sample.frame_ids, sample.image_paths):
        name, width, height = sizes[path]
        marks = [
            [mark.u_px, mark.v_px, mark.right_px, mark.bottom_px, mark.colour, mark.label]
            for mark in sample.marks
            if mark.frame_id == frame_id
        ]
        pictures.append({"file": name, "width": width, "height": height, "frame": frame_id, "marks": marks})
    return {
        "id": sample.sample_id,
        "task": sample.task,
        "split": sample.split,
        "scan": sample.scan_id,
        "template": sample.template_id,
        "question": words.question,
        "options": [[option.letter, option.words, option.is_truth] for option in words.options],
        "answer": words.answer,
        "place": _place(sample),
        "checks": [[one.name, one.value] for one in words.checks],
        "from": [[one.name, one.value] for one in words.provenance],
        "pictures": pictures,
    }


def _place(sample: Sample) -> list[float] | None:
    """An answer that is a point or a box, in pixels of the last stored frame."""
    value = sample.answer_value
    if sample.answer_kind not in ("point", "box") or not isinstance(value, tuple):
        return None
    return list(sample.answer_format.to_px(value))


def _parts(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    for start in range(0, len(rows), ROWS_PER_FILE):
        yield rows[start : start + ROWS_PER_FILE]


def _script_json(value: Any) -> str:
    """JSON that may stand in a script: nothing in it can end the script or start a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(character, escaped)
    return text
