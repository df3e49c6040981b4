"""Question cards: what is on them, how their values read, and a card as a PNG for documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sightline.answers.choice import Choice
from sightline.answers.number import Number
from sightline.answers.vector import Vector
from sightline.captures.images import read_rgb
from sightline.errors import DataError
from sightline.files import replacing
from sightline.geometry.cameras import Intrinsics
from sightline.questions.question import MARK_COLOURS, Mark
from sightline.samples.frames import draw_mark, resized
from sightline.samples.quality import spread
from sightline.samples.sample import Sample

SQUARE, CUBIC = "sq m", "cubic m"  # Pillow's own font has no raised 2
UNITS = {"m": "m", "cm": "cm", "mm": "mm", "deg": "\u00b0", "rad": "rad", "px": "px", "s": "s", "m2": SQUARE, "m3": CUBIC}
INK, GREY, GREEN, PAPER = (24, 26, 30), (96, 100, 108), (12, 122, 62), (255, 255, 255)
CARD_PX, GAP_PX, PAD_PX = 1000, 14, 16
JPEG_QUALITY = 82
TRUTH = (0, 200, 90)  # of the answer's place, where the answer is one


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A named value as words, such as `closest distance` and `1.24 m`."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One option of a choice."""

    letter: str
    words: str
    is_truth: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CardText:
    """The words of a card."""

    task: str
    title: str
    question: str
    options: tuple[Option, ...]
    answer: str
    checks: tuple[Fact, ...]
    provenance: tuple[Fact, ...]


def card_text(sample: Sample) -> CardText:
    """Everything a card says about a sample."""
    answer_format = sample.answer_format
    options: tuple[Option, ...] = ()
    answer, question = sample.answer_text, sample.question
    if isinstance(answer_format, Choice):
        pairs = zip(answer_format.letters, answer_format.options)
        options = tuple(Option(letter=letter, words=words, is_truth=letter == sample.answer_value) for letter, words in pairs)
        question = question.removesuffix(answer_format.listing).rstrip()  # the card lists the options itself
        answer = f"{sample.answer_text}. {answer_format.option_of(str(sample.answer_value))}"
    elif isinstance(answer_format, Number | Vector) and answer_format.unit:
        answer = f"{sample.answer_text} {UNITS[answer_format.unit]}"
    return CardText(
        task=sample.task,
        title=plain_name(sample.task),
        question=question,
        options=options,
        answer=answer,
        checks=tuple(fact(name, value) for name, value in sample.evidence.items()),
        provenance=(
            Fact(name="prompt", value=sample.prompt),
            Fact(name="sample", value=sample.sample_id),
            Fact(name="scan", value=sample.scan_id),
            Fact(name="frames", value=", ".join(sample.frame_ids)),
            Fact(name="split", value=plain_name(sample.split)),
            Fact(name="template", value=sample.template_id),
            Fact(name="seed", value=str(sample.seed)),
            Fact(name="generator", value=sample.generator_version),
            Fact(name="source", value=sample.source),
            Fact(name="licence", value=sample.licence),
        ),
    )


def plain_name(identifier: str) -> str:
    """`depth_comparison` as `depth comparison`."""
    return identifier.replace("_", " ")


def fact(name: str, value: float | str) -> Fact:
    """A named value with the unit that its name ends in: `gap_m` 1.2345 reads `gap` `1.234 m`."""
    if isinstance(value, str) or isinstance(value, bool):
        return Fact(name=plain_name(name), value=str(value))
    stem, _, suffix = name.rpartition("_")
    if stem and suffix in UNITS:
        joint = "" if suffix == "deg" else " "
        return Fact(name=plain_name(stem), value=f"{_rounded(value)}{joint}{UNITS[suffix]}")
    if stem and suffix in ("share", "overlap") or name == "overlap":
        return Fact(name=plain_name(name), value=f"{100 * value:.0f} %")
    return Fact(name=plain_name(name), value=_rounded(value))


def _rounded(value: float) -> str:
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def mark_rgb(mark: Mark) -> tuple[int, int, int]:
    """The colour of a mark. Raises DataError for a colour that has no definition."""
    if mark.colour not in MARK_COLOURS:
        raise DataError(f"mark on frame {mark.frame_id}: expected a colour of {', '.join(MARK_COLOURS)}, found '{mark.colour}'")
    return MARK_COLOURS[mark.colour]


