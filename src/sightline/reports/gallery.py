"""Question and reply cards for the report: which ones, with their images embedded once and the marks drawn over them."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image

from sightline.captures.images import image_size, read_rgb
from sightline.errors import DataError
from sightline.evaluation.results import Result
from sightline.questions.question import TASKS
from sightline.reports import svg
from sightline.reports.cards import CardText, card_text
from sightline.reports.cloud import evenly
from sightline.reports.marks import css, dot, object_under, objects_seen, wireframe
from sightline.reports.svg import Markup
from sightline.samples.sample import Sample
from sightline.scenes.scene import Scene
from sightline.scenes.store import SceneStore

EMBED_BYTES = 8_000_000  # of base64 for all frames of a report, which shall stay under 12 MB
EMBED_WIDTHS_PX = (640, 480, 400, 320, 240, 160)  # tried in this order until the frames fit
JPEG_QUALITY = 84
MAX_REPLY_CHARS = 400  # of a reply that is shown; a model that does not stop would fill the page
COUNTED_COLOUR = "#ff2d9b"  # no dot has it
OBJECT_FACTS = frozenset(("objects", "object_views", "object_pairs"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A frame with marks, referring to an embedded image."""

    drawing: Markup
    caption: str


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionCard:
    words: CardText
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyLine:
    """What one model said to a question and what it scored."""

    model: str
    raw: str
    parsed: str
    score: float
    state: str  # right | partly | wrong | unparsable | missing
    explanation: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyCard:
    card: QuestionCard
    reply: ReplyLine
    rivals: tuple[ReplyLine, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskReplies:
    """The replies of one task worth looking at."""

    task: str
    best: tuple[ReplyCard, ...]
    worst: tuple[ReplyCard, ...]
    unparsable: tuple[ReplyCard, ...]
    unparsable_count: int
    missing_count: int


@dataclass(kw_only=True, slots=True)
class FrameLibrary:
    """Frames shown on a page; each is embedded once however many cards show it. Scenes are read from the store on demand."""

    store: Path
    scenes: dict[str, Scene | None] = field(default_factory=dict)  # known ones by scan id
    keys: dict[str, str] = field(default_factory=dict)  # path in the store -> element id
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, image_path: str) -> tuple[str, tuple[int, int]]:
        """Element id and (width, height) of a stored frame. Raises DataError for a path out of the store, CaptureError for no image."""
        if image_path not in self.keys:
            relative = PurePosixPath(image_path)
            if relative.is_absolute() or ".." in relative.parts:
                raise DataError(f"image path '{image_path}': expected one inside the scene store, found one that leads outside")
            self.sizes[image_path] = image_size(self.store / image_path)
            self.keys[image_path] = f"frame-{len(self.keys)}"
        return self.keys[image_path], self.sizes[image_path]

    def scene(self, scan_id: str) -> Scene | None:
        """The scene of a scan, or None where the store holds only its images."""
        if scan_id not in self.scenes:
            store = SceneStore(self.store)
            self.scenes[scan_id] = store.read(scan_id) if store.marker(scan_id) is not None else None
        return self.scenes[scan_id]

    def embedded(self) -> Markup:
        """All frames as `<image>` elements at the largest width at which they fit into the page together."""
        for width_px in EMBED_WIDTHS_PX:
            hrefs = {path: _jpeg_href(self.store / path, width_px) for path in self.keys}
            if sum(map(len, hrefs.values())) <= EMBED_BYTES:
                break
        images = []
        for path, key in self.keys.items():
            width, height = self.sizes[path]
            images.append(svg.element("image", id=key, href=hrefs[path], width=width, height=height))
        return svg.element("svg", svg.element("defs", *images), class_="library", aria_hidden="true")


