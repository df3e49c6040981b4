"""Writes the true room as ScanNet++ scenes: phone recordings in every depth encoding, pictures undistorted, fisheye and by COLMAP."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import lz4.block
import numpy as np
import true_room as true
from lens_pictures import distorted_view
from PIL import Image
from plyfile import PlyData, PlyElement
from scipy.spatial.transform import Rotation

from sightline.files import write_json

DEPTH = true.SMALL.resized(width=256, height=192)
FISHEYE_LENS = (-0.02, 0.004, -0.002, 0.0005)
ROUND = 64  # segments around what is round, where depth is rendered from the mesh: facets less than 1 mm off
FACET_SHARE = 5e-4  # 2 pixels of 19200 are measured to miss a facet's edge that the round thing would have met
EMPTY = -1  # place of a frame that is in the video only


def scans(scene: Path, *, segments: int = 24) -> None:
    """Mesh, segments and annotation; two segments per object, one of them shared with a larger object."""
    folder, mesh = scene / "scans", true.mesh(segments)
    folder.mkdir(parents=True)
    vertices = np.zeros(len(mesh.vertices_world), dtype=[(n, "f4") for n in "xyz"] + [(n, "u1") for n in ("red", "green", "blue", "alpha")])
    for axis, name in enumerate("xyz"):
        vertices[name] = mesh.vertices_world[:, axis]
    for channel, name in enumerate(("red", "green", "blue")):
        vertices[name] = mesh.colours[:, channel]
    faces = np.zeros(len(mesh.faces), dtype=[("vertex_indices", "i4", (3,))])
    faces["vertex_indices"] = mesh.faces
    elements = [PlyElement.describe(vertices, "vertex"), PlyElement.describe(faces, "face", len_types={"vertex_indices": "u1"})]
    PlyData(elements, byte_order="<").write(folder / "mesh_aligned_0.05.ply")
    seg_indices = 1000 + 2 * mesh.object_ids + np.arange(len(mesh.object_ids)) % 2
    values = {"params": {"kThresh": "0.01"}, "sceneId": scene.name, "segIndices": seg_indices.tolist()}
    (folder / "segments.json").write_text(json.dumps(values))
    counts = {one.object_id: int((mesh.object_ids == one.object_id).sum()) for one in true.objects()}
    largest, smallest = max(counts, key=counts.get), min(counts, key=counts.get)
    groups = []
    for one in true.objects():
        held = [1000 + 2 * one.object_id, 1001 + 2 * one.object_id]
        if one.object_id == largest:
            held.append(1000 + 2 * smallest)
        axes = one.box.world_from_object[:3, :3].T  # rows are axes
        groups.append(
            {
                "id": one.object_id,
                "objectId": one.object_id,
                "label": one.category,
                "segments": held,
                "obb": {
                    "centroid": one.box.centre_world.tolist(),
                    "axesLengths": one.box.size_m.tolist(),
                    "normalizedAxes": axes.ravel().tolist(),
                    "min": one.box.corners_world().min(axis=0).tolist(),
                    "max": one.box.corners_world().max(axis=0).tolist(),
                },
                "dominantNormal": [0.0, 0.0, 1.0],
                "partId": 1,
                "index": len(groups),
            }
        )
    write_json(folder / "segments_anno.json", {"sceneId": f"scannetpp.{scene.name}", "appId": "tests", "annId": "1", "segGroups": groups})


def written(source: Path, scene_id: str, *, ids, depth, options=None, pixels="close", has_scans=True, **more) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(frame_id=frame_id, world_from_camera=pose, intrinsics=true.SMALL, depth_intrinsics=depth, pixels=pixels)
        for frame_id, pose in zip(ids, true.poses())
    )
    return true.Written(
        source=source,
        reader="scannetpp",
        scan_id=scene_id,
        place_id=f"scannetpp_{scene_id}",
        frames=frames,
        options=options or {},
        boxes="own" if has_scans else None,
        instances="surface" if has_scans else None,
        licence="ScanNet++",
        **more,
    )


def iphone(scene: Path, *, every: int, video: str | None, fourcc: str, encode: Callable[[list[np.ndarray]], bytes]) -> list[str]:
    """One frame in `every` shows the room; the frame ids of those."""
    folder = scene / "iphone"
    folder.mkdir(parents=True)
    places = [number // every if number % every == 0 else EMPTY for number in range(every * true.NUM_FRAMES)]
    values, pictures, maps = {}, [], []
    for number, place in enumerate(places):
        pose = true.poses()[place] if place != EMPTY else true.poses()[0]
        view = true.shoot(true.SMALL, pose)
        pictures.append(view.rgb if place != EMPTY else np.zeros_like(view.rgb))
        depth_m = np.nan_to_num(true.shoot(DEPTH, pose).depth_m, nan=0.0)
        maps.append(depth_m if place != EMPTY else np.full_like(depth_m, 0.5))
        arkit = np.linalg.inv(true.poses()[0]) @ pose @ np.diag([1.0, -1.0, -1.0, 1.0])  # another world, OpenGL axes
        values[f"frame_{number:06d}"] = {
            "timestamp": 100.0 + number / 60.0,
            "pose": arkit.tolist(),
            "intrinsic": true.SMALL.K.tolist(),
            "imu": {"rotate_rate": [0.0, 0.0, 0.0]},
            "aligned_pose": pose.tolist(),
        }
    write_json(folder / "pose_intrinsic_imu.json", values)
    (folder / "depth.bin").write_bytes(encode(maps))
    if video is not None:
        writer = cv2.VideoWriter(str(folder / video), cv2.VideoWriter_fourcc(*fourcc), 60.0, (true.SMALL.width, true.SMALL.height))
        assert writer.isOpened()
        for picture in pictures:
            writer.write(np.ascontiguousarray(picture[:, :, ::-1]))
        writer.release()
    else:
        (folder / "rgb").mkdir()
        for name, picture in zip(values, pictures):
            Image.fromarray(picture).save(folder / "rgb" / f"{name}.jpg", quality=95)
    return [name for name, place in zip(values, places) if place != EMPTY]


def deflated(data: bytes) -> bytes:
    worker = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return worker.compress(data) + worker.flush()


def as_stream(maps: list[np.ndarray]) -> bytes:
    return deflated(np.stack(maps).astype("<f4").tobytes())


def as_lz4(maps: list[np.ndarray]) -> bytes:
    payloads = [lz4.block.compress(np.rint(one * 1000).astype("<u2").tobytes(), store_size=False) for one in maps]
    return b"".join(struct.pack("<I", len(payload)) + payload for payload in payloads)


def as_deflated_maps(maps: list[np.ndarray]) -> bytes:
    payloads = [deflated(one.astype("<f4").tobytes()) for one in maps]
    return b"".join(struct.pack("<I", len(payload)) + payload for payload in payloads)


def iphone_stream(folder: Path) -> true.Written:
    """The dataset's folder with splits; lossless video, one stream of depth, every second frame."""
    scene_id = "0a1b2c3d4e"
    scene = folder / "data" / scene_id
    ids = iphone(scene, every=2, video="rgb.mkv", fourcc="FFV1", encode=as_stream)
    scans(scene)
    (folder / "splits").mkdir()
    (folder / "splits/nvs_sem_train.txt").write_text(f"{scene_id}\nffffffffff\n")
    return written(folder, scene_id, ids=ids, depth=DEPTH, options={"frame_step": 2})


