"""Writes the true room as ScanNet scans: `.sens` recordings bit for bit, exported frames, meshes, groups and instance archives."""

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import true_room as true
from PIL import Image
from plyfile import PlyData, PlyElement

from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import inverse, rigid, yaw_matrix

ALIGNED_FROM_STORED = rigid(yaw_matrix(np.radians(37.0)), np.array([-3.0, 2.5, -0.11]))
WIDE = true.SMALL.resized(width=480, height=360)  # three colour pixels a side to a depth pixel: their middle is on its ray
SQUARE_FOOTED = (0, 1, 2, 8, 9, 12, 13)  # objects whose smallest upright box is their own; round ones have many
DEPTH_TURN = rigid(yaw_matrix(0.0), np.array([0.02, 0.0, 0.0]))


def jpeg(rgb: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, format="JPEG", quality=95)
    return stream.getvalue()


def png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    return stream.getvalue()


def matrix_4x4(camera: Intrinsics) -> np.ndarray:
    K = np.eye(4)
    K[:3, :3] = camera.K
    return K


def sens_header(
    *, colour: Intrinsics, depth: Intrinsics, num_frames: int, version: int = 4, kinds: tuple[int, int] = (2, 1), shift: float = 1000.0
) -> bytes:
    """Little endian, as in the public description of the format."""
    name = b"StructureSensor"
    matrices = np.stack([matrix_4x4(colour), np.eye(4), matrix_4x4(depth), np.eye(4)]).astype("<f4").tobytes()
    sizes = struct.pack("<IIII", colour.width, colour.height, depth.width, depth.height)
    return (
        struct.pack("<I", version)
        + struct.pack("<Q", len(name))
        + name
        + matrices
        + struct.pack("<ii", *kinds)
        + sizes
        + struct.pack("<f", shift)
        + struct.pack("<Q", num_frames)
    )


def sens_frame(pose: np.ndarray, colour: bytes, depth: bytes, *, time_us: int = 0) -> bytes:
    stored = np.asarray(pose).astype("<f4").tobytes()
    return stored + struct.pack("<QQQQ", time_us, time_us + 7, len(colour), len(depth)) + colour + depth


def sens_tail(num_measurements: int = 2) -> bytes:
    """Motion measurements, which nobody needs here."""
    return struct.pack("<Q", num_measurements) + bytes(128 * num_measurements)


def sens_bytes(*, colour: Intrinsics, poses: np.ndarray, kinds: tuple[int, int], shift: float = 1000.0) -> bytes:
    """A whole recording of the true room; `poses` are those to store."""
    out = [sens_header(colour=colour, depth=true.SMALL, num_frames=len(poses), kinds=kinds, shift=shift)]
    encode = {0: np.ndarray.tobytes, 1: png, 2: jpeg}[kinds[0]]
    for index, (pose, stored) in enumerate(zip(true.poses(), poses, strict=True)):
        depth = true.stored_depth(true.shoot(true.SMALL, pose), unit_m=1.0 / shift).astype("<u2").tobytes()
        colour_bytes = encode(true.shoot(colour, pose).rgb)
        out.append(sens_frame(stored, colour_bytes, zlib.compress(depth) if kinds[1] else depth, time_us=5_000_000 + 33_333 * index))
    return b"".join([*out, sens_tail()])


def write_text(path: Path, *, aligned_from_stored: np.ndarray | None, colour: Intrinsics, end: str = "\n") -> None:
    lines = [
        "appVersionId = 76",
        f"colorWidth = {colour.width}",
        "deviceName = a tablet",
        "sceneType = Apartment",
        f"fx_color = {colour.fx}",
    ]
    lines.append("colorToDepthExtrinsics = " + " ".join(f"{value:f}" for value in DEPTH_TURN.ravel()))
    if aligned_from_stored is not None:
        lines.insert(1, "axisAlignment = " + " ".join(repr(value) for value in aligned_from_stored.ravel().tolist()))
    path.write_bytes((end.join(lines) + end).encode())


