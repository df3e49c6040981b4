"""Lists the shapes of a USDZ package as JSON; a program of its own, because a damaged package can end the process that opens it."""

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.captures.containers.archives import SafeZip
from sightline.errors import CaptureError, MissingExtraError

MAX_PRIMS = 100_000
MAX_SECONDS = 120
MAX_MEMORY_BYTES = 8 << 30
LAYERS = (".usd", ".usda", ".usdc")
KINDS = {
    name.lower(): name
    for name in "wall door window opening floor storage refrigerator stove bed sink washerDryer toilet bathtub oven dishwasher table sofa "
    "chair fireplace television stairs".split()
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shape:
    """A mesh or cube: its bounds in its own axes, and where those lie in the stage. Units and up are the stage's."""

    path: str
    category: str
    low: np.ndarray  # (3,)
    high: np.ndarray  # (3,)
    stage_from_shape: np.ndarray  # (4, 4), with its scale


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stage:
    """The shapes of a package whose kind is known."""

    shapes: tuple[Shape, ...]
    num_unknown: int
    unit_m: float
    up_axis: str  # +y | +z


def read_stage(path: Path) -> Stage:
    """The shapes of a package that was checked as a zip. Raises CaptureError, MissingExtraError without `usd-core`."""
    if importlib.util.find_spec("pxr") is None:
        raise MissingExtraError("usd-core", "usd")
    command = [sys.executable, "-P", "-B", "-m", __name__, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=MAX_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise CaptureError(f"{path}: expected a USD package, found one that does not open within {MAX_SECONDS} s") from error
    if done.returncode != 0:
        raise CaptureError(f"{path}: expected a USD package, found a damaged one that ends USD's own library (exit code {done.returncode})")
    found = json.loads(done.stdout)
    if "problem" in found:
        raise CaptureError(f"{path}{found['problem']}")
    shapes = [
        Shape(
            path=one["path"],
            category=one["category"],
            low=np.array(one["low"]),
            high=np.array(one["high"]),
            stage_from_shape=np.array(one["stage_from_shape"]).reshape(4, 4),
        )
        for one in found["shapes"]
    ]
    return Stage(shapes=tuple(shapes), num_unknown=found["num_unknown"], unit_m=found["unit_m"], up_axis=found["up_axis"])


def _listed(path: str) -> dict[str, Any]:
    """What `read_stage` gets: the stage as plain values, or what is wrong with it."""
    from pxr import Sdf, Tf, Usd, UsdGeom

    try:
        with SafeZip(Path(path)) as archive:
            layers = [name for name in archive.names() if name.lower().endswith(LAYERS)]
        for name in layers:
            layer = Sdf.Layer.FindOrOpen(f"{path}[{name}]")
            if layer is None:
                return {"problem": f"[{name}]: expected a USD layer, found one that does not open"}
            for asset in layer.GetCompositionAssetDependencies():
                if asset.startswith("/") or ":" in asset or ".." in asset.split("/"):
                    return {"problem": f"[{name}]: expected no file outside the package, found a reference to {asset[:120]!r}"}
        stage = Usd.Stage.Open(path)
        unknown: Counter[str] = Counter()
        shapes = list(_shapes(stage, unknown))
        up_axis = "+z" if str(UsdGeom.GetStageUpAxis(stage)) == "Z" else "+y"
        unit_m = float(UsdGeom.GetStageMetersPerUnit(stage))
    except Tf.ErrorException as error:
        problem = " ".join(str(error).split())[:160]
        return {"problem": f": expected a USD package, found one that does not open ({problem})"}
    if len(shapes) > MAX_PRIMS:
        return {"problem": f": expected at most {MAX_PRIMS} shapes, found more"}
    return {"shapes": shapes, "num_unknown": unknown.total(), "unit_m": unit_m, "up_axis": up_axis}


def _shapes(stage: Any, unknown: Counter[str]) -> Iterator[dict[str, Any]]:
    """Every mesh and cube of a known kind, one more than may be at most."""
    from pxr import Usd, UsdGeom

    cache, count = UsdGeom.XformCache(Usd.TimeCode.Default()), 0
    for prim in stage.Traverse():
        if prim.IsA(UsdGeom.Mesh):
            points = np.array(UsdGeom.Mesh(prim).GetPointsAttr().Get() or [], dtype=np.float64).reshape(-1, 3)
        elif prim.IsA(UsdGeom.Cube):
            half = float(UsdGeom.Cube(prim).GetSizeAttr().Get() or 0.0) / 2.0
            points = np.array([[-half] * 3, [half] * 3])
        else:
            continue
        category = _category(prim)
        if category is None:
            unknown["shapes"] += 1
            continue
        count += 1
        nothing = np.full(3, np.nan)
        matrix = np.array(cache.GetLocalToWorldTransform(prim), dtype=np.float64).T  # USD multiplies rows from the left
        yield {
            "path": str(prim.GetPath()),
            "category": category,
            "low": (points.min(axis=0) if len(points) else nothing).tolist(),
            "high": (points.max(axis=0) if len(points) else nothing).tolist(),
            "stage_from_shape": matrix.reshape(-1).tolist(),
        }
        if count > MAX_PRIMS:
            return


def _category(prim: Any) -> str | None:
    """The kind that a prim's `category` metadata says, or the nearest name on its path that is one but for numbers and `_grp`."""
    named = prim.GetCustomDataByKey("category")
    words = [str(named)] if named else []
    words += str(prim.GetPath()).strip("/").split("/")[::-1]
    for word in words:
        plain = re.sub(r"(_?grp|group)$", "", word, flags=re.IGNORECASE)
        plain = re.sub(r"[\d_]+", "", plain).lower()
        for name in (plain, plain.removesuffix("s")):
            if name in KINDS:
                return KINDS[name]
    return None


def _limit() -> None:
    """Nothing is written, and neither memory nor time runs away, where the system can see to it."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CPU, MAX_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    _limit()
    sys.stdout.write(json.dumps(_listed(sys.argv[1])))
