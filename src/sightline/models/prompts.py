"""Questions in the turns of a tokenizer's own chat template, as token ids; nothing a user types becomes a special token."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from sightline.errors import ModelError
from sightline.models.tokenizer import CHAT_TEMPLATE, IMAGE, TURN_END, VISION_END, VISION_START

# What goes into a rendered template, as private characters, which no template writes: pieces of questions in their order, then two others
FIRST_PIECE, ANSWER, SYSTEM = "\ue000", "\uf8fe", "\uf8ff"
MOST_PIECES = ord(ANSWER) - ord(FIRST_PIECE)
PRIVATE = re.compile(f"[{FIRST_PIECE}-{SYSTEM}]")
IMAGE_WORD = "<image>"  # what other tools put in a question where an image belongs; here images are placed by structure
INTERNVL_IMAGE, INTERNVL_START, INTERNVL_END = "<IMG_CONTEXT>", "<img>", "</img>"
SYSTEM_TURN = (
    "{%- if messages[0]['role'] != 'system' -%}{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}{%- endif -%}"
)


def default_template(backbone: str, image_token: str) -> str:
    """The published turns of a kind of backbone, for a tokenizer that brings no template of its own."""
    if image_token == INTERNVL_IMAGE:
        return CHAT_TEMPLATE.replace(f"{VISION_START}{IMAGE}{VISION_END}", f"{INTERNVL_IMAGE}\\n")
    return SYSTEM_TURN + CHAT_TEMPLATE if backbone == "qwen2_5_vl" else CHAT_TEMPLATE


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One turn: its question in pieces, an image at each None; and its answer, which only the last turn may leave open."""

    pieces: tuple[str | None, ...]
    answer: str | None

    @property
    def words(self) -> str:
        """The question without its images."""
        return "".join(piece for piece in self.pieces if piece is not None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """Token ids, and the places of those that are learned."""

    ids: list[int]
    learned: list[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Turns:
    """Turns up to the last answer, cut where tokens go in: ids of special tokens, text, and slots."""

    parts: tuple[int | str | None, ...]  # None: an image; ANSWER: an answer and its end; other text may hold private characters


class Prompts:
    """The questions of one tokenizer. `image_token` is None for a backbone without eyes, whose template knows text alone."""

    def __init__(self, tokenizer: Any, *, template: str, image_token: str | None):
        self.tokenizer = tokenizer
        self.template = template
        self.image_token = image_token
        self.text_ids = lru_cache(maxsize=65536)(self._text_ids)
        self.id_of = lru_cache(maxsize=256)(self._id_of)  # a look-up in a large vocabulary is slower than it sounds
        self._turns = lru_cache(maxsize=1024)(self._cut_turns)

    def __reduce__(self) -> tuple[Any, tuple[Any, str, str | None]]:
        """It pickles without what it remembers, for loader processes."""
        return _prompts, (self.tokenizer, self.template, self.image_token)

    def written(self, turns: Sequence[Asked], images: Sequence[Sequence[int]], *, prefix: Sequence[int], system: str = "") -> Written:
        """Ids of a conversation: every answer with its end token is learned, and nothing else. `images` are the ids that stand for each
        image in turn, `prefix` those before the first words. An open last answer ends where it begins.
        """
        shapes = tuple(tuple(piece is None for piece in turn.pieces) for turn in turns)
        words = [piece for turn in turns for piece in turn.pieces if piece is not None]
        answers, shown, before = (turn.answer for turn in turns), iter(images), prefix
        ids: list[int] = []
        learned: list[int] = []
        for part in self._turns(shapes, bool(system)).parts:
            if part is None:
                ids.extend(next(shown))
            elif isinstance(part, int):
                ids.append(part)
            elif part == ANSWER:
                answer = self.answer_ids(next(answers))
                learned.extend(range(len(ids), len(ids) + len(answer)))
                ids.extend(answer)
            elif before and FIRST_PIECE in part:
                ahead, after = part.split(FIRST_PIECE)
                ids.extend([*self.text_ids(ahead), *before, *self.text_ids(_filled(FIRST_PIECE + after, words, system))])
            else:
                ids.extend(self.text_ids(_filled(part, words, system)))  # in one piece: words may join across the seam
        return Written(ids=ids, learned=learned)

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

    def _cut_turns(self, shapes: tuple[tuple[bool, ...], ...], has_system: bool) -> Turns:
        """`shapes`: of each turn, which of its pieces are images. Raises ModelError for a template that loses, turns or repeats a part."""
        pieces = sum(shape.count(False) for shape in shapes)
        images = sum(shape.count(True) for shape in shapes) if self.image_token else 0
        if pieces > MOST_PIECES:
            raise ModelError(f"conversation: expected at most {MOST_PIECES} stretches of words between images, found {pieces}")
        slots = [chr(ord(FIRST_PIECE) + number) for number in range(pieces)]
        rendered = self._rendered(shapes, slots, has_system)
        if self.image_token and self.image_token not in rendered:  # InternVL's first published templates write the word instead
            rendered = rendered.replace(IMAGE_WORD, self.image_token)
        special = self.tokenizer.get_added_vocab()
        cut = "|".join(re.escape(token) for token in [*sorted(special, key=len, reverse=True), ANSWER])
        parts = [None if piece == self.image_token else special.get(piece, piece) for piece in re.split(f"({cut})", rendered) if piece]
        expected = ([SYSTEM] if has_system else []) + slots
        if parts.count(None) != images or [one for one in PRIVATE.findall(rendered) if one != ANSWER] != expected:
            what = "the question" if pieces == 1 else f"each of {pieces} stretches of words"
            raise ModelError(
                f"chat template: expected {what} once and {images} times '{self.image_token}' for {images} images, found {rendered!r}"
            )
        ends = [place + 1 for place, part in enumerate(parts) if part == ANSWER]
        end = self.tokenizer.convert_ids_to_tokens(self.turn_end_id)
        if len(ends) != len(shapes) or any(parts[place : place + 1] != [self.turn_end_id] for place in ends[:-1]):
            raise ModelError(
                f"chat template: expected each of {len(shapes) - 1} earlier answers once and '{end}' after it, found {rendered!r}"
            )
        return Turns(parts=tuple(part for place, part in enumerate(parts) if place not in ends))

    def _rendered(self, shapes: tuple[tuple[bool, ...], ...], slots: list[str], has_system: bool) -> str:
        """The template's own text, with private characters where the conversation's go. The last answer stands after the opening of
        its turn, as a model is asked for it.
        """

        def content(parts: list[str | None]) -> Any:
            if not self.image_token:
                return "".join(part for part in parts if part is not None)
            return [{"type": "image"} if part is None else {"type": "text", "text": part} for part in parts]

        words = iter(slots)
        messages = [{"role": "system", "content": content([SYSTEM])}] if has_system else []
        for shape in shapes:
            messages += [{"role": "user", "content": content([None if is_image else next(words) for is_image in shape])}]
            messages += [{"role": "assistant", "content": content([ANSWER])}]
        opened = self.tokenizer.apply_chat_template(messages[:-1], chat_template=self.template, tokenize=False, add_generation_prompt=True)
        return opened + ANSWER


def _filled(part: str, words: Sequence[str], system: str) -> str:
    """Text of a template with what stands in its slots; what a user typed is not looked at again."""
    return PRIVATE.sub(lambda found: system if found[0] == SYSTEM else words[ord(found[0]) - ord(FIRST_PIECE)], part)


def _prompts(tokenizer: Any, template: str, image_token: str | None) -> Prompts:
    return Prompts(tokenizer, template=template, image_token=image_token)
