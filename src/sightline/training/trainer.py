"""The training loop: masked loss on answers, one update at a time, resumable to the bit."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sightline import __version__
from sightline.config import as_mapping, save
from sightline.errors import ConfigError, DataError, ModelError
from sightline.execution.progress import counting
from sightline.files import FINISHED, fingerprint, is_finished, mark_finished
from sightline.mixtures.plan import Plan
from sightline.models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint, with_fusion
from sightline.models.model import FUSIONS, PRESETS
from sightline.models.processor import SpatialVLProcessor
from sightline.models.sample_encoder import SampleEncoder
from sightline.models.spatial_vl import SpatialVLForConditionalGeneration
from sightline.models.tokenizer import train_tokenizer
from sightline.samples.benchmark_guard import refuse_guarded
from sightline.samples.sample import Sample
from sightline.samples.shards import read_samples
from sightline.training.checkpoint import TrainingState, newest_state, save_state
from sightline.training.data import Feed, TrainingData, Update
from sightline.training.metrics import Measured, Metrics
from sightline.training.mixture_data import fingerprint_of, planned_mixture, streamed, words_of
from sightline.training.optimiser import make_optimiser, set_rates, share_of_rate
from sightline.training.recipe import DataRecipe, TrainRecipe
from sightline.training.stream_data import StreamData

log = logging.getLogger("sightline")
Validate = Callable[[Checkpoint, int], Mapping[str, float]]  # (model so far, updates done) -> named scores
T = TypeVar("T")
CHECKPOINT, STATES = "checkpoint", "states"


def train(recipe: TrainRecipe, out: Path, *, resume: bool = False, validate: Validate | None = None) -> Path:
    """Train as the recipe says into `out`; returns the folder of the final checkpoint.

    `out` gets `recipe.yaml`, `metrics.jsonl`, `tensorboard/`, `states/` (to resume from), `checkpoint/` and `finished.json` last. A
    finished run of the same recipe and data is left as it is. Raises DataError, ModelError.
    """
    chosen = chosen_samples(recipe.data) if recipe.mixture is None else planned_mixture(recipe)
    made_from = fingerprint([__version__, _lasting(recipe), _shown(chosen)])
    if is_finished(out, made_from=made_from):
        log.info("%s: already trained from this recipe and data", out)
        return out / CHECKPOINT
    out.mkdir(parents=True, exist_ok=True)
    (out / FINISHED).unlink(missing_ok=True)
    save(recipe, out / "recipe.yaml")
    with _threads(recipe.loop.threads):
        checkpoint = start(recipe, chosen if isinstance(chosen, list) else (), words=() if isinstance(chosen, list) else words_of(chosen))
        data = _in_memory(recipe, chosen, checkpoint) if isinstance(chosen, list) else _streamed(recipe, chosen, checkpoint)
        summary = fit(checkpoint, data, recipe, out, made_from=made_from, resume=resume, validate=validate)
    if not Accelerator().is_main_process:
        return out / CHECKPOINT
    save_checkpoint(checkpoint, out / CHECKPOINT)
    save(recipe, out / CHECKPOINT / "recipe.yaml")
    samples = len(chosen) if isinstance(chosen, list) else sum(len(source.units.rows) for source in chosen.sources)
    mark_finished(
        out, made_from=made_from, updates=updates_of(recipe, data), samples=samples, loss=summary.loss, seconds=round(summary.seconds, 1)
    )
    return out / CHECKPOINT


def _shown(chosen: list[Sample] | Plan) -> object:
    """What the weights depend on."""
    if isinstance(chosen, Plan):
        return fingerprint_of(chosen)
    return [(sample.sample_id, sample.prompt, sample.answer_text) for sample in chosen]


def _in_memory(recipe: TrainRecipe, samples: list[Sample], checkpoint: Checkpoint) -> TrainingData:
    encoder = SampleEncoder(checkpoint.processor, store=Path(recipe.data.scenes))
    with counting("encode", len(samples)) as counter:
        return TrainingData.encode(samples, encoder, batch_size=recipe.loop.batch_size, seed=recipe.loop.seed, on_progress=counter.advance)


def _streamed(recipe: TrainRecipe, plan: Plan, checkpoint: Checkpoint) -> StreamData:
    processes = Accelerator()
    return streamed(recipe, plan, checkpoint.processor, rank=processes.process_index, world=processes.num_processes)


def updates_of(recipe: TrainRecipe, data: TrainingData | StreamData) -> int:
    """How many updates a run has: a mixture's steps, or as the recipe says."""
    return len(data) if isinstance(data, StreamData) else recipe.loop.updates


