"""A frozen encoder that looks into a feature cache first and computes what is missing, all of it as one batch.

Shapes: B samples, V views, N tokens of the whole batch.
"""

import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from sightline.errors import ModelError
from sightline.models.feature_cache import EncoderIdentity, FeatureCache, FeatureKey
from sightline.models.feature_entries import ViewFeatures
from sightline.models.model import GeometryTokens, Views
from sightline.models.view_inputs import GEOMETRY_NAMES, VIEW_NAMES, ViewInputs, take_views, views_of

if TYPE_CHECKING:
    from sightline.models.config import SpatialVLConfig

CHUNK_BYTES = 2**24  # hashed by one thread at a time
MOST_THREADS = 8
LIBRARIES = ("torch", "builtins")  # their version stands for their source
DEPTH_NAMES = ("intrinsics", "depth_m", "depth_intrinsics", "frame_from_camera")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """Which frames a sample shows, in order. `content` says what their pixels are where a caller knows better than by hashing them."""

    scan_id: str
    frame_ids: tuple[str, ...]
    content: str | None = None


class CachedEncoder:
    """Geometry of an encoder without gradients, from `cache` where it is there. Bits are the same either way."""

    def __init__(self, encoder: nn.Module, cache: FeatureCache):
        self.encoder, self.cache = encoder, cache
        self._hashed: list[tuple[Tensor, int]] | None = None  # weights that were hashed, kept so that no other tensor takes their address
        self._weights = ""
        self._code = code_hash(encoder)
        _expect_frozen(encoder)

    def identity(self) -> EncoderIdentity:
        """The encoder as it is now. Weights are hashed once, and again when they were changed in place or moved."""
        weights = _expect_frozen(self.encoder)
        if self._hashed is None or not _are_same(weights, self._hashed):
            self._weights, self._hashed = weights_hash(self.encoder), [(tensor.detach(), tensor._version) for tensor in weights]
        options = getattr(self.encoder, "options", {})
        return EncoderIdentity(
            name=self.encoder.name,
            options=json.dumps(asdict(options) if is_dataclass(options) else options, sort_keys=True),
            weights=self._weights,
            dtype=_arithmetic(weights),
            code=self._code,
        )

    def geometry(self, views: Views, shown: Sequence[Shown]) -> GeometryTokens:
        """What the encoder says of `views`, whose samples show `shown`. Raises ModelError for other numbers of samples or frames."""
        starts = _starts(views.views_per_sample, shown)
        names = DEPTH_NAMES if self.encoder.needs_depth else ()
        parts = [_views_of_samples(views, [sample], starts) for sample in range(len(shown))]
        contents = [
            sample.content or content_hash([*part.images, part.token_grid_hw, *(getattr(part, name) for name in names)])
            for sample, part in zip(shown, parts, strict=True)
        ]
        sizes = [tuple((int(image.shape[-2]), int(image.shape[-1])) for image in part.images) for part in parts]
        device = views.token_grid_hw.device
        found = self._found(shown, contents, sizes, lambda samples: _views_of_samples(views, samples, starts), device)
        return _joined(found, views=views, device=device)

    def with_features(self, config: "SpatialVLConfig", batch: Mapping[str, Any], shown: Sequence[Shown]) -> dict[str, Any]:
        """Model inputs with the geometry that the encoder gives for their views: where a training loop plugs the cache in.

        On the device of the inputs; best called before they leave the host, where hashing pixels waits for nothing. Geometry that was
        among the inputs is replaced.
        """
        found = take_views(dict(batch), has_vision=config.backbone_kind.has_vision).views
        if found is None:
            return dict(batch)
        per_sample = found.views_per_sample(config, batch.get("input_ids"))
        starts = _starts(per_sample, shown)
        samples = _samples_of(found, found.views_per_image(config.vision_grid.temporal_patch), per_sample, starts)
        names = VIEW_NAMES[1:] if self.encoder.needs_depth else ()
        contents = [
            sample.content or content_hash([part.pixel_values, part.grid_thw, *(part.given.get(name) for name in names)])
            for sample, part in zip(shown, samples, strict=True)
        ]
        patch = config.vision_grid.patch_px
        sizes = [tuple((rows * patch, columns * patch) for _, rows, columns in part.grid_thw.tolist()) for part in samples]

        def views_of_missing(missing: list[int]) -> Views:
            return views_of(config, self.encoder, _inputs_of([samples[index] for index in missing]), None)

        device = found.pixel_values.device
        geometry = _joined(self._found(shown, contents, sizes, views_of_missing, device), views=None, device=device)
        given = {
            "geometry_coordinates": geometry.coordinates_m,
            "geometry_features": geometry.features,
            "geometry_camera": geometry.camera,
            "geometry_valid": geometry.is_valid,
            "geometry_grid_hw": geometry.grid_hw,
        }
        others = {name: value for name, value in batch.items() if name not in GEOMETRY_NAMES}
        return {**others, **{name: tensor for name, tensor in given.items() if tensor is not None}}

    def _found(
        self,
        shown: Sequence[Shown],
        contents: Sequence[str],
        sizes: Sequence[tuple[tuple[int, int], ...]],
        views_of_missing: Callable[[list[int]], Views],
        device: torch.device,
    ) -> list[ViewFeatures | None]:
        """Of each sample; None for one that shows no frame. Equal samples are computed once."""
        encoder = self.identity()
        keys = [
            FeatureKey(scan_id=sample.scan_id, frame_ids=sample.frame_ids, sizes_hw=sizes_hw, content=content, encoder=encoder)
            for sample, sizes_hw, content in zip(shown, sizes, contents, strict=True)
        ]
        found = [self.cache.get(key, device=device) if key.frame_ids else None for key in keys]
        missing = list({key: index for index, key in enumerate(keys) if key.frame_ids and found[index] is None}.values())
        if missing:
            with torch.no_grad():
                geometry = self.encoder(_on_device(views_of_missing(missing), _device(self.encoder)))
            computed = {keys[index]: self.cache.put(keys[index], part) for index, part in zip(missing, _parts(geometry), strict=True)}
            found = [computed.get(key) if features is None else features for key, features in zip(keys, found, strict=True)]
        return found