def write_annotation(folder: Path, scan_id: str, *, stored_from_world: np.ndarray, object_ids: tuple[int, ...]) -> None:
    """Mesh, segments of up to 200 vertices of one owner each, groups of the given objects."""
    mesh = true.mesh()
    vertices = mesh.vertices_world @ stored_from_world[:3, :3].T + stored_from_world[:3, 3]
    vertex = np.zeros(
        len(vertices), dtype=[(axis, "<f4") for axis in "xyz"] + [(colour, "u1") for colour in ("red", "green", "blue", "alpha")]
    )
    for axis, values in zip("xyz", vertices.T, strict=True):
        vertex[axis] = values
    for colour, values in zip(("red", "green", "blue"), mesh.colours.T, strict=True):
        vertex[colour] = values
    face = np.zeros(len(mesh.faces), dtype=[("vertex_indices", "<i4", (3,))])
    face["vertex_indices"] = mesh.faces
    elements = [PlyElement.describe(vertex, "vertex"), PlyElement.describe(face, "face", len_types={"vertex_indices": "u1"})]
    PlyData(elements, byte_order="<").write(str(folder / f"{scan_id}_vh_clean_2.ply"))
    owner_changes = np.concatenate([[True], np.diff(mesh.object_ids) != 0])
    within = np.arange(len(vertices)) - np.maximum.accumulate(np.where(owner_changes, np.arange(len(vertices)), 0))
    segments = np.cumsum(owner_changes | (within % 200 == 0)) * 3 + 11
    segments_name = f"{scan_id}_vh_clean_2.0.010000.segs.json"
    about = {"params": {"kThresh": "0.0001", "segMinVerts": "20"}, "sceneId": f"scannet.{scan_id}", "segIndices": segments.tolist()}
    (folder / segments_name).write_text(json.dumps(about))
    names = {one.object_id: one.category for one in true.objects()}
    groups = [
        {
            "id": number,
            "objectId": object_id,
            "segments": np.unique(segments[mesh.object_ids == object_id]).tolist(),
            "label": names[object_id],
        }
        for number, object_id in enumerate(object_ids)
    ]
    about = {"sceneId": f"scannet.{scan_id}", "appId": "Aggregator.v2", "segGroups": groups, "segmentsFile": f"scannet.{segments_name}"}
    (folder / f"{scan_id}.aggregation.json").write_text(json.dumps(about))


def write_instances(path: Path, *, camera: Intrinsics, object_ids: tuple[int, ...]) -> None:
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        for index, pose in enumerate(true.poses()):
            seen = true.shoot(camera, pose).object_ids
            archive.writestr(f"instance-filt/{index}.png", png(np.where(np.isin(seen, object_ids), seen + 1, 0).astype(np.uint8)))


def write_exported(folder: Path, *, poses: np.ndarray, numbers: list[int], camera: Intrinsics) -> None:
    for place in ("color", "depth", "pose", "intrinsic"):
        (folder / place).mkdir(parents=True)
    for number, pose, stored in zip(numbers, true.poses(), poses, strict=True):
        (folder / "color" / f"{number}.jpg").write_bytes(jpeg(true.shoot(camera, pose).rgb))
        Image.fromarray(true.stored_depth(true.shoot(true.SMALL, pose))).save(folder / "depth" / f"{number}.png")
        np.savetxt(folder / "pose" / f"{number}.txt", stored, fmt="%f")
    for kind, matrix in (("color", matrix_4x4(camera)), ("depth", matrix_4x4(true.SMALL))):
        np.savetxt(folder / "intrinsic" / f"intrinsic_{kind}.txt", matrix, fmt="%f")
        np.savetxt(folder / "intrinsic" / f"extrinsic_{kind}.txt", np.eye(4), fmt="%f")


def _frames(camera: Intrinsics, *, pixels: str, numbers: list[int] | None = None) -> tuple[true.ExpectedFrame, ...]:
    numbers = numbers or list(range(true.NUM_FRAMES))
    return tuple(
        true.ExpectedFrame(frame_id=str(number), world_from_camera=pose, intrinsics=camera, depth_intrinsics=true.SMALL, pixels=pixels)
        for number, pose in zip(numbers, true.poses(), strict=True)
    )