def chosen_samples(recipe: DataRecipe) -> list[Sample]:
    """The samples a recipe names. Raises DataError where there are none."""
    if not recipe.samples or not recipe.scenes:
        raise DataError("recipe: data.samples and data.scenes: expected a generated data set and its scene store, found an empty path")
    samples = list(read_samples(Path(recipe.samples), split=recipe.split, tasks=list(recipe.tasks) or None))
    known = {sample.scan_id for sample in samples}
    if not recipe.allow_benchmark_scenes:
        places = {sample.scan_id: sample.place_id for sample in samples if not recipe.scans or sample.scan_id in recipe.scans}
        refuse_guarded(places, fix="generate with --benchmark-scenes hold-out, or set data.allow_benchmark_scenes=true knowingly")
    for scan_id in recipe.scans:
        if scan_id not in known:
            raise DataError(f"recipe: data.scans: '{scan_id}' has no question of split '{recipe.split}' in {recipe.samples}")
    if recipe.scans:
        samples = [sample for sample in samples if sample.scan_id in recipe.scans]
    if recipe.per_task is not None:
        taken: dict[str, int] = {}
        kept = []
        for sample in samples:
            taken[sample.task] = taken.get(sample.task, 0) + 1
            if taken[sample.task] <= recipe.per_task:
                kept.append(sample)
        samples = kept
    if not samples:
        raise DataError(f"{recipe.samples}: expected samples of split '{recipe.split}' for tasks {list(recipe.tasks) or 'all'}, found none")
    return samples


def start(recipe: TrainRecipe, samples: Sequence[Sample], *, words: Iterable[str] = ()) -> Checkpoint:
    """The model before its first update: a checkpoint, or a preset with fresh weights and a tokenizer trained on the samples' words
    and on other `words`.

    The same seed gives the same weights outside the fusion, whatever the fusion.
    """
    data, wanted = recipe.data, recipe.model
    FUSIONS[wanted.fusion]  # a misspelt name is told before any work is done
    chosen = {"fusion": wanted.fusion, "fusion_options": wanted.fusion_options, "coordinate_frame": wanted.coordinate_frame}
    if wanted.start_from is not None:
        base = load_checkpoint(Path(wanted.start_from))
        tokenizer, model = base.tokenizer, with_fusion(base.model, seed=recipe.loop.seed, **chosen)
    else:
        learned = [*words, *(text for sample in samples for text in (sample.prompt, sample.answer_text))]
        tokenizer = train_tokenizer(learned, vocab_size=wanted.vocab_size)
        config = PRESETS[wanted.preset](tokenizer, **chosen)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.loop.seed)
            model = SpatialVLForConditionalGeneration(config)
    processor = SpatialVLProcessor.for_config(
        model.config,
        tokenizer,
        **_image_options(data),
        min_valid_fraction=data.min_valid_fraction,
        max_tokens=data.max_tokens,
        is_blind=data.blind,
    )
    return Checkpoint(model=model, processor=processor)


def _image_options(data: DataRecipe) -> dict[str, int]:
    """How a recipe wants images shown. Raises ConfigError."""
    limits = {name: value for name in ("min_pixels", "max_pixels") if (value := getattr(data, name)) is not None}
    if data.image_policy == "model":
        return limits
    if data.image_policy != "fixed" or limits:
        raise ConfigError(
            f"recipe: data.image_policy: expected 'fixed' without pixel limits, or 'model', found '{data.image_policy}' with {limits}"
        )
    return {"image_width": data.image_width, "image_height": data.image_height}


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """How a run ended."""

    loss: float  # of the last logged stretch
    seconds: float  # of training, over all resumes


