"""What a caller gives beside a question, images with perhaps depth, poses and cameras, as views."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from sightline.errors import ModelError
from sightline.geometry.cameras import Intrinsics
from sightline.samples.frames import View

KINDS = ("depths", "poses", "intrinsics")


def given_views(
    images: Any, text: str | Sequence[str] | None, *, depths: Any, poses: Any, intrinsics: Any
) -> tuple[list[str], list[list[View]]]:
    """The questions, and the views of each. Where `text` is one string the other arguments are the lists of its images.

    Raises ModelError naming both numbers where there are not as many lists as questions, or depths, poses and cameras as images.
    """
    is_one = isinstance(text, str)
    texts = [text] if is_one else list(text or [])
    lists = _nested(images, is_one, len(texts))
    if len(lists) != len(texts):
        raise ModelError(f"processor: expected one list of images per question, found {len(lists)} lists and {len(texts)} questions")
    beside = {name: _nested(value, is_one, len(texts)) for name, value in zip(KINDS, (depths, poses, intrinsics), strict=True)}
    for name, value in beside.items():
        counts, wanted = [len(one) for one in value], [len(one) for one in lists]
        if any(counts) and counts != wanted:
            raise ModelError(f"processor: {name}: expected one for each image, {wanted}, found {counts}")
    shown = []
    for row, images_of_row in enumerate(lists):
        one_by_one = [beside[name][row] if beside[name] and beside[name][row] else [None] * len(images_of_row) for name in KINDS]
        shown.append([_view(*parts) for parts in zip(images_of_row, *one_by_one, strict=True)])
    return texts, shown


def _nested(value: Any, is_one: bool, questions: int) -> list[list[Any]]:
    if value is None:
        return [[] for _ in range(questions)]
    return [list(value)] if is_one else [list(one) for one in value]


def _view(image: Any, depth_m: Any, pose: Any, camera: Any) -> View:
    rgb = _rgb(image)
    height, width = rgb.shape[:2]
    intrinsics = None if camera is None else _intrinsics(camera, width=width, height=height)
    map_m = None if depth_m is None else np.asarray(_array(depth_m), dtype=np.float32)
    if map_m is not None and (map_m.ndim != 2 or intrinsics is None):
        raise ModelError(f"processor: depths: expected maps (h, w) with intrinsics beside them, found {map_m.shape} and {camera}")
    world_from_camera = None if pose is None else np.asarray(_array(pose), dtype=np.float64)
    if world_from_camera is not None and world_from_camera.shape != (4, 4):
        raise ModelError(f"processor: poses: expected (4, 4) world from camera, found {world_from_camera.shape}")
    return View(
        frame_id="",
        rgb=rgb,
        intrinsics=intrinsics,
        depth_m=map_m,
        depth_intrinsics=None if map_m is None else intrinsics.resized(width=map_m.shape[1], height=map_m.shape[0]),
        world_from_camera=world_from_camera,
    )


def _rgb(image: Any) -> np.ndarray:
    """`(H, W, 3)` uint8 of a picture or of an array of that shape, or a tensor `(3, H, W)`."""
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    array = _array(image)
    if isinstance(image, Tensor) and array.ndim == 3 and array.shape[0] == 3 and array.shape[2] != 3:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise ModelError(f"processor: images: expected pictures or uint8 arrays (H, W, 3), found {array.dtype} {array.shape}")
    return np.ascontiguousarray(array)


def _intrinsics(camera: Any, *, width: int, height: int) -> Intrinsics:
    if isinstance(camera, Intrinsics):
        return camera
    matrix = _array(camera)
    if matrix.ndim != 2 or min(matrix.shape) < 3:
        raise ModelError(f"processor: intrinsics: expected a camera matrix (3, 3), found {matrix.shape}")
    return Intrinsics.from_K(matrix, width=width, height=height)


def _array(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