def iphone_lz4(folder: Path) -> true.Written:
    """One scene; the older .mp4, lz4 millimetres."""
    scene = folder / "1a1b2c3d4e"
    ids = iphone(scene, every=1, video="rgb.mp4", fourcc="mp4v", encode=as_lz4)
    scans(scene)
    return written(scene, scene.name, ids=ids, depth=DEPTH)


def iphone_unpacked(folder: Path) -> true.Written:
    """The `data/` folder; pictures that the toolkit unpacked, deflated metres per map, no laser scan."""
    scene = folder / "2a1b2c3d4e"
    ids = iphone(scene, every=1, video=None, fourcc="", encode=as_deflated_maps)
    return written(folder, scene.name, ids=ids, depth=DEPTH, has_scans=False)


def nerfstudio_pose(pose: np.ndarray) -> list[list[float]]:
    """World from camera as ScanNet++ writes it: y and z columns negated, rows 0 and 1 exchanged, row 2 negated."""
    stored = pose.copy()
    stored[:3, 1:3] *= -1.0
    stored = stored[[1, 0, 2, 3]]
    stored[2] *= -1.0
    return stored.tolist()


def transforms(path: Path, names: list[str], lens: dict) -> None:
    """The last two pictures are test ones; one picture more is marked bad."""
    camera = true.SMALL
    values = {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx + 0.5, "cy": camera.cy + 0.5, "w": camera.width, "h": camera.height}
    frames = [
        {"file_path": name, "mask_path": f"{Path(name).stem}.png", "transform_matrix": nerfstudio_pose(pose), "is_bad": False}
        for name, pose in zip(names, true.poses())
    ]
    bad = {"file_path": "DSC09999.JPG", "mask_path": "DSC09999.png", "transform_matrix": np.eye(4).tolist(), "is_bad": True}
    write_json(path, {**values, **lens, "frames": [*frames[:-2], bad], "test_frames": frames[-2:], "has_mask": False})