def weights_hash(module: nn.Module) -> str:
    """Of the names, types, shapes and bytes of parameters and buffers, in chunks that several threads hash at once.

    Raises ModelError for weights that are not there (meta device).
    """
    named = sorted(module.state_dict().items())
    absent = [name for name, tensor in named if tensor.is_meta]
    if absent:
        raise ModelError(f"weights: expected them in memory to hash them, found '{absent[0]}' on the meta device: load them first")
    found = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        for name, tensor in named:
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
            for digest in pool.map(_digest, _chunks(tensor)):
                found.update(digest)
    return found.hexdigest()


def content_hash(tensors: Sequence[Tensor | None]) -> str:
    """Of types, shapes and bytes, in order; None is a thing of its own."""
    found = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        found.update(b"none;" if tensor is None else f"{tensor.dtype} {tuple(tensor.shape)};".encode())
        for chunk in () if tensor is None else _chunks(tensor):
            found.update(chunk)
    return found.hexdigest()


def code_hash(encoder: nn.Module) -> str:
    """Of the source of every class in the encoder and of what it names in the same package, and the version of torch.

    Raises ModelError for a class that no file defines.
    """
    waiting = sorted({type(module).__module__ for module in encoder.modules()})
    waiting = [name for name in waiting if name.split(".")[0] not in LIBRARIES]
    packages = {name.rpartition(".")[0] or name for name in waiting}
    sources: dict[str, bytes] = {}
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        module = sys.modules.get(name)
        path = None if module is None else getattr(module, "__file__", None)
        if path is None:
            raise ModelError(
                f"geometry encoder '{encoder.name}': expected its source in a file to know its version, found none for '{name}'"
            )
        sources[name] = Path(path).read_bytes()
        waiting.extend(other for other in _named_modules(module) if any(f"{other}.".startswith(f"{package}.") for package in packages))
    found = hashlib.blake2b(f"torch {torch.__version__};".encode(), digest_size=16)
    for name, source in sorted(sources.items()):
        found.update(f"{name} {len(source)};".encode() + source)
    return found.hexdigest()


def _named_modules(module: ModuleType) -> set[str]:
    """Modules that the globals of this one are, or come from."""
    values = list(vars(module).values())
    names = {value.__name__ for value in values if inspect.ismodule(value)}
    names |= {value.__module__ for value in values if inspect.isclass(value) or inspect.isfunction(value)}
    return {name for name in names if name in sys.modules}


def _are_same(weights: Sequence[Tensor], hashed: Sequence[tuple[Tensor, int]]) -> bool:
    """Whether these are the tensors that were hashed, unchanged since."""
    return len(weights) == len(hashed) and all(
        (tensor.data_ptr(), tensor._version, tensor.dtype, tensor.shape) == (kept.data_ptr(), version, kept.dtype, kept.shape)
        for tensor, (kept, version) in zip(weights, hashed, strict=True)
    )


def _chunks(tensor: Tensor) -> list[memoryview]:
    raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy() if tensor.numel() else np.zeros(0, np.uint8)
    return [memoryview(raw[start : start + CHUNK_BYTES]) for start in range(0, len(raw), CHUNK_BYTES)]


def _digest(chunk: memoryview) -> bytes:
    return hashlib.blake2b(chunk, digest_size=16).digest()


def _expect_frozen(encoder: nn.Module) -> list[Tensor]:
    """Parameters and buffers, in one walk. Raises ModelError where one learns, or a part is in training mode."""
    tensors: list[Tensor] = []
    is_training = False
    for module in encoder.modules():
        is_training |= module.training
        tensors.extend(module.parameters(recurse=False))
        tensors.extend(module.buffers(recurse=False))
    if any(tensor.requires_grad for tensor in tensors):
        learning = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
        raise ModelError(
            f"geometry encoder '{encoder.name}': expected a frozen encoder to keep features of, found {len(learning)} parameters that "
            f"learn ('{learning[0]}', ...): freeze it, or leave the cache out"
        )
    if is_training:
        training = next(name or "the encoder" for name, module in encoder.named_modules() if module.training)
        raise ModelError(f"geometry encoder '{encoder.name}': expected evaluation mode, found {training} in training mode: call eval()")
    return tensors


