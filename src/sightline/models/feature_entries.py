"""Features of one set of views as the bytes of a safetensors file that carries its whole key, how it is stored, and a checksum.

Shapes: v views of a sample, n tokens of all of them, C channels.
"""

import hashlib
import json
from dataclasses import dataclass, replace

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sightline.errors import ModelError

EXACT, FLOAT8, INT8 = "exact", "float8", "int8"
STORED_AS = (EXACT, FLOAT8, INT8)
LARGEST = {FLOAT8: 448.0, INT8: 127.0}  # of float8_e4m3fn and of int8
FLOATS = {str(dtype): dtype for dtype in (torch.float32, torch.float16, torch.bfloat16)}
WORDS = 512  # of 8 bytes, to a row of the checksum: one page of a disk
NUMBERS_AT_ONCE = 2**16  # a quarter of a megabyte in single precision
PARTS = ("features", "camera")  # what per-token scales may shrink; coordinates, flags and grids stay exact


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ViewFeatures:
    """What an encoder says of the views of one sample."""

    grid_hw: Tensor  # (v, 2) int64
    is_valid: Tensor  # (n,) bool
    features: Tensor | None = None  # (n, C)
    camera: Tensor | None = None  # (v, C)
    coordinates_m: Tensor | None = None  # (n, 3)

    def tensors(self) -> dict[str, Tensor]:
        """Those that are there, by name."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: tensor for name, tensor in named.items() if tensor is not None}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Packed:
    """Bytes to write, and what reading them back gives."""

    data: bytes
    features: ViewFeatures
    relative_error: Tensor  # (tokens,) root mean square of the error over that of the token; empty where stored exactly


class DamagedEntryError(ModelError):
    """A file that is no whole entry."""


class ForeignEntryError(ModelError):
    """A whole entry, but of another key or stored in another way."""


def pack(features: ViewFeatures, *, key: str, stored_as: str) -> Packed:
    """Raises ModelError for features that are not finite where a scale has to be found for them, or of a type that is not kept."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in features.tensors().items()}
    kept, dtypes, errors = dict(tensors), {}, []
    for name in PARTS if stored_as != EXACT else ():
        if name in tensors:
            dtypes[name] = str(tensors[name].dtype)
            kept[name], kept[f"{name}.scale"] = _shrunk(tensors[name], name=name, stored_as=stored_as)
            tensors[name] = _grown(kept[name], kept[f"{name}.scale"], features.tensors()[name].dtype)
            errors.append(_relative_error(tensors[name], features.tensors()[name].detach().cpu()))
    about = {"key": key, "stored_as": stored_as, "dtypes": json.dumps(dtypes, sort_keys=True)}
    data = save(kept, metadata={**about, "checksum": _checksum(kept, about)})
    read_back = replace(features, **tensors)
    return Packed(data=data, features=read_back, relative_error=torch.cat(errors) if errors else torch.zeros(0))


def unpack(data: bytes, *, key: str, stored_as: str, device: torch.device | str = "cpu") -> ViewFeatures:
    """Features on a device, where bytes become numbers again. Raises DamagedEntryError or ForeignEntryError; never gives features of
    another key.
    """
    try:
        kept = load(data)
    except (SafetensorError, ValueError) as error:
        raise DamagedEntryError(f"expected a safetensors file, found {error}") from error
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
    about = {name: metadata.get(name) for name in ("key", "stored_as", "dtypes")}
    if None in about.values() or metadata.get("checksum") != _checksum(kept, about):
        raise DamagedEntryError("expected the checksum of its contents, found another")
    if about["key"] != key or about["stored_as"] != stored_as:
        raise ForeignEntryError("expected features of this key, found those of another")
    kept = {name: tensor.to(device) for name, tensor in kept.items()}
    for name, dtype in json.loads(about["dtypes"]).items():
        kept[name] = _grown(kept[name], kept.pop(f"{name}.scale"), FLOATS[dtype])
    return ViewFeatures(**kept)


def _shrunk(tokens: Tensor, *, name: str, stored_as: str) -> tuple[Tensor, Tensor]:
    """One byte for each number of `(T, C)` and a float32 scale `(T, 1)` that takes each token's largest to the largest of that byte."""
    if str(tokens.dtype) not in FLOATS or not tokens.isfinite().all():
        raise ModelError(f"{name}: expected finite float32, float16 or bfloat16 to store as {stored_as}, found {tokens.dtype}, or a NaN")
    largest = tokens.float().abs().amax(dim=1, keepdim=True)
    scale = torch.where(largest > 0, largest / LARGEST[stored_as], 1.0)
    scaled = (tokens.float() / scale).clamp(-LARGEST[stored_as], LARGEST[stored_as])
    return (scaled.round().to(torch.int8) if stored_as == INT8 else scaled.to(torch.float8_e4m3fn)), scale


def _grown(shrunk: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Numbers again, the same bits on every device; on the host a few tokens at a time, which stay in its cache."""
    grown = torch.empty(shrunk.shape, dtype=dtype, device=shrunk.device)
    at_once = max(1, NUMBERS_AT_ONCE // max(1, shrunk.shape[1])) if shrunk.device.type == "cpu" else max(1, len(shrunk))
    for part in zip(grown.split(at_once), shrunk.split(at_once), scale.split(at_once), strict=True):
        part[0].copy_(part[1].float().mul_(part[2]))
    return grown


def _relative_error(found: Tensor, expected: Tensor) -> Tensor:
    size = expected.float().norm(dim=1)
    return (found.float() - expected.float()).norm(dim=1) / size.clamp(min=torch.finfo(torch.float32).tiny)


def _checksum(tensors: dict[str, Tensor], about: dict[str, str]) -> str:
    """Of names, types, shapes and bytes. Bytes are laid out in rows of a page; sums of rows and of columns modulo 2**64 go into the hash:
    any one wrong run of bytes, lost page or two pages in the wrong order shows, at the speed of memory. Not proof against an attacker.
    """
    found = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        raw = tensor.flatten().view(torch.uint8)
        whole = len(raw) // (8 * WORDS) * (8 * WORDS)
        if whole:
            page = raw[:whole].view(torch.int64).view(-1, WORDS)
            found.update(page.sum(1).numpy().tobytes())
            found.update(page.sum(0).numpy().tobytes())
        found.update(raw[whole:].numpy().tobytes())
    return found.hexdigest()