def fit(
    checkpoint: Checkpoint,
    data: TrainingData | StreamData,
    recipe: TrainRecipe,
    out: Path,
    *,
    made_from: str,
    resume: bool,
    validate: Validate | None = None,
    stop_after: int | None = None,
) -> Summary:
    """Train `checkpoint.model` in place. `stop_after` ends early at that update, with its state saved (as a lost machine would not)."""
    loop = recipe.loop
    state = newest_state(out / STATES, made_from=made_from) if resume else None
    if state is not None:
        checkpoint.model.load_state_dict(state.weights, strict=False)
    accelerator = Accelerator()
    learner, optimiser = accelerator.prepare(
        _Learner(checkpoint, loop.naming_weight).train(), make_optimiser(checkpoint.model, recipe.optimiser)
    )
    done, seconds = 0, 0.0
    if state is not None:
        optimiser.load_state_dict(state.optimiser)
        torch.set_rng_state(state.torch_rng)
        done, seconds = state.update, state.seconds
        log.info("going on from update %d", done)
    metrics = Metrics(out, from_update=done, is_writer=accelerator.is_main_process)
    stretch, loss = _Stretch(), float("nan")
    updates = updates_of(recipe, data)
    last = min(updates, stop_after or updates)
    feed: Feed = data if isinstance(data, StreamData) else data.feed(checkpoint.processor, accumulate=loop.accumulate)
    coming = feed.updates(done, last)
    try:
        with counting("train", updates) as counter:
            counter.advance(done)
            while done < last:
                began = time.perf_counter()
                update = _next(coming, stretch)
                share = share_of_rate(
                    done,
                    updates=updates,
                    warmup_updates=recipe.optimiser.warmup_updates,
                    final_share=recipe.optimiser.final_share,
                )
                set_rates(optimiser, share)
                _update(
                    accelerator, learner, optimiser, _Numbered(number=done, update=update, feed=feed), recipe.optimiser.clip_norm, stretch
                )
                done += 1
                elapsed = time.perf_counter() - began
                seconds += elapsed
                stretch.seconds += elapsed
                if done % loop.log_every == 0 or done == last:
                    measured = stretch.measured(done, recipe.optimiser.learning_rate * share, checkpoint.model.gate_size(), seconds)
                    metrics.add(measured)
                    loss, stretch = measured.loss, _Stretch()
                counter.advance(1, note=f"loss {loss:.3f}")
                is_saved = done % loop.save_every == 0 or done == last
                if is_saved and accelerator.is_main_process:
                    _save(out, checkpoint, optimiser, done, seconds, made_from=made_from, keep_last=loop.keep_last)
                if validate is not None and loop.validate_every and done % loop.validate_every == 0:
                    checkpoint.model.eval()
                    metrics.add_validation(done, dict(validate(checkpoint, done)))
                    checkpoint.model.train()
    finally:
        coming.close()
        metrics.close()
    checkpoint.model.eval()
    return Summary(loss=loss, seconds=seconds)


class _Learner(nn.Module):
    """What is prepared by accelerate: a forward pass that is the loss."""

    def __init__(self, checkpoint: Checkpoint, naming_weight: float):
        super().__init__()
        self.model = checkpoint.model
        self.processor = checkpoint.processor
        self.naming_weight = naming_weight
        self.register_buffer("naming", torch.tensor(checkpoint.processor.dot_word_ids()), persistent=False)

    def forward(self, **inputs: Tensor) -> tuple[Tensor, int]:
        return self.model.answer_loss(**inputs, naming=self.naming, naming_weight=self.naming_weight)


