"""Published VGGT weights from a local file: every name and shape checked first, the licence told, nothing silently left random."""

import logging
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sightline.errors import ModelError
from sightline.models.geometry_encoders.vggt.options import VggtOptions
from sightline.models.geometry_encoders.vggt.vggt import Vggt

FILES = ("model.safetensors", "model.pt")
ALWAYS_UNUSED = ("track_head.",)  # follows points through frames; nothing here asks for it
HEADS = ("camera_head.", "depth_head.", "point_head.")
SHOWN = 5  # names in an error

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """Under which terms weights may be used."""

    name: str
    is_commercial_use_allowed: bool | None  # None: unknown
    source: str  # where the name was read


def licence_of(path: Path) -> Licence:
    """The licence of the weights in a file or folder: the `license:` of the model card beside them, or the known one of its name."""
    folder = path if path.is_dir() else path.parent
    card = folder / "README.md"
    if card.is_file():
        for line in _front_matter(card.read_text(encoding="utf-8", errors="replace")):
            key, _, value = line.partition(":")
            if key.strip() in ("license", "license_name") and value.strip().strip("'\"") not in ("", "other"):
                name = value.strip().strip("'\"")
                return Licence(name=name, is_commercial_use_allowed=_is_commercial(name), source=str(card))
    words = str(path.absolute()).lower().replace("_", "-")
    if "vggt-1b-commercial" in words:
        return Licence(name="vggt-aup-license", is_commercial_use_allowed=True, source="the name of the weights")
    if "vggt-1b" in words:
        return Licence(name="cc-by-nc-4.0", is_commercial_use_allowed=False, source="the name of the weights")
    return Licence(name="unknown", is_commercial_use_allowed=None, source="no model card beside the weights")


def _front_matter(text: str) -> list[str]:
    """The lines between the first two `---` of a model card."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---":
        return []
    ends = [number for number, line in enumerate(lines[1:], start=1) if line.strip() == "---"]
    return lines[1 : ends[0]] if ends else []


def _is_commercial(licence: str) -> bool | None:
    lowered = licence.lower()
    if "-nc" in lowered or "noncommercial" in lowered:
        return False
    return True if lowered == "vggt-aup-license" else None


def load_vggt(
    path: Path, options: VggtOptions | None = None, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> Vggt:
    """A VGGT in evaluation mode with the weights of a local file or folder: aggregator in `dtype`, heads in float32.

    Never holds the file's tensors twice. Raises ModelError as `load_weights` does.
    """
    with torch.device("meta"):
        model = Vggt(options or VggtOptions())
    model.aggregator.to(dtype)
    model.to_empty(device=device)
    load_weights(model, path)
    return model.eval()


def load_weights(model: nn.Module, path: Path, *, prefix: str = "") -> Licence:
    """Copy the weights of a local `.safetensors` or `.pt` file, or of a folder with one, into a Vggt; returns their licence.

    `prefix` stands before every name in the file (`spatial_encoder.vggt_model.`); other names are then left alone. Names that are
    unknown or missing, shapes that differ and damaged files raise ModelError before any weight is changed. Names of the track head,
    of heads that were not built and of blocks past the last one built are left out.
    """
    file = weights_file(path)
    wanted = model.state_dict()
    with _opened(file) as (shapes, read):
        named = {name.removeprefix(prefix): name for name in shapes if name.startswith(prefix)}
        expect_same_weights(
            {name: tuple(tensor.shape) for name, tensor in wanted.items()},
            {name: shapes[stored] for name, stored in named.items()},
            where=str(file),
        )
        with torch.no_grad():
            for name, tensor in wanted.items():
                tensor.copy_(read(named[name]))
    licence = licence_of(path)
    terms = {True: "commercial use allowed", False: "no commercial use", None: "check the terms before use"}
    log.warning("VGGT weights %s: licence %s, %s (from %s)", file, licence.name, terms[licence.is_commercial_use_allowed], licence.source)
    return licence


def weights_file(path: Path) -> Path:
    """The weights in a folder, or the file itself. Raises ModelError."""
    if path.is_dir():
        found = [path / name for name in FILES if (path / name).is_file()]
        if not found:
            raise ModelError(f"{path}: expected VGGT weights ({' or '.join(FILES)}), found neither")
        return found[0]
    if not path.is_file():
        raise ModelError(f"{path}: expected a file or folder of VGGT weights, found none: download facebook/VGGT-1B first")
    return path


def expect_same_weights(wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], *, where: str) -> None:
    """Same names and shapes but for those that are not used, or ModelError naming some of each kind of difference."""
    missing = [name for name in wanted if name not in found]
    unknown = [name for name in found if name not in wanted and not is_unused(name, wanted)]
    differing = [
        f"{name} (expected {list(shape)}, found {list(found[name])})"
        for name, shape in wanted.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    problems = [
        f"{len(names)} {kind}: {', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"
        for kind, names in (("missing", missing), ("unknown", unknown), ("of another shape", differing))
        if names
    ]
    if problems:
        raise ModelError(f"{where}: expected {len(wanted)} VGGT weights, found {'; '.join(problems)}. Sizes come from the options")


def is_unused(name: str, wanted: Mapping[str, object]) -> bool:
    """Whether a published weight belongs to a part that was not built: a head, or a block after the last one asked for."""
    if name.startswith(ALWAYS_UNUSED):
        return True
    for head in HEADS:
        if name.startswith(head):
            return not any(other.startswith(head) for other in wanted)
    for kind in ("aggregator.frame_blocks.", "aggregator.global_blocks."):
        number = name.removeprefix(kind).partition(".")[0]
        if name.startswith(kind) and number.isdigit():
            return int(number) > max(int(other.removeprefix(kind).partition(".")[0]) for other in wanted if other.startswith(kind))
    return False


@contextmanager
def _opened(file: Path) -> Iterator:
    """Shapes by name, and a function that reads one tensor by name."""
    if file.suffix == ".safetensors":
        try:
            with safe_open(file, framework="pt") as opened:
                yield {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}, opened.get_tensor
        except SafetensorError as error:
            raise ModelError(f"{file}: expected a whole safetensors file, found a damaged one ({error}): download it again") from error
        return
    if not zipfile.is_zipfile(file):
        raise ModelError(f"{file}: expected a torch file of weights, found a damaged one or another kind: download it again")
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(file)
        if foreign:  # such a file could run anything
            raise ModelError(f"{file}: expected a torch file of weights alone, found one that also holds {', '.join(foreign[:SHOWN])}")
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{file}: expected a whole torch file of weights, found a damaged one ({reason}): download it again") from error
    state = state.get("model", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ModelError(f"{file}: expected weights by name, found {type(state).__name__} with other things")
    yield {name: tuple(tensor.shape) for name, tensor in state.items()}, state.__getitem__