def _jpeg_href(path: Path, width_px: int) -> str:
    image = Image.fromarray(read_rgb(path))
    if image.width > width_px:
        image = image.resize((width_px, round(image.height * width_px / image.width)), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def question_card(sample: Sample, library: FrameLibrary) -> QuestionCard:
    """A sample as a card; its frames go into the library. Where the scene is known, the boxes of marked objects are drawn too."""
    pictures = []
    scene = library.scene(sample.scan_id)
    for index, (frame_id, image_path) in enumerate(zip(sample.frame_ids, sample.image_paths)):
        key, (width, height) = library.add(image_path)
        marks = [mark for mark in sample.marks if mark.frame_id == frame_id]
        boxes = _boxes(sample, frame_id, scene) if scene is not None else []
        drawn = [svg.element("use", href=f"#{key}"), *boxes, *(dot(mark, width=width, height=height) for mark in marks)]
        number = f"image {index + 1}" if len(sample.frame_ids) > 1 else "the image"
        label = f"{number}, frame {frame_id}" + "".join(f", {mark.colour} dot" for mark in marks)
        drawing = svg.canvas(drawn, width=width, height=height, label=label, class_="frame")
        pictures.append(Picture(drawing=drawing, caption=f"image {index + 1} \u00b7 frame {frame_id}"))
    return QuestionCard(words=card_text(sample), pictures=tuple(pictures))


def _boxes(sample: Sample, frame_id: str, scene: Scene) -> list[Markup | None]:
    """The boxes of the objects that a question is about: those its marks point at, or the counted ones that the frame sees."""
    if not scene.objects or sample.task not in TASKS or not TASKS[sample.task].needs & OBJECT_FACTS:
        return []
    frame, category = scene.frame(frame_id), sample.evidence.get("category")
    if not sample.marks and isinstance(category, str):
        return [wireframe(one.box, frame=frame, colour=COUNTED_COLOUR) for one in objects_seen(scene, frame, category=category)]
    pairs = [
        (mark, object_under(mark, frame=scene.frame(mark.frame_id), objects=scene.objects)) for mark in sample.marks if not mark.is_box
    ]
    return [wireframe(found.box, frame=frame, colour=css(mark)) for mark, found in pairs if found is not None]


def chosen_samples(samples: Sequence[Sample], per_task: int) -> list[Sample]:
    """A few samples of every task, spread evenly over scans and the order in which they were asked."""
    by_task: dict[str, list[Sample]] = {}
    for sample in samples:
        by_task.setdefault(sample.task, []).append(sample)
    return [sample for task in sorted(by_task) for sample in evenly(tuple(by_task[task]), per_task)]


def task_replies(
    samples: Mapping[str, Sample], results: Mapping[str, Sequence[Result]], *, headline: str, per_task: int, library: FrameLibrary
) -> list[TaskReplies]:
    """Best, worst and unparsable replies of the headline model, each with what the other models said to the same question.

    Among equally good replies those come first that the others got wrong, among equally bad ones those that the others got right.
    `samples` are by id. Raises DataError for a result without its sample.
    """
    rivals = {model: {one.sample_id: one for one in scored} for model, scored in results.items() if model != headline}
    by_task: dict[str, list[Result]] = {}
    for result in results[headline]:
        if result.sample_id not in samples:
            raise DataError(f"report: result of sample '{result.sample_id}' without its sample. Fix: pass the data set that was scored")
        by_task.setdefault(result.task, []).append(result)

    def rival_mean(result: Result) -> float:
        scores = [scored[result.sample_id].score for scored in rivals.values() if result.sample_id in scored]
        return sum(scores) / len(scores) if scores else 0.0

    def card(result: Result) -> ReplyCard:
        sample = samples[result.sample_id]
        said = tuple(_line(model, scored[result.sample_id], sample) for model, scored in rivals.items() if result.sample_id in scored)
        return ReplyCard(card=question_card(sample, library), reply=_line(headline, result, sample), rivals=said)

    shown = []
    for task, scored in sorted(by_task.items()):
        parsed = [one for one in scored if one.is_parsed]
        unparsable = [one for one in scored if not one.is_parsed and not one.is_missing]
        best = sorted(parsed, key=lambda one: (-one.score, rival_mean(one), one.sample_id))[:per_task]
        worst = [one for one in sorted(parsed, key=lambda one: (one.score, -rival_mean(one), one.sample_id)) if one not in best][:per_task]
        shown.append(
            TaskReplies(
                task=task,
                best=tuple(card(one) for one in best),
                worst=tuple(card(one) for one in worst),
                unparsable=tuple(card(one) for one in unparsable[:per_task]),
                unparsable_count=len(unparsable),
                missing_count=sum(one.is_missing for one in scored),
            )
        )
    return shown


def _line(model: str, result: Result, sample: Sample) -> ReplyLine:
    parsed = sample.answer_format.parse(result.reply) if result.is_parsed else None
    if result.is_missing:
        state = "missing"
    elif not result.is_parsed:
        state = "unparsable"
    else:
        state = "right" if result.score >= 0.95 else "partly" if result.score > 0 else "wrong"
    return ReplyLine(
        model=model,
        raw=result.reply if len(result.reply) <= MAX_REPLY_CHARS else result.reply[:MAX_REPLY_CHARS] + "\u2026",
        parsed="" if parsed is None else f"{parsed:g}" if isinstance(parsed, float) else str(parsed),
        score=result.score,
        state=state,
        explanation=result.explanation,
    )
