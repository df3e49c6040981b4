"""Shape checks at the doors between rooms: `expect(uv=(uv, "N 2"), depth_m=(depth_m, "N"))`."""

import numpy as np

from sightline.errors import ShapeError


def expect(**named: tuple[object, str]) -> dict[str, int]:
    """Check arrays against shape legends and return the sizes of the letters.

    A legend is a list of dimensions: a number must match exactly, a letter must be the same size wherever it stands,
    `*` at the start stands for any leading dimensions. Works on anything with a `.shape`. Raises ShapeError.
    """
    sizes: dict[str, int] = {}
    for name, (array, legend) in named.items():
        shape = getattr(array, "shape", None)
        if shape is None:
            raise ShapeError(f"{name}: expected an array of shape ({legend}), found {type(array).__name__}")
        wanted = legend.split()
        found = tuple(shape)
        if wanted and wanted[0] == "*":
            wanted = wanted[1:]
            found = found[len(found) - len(wanted) :] if len(found) >= len(wanted) else found
        if len(found) != len(wanted):
            raise ShapeError(f"{name}: expected shape ({legend}), found {tuple(shape)}")
        for dimension, size in zip(wanted, found):
            known = int(dimension) if dimension.isdigit() else sizes.setdefault(dimension, int(size))
            if known != size:
                raise ShapeError(f"{name}: expected shape ({legend}) with {dimension}={known}, found {tuple(shape)}")
    return sizes


def expect_finite(**named: object) -> None:
    """Raise ShapeError when an array holds NaN or infinity, naming the first place."""
    for name, array in named.items():
        values = np.asarray(array)
        bad = ~np.isfinite(values)
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ShapeError(f"{name}: expected finite numbers, found {values[place]} at {place}")
