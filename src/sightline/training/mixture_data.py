"""From the mixture block of a recipe to its steps: plan, leak guard, pictures of each source, words for a fresh tokenizer."""

import hashlib
import logging
from pathlib import Path

import numpy as np

from sightline.errors import ConfigError, DataError
from sightline.files import fingerprint
from sightline.mixtures.importing import manifest_of
from sightline.mixtures.leaks import leaks_of, refuse_leaks
from sightline.mixtures.mixture import SourceRecipe
from sightline.mixtures.plan import Plan, planned
from sightline.mixtures.sampling import fps_indices, uniform_indices
from sightline.mixtures.scene_pictures import SceneFrames, sampling_of_policy, without_views
from sightline.mixtures.stream import MixtureStream
from sightline.models.conversation_encoder import ConversationEncoder
from sightline.models.processor import SpatialVLProcessor
from sightline.samples.conversation import VIDEO, Conversation, with_frames
from sightline.samples.frames import DEFAULT_CACHE_BYTES, FrameCache
from sightline.samples.media import Media
from sightline.training.recipe import TrainRecipe
from sightline.training.stream_data import StreamData

log = logging.getLogger("sightline")
READ_FOR_WORDS = 20_000  # rows of all sources that a fresh tokenizer is trained on


def planned_mixture(recipe: TrainRecipe) -> Plan:
    """The plan of a recipe's mixture, on which no benchmark is trained that it evaluates on unless the recipe says so.

    Raises DataError for what cannot be met or leaks, ConfigError where the learning rate would never be reached.
    """
    if recipe.mixture is None:
        raise ConfigError("recipe: expected a block 'mixture', found none")
    plan = planned(recipe.mixture)
    for line in refuse_leaks(leaks_of(plan, near=False), allow=recipe.mixture.allow_leaks):
        log.warning("%s", line)
    warmup = recipe.optimiser.warmup_updates
    if warmup >= plan.steps:
        raise ConfigError(
            f"recipe: optimiser.warmup_updates={warmup} would last through all {plan.steps} steps of the mixture; the full learning rate "
            f"would never be reached. Fix: optimiser.warmup_updates: {plan.steps // 20}, or mixture.steps above {warmup}"
        )
    return plan


def streamed(recipe: TrainRecipe, plan: Plan, processor: SpatialVLProcessor, *, rank: int = 0, world: int = 1) -> StreamData:
    """The steps that process `rank` of `world` learns from."""
    cache_bytes = DEFAULT_CACHE_BYTES // len(plan.sources)
    encoders = {
        source.recipe.label: ConversationEncoder(
            processor,
            Media(root=_media_root(source.recipe), store=_store(source.recipe), cache=FrameCache(cache_bytes)),
            without_geometry=source.recipe.without_geometry,
            frames=OpenPictures(source.recipe, seed=plan.recipe.seed),
        )
        for source in plan.sources
    }
    loop = recipe.loop
    return StreamData(
        MixtureStream(plan),
        encoders,
        processor,
        rows_per_pass=loop.rows_per_pass,
        rank=rank,
        world=world,
        workers=loop.workers,
        ahead=loop.ahead,
    )


class OpenPictures:
    """Frames for rows that leave them open, a whole video or a scan, as the recipe says or else the row itself; and view dropout."""

    def __init__(self, source: SourceRecipe, *, seed: int):
        store = _store(source)
        self.source, self.seed = source, seed
        self.scans = None if store is None else SceneFrames(store, sampling=source.frames)

    def __call__(self, conversation: Conversation, media: Media, position: int) -> Conversation:
        """Raises DataError for a row with neither policy nor pictures, or whose scan no store holds."""
        filled, source = self._filled(conversation, media), self.source
        if not source.view_dropout:
            return filled
        return without_views(filled, share=source.view_dropout, at_least=source.least_views, seed=self.seed, position=position)

    def _filled(self, conversation: Conversation, media: Media) -> Conversation:
        wholes = [picture for picture in conversation.pictures if picture.place == VIDEO and picture.frame is None]
        if not wholes and (conversation.pictures or not (conversation.frame_policy or self.source.frames)):
            return conversation
        where = conversation.found_at or conversation.sample_id
        if not wholes:
            if self.scans is None:
                raise DataError(f"{where}: expected a scene store for '{conversation.frame_policy}', found none. Fix: the source's scenes")
            return self.scans.fill(conversation)
        sampling = self.source.frames or sampling_of_policy(conversation.frame_policy, where=where)
        video = media.video(wholes[0])
        if sampling.how == "uniform":
            return with_frames(conversation, uniform_indices(video.num_frames, sampling.count, rule=sampling.rule))
        if sampling.how == "fps":
            ticks = fps_indices(np.arange(video.num_frames) / video.frames_per_s, frames_per_s=sampling.frames_per_s)
            return with_frames(conversation, [ticks[place] for place in uniform_indices(len(ticks), sampling.count)])
        raise DataError(f"{where}: expected frames of a video by 'uniform' or 'fps', found '{sampling.how}'")


def words_of(plan: Plan) -> list[str]:
    """Questions and answers of evenly spread rows of every source, as many of each as it has rows, for a tokenizer."""
    total = sum(len(source.units.rows) for source in plan.sources)
    found: list[str] = []
    for source in plan.sources:
        rows = np.sort(source.units.rows)
        count = min(len(rows), max(1, READ_FOR_WORDS * len(rows) // total))
        for row in source.table.many(rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)].tolist()):
            found += [row.system, *(text for turn in row.turns for text in (turn.question, turn.answer))]
    return found


def fingerprint_of(plan: Plan) -> str:
    """Changes with the rows that a run sees: which are taken, how they are grouped, and the files they lie in."""
    parts = []
    for source in plan.sources:
        files = [(path.name, path.stat().st_size) for path in source.table.files]
        manifest = manifest_of(source.table.folder) if source.table.folder.is_dir() else None
        taken = hashlib.sha256(source.units.rows.tobytes() + source.units.starts.tobytes()).hexdigest()
        parts.append([source.recipe.label, files, manifest and manifest.get("made_from"), taken])
    return fingerprint(parts)


def _media_root(source: SourceRecipe) -> Path | None:
    """As the recipe says, or as the import wrote it down."""
    if source.media:
        return Path(source.media)
    manifest = manifest_of(Path(source.folder)) if Path(source.folder).is_dir() else None
    return Path(manifest["media_root"]) if manifest is not None and manifest.get("media_root") else None


def _store(source: SourceRecipe) -> Path | None:
    return Path(source.scenes) if source.scenes else None