def _device(encoder: nn.Module) -> torch.device | None:
    first = next(encoder.parameters(), None)
    return None if first is None else first.device


def _arithmetic(weights: Sequence[Tensor]) -> str:
    """Types of the weights, and the settings under which their products are taken."""
    dtypes = sorted({str(tensor.dtype) for tensor in weights})
    device = weights[0].device.type if weights else "cpu"
    autocast = str(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else "none"
    return f"{' '.join(dtypes)}, autocast {autocast}, float32 products {torch.get_float32_matmul_precision()}"


def _starts(views_per_sample: Sequence[int], shown: Sequence[Shown]) -> list[int]:
    counts = [len(sample.frame_ids) for sample in shown]
    if counts != list(views_per_sample):
        raise ModelError(f"feature cache: expected frames for {list(views_per_sample)} views per sample, found {counts}")
    return np.cumsum([0, *counts]).tolist()


def _views_of_samples(views: Views, samples: Sequence[int], starts: Sequence[int]) -> Views:
    chosen = [view for sample in samples for view in range(starts[sample], starts[sample + 1])]
    tensors = {name: getattr(views, name) for name in ("token_grid_hw", *DEPTH_NAMES)}
    return Views(
        images=tuple(views.images[view] for view in chosen) if len(views.images) else (),
        views_per_sample=tuple(views.views_per_sample[sample] for sample in samples),
        **{name: None if tensor is None else tensor[chosen] for name, tensor in tensors.items()},
    )


def _samples_of(found: ViewInputs, views_per_image: Sequence[int], per_sample: Sequence[int], starts: Sequence[int]) -> list[ViewInputs]:
    """The inputs of each sample by itself."""
    view_of_image = np.cumsum([0, *views_per_image])
    patch_of_image = np.cumsum([0, *found.grid_thw.prod(-1).tolist()])
    samples = []
    for sample, (first, end) in enumerate(pairwise(starts)):
        image, last = np.searchsorted(view_of_image, [first, end], side="left").tolist()
        given = {name: found.given[name][first:end] for name in VIEW_NAMES[1:] if name in found.given}
        samples.append(
            ViewInputs(
                pixel_values=found.pixel_values[patch_of_image[image] : patch_of_image[last]],
                grid_thw=found.grid_thw[image:last],
                is_video=found.is_video,
                given={"views_per_sample": (per_sample[sample],), **given},
            )
        )
    return samples


def _inputs_of(samples: Sequence[ViewInputs]) -> ViewInputs:
    """The inputs of several samples as one batch."""
    names = [name for name in VIEW_NAMES[1:] if name in samples[0].given]
    return replace(
        samples[0],
        pixel_values=torch.cat([sample.pixel_values for sample in samples]),
        grid_thw=torch.cat([sample.grid_thw for sample in samples]),
        given={
            "views_per_sample": tuple(count for sample in samples for count in sample.given["views_per_sample"]),
            **{name: torch.cat([sample.given[name] for sample in samples]) for name in names},
        },
    )


def _on_device(views: Views, device: torch.device | None) -> Views:
    if device is None:
        return views
    tensors = {name: getattr(views, name) for name in ("token_grid_hw", *DEPTH_NAMES)}
    return replace(
        views,
        images=tuple(image.to(device) for image in views.images),
        **{name: None if tensor is None else tensor.to(device) for name, tensor in tensors.items()},
    )


def _parts(geometry: GeometryTokens) -> list[ViewFeatures]:
    """The tokens of each sample by themselves."""
    of_view = np.cumsum([0, *geometry.grid_hw.prod(-1).tolist()]).tolist()
    parts = []
    for first, end in pairwise(np.cumsum([0, *geometry.views_per_sample]).tolist()):
        tokens = slice(of_view[first], of_view[end])
        parts.append(
            ViewFeatures(
                grid_hw=geometry.grid_hw[first:end].cpu().long(),
                is_valid=geometry.is_valid[tokens].cpu(),
                features=None if geometry.features is None else geometry.features[tokens].cpu(),
                camera=None if geometry.camera is None else geometry.camera[first:end].cpu(),
                coordinates_m=None if geometry.coordinates_m is None else geometry.coordinates_m[tokens].cpu(),
            )
        )
    return parts


def _joined(parts: Sequence[ViewFeatures | None], *, views: Views | None, device: torch.device) -> GeometryTokens:
    """The tokens of all samples as one batch on a device. Raises ModelError where no sample shows a frame."""
    named = [part.tensors() for part in parts if part is not None]
    if not named:
        raise ModelError(f"feature cache: expected frames in some of the {len(parts)} samples, found none")
    by_name = {name: [part[name].to(device) for part in named] for name in named[0]}
    tensors = {name: torch.cat(parts_of) if len(parts_of) > 1 else parts_of[0] for name, parts_of in by_name.items()}
    return GeometryTokens(views_per_sample=tuple(0 if part is None else len(part.grid_hw) for part in parts), views=views, **tensors)
