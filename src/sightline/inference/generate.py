"""Greedy answers of a checkpoint: batches of samples, or one question about the views at hand."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from sightline.errors import ModelError
from sightline.inference.replies import Reply
from sightline.models.checkpoints import Checkpoint, load_checkpoint
from sightline.models.encoded import Encoded
from sightline.models.sample_encoder import SampleEncoder
from sightline.samples.frames import View
from sightline.samples.sample import Sample

ASKED = "asked"  # sample id of a question that belongs to no data set


class Answerer:
    """A loaded model that replies."""

    def __init__(self, checkpoint: Checkpoint, *, max_new_tokens: int = 32):
        self.model = checkpoint.model
        self.processor = checkpoint.processor
        self.max_new_tokens = max_new_tokens

    @classmethod
    def load(cls, checkpoint: Path, *, device: str = "cpu", max_new_tokens: int = 32) -> "Answerer":
        """From a checkpoint folder or a finished training run. Raises ModelError."""
        return cls(load_checkpoint(checkpoint, device=device), max_new_tokens=max_new_tokens)

    @property
    def needs_depth(self) -> bool:
        """Whether replies depend on the geometry of the views."""
        return self.processor.needs_depth and self.model.config.has_encoder

    def answer(
        self, samples: Sequence[Sample], *, store: Path, batch_size: int = 32, on_progress: Callable[[int], None] | None = None
    ) -> list[Reply]:
        """One reply per sample, in their order. Batches hold samples of similar length; `on_progress` is told how many were answered."""
        encoder = SampleEncoder(self.processor, store=store)
        encoded = [encoder.encode(sample, with_answer=False) for sample in samples]
        order = sorted(range(len(samples)), key=lambda index: (len(encoded[index].input_ids), index))
        replies: dict[int, Reply] = {}
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            said = self.reply_to([encoded[index] for index in rows], [samples[index].sample_id for index in rows])
            replies.update(zip(rows, said, strict=True))
            if on_progress is not None:
                on_progress(len(replies))
        return [replies[index] for index in range(len(samples))]

    def ask(self, question: str, views: Sequence[View]) -> Reply:
        """Reply to one question. Views without pose or depth are shown as plain images."""
        shown = () if self.processor.is_blind else views
        return self.reply_to([self.processor.encode(question, shown, answer=None, where="question")], [ASKED])[0]

    @torch.inference_mode()
    def reply_to(self, encoded: Sequence[Encoded], sample_ids: Sequence[str]) -> list[Reply]:
        """Left-padded greedy decoding to the end of the turn."""
        longest = max(len(sample.input_ids) for sample in encoded) + self.max_new_tokens
        limit = self.model.config.get_text_config().max_position_embeddings
        if longest > limit:
            raise ModelError(
                f"expected at most {limit} tokens with the reply, found {longest}; show fewer images or ask a shorter question"
            )
        started = time.perf_counter()
        batch = self.processor.collate(encoded, padding_side="left").to(self.model.device)
        tokenizer = self.processor.tokenizer
        ids = self.model.generate(
            **batch.for_generation(),
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )[:, batch.input_ids.shape[1] :]
        seconds = (time.perf_counter() - started) / len(encoded)
        replies = []
        for sample_id, row in zip(sample_ids, ids.tolist(), strict=True):
            said = row[: row.index(tokenizer.eos_token_id)] if tokenizer.eos_token_id in row else row
            text = tokenizer.decode(said, skip_special_tokens=True)
            replies.append(Reply(sample_id=sample_id, text=text, tokens=len(said), seconds=seconds))
        return replies