def recorded(folder: Path) -> true.Written:
    """The usual download: JPEG and inflated depth, an alignment, mesh, groups, instance archive three times the depth size."""
    scan = folder / "scans" / "scene0707_01"
    scan.mkdir(parents=True)
    stored_from_world = inverse(ALIGNED_FROM_STORED)
    (scan / "scene0707_01.sens").write_bytes(sens_bytes(colour=WIDE, poses=stored_from_world @ true.poses(), kinds=(2, 1)))
    write_text(scan / "scene0707_01.txt", aligned_from_stored=ALIGNED_FROM_STORED, colour=WIDE)
    write_annotation(scan, "scene0707_01", stored_from_world=stored_from_world, object_ids=SQUARE_FOOTED)
    write_instances(scan / "scene0707_01_2d-instance-filt.zip", camera=WIDE, object_ids=SQUARE_FOOTED)
    return true.Written(
        source=folder,
        reader="scannet",
        scan_id="scene0707_01",
        place_id="scannet_scene0707",
        frames=_frames(WIDE, pixels="close"),
        options={},
        boxes="own",
        object_ids=SQUARE_FOOTED,
        instances="pixels",
        licence="ScanNet Terms of Use",
    )


def lossless(folder: Path) -> true.Written:
    """PNG colour, quarter millimetres, Windows line ends, no instance archive, boxes along the axes."""
    scan = folder / "scene0003_00"
    scan.mkdir(parents=True)
    stored_from_world = inverse(ALIGNED_FROM_STORED)
    (scan / "scene0003_00.sens").write_bytes(
        sens_bytes(colour=true.SMALL, poses=stored_from_world @ true.poses(), kinds=(1, 1), shift=4000.0)
    )
    write_text(scan / "scene0003_00.txt", aligned_from_stored=ALIGNED_FROM_STORED, colour=true.SMALL, end="\r\n")
    write_annotation(scan, "scene0003_00", stored_from_world=stored_from_world, object_ids=SQUARE_FOOTED)
    return true.Written(
        source=scan,
        reader="scannet",
        scan_id="scene0003_00",
        place_id="scannet_scene0003",
        frames=_frames(true.SMALL, pixels="same"),
        options={"boxes": "axis"},
        boxes="axis",
        object_ids=SQUARE_FOOTED,
        instances="surface",
        licence="ScanNet Terms of Use",
    )


def bare(folder: Path) -> true.Written:
    """One recording of raw pixels and raw depth, nothing beside it."""
    folder.mkdir(parents=True)
    (folder / "my_walk.sens").write_bytes(sens_bytes(colour=true.SMALL, poses=true.poses(), kinds=(0, 0)))
    return true.Written(
        source=folder / "my_walk.sens",
        reader="scannet",
        scan_id="my_walk",
        place_id="my_walk",
        frames=_frames(true.SMALL, pixels="same"),
        options={},
        boxes=None,
        licence="unknown",
    )


def exported(folder: Path) -> true.Written:
    """Exported frames of a scan without alignment, every fifth kept: 0, 5, 10 and so on, which sort as numbers."""
    scan = folder / "scans_test" / "scene0800_00"
    numbers = [5 * index for index in range(true.NUM_FRAMES)]
    write_exported(scan, poses=true.poses(), numbers=numbers, camera=WIDE)
    write_text(scan / "scene0800_00.txt", aligned_from_stored=None, colour=WIDE)
    return true.Written(
        source=folder,
        reader="scannet",
        scan_id="scene0800_00",
        place_id="scannet_scene0800",
        frames=_frames(WIDE, pixels="close", numbers=numbers),
        options={},
        boxes=None,
        licence="ScanNet Terms of Use",
    )


VARIANTS = {"recorded": recorded, "lossless": lossless, "bare": bare, "exported": exported}