def dslr_undistorted(folder: Path) -> true.Written:
    scene = folder / "3a1b2c3d4e"
    names = [f"DSC{10 + index:05d}.JPG" for index in range(true.NUM_FRAMES)]
    for name, pose in zip(names, true.poses()):
        place = scene / "dslr/resized_undistorted_images"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(true.shoot(true.SMALL, pose).rgb).save(place / name, format="JPEG", quality=95)
    none = {"k1": 0.0, "k2": 0.0, "k3": 0.0, "k4": 0.0, "camera_model": "PINHOLE"}
    transforms(scene / "dslr/nerfstudio/transforms_undistorted.json", names, none)
    scans(scene, segments=ROUND)
    return written(scene, scene.name, ids=[Path(name).stem for name in names], depth=true.SMALL, facet_share=FACET_SHARE)


def fisheye_pictures(scene: Path) -> list[str]:
    names = [f"DSC{10 + index:05d}.JPG" for index in range(true.NUM_FRAMES)]
    (scene / "dslr/resized_images").mkdir(parents=True)
    for name, pose in zip(names, true.poses()):
        rgb, _ = distorted_view(true.SMALL, "fisheye", FISHEYE_LENS, pose)
        Image.fromarray(rgb).save(scene / "dslr/resized_images" / name, format="JPEG", quality=95)
    return names


def dslr_fisheye(folder: Path) -> true.Written:
    """Fisheye pictures undistorted on request; the scene has a phone recording too, so the sensor is named."""
    scene = folder / "4a1b2c3d4e"
    names = fisheye_pictures(scene)
    lens = {f"k{number + 1}": value for number, value in enumerate(FISHEYE_LENS)}
    transforms(scene / "dslr/nerfstudio/transforms.json", names, {**lens, "camera_model": "OPENCV_FISHEYE"})
    iphone(scene, every=1, video=None, fourcc="", encode=as_lz4)
    scans(scene, segments=ROUND)
    options = {"sensor": "dslr", "undistort": True}
    ids = [Path(name).stem for name in names]
    return written(scene, scene.name, ids=ids, depth=true.SMALL, options=options, facet_share=FACET_SHARE)


def dslr_colmap(folder: Path) -> true.Written:
    """Fisheye pictures by the COLMAP model, whose world is the mesh's; no depth asked for."""
    scene = folder / "5a1b2c3d4e"
    names = fisheye_pictures(scene)
    camera = true.SMALL
    values = (camera.fx, camera.fy, camera.cx + 0.5, camera.cy + 0.5, *FISHEYE_LENS)
    (scene / "dslr/colmap").mkdir()
    (scene / "dslr/colmap/cameras.txt").write_text(f"1 OPENCV_FISHEYE 160 120 {' '.join(map(repr, values))}\n")
    lines = []
    for number, (name, pose) in enumerate(zip(names, true.poses()), start=1):
        camera_from_world = np.linalg.inv(pose)
        x, y, z, w = Rotation.from_matrix(camera_from_world[:3, :3]).as_quat().tolist()
        tx, ty, tz = camera_from_world[:3, 3].tolist()
        lines.append(f"{number} {w!r} {x!r} {y!r} {z!r} {tx!r} {ty!r} {tz!r} 1 {name}\n\n")
    (scene / "dslr/colmap/images.txt").write_text("".join(lines))
    (scene / "dslr/colmap/points3D.txt").write_text("")
    scans(scene)
    options = {"undistort": True, "depth": "none"}
    return written(scene, scene.name, ids=[Path(name).stem for name in names], depth=None, options=options)


VARIANTS = {
    "iphone_stream": iphone_stream,
    "iphone_lz4": iphone_lz4,
    "iphone_unpacked": iphone_unpacked,
    "dslr_undistorted": dslr_undistorted,
    "dslr_fisheye": dslr_fisheye,
    "dslr_colmap": dslr_colmap,
}
