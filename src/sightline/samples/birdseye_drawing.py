"""Drawing from above, along -z and without perspective: triangles and points against a height map, the scale bar, an arrow."""

from dataclasses import dataclass

import cv2
import numba
import numpy as np

from sightline.errors import DataError

SAME_HEIGHT_M = 0.04  # surfaces that differ by less are one, and their colours are averaged
WALL_LEAN = -0.15  # z of a unit normal: what faces down more than this is an underside or a ceiling
MOST_JUMP = 0.04  # of the depth, across a triangle: beyond it its corners are on different things
LEAST_JUMP_M = 0.04
LEAST_FACING = 0.1  # cosine between a triangle's normal and the ray to the camera: flatter ones span the edge of something
BAR_COLOUR, ARROW_COLOUR, EDGE_COLOUR = (24, 24, 24), (220, 30, 30), (255, 255, 255)
BAR_STRIP = 0.045  # of the long side: height of the strip below the scene that the bar stands in
BAR_LENGTHS_M = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
BAR_SHARE = 0.25  # of the width, at most


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Surface:
    """A depth map as a surface seen from above."""

    uvz: np.ndarray  # (h, w, 3) float32 pixels of the picture and height in metres; NaN without a reading
    eye_uvz: np.ndarray  # (3,) float32, the camera
    depth_m: np.ndarray  # (h, w) float32
    rgb: np.ndarray  # (h, w, 3) uint8


class Canvas:
    """Height map and colour sums of one render. Draw everything into `heights` first, then the same into `colours`."""

    def __init__(self, width: int, height: int):
        self.top_m = np.full((height, width), -np.inf, np.float32)
        self.sums = np.zeros((height, width, 3), np.float32)
        self.weights = np.zeros((height, width), np.float32)

    def depth_map(self, surface: Surface, *, metres_per_pixel: float, cut_m: float, colour: bool) -> None:
        """The upper sides of what a depth map shows."""
        maps = (surface.uvz, surface.eye_uvz, surface.depth_m, surface.rgb)
        _draw_depth_map(*maps, np.float32(metres_per_pixel), np.float32(cut_m), self.top_m, self.sums, self.weights, colour)

    def triangles(self, uvz: np.ndarray, rgb: np.ndarray, corners: np.ndarray, *, cut_m: float, colour: bool) -> None:
        """Triangles `corners (T, 3)` of vertices `uvz (N, 3)`, `rgb (N, 3)`, whichever way they face."""
        _draw_triangles(uvz[:, None], rgb[:, None], corners, np.float32(cut_m), self.top_m, self.sums, self.weights, colour)

    def points(self, uvz: np.ndarray, rgb: np.ndarray, *, half_px: int, cut_m: float, colour: bool) -> None:
        """Squares of `2 * half_px + 1` pixels around points `uvz (N, 3)`."""
        _draw_points(uvz, rgb, half_px, np.float32(cut_m), self.top_m, self.sums, self.weights, colour)

    def image(self, background: tuple[int, int, int]) -> np.ndarray:
        """`(H, W, 3)` uint8; what nothing was drawn on has the background's colour."""
        drawn = self.weights > 0
        mean = self.sums / np.where(drawn, self.weights, 1.0)[..., None]
        return np.where(drawn[..., None], np.clip(np.rint(mean), 0, 255).astype(np.uint8), np.array(background, np.uint8))

    def forget_specks(self, *, least_px: float) -> None:
        """Take back what is drawn apart from everything else on fewer pixels: single wrong readings."""
        _, numbers, stats, _ = cv2.connectedComponentsWithStats((self.weights > 0).astype(np.uint8), connectivity=8)
        self.weights[(stats[:, cv2.CC_STAT_AREA] < least_px)[numbers]] = 0.0


def bar_length_m(width_px: int, metres_per_pixel: float) -> float:
    """The longest round length that takes no more than a quarter of the width."""
    fitting = [length for length in BAR_LENGTHS_M if length <= BAR_SHARE * width_px * metres_per_pixel]
    return fitting[-1] if fitting else BAR_LENGTHS_M[0]