@dataclass(kw_only=True, slots=True)
class _Stretch:
    """Sums over the updates since the last log line; the loss stays a tensor until it is read."""

    loss: float = 0.0
    learned: int = 0
    tokens: int = 0
    samples: int = 0
    gradient_norm: float = 0.0
    updates: int = 0
    seconds: float = 0.0
    waited: float = 0.0  # seconds for data

    def measured(self, update: int, learning_rate: float, gate: float, seconds: float) -> Measured:
        return Measured(
            update=update,
            loss=self.loss / self.learned,
            learning_rate=learning_rate,
            gradient_norm=self.gradient_norm / self.updates,
            tokens_per_s=self.tokens / self.seconds,
            samples_per_s=self.samples / self.seconds,
            gate=gate,
            seconds=seconds,
            waited=self.waited / self.seconds,
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Numbered:
    """An update, and where to look when it fails."""

    number: int
    update: Update
    feed: Feed


def _update(
    accelerator: Accelerator, learner: nn.Module, optimiser: torch.optim.Optimizer, numbered: _Numbered, clip_norm: float, stretch: _Stretch
) -> None:
    """One optimiser update over several portions. Every answer token weighs the same, in whichever portion of whichever process."""
    update, which = numbered.update, numbered.number + 1
    model = accelerator.unwrap_model(learner).model
    form = {"dtype": model.dtype, "attention": model.config._attn_implementation}
    world = accelerator.num_processes
    (learned,) = _of_all(accelerator, update.learned)
    portions, loss, tokens, samples = iter(update.portions), 0.0, 0, 0
    for number in range(update.count):
        portion = _next(portions, stretch)
        is_last = number == update.count - 1
        with nullcontext() if is_last else accelerator.no_sync(learner):
            loss_sum, _ = learner(**portion.on(accelerator.device, **form))
            value = loss_sum.item()
            if not torch.isfinite(loss_sum):
                raise ModelError(f"update {which}: the loss is {value} on {_culprits(accelerator, learner, numbered, number)}")
            accelerator.backward(loss_sum * world / learned)  # gradients are averaged over processes
        loss, tokens, samples = loss + value, tokens + portion.tokens, samples + portion.samples
    norm = float(accelerator.clip_grad_norm_(learner.parameters(), clip_norm))
    if norm != norm or norm == float("inf"):
        ids = ", ".join(name for name, _ in numbered.feed.shown(numbered.number, 0)[:5])
        raise ModelError(f"update {which}: the gradient is {norm} on a batch with {ids}; lower the learning rate")
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    loss, tokens, samples = _of_all(accelerator, loss, tokens, samples)
    stretch.loss += loss
    stretch.tokens += int(tokens)
    stretch.samples += int(samples)
    stretch.learned += int(learned)
    stretch.gradient_norm += norm
    stretch.updates += 1


def _of_all(accelerator: Accelerator, *counts: float) -> Sequence[float]:
    """Sums over all processes."""
    if accelerator.num_processes == 1:
        return counts
    return accelerator.reduce(torch.tensor(counts, dtype=torch.float64, device=accelerator.device), reduction="sum").tolist()


def _next(coming: Iterator[T], stretch: _Stretch) -> T:
    """What comes next, the time it takes counted as waiting."""
    began = time.perf_counter()
    found = next(coming)
    stretch.waited += time.perf_counter() - began
    return found


@torch.no_grad()
def _culprits(accelerator: Accelerator, learner: nn.Module, numbered: _Numbered, portion: int) -> str:
    """The samples of a portion whose own loss is not finite; the weights are at fault where that is all of them."""
    shown, bad = numbered.feed.shown(numbered.number, portion), []
    whole = accelerator.unwrap_model(learner)
    for name, sample in shown:
        inputs = whole.processor.collate([sample], padding_side="right").to(accelerator.device)
        loss, _ = whole(**inputs.for_loss())
        if not torch.isfinite(loss):
            bad.append(name)
    fix = "look at these samples" if len(bad) < len(shown) else "every sample of the batch: lower optimiser.learning_rate"
    return f"{', '.join(bad[:5])}{' and more' if len(bad) > 5 else ''} ({fix})"


def _save(
    out: Path, checkpoint: Checkpoint, optimiser: torch.optim.Optimizer, update: int, seconds: float, *, made_from: str, keep_last: int
) -> None:
    weights = {weight.data_ptr(): (name, weight) for name, weight in reversed(checkpoint.model.state_dict().items())}  # tied ones once
    state = TrainingState(
        update=update,
        weights=dict(reversed(weights.values())),
        optimiser=optimiser.state_dict(),
        torch_rng=torch.get_rng_state(),
        seconds=seconds,
    )
    save_state(out / STATES, state, made_from=made_from, keep_last=keep_last)


def _lasting(recipe: TrainRecipe) -> dict:
    """The recipe without what does not change the weights: how often it logs, saves and validates."""
    mapping = as_mapping(recipe)
    for name in ("log_every", "save_every", "keep_last", "validate_every", "workers", "ahead"):
        mapping["loop"].pop(name)
    return mapping


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
