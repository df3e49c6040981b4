"""What a report is made of: one frozen record, every part of which may be absent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sightline.evaluation.results import Evaluation, Result
from sightline.samples.sample import Sample
from sightline.scenes.scene import Scene


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTime:
    """One step of the run: what it did, how long it took, and the command that repeats it alone."""

    title: str
    detail: str  # what came out, such as "24 scans, 960 frames"
    seconds: float | None  # None: not measured, or finished in an earlier run
    command: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRun:
    """One training run's log."""

    model: str
    metrics_path: Path  # one JSON object per line


@dataclass(frozen=True, kw_only=True, slots=True)
class SkipCount:
    """How many questions of a task were dropped for a reason."""

    task: str
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReportInputs:
    """Everything a report shows. Empty parts leave their section out."""

    title: str
    summary: str  # a sentence or two under the title
    command: str  # the one command that repeats everything; "" where there is none
    steps: tuple[StepTime, ...] = ()
    store: Path | None = None  # root of the scene store that the samples' image paths start from; needed with samples
    scenes: tuple[Scene, ...] = ()  # those to draw plans of and to verify
    scene_pages: Mapping[str, str] = field(default_factory=dict)  # scan_id -> its 3-D page, relative to the report
    samples: tuple[Sample, ...] = ()  # the whole data set: statistics count it, the gallery shows a few
    cards_per_task: int = 6
    browser: str | None = None  # the page that shows all questions, relative to the report
    skips: tuple[SkipCount, ...] = ()
    runs: tuple[TrainingRun, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()  # a blind model may be one of them
    results: Mapping[str, tuple[Result, ...]] = field(default_factory=dict)  # model -> its scored replies
    headline: str | None = None  # the model that is compared with the others; the last evaluation where None
    replies_per_task: int = 2  # best and worst each
    model_notes: Mapping[str, str] = field(default_factory=dict)  # model -> what it is, such as "the same model without geometry"
    machine: Mapping[str, str] = field(default_factory=dict)  # versions and hardware, for the foot of the page
    notes: tuple[str, ...] = ()  # what falls short, in plain words
