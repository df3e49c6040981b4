"""A question in the turns of a tokenizer's own chat template, as token ids; nothing a user types becomes a special token."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from sightline.errors import ModelError
from sightline.models.tokenizer import CHAT_TEMPLATE, IMAGE, TURN_END, VISION_END, VISION_START

QUESTION = "\ue000"  # where the question goes in a rendered template; a private character, which no template writes
IMAGE_WORD = "<image>"  # what other tools put in a question where an image belongs; here images are placed by structure
INTERNVL_IMAGE, INTERNVL_START, INTERNVL_END = "<IMG_CONTEXT>", "<img>", "</img>"
SYSTEM_TURN = "{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}"


def default_template(backbone: str, image_token: str) -> str:
    """The published turns of a kind of backbone, for a tokenizer that brings no template of its own."""
    if image_token == INTERNVL_IMAGE:
        return CHAT_TEMPLATE.replace(f"{VISION_START}{IMAGE}{VISION_END}", f"{INTERNVL_IMAGE}\\n")
    return SYSTEM_TURN + CHAT_TEMPLATE if backbone == "qwen2_5_vl" else CHAT_TEMPLATE


@dataclass(frozen=True, kw_only=True, slots=True)
class Turns:
    """The user's turn and the opening of the assistant's, cut where tokens go in: ids of special tokens, plain text, and slots."""

    parts: tuple[int | str | None, ...]  # None: an image; text may hold QUESTION


class Prompts:
    """The questions of one tokenizer. `image_token` is None for a backbone without eyes, whose template knows text alone."""

    def __init__(self, tokenizer: Any, *, template: str, image_token: str | None):
        self.tokenizer = tokenizer
        self.template = template
        self.image_token = image_token
        self.text_ids = lru_cache(maxsize=65536)(self._text_ids)
        self.id_of = lru_cache(maxsize=256)(self._id_of)  # a look-up in a large vocabulary is slower than it sounds
        self._turns = lru_cache(maxsize=256)(self._cut_turns)

    def head_ids(self, question: str, images: Sequence[Sequence[int]], *, prefix: Sequence[int]) -> list[int]:
        """Ids up to where the answer begins: `images` are those that stand for each image, `prefix` those before the question."""
        ids: list[int] = []
        shown = iter(images)
        for part in self._turns(len(images) if self.image_token else 0).parts:
            if part is None:
                ids.extend(next(shown))
            elif isinstance(part, int):
                ids.append(part)
            elif QUESTION not in part:
                ids.extend(self.text_ids(part))
            elif not prefix:
                ids.extend(self.text_ids(part.replace(QUESTION, question)))  # in one piece: words may join across the seam
            else:
                before, after = part.split(QUESTION)
                ids.extend([*self.text_ids(before), *prefix, *self.text_ids(question + after)])
        return ids

    def answer_ids(self, answer: str | None) -> list[int]:
        """Ids of an answer and the end of its turn; none for None."""
        return [] if answer is None else [*self.text_ids(answer), self.turn_end_id]

    @cached_property
    def turn_end_id(self) -> int:
        """The token that ends an answer."""
        return self.id_of(TURN_END) if TURN_END in self.tokenizer.get_vocab() else self.tokenizer.eos_token_id

    def _id_of(self, token: str) -> int:
        """Raises ModelError for a token that the tokenizer does not have."""
        found = self.tokenizer.convert_tokens_to_ids(token)
        if found is None or (found == self.tokenizer.unk_token_id and token != self.tokenizer.unk_token):
            raise ModelError(f"tokenizer: expected a token '{token}', found none among its {len(self.tokenizer)}")
        return found

    def framed_ids(self, ids: Sequence[int]) -> list[int]:
        """Placeholders between the marks in which the backbone was taught to see images, where the template leaves them out."""
        return [self.id_of(INTERNVL_START), *ids, self.id_of(INTERNVL_END)] if self.image_token == INTERNVL_IMAGE else list(ids)

    def _text_ids(self, text: str) -> tuple[int, ...]:
        """Text as a user typed it: `<|image_pad|>` in it is nine ordinary tokens, never the special one."""
        return tuple(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def _cut_turns(self, images: int) -> Turns:
        content: Any = QUESTION
        if self.image_token:
            content = [*({"type": "image"} for _ in range(images)), {"type": "text", "text": QUESTION}]
        rendered = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], chat_template=self.template, tokenize=False, add_generation_prompt=True
        )
        if self.image_token and self.image_token not in rendered:  # InternVL's first published templates write the word instead
            rendered = rendered.replace(IMAGE_WORD, self.image_token)
        special = self.tokenizer.get_added_vocab()
        pieces = re.split("(" + "|".join(re.escape(token) for token in sorted(special, key=len, reverse=True)) + ")", rendered)
        parts = [None if piece == self.image_token else special.get(piece, piece) for piece in pieces if piece]
        if parts.count(None) != images or sum(part.count(QUESTION) for part in parts if isinstance(part, str)) != 1:
            raise ModelError(
                f"chat template: expected the question once and {images} times '{self.image_token}' for {images} images, found {rendered!r}"
            )
        return Turns(parts=tuple(parts))
