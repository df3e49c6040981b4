"""From a prompt and its views to model inputs: chat template, patches, geometry, labels; nothing is ever cut silently."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor, BatchFeature, ProcessorMixin

from sightline.errors import DataError, ModelError
from sightline.geometry.transforms import apply
from sightline.models.config import SpatialVLConfig
from sightline.models.geometry_encoders.pointmap import token_points
from sightline.models.geometry_tokens import FIRST_CAMERA, frame_from_world
from sightline.models.images import normalised, patches_of
from sightline.models.model import IGNORED
from sightline.models.tokenizer import IMAGE, TURN_END, TURN_START, VISION_END, VISION_START
from sightline.questions.question import MARK_COLOURS
from sightline.samples.frames import View

PLACEHOLDER = "<image>"  # the word other tools put in a question where an image belongs; here images are placed by structure


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Encoded:
    """One sample as arrays: L tokens, V views of p patches and n merged tokens each. Small, so that a whole data set fits in memory."""

    input_ids: np.ndarray  # (L,) int32
    labels: np.ndarray  # (L,) int32, -100 outside the answer and its end-of-turn
    patches: np.ndarray  # (V p, 3 patch patch) uint8, in the order of the vision tower
    coordinates_m: np.ndarray  # (V n, 3) float32, in the model's coordinate frame; NaN where invalid
    is_valid: np.ndarray  # (V n,) bool
    views: int
    dots: np.ndarray  # (V n,) int8, which of MARK_COLOURS has a dot's centre in the token, counted from 1; 0 = none


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModelInputs:
    """A padded batch. Geometry and pixels are concatenated over the batch."""

    input_ids: Tensor  # (B, L)
    attention_mask: Tensor  # (B, L)
    mm_token_type_ids: Tensor  # (B, L) 1 at image placeholders
    position_ids: Tensor  # (3, B, L) time, row, column
    labels: Tensor  # (B, L)
    pixel_values: Tensor | None
    image_grid_thw: Tensor | None  # (I, 3) patches
    geometry_coordinates: Tensor | None  # (N, 3)
    geometry_valid: Tensor | None  # (N,)
    geometry_grid_hw: Tensor | None  # (I, 2) merged tokens
    dots: Tensor | None  # (N,) see Encoded

    def for_generation(self) -> dict[str, Tensor]:
        """Keyword arguments of `generate`, which finds positions itself."""
        return {name: value for name, value in self._all().items() if name not in ("labels", "position_ids", "dots")}

    def for_loss(self) -> dict[str, Tensor]:
        """Keyword arguments of `answer_loss`."""
        return {name: value for name, value in self._all().items() if name != "mm_token_type_ids"}

    def to(self, device: torch.device | str) -> "ModelInputs":
        """The same batch on a device."""
        return ModelInputs(**{name: getattr(self, name) if value is None else value.to(device) for name, value in self._every().items()})

    def _every(self) -> dict[str, Tensor | None]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def _all(self) -> dict[str, Tensor]:
        return {name: value for name, value in self._every().items() if value is not None}


class SpatialVLProcessor(ProcessorMixin):
    """Prompts and views in, tensors out. Saved with the checkpoint, loads through `AutoProcessor`."""

    def __init__(
        self,
        tokenizer: Any = None,
        chat_template: str | None = None,
        image_width: int = 128,
        image_height: int = 96,
        patch_size: int = 8,
        merge_size: int = 2,
        temporal_patch_size: int = 1,
        geometry_encoder: str = "pointmap",
        coordinate_frame: str = FIRST_CAMERA,
        min_valid_fraction: float = 0.25,
        max_tokens: int = 1024,
        is_blind: bool = False,
    ):
        super().__init__(tokenizer, chat_template=chat_template or getattr(tokenizer, "chat_template", None))
        window = patch_size * merge_size
        if image_width % window or image_height % window or min(image_width, image_height) < window:
            raise ModelError(f"processor: expected an image size of multiples of {window} pixels, found {image_width}x{image_height}")
        self.image_width, self.image_height = image_width, image_height
        self.patch_size, self.merge_size, self.temporal_patch_size = patch_size, merge_size, temporal_patch_size
        self.geometry_encoder, self.coordinate_frame, self.min_valid_fraction = geometry_encoder, coordinate_frame, min_valid_fraction
        self.max_tokens = max_tokens
        self.is_blind = is_blind  # a model that is shown no image at all, the baseline that reads only the question
        self._user_ids = lru_cache(maxsize=65536)(self._split_ids)

    @classmethod
    def for_config(cls, config: SpatialVLConfig, tokenizer: Any, **options: Any) -> "SpatialVLProcessor":
        """The processor that fits a model's patches and coordinate frame."""
        grid = config.vision_grid
        return cls(
            tokenizer=tokenizer,
            patch_size=grid.patch_px,
            merge_size=grid.merge,
            temporal_patch_size=grid.temporal_patch,
            geometry_encoder=config.geometry_encoder,
            coordinate_frame=config.coordinate_frame,
            **options,
        )

    @property
    def rows(self) -> int:
        """Rows of merged tokens of an image."""
        return self.image_height // (self.patch_size * self.merge_size)

    @property
    def columns(self) -> int:
        """Columns of merged tokens of an image."""
        return self.image_width // (self.patch_size * self.merge_size)

    @property
    def tokens_per_image(self) -> int:
        return self.rows * self.columns

    def view_points(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """World points `(n, 3)` of a view's tokens and their validity: the part of `encode` worth keeping per frame."""
        return token_points(view, rows=self.rows, columns=self.columns, min_valid_fraction=self.min_valid_fraction)

    def view_patches(self, view: View) -> np.ndarray:
        """uint8 patches of a view; ModelError for an image of another size than the model's."""
        height, width = view.rgb.shape[:2]
        if (width, height) != (self.image_width, self.image_height):
            raise ModelError(
                f"frame {view.frame_id}: expected an image of {self.image_width}x{self.image_height}, found {width}x{height}; "
                "resize it with its intrinsics first"
            )
        return patches_of(view.rgb, patch_size=self.patch_size, merge_size=self.merge_size)

    def encode(self, prompt: str, views: Sequence[View], *, answer: str | None, where: str) -> Encoded:
        """One sample. `answer` None leaves the turn open for the model. Raises DataError for a typed image placeholder in the prompt,
        ModelError where question, images and answer exceed `max_tokens`; nothing is cut.
        """
        points = [self.view_points(view) for view in views]
        first = views[0].world_from_camera if views else None
        return self.encode_parts(prompt, [self.view_patches(view) for view in views], points, first, answer=answer, where=where)

    def encode_parts(
        self,
        prompt: str,
        patches: Sequence[np.ndarray],
        points: Sequence[tuple[np.ndarray, np.ndarray]],
        first_world_from_camera: np.ndarray | None,
        *,
        answer: str | None,
        where: str,
        dots: np.ndarray | None = None,
    ) -> Encoded:
        """As `encode`, from the patches and world points of the views."""
        head, answer_ids = self._head_ids(prompt, len(patches), where), self._answer_ids(answer)
        ids = np.array([*head, *answer_ids], dtype=np.int32)
        if len(ids) > self.max_tokens:
            raise ModelError(
                f"{where}: {len(patches)} images of {self.tokens_per_image} tokens, the question of {len(self._user_ids(prompt))} and the "
                f"answer of {len(answer_ids)} make {len(ids)} tokens, the limit is {self.max_tokens}. "
                "Fix: fewer or smaller images, a shorter question, or a larger max_tokens"
            )
        coordinates, is_valid = self._coordinates(points, first_world_from_camera)
        placeholders = int((ids == self.image_token_id).sum())
        if not placeholders == len(coordinates) == sum(len(part) for part in patches) // self.merge_size**2:
            raise ModelError(
                f"{where}: {placeholders} image placeholders, {len(coordinates)} coordinates, "
                f"{sum(len(part) for part in patches)} patches do not match"
            )
        return Encoded(
            input_ids=ids,
            labels=np.concatenate([np.full(len(head), IGNORED, np.int32), ids[len(head) :]]),
            patches=np.concatenate(patches) if patches else np.zeros((0, 3 * self.patch_size**2), np.uint8),
            coordinates_m=coordinates,
            is_valid=is_valid,
            views=len(patches),
            dots=np.zeros(len(coordinates), np.int8) if dots is None else dots,
        )

    def _coordinates(self, points: Sequence[tuple[np.ndarray, np.ndarray]], first: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        if not points:
            return np.zeros((0, 3), np.float32), np.zeros(0, bool)
        points_world = np.concatenate([world for world, _ in points])
        is_valid = np.concatenate([valid for _, valid in points])
        if first is None:  # without the first camera there is no frame to express the others in
            return np.full(points_world.shape, np.nan, np.float32), np.zeros_like(is_valid)
        return apply(frame_from_world(self.coordinate_frame, first), points_world).astype(np.float32), is_valid

    def _head_ids(self, prompt: str, images: int, where: str) -> list[int]:
        """The user's turn with images first, and the opening of the assistant's."""
        if PLACEHOLDER in prompt:
            raise DataError(f"{where}: '{PLACEHOLDER}' stands in the question; images are given apart from the text, leave it out")
        start, end, image = self._id(VISION_START), self._id(VISION_END), self.image_token_id
        shown = [start, *[image] * self.tokens_per_image, end] * images
        user, assistant, newline = self._user_ids("user\n"), self._user_ids("assistant\n"), self._user_ids("\n")
        turn, turn_end = self._id(TURN_START), self._id(TURN_END)
        return [turn, *user, *shown, *self._user_ids(prompt), turn_end, *newline, turn, *assistant]

    def _answer_ids(self, answer: str | None) -> list[int]:
        return [] if answer is None else [*self._user_ids(answer), self._id(TURN_END)]

    def _split_ids(self, text: str) -> tuple[int, ...]:
        """Text as a user typed it: `<|image_pad|>` in it is nine ordinary tokens, never the special one."""
        return tuple(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def _id(self, token: str) -> int:
        return self.tokenizer.convert_tokens_to_ids(token)

    @property
    def image_token_id(self) -> int:
        return self._id(IMAGE)

    def dot_word_ids(self) -> list[int]:
        """Token ids that stand for "no dot" and for each of MARK_COLOURS, by the first token of its word."""
        return [self.image_token_id, *(self._user_ids(f" {colour}")[0] for colour in MARK_COLOURS)]

    def collate(self, encoded: Sequence[Encoded], *, padding_side: str) -> ModelInputs:
        """Pad to one length: `right` for training, `left` for generation."""
        length = max(len(sample.input_ids) for sample in encoded)
        shape = (len(encoded), length)
        ids = np.full(shape, self.tokenizer.pad_token_id, np.int64)
        labels, attended = np.full(shape, IGNORED, np.int64), np.zeros(shape, np.int64)
        positions = np.zeros((3, *shape), np.int64)
        for row, sample in enumerate(encoded):
            count = len(sample.input_ids)
            place = slice(0, count) if padding_side == "right" else slice(length - count, length)
            ids[row, place], labels[row, place], attended[row, place] = sample.input_ids, sample.labels, 1
            positions[:, row, place] = self._positions(sample.input_ids)
        images = sum(sample.views for sample in encoded)
        visual = self._visual(encoded, images) if images else dict.fromkeys(_VISUAL_NAMES)
        return ModelInputs(
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(attended),
            mm_token_type_ids=torch.from_numpy((ids == self.image_token_id).astype(np.int64)),
            position_ids=torch.from_numpy(positions),
            labels=torch.from_numpy(labels),
            **visual,
        )

    def _visual(self, encoded: Sequence[Encoded], images: int) -> dict[str, Tensor]:
        patches = np.concatenate([sample.patches for sample in encoded])
        pixels = normalised(patches, patch_size=self.patch_size, temporal_patch_size=self.temporal_patch_size)
        grid = [self.rows, self.columns]
        return {
            "pixel_values": torch.from_numpy(pixels),
            "image_grid_thw": torch.tensor([[1, *(size * self.merge_size for size in grid)]]).repeat(images, 1),
            "geometry_coordinates": torch.from_numpy(np.concatenate([sample.coordinates_m for sample in encoded])),
            "geometry_valid": torch.from_numpy(np.concatenate([sample.is_valid for sample in encoded])),
            "geometry_grid_hw": torch.tensor([grid]).repeat(images, 1),
            "dots": torch.from_numpy(np.concatenate([sample.dots for sample in encoded]).astype(np.int64)),
        }

    def _positions(self, ids: np.ndarray) -> np.ndarray:
        """`(3, L)` positions: text counts on; an image's tokens share one time and count rows and columns, as in Qwen3-VL."""
        positions, at, next_position = np.empty((3, len(ids)), np.int64), 0, 0
        rows, columns = np.divmod(np.arange(self.tokens_per_image), self.columns)
        is_image = ids == self.image_token_id
        while at < len(ids):
            if is_image[at]:
                positions[:, at : at + len(rows)] = next_position + np.stack([np.zeros_like(rows), rows, columns])
                at, next_position = at + len(rows), next_position + max(self.rows, self.columns)
            else:
                run = int(is_image[at:].argmax()) if is_image[at:].any() else len(ids) - at
                positions[:, at : at + run] = next_position + np.arange(run)
                at, next_position = at + run, next_position + run
        return positions

    def __call__(self, images: Any = None, text: str | Sequence[str] | None = None, **kwargs: Any) -> BatchFeature:
        """Plain images without geometry: one list of RGB images per question (or one list for one question), left-padded."""
        texts = [text] if isinstance(text, str) else list(text or [])
        lists = [images or []] if isinstance(text, str) else list(images or [[] for _ in texts])
        if len(lists) != len(texts):
            raise ModelError(f"processor: expected one list of images per question, found {len(lists)} lists and {len(texts)} questions")
        encoded = [
            self.encode(words, [self.plain_view(image) for image in shown], answer=None, where="question")
            for words, shown in zip(texts, lists, strict=True)
        ]
        return BatchFeature(self.collate(encoded, padding_side="left").for_generation())

    def plain_view(self, image: Image.Image | np.ndarray) -> View:
        """A picture without pose or depth, resized to the model's image size."""
        picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        resized = picture.convert("RGB").resize((self.image_width, self.image_height), Image.Resampling.BICUBIC)
        return View(
            frame_id="",
            rgb=np.asarray(resized),
            intrinsics=None,
            depth_m=None,
            depth_intrinsics=None,
            world_from_camera=None,
        )


_VISUAL_NAMES = ("pixel_values", "image_grid_thw", "geometry_coordinates", "geometry_valid", "geometry_grid_hw", "dots")

AutoProcessor.register(SpatialVLConfig, SpatialVLProcessor, exist_ok=True)
