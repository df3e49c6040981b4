"""What a piece of furniture is: solids in its own frame, a colour word, a front, and tops that small things may stand on."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sightline.captures.procedural.primitives import BOX, CYLINDER, ELLIPSOID, Primitive, extents
from sightline.captures.procedural.textures import FABRIC, PLAIN, RGB, WOOD, Material
from sightline.geometry.transforms import rigid, yaw_matrix

# Plain colour words. No pure red, green, blue or yellow: pictures carry marks in those.
COLOURS: dict[str, RGB] = {
    "red": (172, 50, 46),
    "orange": (220, 124, 44),
    "yellow": (216, 178, 74),
    "green": (74, 130, 76),
    "blue": (56, 98, 164),
    "purple": (114, 76, 150),
    "pink": (222, 140, 164),
    "turquoise": (58, 156, 154),
    "brown": (124, 80, 50),
    "beige": (208, 188, 152),
    "white": (234, 232, 226),
    "grey": (128, 130, 134),
    "black": (42, 42, 46),
}
VIVID = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "turquoise")
CALM = ("beige", "white", "grey", "brown", "black")
WOODS: tuple[tuple[str, RGB, RGB], ...] = (
    ("brown", (150, 104, 66), (122, 80, 48)),
    ("brown", (98, 64, 44), (78, 48, 34)),
    ("beige", (206, 172, 126), (186, 148, 102)),
    ("brown", (172, 116, 70), (146, 94, 54)),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Top:
    """A level rectangle in the object's frame on which small things may stand."""

    low: tuple[float, float]
    high: tuple[float, float]
    z_m: float
    headroom_m: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Design:
    """An object before it is placed. Its frame: z up from the floor (or from what it stands on), front towards +y, back at -y."""

    category: str
    colour: str
    material: str
    solids: tuple[Primitive, ...]
    has_front: bool
    tops: tuple[Top, ...] = ()
    clearance_m: float = 0.0  # free floor its front needs to be of use

    low: np.ndarray = field(init=False)  # (3,) exact extents in the object's frame
    high: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        low, high = extents(self.solids)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)


@dataclass(slots=True)
class Maker:
    """Collects solids in an object's frame."""

    solids: list[Primitive] = field(default_factory=list)

    def box(self, low: Sequence[float], high: Sequence[float], material: Material, *, turn: np.ndarray | None = None) -> None:
        """A box from corner to corner, turned about its centre by a 3x3 rotation."""
        a, b = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
        self._add(BOX, (b - a) / 2.0, (a + b) / 2.0, material, turn)

    def rod(self, foot: Sequence[float], radius: float, height: float, material: Material, *, depth: float | None = None) -> None:
        """An upright cylinder standing on `foot`; `depth` is its radius along y where it is not round."""
        centre = np.array(foot, dtype=np.float64) + [0.0, 0.0, height / 2.0]
        self._add(CYLINDER, np.array([radius, depth or radius, height / 2.0]), centre, material, None)

    def bar(self, centre: Sequence[float], radius: float, length: float, axis: str, material: Material) -> None:
        """A lying cylinder along `x` or `y`."""
        self._add(CYLINDER, np.array([radius, radius, length / 2.0]), np.array(centre, dtype=np.float64), material, LYING[axis])

    def ball(self, centre: Sequence[float], half: Sequence[float], material: Material, *, turn: np.ndarray | None = None) -> None:
        """An ellipsoid."""
        self._add(ELLIPSOID, np.array(half, dtype=np.float64), np.array(centre, dtype=np.float64), material, turn)

    def legs(self, half_x: float, half_y: float, height: float, side: float, material: Material, *, is_round: bool = False) -> None:
        """Four legs at the corners of a rectangle whose outer half sizes are given."""
        for x in (-half_x + side / 2.0, half_x - side / 2.0):
            for y in (-half_y + side / 2.0, half_y - side / 2.0):
                if is_round:
                    self.rod((x, y, 0.0), side / 2.0, height, material)
                else:
                    self.box((x - side / 2.0, y - side / 2.0, 0.0), (x + side / 2.0, y + side / 2.0, height), material)

    def _add(self, kind: int, half: np.ndarray, centre: np.ndarray, material: Material, turn: np.ndarray | None) -> None:
        pose = rigid(np.eye(3) if turn is None else turn, centre)
        self.solids.append(Primitive(kind=kind, half_m=half, parent_from_primitive=pose, material=material))


LYING = {
    "x": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
}


def tilt(angle_deg: float) -> np.ndarray:
    """3x3 rotation about x: positive leans the top backwards (towards -y)."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def turn_z(angle_deg: float) -> np.ndarray:
    """3x3 rotation about z."""
    return yaw_matrix(np.radians(angle_deg))


@dataclass(frozen=True, kw_only=True, slots=True)
class Finish:
    """A colour word, what it is made of, and the material that shows it."""

    colour: str
    name: str
    material: Material


def painted(colour: str, *, glow: float = 0.0) -> Finish:
    return Finish(colour=colour, name="paint", material=Material(PLAIN, COLOURS[colour], COLOURS[colour], 0.1, glow))


def cloth(colour: str, rng: np.random.Generator) -> Finish:
    weave = Material(FABRIC, COLOURS[colour], COLOURS[colour], 0.012, 0.0, int(rng.integers(1000)))
    return Finish(colour=colour, name="fabric", material=weave)


def timber(rng: np.random.Generator) -> Finish:
    colour, light, dark = WOODS[int(rng.integers(len(WOODS)))]
    return Finish(colour=colour, name="wood", material=Material(WOOD, light, dark, 0.07, 0.0, int(rng.integers(1000))))


def one_of(rng: np.random.Generator, names: Sequence[str]) -> str:
    return names[int(rng.integers(len(names)))]


def wood_or_paint(rng: np.random.Generator, colours: Sequence[str], share_of_wood: float) -> Finish:
    return timber(rng) if rng.random() < share_of_wood else painted(one_of(rng, colours))


METAL = Material(PLAIN, (168, 170, 174), (168, 170, 174))
DARK = Material(PLAIN, (46, 46, 50), (46, 46, 50))
PALE = Material(PLAIN, (226, 226, 222), (226, 226, 222))
CERAMIC = Material(PLAIN, (240, 241, 240), (240, 241, 240))
