"""The data set's card: what is in it, how it was made, how to load it; its head tells `datasets` where the files lie."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sightline import __version__
from sightline.samples.audit import TaskAudit
from sightline.samples.quality import TaskQuality
from sightline.samples.sample import Sample
from sightline.samples.shards import SPLITS

LICENCE_TAGS = {"CC0-1.0": "cc0-1.0", "Apache-2.0": "apache-2.0", "MIT": "mit", "CC-BY-4.0": "cc-by-4.0", "CC-BY-NC-4.0": "cc-by-nc-4.0"}


def card_of(
    samples: Sequence[Sample],
    quality: Sequence[TaskQuality],
    sources: Sequence[Mapping[str, Any]],
    *,
    audits: Sequence[TaskAudit],
    skips: Mapping[str, int],
    seed: int,
) -> str:
    """Markdown with a YAML head. `sources` are those of `dataset.json`."""
    licences = sorted({sample.licence for sample in samples})
    present = [split for split in SPLITS if any(sample.split == split for sample in samples)]
    return "\n".join(
        [
            *_head(samples, licences, present),
            "",
            "# Spatial questions about posed RGB-D scans",
            "",
            f"{len(samples)} questions about {len({sample.scan_id for sample in samples})} scan(s) of "
            f"{len({sample.place_id for sample in samples})} place(s), made by sightline {__version__} with seed {seed}.",
            "Every answer was measured, and recomputed by a second method that shares no code with the first.",
            f"Sources: {', '.join(sorted({sample.source for sample in samples}))}. Licences: {', '.join(licences)}.",
            "",
            "## Loading",
            "",
            "```python",
            "from datasets import load_dataset",
            "",
            'rows = load_dataset("path/to/this/folder")',
            "```",
            "",
            "`images` are paths relative to the scene store that `dataset.json` names; `marks` are dots to be drawn on them, in pixels",
            "of the stored image. The prompt is `question` followed by the instruction of the answer's kind.",
            "",
            "## Images",
            "",
            "This data set holds annotations only. Its images are made again from the scans, by whoever may have them:",
            "",
            *_rebuilding(sources),
            "",
            "`dataset.json` holds a checksum of every scan's images; `sightline train` and `sightline evaluate` compare them.",
            "",
            "## Conventions",
            "",
            "Metres and centimetres as `unit` says. Depth is measured along the viewing direction. Camera movements are in the first",
            "camera's axes. Distances between objects are from surface to surface of their boxes. Directions between objects are on",
            "the floor plan. No scan and no place is in two splits.",
            "",
            "## Tasks",
            "",
            f"| task | {' | '.join(present)} | scans | templates | images | answers |",
            f"|---|{'---|' * (len(present) + 4)}",
            *(_task_row(one, present) for one in quality),
            "",
            *(f"- {one.task}: {warning}" for one in quality for warning in one.warnings),
            "## What guessing reaches",
            "",
            "Mean scores on held-out questions, learned from the training questions: chance, the best constant answer, and the best guess",
            "from the question's words without images. Repeated: rows that ask the same of the same images again.",
            "",
            "| task | chance | constant | from words | repeated | contradicting |",
            "|---|---|---|---|---|---|",
            *(_audit_row(one) for one in audits),
            "",
            *(f"- {one.task}: {warning}" for one in audits for warning in one.warnings),
            "## Left out",
            "",
            "| task: reason | candidates |",
            "|---|---|",
            *(f"| {reason} | {count} |" for reason, count in sorted(skips.items())),
            "",
        ]
    )


def _rebuilding(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for source in sources:
        count = len(source["images_sha256"])
        lines.append(f"- {count} scan{'s' if count != 1 else ''}, {source['licence']}: `{source['command']}`")
        if not source["may_be_passed_on"]:
            lines.append("  These images, depth maps, scenes and pictures made from them (reports, 3-D pages) may never be passed on.")
    return lines


def _head(samples: Sequence[Sample], licences: Sequence[str], present: Sequence[str]) -> list[str]:
    tags = {LICENCE_TAGS.get(licence) for licence in licences}
    tag = tags.pop() if len(tags) == 1 else None
    lines = ["---", f"license: {tag or 'other'}"]
    if tag is None:
        lines.append(f"license_name: {' and '.join(licences).lower().replace(' ', '-')}")
    lines += ["task_categories:", "- visual-question-answering", "language:", "- en", "tags:", "- spatial-reasoning", "- rgb-d"]
    lines += ["size_categories:", f"- {_size_category(len(samples))}", "configs:", "- config_name: default", "  data_files:"]
    for split in present:
        lines += [f"  - split: {split}", f"    path: data/{split}-*.parquet"]
    return [*lines, "---"]


def _size_category(count: int) -> str:
    for most, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if count < most:
            return name
    return "n>1M"


def _task_row(one: TaskQuality, present: Sequence[str]) -> str:
    counts = Counter(one.counts)
    if one.number_range is not None:
        low, middle, high = one.number_range
        told = f"{low:.4g} to {high:.4g} {one.unit}, median {middle:.4g}".replace(" ,", ",")
    else:
        told = ", ".join(f"{answer} {share:.0%}" for answer, share in one.answers.items())
    cells = [
        one.task,
        *(str(counts[split]) for split in present),
        str(one.scans),
        str(one.templates),
        f"{one.images_per_question:.1f}",
        told,
    ]
    return f"| {' | '.join(cells)} |"


def _audit_row(one: TaskAudit) -> str:
    constant = "" if one.most_frequent is None else f"{one.most_frequent:.2f} (`{one.most_frequent_answer}`)"
    scores = ["" if score is None else f"{score:.2f}" for score in (one.chance, one.from_words)]
    return f"| {one.task} | {scores[0]} | {constant} | {scores[1]} | {one.repeated} | {one.contradicting} |"
