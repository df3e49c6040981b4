"""From a prompt and its views to model inputs: chat template, image sizes, patches, geometry, labels; nothing is ever cut silently."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import AutoProcessor, BatchFeature, ProcessorMixin

from sightline.errors import DataError, ModelError
from sightline.geometry.transforms import apply
from sightline.models.backbones.backbone import HALF_MEAN, HALF_STD, VisionGrid
from sightline.models.collation import InputForm, collated
from sightline.models.config import SpatialVLConfig
from sightline.models.encoded import Encoded, ModelInputs, Seen, ShownView, cameras_of
from sightline.models.geometry_encoders.pointmap import token_points
from sightline.models.geometry_tokens import FIRST_CAMERA, frame_from_world
from sightline.models.given_views import given_views
from sightline.models.image_sizes import FIXED, POLICIES, SMART, SQUARE, TILES, CentreSquare, FixedSize, ImageSizes, SmartSize, Tiles
from sightline.models.images import patches_of
from sightline.models.model import BACKBONES, IGNORED
from sightline.models.processor_options import HOST, MOST_TILES, NOWHERE, VIEW_PX, chosen_for
from sightline.models.prompts import IMAGE_WORD, Asked, Prompts, Written, default_template
from sightline.models.tokenizer import IMAGE, VISION_END, VISION_START
from sightline.models.turns import asked_turns
from sightline.questions.question import MARK_COLOURS
from sightline.samples.conversation import Turn
from sightline.samples.frames import View
from sightline.samples.framing import Framing, framed


class SpatialVLProcessor(ProcessorMixin):
    """Prompts and views in, tensors out. Saved with the checkpoint, loads through `AutoProcessor`."""

    def __init__(
        self,
        tokenizer: Any = None,
        chat_template: str | None = None,
        backbone: str = "qwen3_vl",
        image_policy: str = FIXED,
        image_width: int = 128,
        image_height: int = 96,
        min_pixels: int = 0,
        max_pixels: int = 0,
        tile_px: int = VIEW_PX,
        max_tiles: int = MOST_TILES,
        square_px: int = VIEW_PX,
        patch_size: int = 8,
        merge_size: int = 2,
        temporal_patch_size: int = 1,
        side_multiple_px: int = 0,
        pixel_mean: Sequence[float] = HALF_MEAN,
        pixel_std: Sequence[float] = HALF_STD,
        views_per_step: int = 1,
        frames_per_s: float = 4.0,
        tokens_per_second: float = 1.0,
        rope_rule: str = "transformers_5",
        image_token: str | None = IMAGE,
        video_token: str | None = None,
        prefix_token: str | None = None,
        prefix_per_sample: int = 0,
        prefix_per_view: int = 0,
        geometry_encoder: str = "pointmap",
        geometry_on: str = HOST,
        sends_cameras: bool = False,
        coordinate_frame: str = FIRST_CAMERA,
        min_valid_fraction: float = 0.25,
        max_tokens: int = 1024,
        is_blind: bool = False,
    ):
        template = chat_template or getattr(tokenizer, "chat_template", None) or default_template(backbone, image_token or "")
        super().__init__(tokenizer, chat_template=template)
        self.backbone = backbone
        self.image_policy, self.image_width, self.image_height = image_policy, image_width, image_height
        self.min_pixels, self.max_pixels, self.tile_px, self.max_tiles, self.square_px = (
            min_pixels,
            max_pixels,
            tile_px,
            max_tiles,
            square_px,
        )
        self.patch_size, self.merge_size, self.temporal_patch_size = patch_size, merge_size, temporal_patch_size
        self.side_multiple_px = side_multiple_px  # what the sides of images are multiples of; 0: of a token's side
        self.pixel_mean, self.pixel_std = tuple(pixel_mean), tuple(pixel_std)
        self.views_per_step, self.frames_per_s = views_per_step, frames_per_s
        self.tokens_per_second, self.rope_rule = tokens_per_second, rope_rule
        self.image_token, self.video_token, self.prefix_token = image_token, video_token, prefix_token
        self.prefix_per_sample, self.prefix_per_view = prefix_per_sample, prefix_per_view
        self.geometry_encoder, self.geometry_on, self.sends_cameras = geometry_encoder, geometry_on, sends_cameras
        self.coordinate_frame, self.min_valid_fraction = coordinate_frame, min_valid_fraction
        self.max_tokens = max_tokens
        self.is_blind = is_blind  # a model that is shown no image at all, the baseline that reads only the question
        self._sizes = self._image_sizes()
        self._prompts = Prompts(tokenizer, template=template, image_token=image_token)
        if geometry_on == HOST and geometry_encoder != "pointmap":
            raise ModelError(f"processor: geometry_on 'host': expected geometry encoder 'pointmap', found '{geometry_encoder}'")
        if prefix_token is not None and prefix_token == self.visual_token:
            raise ModelError(f"processor: expected a prefix token other than that of images and videos, found '{prefix_token}' for both")

    @classmethod
    def for_config(cls, config: SpatialVLConfig, tokenizer: Any, **options: Any) -> "SpatialVLProcessor":
        """The processor that fits a model's backbone, geometry encoder and fusion. `options` replace what would be chosen.

        Images: one fixed size where `image_width` and `image_height` are given, else tiles for a backbone that takes no other, a square
        for one without eyes, and free sizes for the rest.
        """
        return cls(**{"tokenizer": tokenizer, **chosen_for(config, tokenizer, options), **options})

    def _image_sizes(self) -> ImageSizes:
        multiple = self.side_multiple_px or self.patch_size * self.merge_size
        if self.image_policy == FIXED:
            return FixedSize(width=self.image_width, height=self.image_height, window_px=multiple)
        if self.image_policy == SMART:
            return SmartSize(window_px=multiple, min_pixels=self.min_pixels, max_pixels=self.max_pixels)
        if self.image_policy == TILES:
            return Tiles(side_px=self.tile_px, most=self.max_tiles)
        if self.image_policy == SQUARE:
            return CentreSquare(side_px=self.square_px, window_px=multiple)
        raise ModelError(f"processor: image_policy: expected one of {', '.join(POLICIES)}, found '{self.image_policy}'")

    def framings(self, width: int, height: int) -> Sequence[Framing]:
        """How an image of that size is shown. Raises ModelError for one that cannot be."""
        return self._sizes.framings(width, height)

    @property
    def rows(self) -> int:
        """Rows of merged tokens of an image of the fixed size."""
        return self.image_height // (self.patch_size * self.merge_size)

    @property
    def columns(self) -> int:
        """Columns of merged tokens of an image of the fixed size."""
        return self.image_width // (self.patch_size * self.merge_size)

    @property
    def tokens_per_image(self) -> int:
        """Of the fixed size."""
        return self.rows * self.columns

    @property
    def needs_depth(self) -> bool:
        """Whether depth and poses of the views reach the model."""
        return not self.is_blind and (self.geometry_on == HOST or self.sends_cameras)

    @property
    def is_video(self) -> bool:
        """Whether the views of a sample are the frames of one clip."""
        return self.views_per_step > 1

    @property
    def visual_token(self) -> str | None:
        """The placeholder of one visual token; None for a backbone without eyes."""
        return self.video_token if self.is_video else self.image_token

    @property
    def image_token_id(self) -> int | None:
        return None if self.image_token is None else self._prompts.id_of(self.image_token)

    @property
    def placeholder_ids(self) -> tuple[int, ...]:
        """Ids that stand for what is seen: of visual tokens and of the prefix."""
        return tuple(self._prompts.id_of(token) for token in (self.visual_token, self.prefix_token) if token is not None)

    def view_points(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """World points `(n, 3)` of the tokens of a shown view and their validity: the part of `encode` worth keeping per frame."""
        rows, columns = self.grid_of(view)
        return token_points(view, rows=rows, columns=columns, min_valid_fraction=self.min_valid_fraction)

    def view_patches(self, view: View) -> np.ndarray:
        """uint8 patches of a view; ModelError for an image that is not of a size shown to the model."""
        height, width = view.rgb.shape[:2]
        if self.image_policy == FIXED and (width, height) != (self.image_width, self.image_height):
            raise ModelError(
                f"frame {view.frame_id}: expected an image of {self.image_width}x{self.image_height}, found {width}x{height}; "
                "resize it with its intrinsics first"
            )
        return patches_of(view.rgb, patch_size=self.patch_size, merge_size=self.merge_size)

    def shown(self, view: View, *, points: tuple[np.ndarray, np.ndarray] | None = None, dots: np.ndarray | None = None) -> ShownView:
        """A view of a size shown to the model, cut into patches; its points are computed where they are not given."""
        rows, columns = self.grid_of(view)
        if points is None and self.geometry_on == HOST:
            points = self.view_points(view)
        world, is_valid = (None, None) if points is None else points
        return ShownView(
            patches=self.view_patches(view), rows=rows, columns=columns, view=view, points_world=world, is_valid=is_valid, dots=dots
        )

    def grid_of(self, view: View) -> tuple[int, int]:
        """Rows and columns of merged tokens of a shown view."""
        window = self.patch_size * self.merge_size
        return view.rgb.shape[0] // window, view.rgb.shape[1] // window

    def encode(self, prompt: str, views: Sequence[View], *, answer: str | None, where: str) -> Encoded:
        """One sample, from views of any size. `answer` None leaves the turn open for the model. Raises DataError for a typed image
        placeholder in the prompt, ModelError where question, images and answer exceed `max_tokens`; nothing is cut.
        """
        return self.encode_shown(prompt, self._cut_into_patches(views), answer=answer, where=where)

    def encode_shown(self, prompt: str, images: Sequence[Sequence[ShownView]], *, answer: str | None, where: str) -> Encoded:
        """As `encode`, from images whose views (one, or the tiles of one) are cut into patches."""
        if IMAGE_WORD in prompt:
            raise DataError(f"{where}: '{IMAGE_WORD}' stands in the question; images are given apart from the text, leave it out")
        turn = Turn(question=prompt, answer=answer or "")
        return self.encode_seen((turn,), self.seen(images, where=where), where=where, is_open=answer is None)

    def encode_turns(self, turns: Sequence[Turn], views: Sequence[View], *, where: str, system: str = "", is_open: bool = False) -> Encoded:
        """A conversation: every answer and its end token is learned and nothing else, pictures stand where the turns place them, `system`
        is a system turn of the source's own. What is typed stays text, image placeholders and special tokens included. `is_open`
        leaves the last answer to the model. Raises DataError for places that do not match the views, ModelError as `encode`.
        """
        seen = self.seen(self._cut_into_patches(views), where=where)
        return self.encode_seen(turns, seen, where=where, system=system, is_open=is_open)

    def _cut_into_patches(self, views: Sequence[View]) -> list[list[ShownView]]:
        return [[self.shown(part) for part in framed(view, self.framings(*view.rgb.shape[1::-1]))] for view in views]

    def seen(self, images: Sequence[Sequence[ShownView]], *, where: str) -> Seen:
        """Images one after the other, once for all questions about them. Raises ModelError for frames of a clip on several grids."""
        pictures = len(images)
        if self.is_video and images:
            images = [self._clip([view for image in images for view in image], where)]
        views = [view for image in images for view in image]
        coordinates, is_valid = self._coordinates(views)
        return Seen(
            pictures=pictures,
            visual=[[self._step_tokens(image)] if self.is_video else [view.rows * view.columns for view in image] for image in images],
            patches=np.concatenate([view.patches for view in views]) if views else np.zeros((0, 3 * self.patch_size**2), np.uint8),
            grid_hw=np.array([(view.rows, view.columns) for view in views], dtype=np.int32).reshape(-1, 2),
            coordinates_m=coordinates,
            is_valid=is_valid,
            dots=self._dots(views),
            cameras=cameras_of([view.view for view in views]) if self.sends_cameras and views else None,
        )

    def encode_seen(self, turns: Sequence[Turn], seen: Seen, *, where: str, system: str = "", is_open: bool = False) -> Encoded:
        """As `encode_turns`, from images that were put together before; samples of one `seen` share its arrays."""
        if self.prefix_token is not None and not seen.views and not self.is_blind:
            raise ModelError(f"{where}: expected at least one view, found none: the model's prefix is made of views")
        has_eyes = self.visual_token is not None
        asked = asked_turns(turns, pictures=seen.pictures, has_eyes=has_eyes, as_clip=self.is_video, is_open=is_open, where=where)
        prefix = self.prefix_per_sample + self.prefix_per_view * seen.views if self.prefix_token and seen.views else 0
        written = self._written(asked, [sum(counts) for counts in seen.visual], prefix, system)
        ids = np.array(written.ids, dtype=np.int32)
        if len(ids) > self.max_tokens:
            raise ModelError(
                f"{where}: {self._counted(seen.visual, prefix)}, {self._counted_words(asked, system)} make {len(ids)} tokens, the limit is "
                f"{self.max_tokens}. Fix: fewer or smaller images, a shorter question, or a larger max_tokens"
            )
        labels = np.full(len(ids), IGNORED, np.int32)
        labels[written.learned] = ids[written.learned]
        return Encoded(
            input_ids=ids,
            labels=labels,
            patches=seen.patches,
            grid_hw=seen.grid_hw,
            coordinates_m=seen.coordinates_m,
            is_valid=seen.is_valid,
            views=seen.views,
            dots=seen.dots,
            cameras=seen.cameras,
        )

    def _clip(self, frames: list[ShownView], where: str) -> list[ShownView]:
        """The frames of a clip, of one size; where they do not fill the last step, the last is shown again."""
        sizes = {(frame.rows, frame.columns) for frame in frames}
        if len(sizes) > 1:
            raise ModelError(f"{where}: expected the frames of a clip on one grid, found {', '.join(f'{r}x{c}' for r, c in sorted(sizes))}")
        return [*frames, *frames[-1:] * (-len(frames) % self.temporal_patch_size)]

    def _step_tokens(self, frames: Sequence[ShownView]) -> int:
        return len(frames) // self.temporal_patch_size * frames[0].rows * frames[0].columns

    def _dots(self, views: Sequence[ShownView]) -> np.ndarray:
        """Of each visual token; one of a clip's step holds what the first of its frames to have a dot there has."""
        empty = np.zeros(0, np.int8)
        dots = [np.zeros(view.rows * view.columns, np.int8) if view.dots is None else view.dots for view in views]
        if not self.is_video or not dots:
            return np.concatenate([empty, *dots])
        steps = np.stack(dots).reshape(-1, self.temporal_patch_size, len(dots[0]))
        return np.take_along_axis(steps, (steps != 0).argmax(axis=1)[:, None], axis=1).reshape(-1)

    def _coordinates(self, views: Sequence[ShownView]) -> tuple[np.ndarray | None, np.ndarray | None]:
        if self.geometry_on != HOST:
            return None, None
        if not views:
            return np.zeros((0, 3), np.float32), np.zeros(0, bool)
        points_world = np.concatenate([view.points_world for view in views])
        is_valid = np.concatenate([view.is_valid for view in views])
        first = views[0].view.world_from_camera
        if first is None:  # without the first camera there is no frame to express the others in
            return np.full(points_world.shape, np.nan, np.float32), np.zeros_like(is_valid)
        return apply(frame_from_world(self.coordinate_frame, first), points_world).astype(np.float32), is_valid

    def _written(self, asked: Sequence[Asked], visual: Sequence[int], prefix: int, system: str) -> Written:
        prompts = self._prompts
        images = [] if self.visual_token is None else [prompts.framed_ids([prompts.id_of(self.visual_token)] * count) for count in visual]
        before = [prompts.id_of(VISION_START), *[prompts.id_of(self.prefix_token)] * prefix, prompts.id_of(VISION_END)] if prefix else []
        return prompts.written(asked, images, prefix=before, system=system)

    def _counted_words(self, asked: Sequence[Asked], system: str) -> str:
        """The words of a conversation, for an error."""
        questions = sum(len(self._prompts.text_ids(turn.words)) for turn in asked)
        answers = sum(len(self._prompts.answer_ids(turn.answer)) for turn in asked)
        of_system = f"the system turn of {len(self._prompts.text_ids(system))}, " if system else ""
        if len(asked) == 1:
            return f"{of_system}the question of {questions} and the answer of {answers}"
        return f"{of_system}the {len(asked)} questions of {questions} and their answers of {answers}"

    def _counted(self, visual: Sequence[Sequence[int]], prefix: int) -> str:
        """The visual part of a sample in words, for an error."""
        counts = [count for counts in visual for count in counts]
        before = f"a prefix of {prefix} tokens, " if prefix else ""
        if self.visual_token is None:
            return f"{before}{len(counts)} views".removesuffix(" ")
        if self.is_video:
            return f"{before}a clip of {sum(counts)} tokens"
        sizes = sorted(set(counts))
        each = "no" if not sizes else str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        return f"{before}{len(counts)} images of {each} tokens"

    def dot_word_ids(self) -> list[int]:
        """Token ids that stand for "no dot" and for each of MARK_COLOURS, by the first token of its word."""
        prompts = self._prompts
        no_dot = prompts.id_of(self.visual_token or self.prefix_token or VISION_END)
        return [no_dot, *(prompts.text_ids(f" {colour}")[0] for colour in MARK_COLOURS)]

    def collate(self, encoded: Sequence[Encoded], *, padding_side: str, as_bytes: bool = False) -> ModelInputs:
        """Pad to one length: `right` for training, `left` for generation; `as_bytes` as of `collated`."""
        return collated(encoded, self.form, padding_side=padding_side, as_bytes=as_bytes)

    @property
    def form(self) -> InputForm:
        """What the model's inputs look like."""
        kind = BACKBONES[self.backbone]
        return InputForm(
            grid=VisionGrid(
                patch_px=self.patch_size,
                merge=self.merge_size,
                temporal_patch=self.temporal_patch_size,
                mean=self.pixel_mean,
                std=self.pixel_std,
            ),
            pad_id=self.tokenizer.pad_token_id,
            visual_id=None if self.visual_token is None else self._prompts.id_of(self.visual_token),
            is_video=self.is_video,
            has_mrope=kind.has_mrope,
            rope_rule=self.rope_rule,
            tokens_per_second=self.tokens_per_second,
            seconds_per_step=self.views_per_step / self.frames_per_s,
            tells_views=self.geometry_on != NOWHERE,
            sends_cameras=self.sends_cameras,
        )

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        *,
        depths: Any = None,
        poses: Any = None,
        intrinsics: Any = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Questions about images, left-padded: a list of RGB images for each question (or one list for one question).

        For each image there may be a depth map in metres `depths (h, w)`, a pose `poses (4, 4)` world from camera (OpenCV axes), and
        `intrinsics`, a camera matrix of the image as given. Raises ModelError for lists that do not match.
        """
        if unknown := set(kwargs) - {"return_tensors", "padding", "padding_side"}:
            raise ModelError(f"processor: expected images, text, depths, poses and intrinsics, found {', '.join(sorted(unknown))}")
        texts, lists = given_views(images, text, depths=depths, poses=poses, intrinsics=intrinsics)
        encoded = [self.encode(words, views, answer=None, where="question") for words, views in zip(texts, lists, strict=True)]
        return BatchFeature(self.collate(encoded, padding_side="left").for_generation())


AutoProcessor.register(SpatialVLConfig, SpatialVLProcessor, exist_ok=True)
