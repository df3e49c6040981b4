"""Writes the true room as TAPVid-3D clips: points on its true surfaces, followed through the cameras, with the caster's visibility."""

import io
from pathlib import Path

import numpy as np
import true_room as true
from PIL import Image

from sightline.captures.procedural.caster import cast, visible_from
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.depth import pixel_grid
from sightline.geometry.transforms import apply, inverse

NUM_TRACKS = 60
WORLD_FROM_LEVEL = np.array(
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)  # camera at the origin
Y_UP_FROM_WORLD = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def jpeg(rgb: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, format="JPEG", quality=95)
    return stream.getvalue()


def surface_points(poses: np.ndarray, camera: Intrinsics) -> np.ndarray:
    """`(NUM_TRACKS, 3)` exact world points that rays of pixels of some frames meet."""
    rng = np.random.default_rng(7)
    grid = pixel_grid(camera.width, camera.height).reshape(-1, 2)
    points = []
    for pose in poses[::3]:
        uv = grid[rng.choice(len(grid), size=40, replace=False)]
        rays = camera.unproject(uv, np.ones(len(uv))) @ pose[:3, :3].T
        hits = cast(true.model().caster, np.tile(pose[:3, 3], (len(uv), 1)), rays)
        points.append(hits.points_world[hits.primitives >= 0])
    return np.concatenate(points)[rng.permutation(sum(map(len, points)))[:NUM_TRACKS]]


def seen_by(poses: np.ndarray, camera: Intrinsics, points_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points in each camera `(T, Q, 3)` and whether each is in the image and nothing stands before it `(T, Q)`."""
    points, flags = [], []
    for pose in poses:
        here = apply(inverse(pose), points_world)
        uv, _ = camera.project(here)
        points.append(here)
        flags.append(camera.contains(np.nan_to_num(uv, nan=-9.0)) & visible_from(true.model().caster, pose[:3, 3], points_world))
    return np.stack(points), np.stack(flags)


def queries(points: np.ndarray, flags: np.ndarray, camera: Intrinsics) -> np.ndarray:
    first = flags.argmax(axis=0)
    uv, _ = camera.project(points[first, np.arange(len(first))])
    return np.column_stack([uv, first]).astype(np.float64)


def clip_arrays(poses: np.ndarray, camera: Intrinsics) -> dict[str, np.ndarray]:
    world = surface_points(poses, camera)
    points, flags = seen_by(poses, camera, world)
    images = np.empty(len(poses), dtype=object)
    images[:] = [jpeg(true.shoot(camera, pose).rgb) for pose in poses]
    return {
        "images_jpeg_bytes": images,
        "queries_xyt": queries(points, flags, camera),
        "tracks_XYZ": points,
        "visibility": flags,
        "fx_fy_cx_cy": np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
    }


def written(source: Path, scan_id: str, sequence: str, frames: list[true.ExpectedFrame], licence: str, **options) -> true.Written:
    return true.Written(
        source=source,
        reader="tapvid3d",
        scan_id=scan_id,
        place_id=f"tapvid3d_{sequence}",
        frames=tuple(frames),
        options=options,
        boxes=None,
        licence=licence,
    )


def expected(world_from_camera: np.ndarray, camera: Intrinsics, shown_from: np.ndarray | None) -> list[true.ExpectedFrame]:
    places = shown_from if shown_from is not None else [None] * len(world_from_camera)
    return [
        true.ExpectedFrame(
            frame_id=f"{index:06d}", world_from_camera=pose, intrinsics=camera, depth_intrinsics=None, pixels="close", shown_from=place
        )
        for index, (pose, place) in enumerate(zip(world_from_camera, places))
    ]


def drivetrack(folder: Path) -> true.Written:
    """With poses, camera from world, of a world whose y axis points up; pickled JPEG bytes of many lengths."""
    name = "tapvid3d_9142545919543484617_86_000_106_000_2_5AKc-TYQochsSWXpv376cA"
    place = folder / "tapvid3d_dataset" / "drivetrack"
    place.mkdir(parents=True)
    poses = true.poses()
    extrinsics = np.stack([inverse(pose) @ inverse(Y_UP_FROM_WORLD) for pose in poses])
    np.savez(place / f"{name}.npz", **clip_arrays(poses, true.SMALL), extrinsics_w2c=extrinsics)
    frames = expected(poses, true.SMALL, None)
    return written(folder / "tapvid3d_dataset", name, "9142545919543484617_86_000_106_000", frames, "Waymo")


def adt(folder: Path) -> true.Written:
    """A moving camera whose poses the file does not hold; byte strings of one length, as NumPy makes them of a list."""
    place = folder / "adt"
    place.mkdir(parents=True)
    poses = true.poses()
    arrays = clip_arrays(poses, true.SMALL)
    arrays["images_jpeg_bytes"] = np.array(list(arrays["images_jpeg_bytes"]))
    assert arrays["images_jpeg_bytes"].dtype.kind == "S"
    np.savez_compressed(place / "Apartment_release_decoration_seq138_5.npz", **arrays)
    np.savez(folder / "adt" / "queries.npz", queries_xyt=arrays["queries_xyt"])  # what is downloaded before the clips are made
    frames = expected(np.tile(WORLD_FROM_LEVEL, (len(poses), 1, 1)), true.SMALL, poses)
    return written(place, "Apartment_release_decoration_seq138_5", "Apartment_release_decoration_seq138", frames, "Aria")


def pstudio(folder: Path) -> true.Written:
    """A camera that stands still, one file, names of the arrays as the documentation has them."""
    folder.mkdir(parents=True)
    poses = np.tile(true.poses()[2], (6, 1, 1))
    arrays = clip_arrays(poses, true.SMALL)
    arrays["tracks_xyz"] = arrays.pop("tracks_XYZ").astype(np.float32)
    arrays["intrinsics"] = arrays.pop("fx_fy_cx_cy")
    np.savez(folder / "juggle_8.npz", **arrays)
    frames = expected(np.tile(WORLD_FROM_LEVEL, (len(poses), 1, 1)), true.SMALL, poses)
    return written(folder / "juggle_8.npz", "juggle_8", "juggle", frames, "Panoptic")


VARIANTS = {"drivetrack": drivetrack, "adt": adt, "pstudio": pstudio}
