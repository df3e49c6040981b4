"""What a planned mixture costs: tokens, pictures and full rows, measured on samples of it before a run is paid for."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sightline.errors import ConfigError
from sightline.mixtures.packing import balanced_rows
from sightline.mixtures.plan import Plan, PlannedSource
from sightline.mixtures.stream import MixtureStream
from sightline.samples.conversation import VIDEO, Conversation

CHARACTERS_PER_TOKEN = 4  # of English; said wherever it is used, because numbers and other languages take more tokens
TURN_TOKENS = 10  # <|im_start|>user\n ... <|im_end|>\n<|im_start|>assistant\n ... <|im_end|>\n of the Qwen chat templates
SYSTEM_TOKENS = 5  # the same around a system turn
MARKER_TOKENS = 2  # <|vision_start|> and <|vision_end|> around an image, or a video
SAMPLED_UNITS = 128  # of each source
SAMPLED_STEPS = 16
_FRAMES = re.compile(r"[a-z_-]+ ([0-9]+)")  # "uniform 32"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageCost:
    """Visual tokens of one image: windows of `window_px` (patch times merge: 28 for Qwen2.5-VL, 32 for Qwen3-VL), sides rounded to them."""

    width_px: int
    height_px: int
    window_px: int = 28
    frames_per_step: int = 1  # of a video: frames that share their tokens

    def __post_init__(self) -> None:
        if min(self.width_px, self.height_px, self.window_px, self.frames_per_step) < 1:
            raise ConfigError(
                f"image size: expected sizes and windows of at least 1, found {self.width_px}x{self.height_px}, window {self.window_px}, "
                f"{self.frames_per_step} frames a step"
            )

    @property
    def tokens(self) -> int:
        return max(1, round(self.width_px / self.window_px)) * max(1, round(self.height_px / self.window_px))


@dataclass(frozen=True, kw_only=True, slots=True)
class QuarterOfCharacters:
    """Stands in for a tokenizer: characters over four, rounded up."""

    def __call__(self, text: str) -> int:
        return -(-len(text) // CHARACTERS_PER_TOKEN)


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceCost:
    """Means over sampled units of a source: a set of pictures with its questions."""

    sampled_units: int
    questions_per_unit: float
    images_per_unit: float
    visual_tokens_per_unit: float
    text_tokens_per_unit: float
    longest_unit: int  # tokens
    unknown_frames: int  # sampled rows whose frames the source leaves to be chosen, in no fixed number: counted as one

    @property
    def tokens_per_unit(self) -> float:
        return self.visual_tokens_per_unit + self.text_tokens_per_unit


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """Of a whole run. Totals are means of samples times the draws of each source."""

    by_source: Mapping[str, SourceCost]
    steps: int
    sets: int
    images: float
    visual_tokens: float
    text_tokens: float
    packed_steps: int  # sampled
    rows_per_step: float
    useful_share: float  # tokens that belong to a unit, of all in the packed rows
    too_long: int  # sampled units that are longer than the token budget; a run refuses them
    longest: str  # id of the first of them

    @property
    def tokens(self) -> float:
        return self.visual_tokens + self.text_tokens


def costs_of(
    plan: Plan,
    *,
    image: ImageCost,
    count_tokens: Callable[[str], int] | None = None,
    world: int = 1,
    sampled_units: int = SAMPLED_UNITS,
    sampled_steps: int = SAMPLED_STEPS,
) -> Costs:
    """Measure a plan. `count_tokens` says how many tokens a text has; without it four characters are one.

    Steps are packed as a run of `world` processes packs them: each its own units, in as few rows of the token budget as hold them.
    """
    count = count_tokens or QuarterOfCharacters()
    by_source = {one.recipe.label: _source_cost(one, image=image, count=count, sampled=sampled_units) for one in plan.sources if one.draws}
    drawn = {one.recipe.label: one.draws for one in plan.sources}
    packed = _packed(plan, image=image, count=count, world=world, sampled=sampled_steps)
    return Costs(
        by_source=by_source,
        steps=plan.steps,
        sets=plan.positions,
        images=sum(drawn[name] * cost.images_per_unit for name, cost in by_source.items()),
        visual_tokens=sum(drawn[name] * cost.visual_tokens_per_unit for name, cost in by_source.items()),
        text_tokens=sum(drawn[name] * cost.text_tokens_per_unit for name, cost in by_source.items()),
        **packed,
    )


def images_of(row: Conversation) -> tuple[int, bool]:
    """How many images a row shows, and whether that is known before frames are chosen."""
    named = sum(picture.place != VIDEO or picture.frame is not None for picture in row.pictures)
    has_whole = named < len(row.pictures)
    if not has_whole and (row.pictures or not row.frame_policy):
        return named, True
    frames = _FRAMES.fullmatch(row.frame_policy)
    return named + (int(frames[1]) if frames else 1), frames is not None


def visual_tokens_of(row: Conversation, image: ImageCost) -> int:
    """Visual tokens of a row, markers around images not counted."""
    images, _ = images_of(row)
    is_video = row.is_video or any(picture.place == VIDEO and picture.frame is None for picture in row.pictures)
    return image.tokens * (-(-images // image.frames_per_step) if is_video else images)


def text_tokens_of(rows: Sequence[Conversation], count: Callable[[str], int]) -> int:
    """Tokens around and between the images: of system, markers, and every question with its answer."""
    first = rows[0]
    markers = 1 if first.is_video else images_of(first)[0]
    system = count(first.system) + SYSTEM_TOKENS if first.system else 0
    turns = (turn for row in rows for turn in row.turns)
    return system + MARKER_TOKENS * markers + sum(count(turn.question) + count(turn.answer) + TURN_TOKENS for turn in turns)


def _source_cost(source: PlannedSource, *, image: ImageCost, count: Callable[[str], int], sampled: int) -> SourceCost:
    chosen = np.unique(np.linspace(0, len(source.units) - 1, min(sampled, len(source.units))).astype(np.int64))
    units = [source.table.many(source.units[unit].tolist()) for unit in chosen.tolist()]
    visual = [visual_tokens_of(rows[0], image) for rows in units]
    text = [text_tokens_of(rows, count) for rows in units]
    return SourceCost(
        sampled_units=len(units),
        questions_per_unit=len(source.units.rows) / len(source.units),
        images_per_unit=float(np.mean([images_of(rows[0])[0] for rows in units])),
        visual_tokens_per_unit=float(np.mean(visual)),
        text_tokens_per_unit=float(np.mean(text)),
        longest_unit=max(one + other for one, other in zip(visual, text)),
        unknown_frames=sum(not images_of(rows[0])[1] for rows in units),
    )


def _packed(plan: Plan, *, image: ImageCost, count: Callable[[str], int], world: int, sampled: int) -> dict:
    """Really pack some steps, spread over the run."""
    stream, budget = MixtureStream(plan), plan.recipe.token_budget
    found: Counter[str] = Counter()
    longest = ""
    steps = np.unique(np.linspace(0, plan.steps - 1, min(sampled, plan.steps)).astype(np.int64)).tolist()
    for step in steps:
        for rank in range(world):
            lengths = []
            for unit in stream.step(step, rank=rank, world=world):
                length = visual_tokens_of(unit.conversations[0], image) + text_tokens_of(unit.conversations, count)
                if length <= budget:
                    lengths.append(length)
                    continue
                found["too long"] += 1
                longest = longest or unit.conversations[0].sample_id
            if lengths:
                packing = balanced_rows(lengths, budget=budget)
                found["rows"] += len(packing.rows)
                found["useful"] += packing.tokens
                found["computed"] += packing.budget * len(packing.rows)
    return {
        "packed_steps": len(steps),
        "rows_per_step": found["rows"] / len(steps),
        "useful_share": found["useful"] / found["computed"] if found["computed"] else 0.0,
        "too_long": found["too long"],
        "longest": longest,
    }