def draw_card(sample: Sample, images: Sequence[np.ndarray], path: Path) -> None:
    """Write one question as a picture: what, where from, images with marks, options, answer, check values, provenance.

    A path in `.jpg` gives a JPEG, any other a PNG. A place or a box that is the answer is drawn into the last image. `images` are the
    sample's stored frames `(H, W, 3)` uint8 in its order, without marks. Raises DataError for another number of them.
    """
    if len(images) != len(sample.frame_ids):
        raise DataError(f"card of '{sample.sample_id}': expected {len(sample.frame_ids)} images, found {len(images)}")
    words = card_text(sample)
    blocks = _blocks(words)
    columns = len(images) if len(images) <= 2 else 2 if len(images) <= 4 else 4
    width = (CARD_PX - 2 * PAD_PX - (columns - 1) * GAP_PX) // columns
    shown = enumerate(zip(sample.frame_ids, images))
    pictures = [_picture(image, sample, frame_id, index, width=width) for index, (frame_id, image) in shown]
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    picture_height = sum(max(one.height for one in row) + GAP_PX for row in rows)
    above, below = blocks[:2], blocks[2:]
    height = 2 * PAD_PX + picture_height + sum(block.height for block in blocks)
    card = Image.new("RGB", (CARD_PX, height), PAPER)
    draw = ImageDraw.Draw(card)
    y = PAD_PX
    for block in above:
        y = block.draw(draw, y)
    for row in rows:
        for column, one in enumerate(row):
            card.paste(one, (PAD_PX + column * (width + GAP_PX), y))
        y += max(one.height for one in row) + GAP_PX
    for block in below:
        y = block.draw(draw, y)
    with replacing(path) as beside:
        if path.suffix == ".jpg":
            card.save(beside, format="JPEG", quality=JPEG_QUALITY, optimize=True)
        else:
            card.save(beside, format="PNG")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """A wrapped paragraph of the card."""

    lines: tuple[str, ...]
    size: int
    colour: tuple[int, int, int]

    @property
    def height(self) -> int:
        return len(self.lines) * (self.size + 7) + 6 if self.lines else 0

    def draw(self, draw: ImageDraw.ImageDraw, y: int) -> int:
        font = ImageFont.load_default(size=self.size)
        for index, line in enumerate(self.lines):
            draw.text((PAD_PX, y + index * (self.size + 7)), line, font=font, fill=self.colour)
        return y + self.height


def _blocks(words: CardText) -> list[_Block]:
    provenance = {one.name: one.value for one in words.provenance}
    head = f"{words.title}   scan {provenance['scan']}   frames {provenance['frames']}   split {provenance['split']}"
    options = "   ".join(f"{option.letter}. {option.words}" for option in words.options)
    checks = "check: " + ", ".join(f"{one.name} {one.value}" for one in words.checks)
    origin = "   ".join(f"{name} {provenance[name]}" for name in ("template", "seed", "generator", "source", "licence"))
    return [
        _wrapped(head, 16, GREY),
        _wrapped(words.question, 21, INK),
        _wrapped(options, 18, INK),
        _wrapped(f"Answer: {words.answer}", 20, GREEN),
        _wrapped(checks if words.checks else "", 16, GREEN),
        _wrapped(origin, 15, GREY),
    ]


def _wrapped(content: str, size: int, colour: tuple[int, int, int]) -> _Block:
    font = ImageFont.load_default(size=size)
    lines: list[str] = []
    for word in content.split(" ") if content else ():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= CARD_PX - 2 * PAD_PX:
            lines[-1] = longer
        else:
            lines.append(word)
    return _Block(lines=tuple(lines), size=size, colour=colour)


def _picture(image: np.ndarray, sample: Sample, frame_id: str, index: int, *, width: int) -> Image.Image:
    """A frame at the width of the card with its dots as a model is shown them."""
    height = round(image.shape[0] * width / image.shape[1])
    stored = Intrinsics.from_field_of_view(horizontal_deg=60.0, width=image.shape[1], height=image.shape[0])  # for its size alone
    rgb = resized(image, width=width, height=height)
    for mark in sample.marks:
        if mark.frame_id == frame_id:
            draw_mark(rgb, mark, stored=stored, where=sample.sample_id)
    picture = Image.fromarray(rgb)
    if index == len(sample.frame_ids) - 1:
        _draw_truth(picture, sample, scale=width / image.shape[1])
    if len(sample.frame_ids) > 1:
        font = ImageFont.load_default(size=18)
        ImageDraw.Draw(picture).text((9, 6), f"image {index + 1}", font=font, fill=PAPER, stroke_width=2, stroke_fill=INK)
    return picture


def _draw_truth(picture: Image.Image, sample: Sample, *, scale: float) -> None:
    """The answer's place, a cross, or box, in the colour of the answer's words. `scale` is from stored to drawn pixels."""
    form, value = sample.answer_format, sample.answer_value
    if not isinstance(value, tuple) or sample.answer_kind not in ("point", "box"):
        return
    draw = ImageDraw.Draw(picture)
    drawn = [(one + 0.5) * scale for one in form.to_px(value)]
    places = list(zip(drawn[::2], drawn[1::2]))
    for line_px, colour in ((5, PAPER), (3, TRUTH)):
        if len(places) == 2:
            draw.rectangle([*places[0], *places[1]], outline=colour, width=line_px)
        else:
            (x, y), reach = places[0], 14
            draw.line([x - reach, y, x + reach, y], fill=colour, width=line_px)
            draw.line([x, y - reach, x, y + reach], fill=colour, width=line_px)


def write_cards(samples: Sequence[Sample], store: Path, out: Path, *, per_task: int, kind: str = "png") -> list[Path]:
    """One picture per question, `per_task` of each task spread over scans, as `OUT/<task>.<kind>` or `OUT/<task>_<index>.<kind>`."""
    paths = []
    by_task: dict[str, list[Sample]] = {}
    for sample in spread(samples, per_task=per_task):
        by_task.setdefault(sample.task, []).append(sample)
    for task, chosen in sorted(by_task.items()):
        for index, sample in enumerate(chosen):
            path = out / (f"{task}.{kind}" if per_task == 1 else f"{task}_{index}.{kind}")
            draw_card(sample, [read_rgb(store / image) for image in sample.image_paths], path)
            paths.append(path)
    return paths