def draw_scale_bar(rgb: np.ndarray, *, metres_per_pixel: float, strip_px: int) -> None:
    """A bar of a round length with its length in words, in the strip at the lower edge. It is true to the pixel: ends included."""
    height, width = rgb.shape[:2]
    length_m = bar_length_m(width, metres_per_pixel)
    length_px = max(2, round(length_m / metres_per_pixel))
    tick, thick = max(3, strip_px // 4), max(1, strip_px // 16)
    left, middle = strip_px // 2, height - strip_px // 2
    rgb[middle - thick : middle + thick, left : left + length_px] = BAR_COLOUR
    for end in (left, left + length_px - 2 * thick):
        rgb[middle - tick : middle + tick, end : end + 2 * thick] = BAR_COLOUR
    words = f"{length_m:g} m"
    scale = strip_px / 46.0
    (_, text_height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, scale, max(1, round(1.6 * scale)))
    place = (left + length_px + strip_px // 4, middle + text_height // 2)
    cv2.putText(rgb, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale, BAR_COLOUR, max(1, round(1.6 * scale)), cv2.LINE_AA)


def draw_arrow(rgb: np.ndarray, *, u_px: float, v_px: float, towards_uv: tuple[float, float], length_px: float) -> None:
    """A disc at a place and an arrow from it along `towards_uv` (a unit vector in pixels), with a white edge. Raises DataError outside."""
    height, width = rgb.shape[:2]
    if not (-0.5 <= u_px <= width - 0.5 and -0.5 <= v_px <= height - 0.5):
        raise DataError(f"bird's-eye view: expected a place inside the {width}x{height} image, found ({u_px:.1f}, {v_px:.1f})")
    along = np.asarray(towards_uv, np.float64)
    across = np.array([-along[1], along[0]])
    start = np.array([u_px, v_px])
    tip, neck = start + length_px * along, start + 0.55 * length_px * along
    half, wide, radius = 0.07 * length_px, 0.22 * length_px, 0.2 * length_px
    right = [start + half * across, neck + half * across, neck + wide * across]
    left = [neck - wide * across, neck - half * across, start - half * across]
    shaft = [*right, tip, *left]
    outline = np.rint(np.array(shaft) * 16).astype(np.int32)  # sixteenths of a pixel, so that the arrow turns smoothly
    centre = (round(u_px * 16), round(v_px * 16))
    edge_px = max(2, round(0.1 * length_px))
    cv2.polylines(rgb, [outline], True, EDGE_COLOUR, edge_px, cv2.LINE_AA, 4)
    cv2.circle(rgb, centre, round((radius + edge_px / 2) * 16), EDGE_COLOUR, -1, cv2.LINE_AA, 4)
    cv2.fillPoly(rgb, [outline], ARROW_COLOUR, cv2.LINE_AA, 4)
    cv2.circle(rgb, centre, round(radius * 16), ARROW_COLOUR, -1, cv2.LINE_AA, 4)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _put(u, v, z, r, g, b, weight, top, sums, weights, colour):  # pragma: no cover - compiled
    """One sample: raise the height, or add its colour where it is at the height."""
    if not colour:
        if z > top[v, u]:
            top[v, u] = z
    elif z >= top[v, u] - np.float32(SAME_HEIGHT_M):
        sums[v, u, 0] += weight * r
        sums[v, u, 1] += weight * g
        sums[v, u, 2] += weight * b
        weights[v, u] += weight


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _at(maps, row, column):  # pragma: no cover - compiled
    """Three values as scalars: views of arrays would be counted one by one."""
    return np.float32(maps[row, column, 0]), np.float32(maps[row, column, 1]), np.float32(maps[row, column, 2])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _triangle(a, b, c, colour_a, colour_b, colour_c, cut, weight, top, sums, weights, colour):  # pragma: no cover - compiled
    """Every pixel centre inside the triangle, and the pixel nearest to its first corner, so that upright walls leave a line."""
    height, width = top.shape
    u, v = int(np.floor(a[0] + np.float32(0.5))), int(np.floor(a[1] + np.float32(0.5)))
    if 0 <= u < width and 0 <= v < height and a[2] < cut:
        _put(u, v, a[2], colour_a[0], colour_a[1], colour_a[2], np.float32(0.05) * weight, top, sums, weights, colour)
    bu, bv, cu, cv = b[0] - a[0], b[1] - a[1], c[0] - a[0], c[1] - a[1]
    area = bu * cv - bv * cu
    if area == 0:
        return
    part = np.float32(1.0) / area
    first_v = max(0, int(np.ceil(min(a[1], b[1], c[1]))))
    last_v = min(height - 1, int(np.floor(max(a[1], b[1], c[1]))))
    first_u = max(0, int(np.ceil(min(a[0], b[0], c[0]))))
    last_u = min(width - 1, int(np.floor(max(a[0], b[0], c[0]))))
    for v in range(first_v, last_v + 1):
        dv = np.float32(v) - a[1]
        for u in range(first_u, last_u + 1):
            du = np.float32(u) - a[0]
            share_b, share_c = (du * cv - dv * cu) * part, (bu * dv - bv * du) * part
            share_a = np.float32(1.0) - share_b - share_c
            if share_a < 0 or share_b < 0 or share_c < 0:
                continue
            z = share_a * a[2] + share_b * b[2] + share_c * c[2]
            if z >= cut:
                continue
            if not colour:
                if z > top[v, u]:
                    top[v, u] = z
            elif z >= top[v, u] - np.float32(SAME_HEIGHT_M):
                for channel in range(3):
                    value = share_a * colour_a[channel] + share_b * colour_b[channel] + share_c * colour_c[channel]
                    sums[v, u, channel] += weight * value
                weights[v, u] += weight


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_depth_map(uvz, eye, depth, rgb, pitch, cut, top, sums, weights, colour):  # pragma: no cover - compiled
    rows, columns = depth.shape
    for row in range(rows - 1):
        for column in range(columns - 1):
            for half in range(2):
                if half == 0:
                    ra, ca, rb, cb, rc, cc = row, column, row, column + 1, row + 1, column
                else:
                    ra, ca, rb, cb, rc, cc = row + 1, column + 1, row + 1, column, row, column + 1
                near = min(depth[ra, ca], depth[rb, cb], depth[rc, cc])
                far = max(depth[ra, ca], depth[rb, cb], depth[rc, cc])
                if not (far - near <= max(np.float32(LEAST_JUMP_M), np.float32(MOST_JUMP) * near)):  # also where one is NaN
                    continue
                if not (depth[ra, ca] > 0 and depth[rb, cb] > 0 and depth[rc, cc] > 0):
                    continue
                a, b, c = _at(uvz, ra, ca), _at(uvz, rb, cb), _at(uvz, rc, cc)
                if min(a[2], b[2], c[2]) >= cut:
                    continue
                # the normal that looks at the camera, in metres; v runs against y
                bx, by, bz = (b[0] - a[0]) * pitch, (a[1] - b[1]) * pitch, b[2] - a[2]
                cx, cy, cz = (c[0] - a[0]) * pitch, (a[1] - c[1]) * pitch, c[2] - a[2]
                nx, ny, nz = cy * bz - cz * by, cz * bx - cx * bz, cx * by - cy * bx
                length = np.sqrt(nx * nx + ny * ny + nz * nz)
                if length == 0 or nz < np.float32(WALL_LEAN) * length:
                    continue
                rx, ry, rz = (eye[0] - a[0]) * pitch, (a[1] - eye[1]) * pitch, eye[2] - a[2]
                facing = (nx * rx + ny * ry + nz * rz) / (length * np.sqrt(rx * rx + ry * ry + rz * rz))
                if facing < np.float32(LEAST_FACING):
                    continue
                weight = max(np.float32(0.05), nz / length) / (near * near)
                colours = (_at(rgb, ra, ca), _at(rgb, rb, cb), _at(rgb, rc, cc))
                _triangle(a, b, c, colours[0], colours[1], colours[2], cut, weight, top, sums, weights, colour)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_triangles(uvz, rgb, corners, cut, top, sums, weights, colour):  # pragma: no cover - compiled
    for number in range(len(corners)):
        i, j, k = corners[number, 0], corners[number, 1], corners[number, 2]
        a, b, c = _at(uvz, i, 0), _at(uvz, j, 0), _at(uvz, k, 0)
        if min(a[2], b[2], c[2]) < cut:
            _triangle(a, b, c, _at(rgb, i, 0), _at(rgb, j, 0), _at(rgb, k, 0), cut, np.float32(1.0), top, sums, weights, colour)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_points(uvz, rgb, half, cut, top, sums, weights, colour):  # pragma: no cover - compiled
    height, width = top.shape
    for row in range(len(uvz)):
        z = uvz[row, 2]
        if not z < cut:
            continue
        u0, v0 = int(np.floor(uvz[row, 0] + np.float32(0.5))), int(np.floor(uvz[row, 1] + np.float32(0.5)))
        for v in range(max(0, v0 - half), min(height, v0 + half + 1)):
            for u in range(max(0, u0 - half), min(width, u0 + half + 1)):
                _put(u, v, z, rgb[row, 0], rgb[row, 1], rgb[row, 2], np.float32(1.0), top, sums, weights, colour)
