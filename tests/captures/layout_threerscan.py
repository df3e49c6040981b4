"""Writes the true room as 3RScan keeps a scan: a zipped or unpacked sequence, a labelled text mesh, oriented boxes, a list of rooms."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import true_room as true
from PIL import Image
from scipy.spatial.transform import Rotation

from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import apply, rigid

COLOUR = Intrinsics(fx=151.4, fy=151.2, cx=98.6, cy=54.1, width=192, height=108)  # a fifth of 960x540
DEPTH = COLOUR.resized(width=56, height=43)  # the same view, squeezed
REFERENCE = "00d42bed-778d-2ac6-86a7-0e0e5f5f5660"
RESCAN = "0a4b8ef6-a83a-21f2-8672-dce34dd0d7ca"
YAWED = rigid(Rotation.from_euler("z", 40.0, degrees=True).as_matrix(), np.array([2.0, -1.5, 0.25]))  # reference from rescan
FIRST_ID = 1  # 0 is no object


def info_text(color: Intrinsics, depth: Intrinsics, *, num_frames: int) -> str:
    def flat(camera: Intrinsics) -> str:
        return " ".join(map(repr, [camera.fx, 0, camera.cx, 0, 0, camera.fy, camera.cy, 0, 0, 0, 1, 0, 0, 0, 0, 1]))

    identity = " ".join(str(int(value)) for value in np.eye(4).ravel())
    return (
        f"m_versionNumber = 4\nm_sensorName = tango\nm_colorWidth = {color.width}\nm_colorHeight = {color.height}\n"
        f"m_depthWidth = {depth.width}\nm_depthHeight = {depth.height}\nm_depthShift = 1000\n"
        f"m_calibrationColorIntrinsic = {flat(color)} \nm_calibrationColorExtrinsic = {identity} \n"
        f"m_calibrationDepthIntrinsic = {flat(depth)} \nm_calibrationDepthExtrinsic = {identity} \nm_frames.size = {num_frames}\n"
    )


def on_its_side(camera: Intrinsics) -> Intrinsics:
    """The camera of a picture lying on its side: pixel (u, v) of the upright one stands at (height - 1 - v, u)."""
    return Intrinsics(fx=camera.fy, fy=camera.fx, cx=camera.height - 1 - camera.cy, cy=camera.cx, width=camera.height, height=camera.width)


LYING = np.array([[0.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])  # upright from lying camera


def sequence_files(world_from_stored: np.ndarray, *, lying: bool = False) -> dict[str, bytes]:
    """Every file of a sequence; `lying`: as a phone stores it whose camera stands on its side."""
    color, depth_camera = (on_its_side(COLOUR), on_its_side(DEPTH)) if lying else (COLOUR, DEPTH)
    files = {"_info.txt": info_text(color, depth_camera, num_frames=true.NUM_FRAMES).encode()}
    for index, pose in enumerate(true.poses()):
        jpeg = io.BytesIO()
        rgb, depth = true.shoot(COLOUR, pose).rgb, true.stored_depth(true.shoot(DEPTH, pose))
        if lying:
            rgb, depth = np.rot90(rgb, -1), np.rot90(depth, -1)
        Image.fromarray(np.ascontiguousarray(rgb)).save(jpeg, format="JPEG", quality=95)
        stored = np.linalg.inv(world_from_stored) @ (pose @ LYING if lying else pose)
        files[f"frame-{index:06d}.color.jpg"] = jpeg.getvalue()
        files[f"frame-{index:06d}.depth.pgm"] = b"P5\n%d %d\n65535\n" % depth.shape[::-1] + depth.astype(">u2").tobytes()
        files[f"frame-{index:06d}.pose.txt"] = "".join(" ".join(map(repr, row)) + " \n" for row in stored.tolist()).encode()
    return files


def write_labels(folder: Path, world_from_stored: np.ndarray, *, version: int) -> None:
    """The labelled mesh, binary in version 1 and text in version 2, and `semseg`; rows of `normalizedAxes` are the axes of the box."""
    stored_from_world, mesh = np.linalg.inv(world_from_stored), true.mesh()
    ids = np.where(mesh.object_ids >= 0, mesh.object_ids + FIRST_ID, 0)
    faces = mesh.faces[:2000]  # a text takes long to read, and no face of it is looked at
    names = [*((axis, "float", "<f4") for axis in "xyz"), *((colour, "uchar", "u1") for colour in ("red", "green", "blue"))]
    names += [
        ("objectId", "ushort", "<u2"),
        ("globalId", "ushort", "<u2"),
        *((word, "uchar", "u1") for word in ("NYU40", "Eigen13", "RIO27")),
    ]
    header = f"ply\nformat {'ascii' if version == 2 else 'binary_little_endian'} 1.0\nelement vertex {len(ids)}\n"
    header += "".join(f"property {kind} {name}\n" for name, kind, _ in names)
    header += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    rows = np.zeros(len(ids), dtype=[(name, code) for name, _, code in names])
    for column, values in zip("xyz", apply(stored_from_world, mesh.vertices_world).T):
        rows[column] = values
    for column, values in zip(("red", "green", "blue"), mesh.colours.T):
        rows[column] = values
    rows["objectId"] = ids
    suffix = ".v2" if version == 2 else ""
    with (folder / f"labels.instances.annotated{suffix}.ply").open("wb") as stream:
        stream.write(header.encode())
        if version == 2:
            stream.write("".join(" ".join(map(str, row)) + "\n" for row in rows.tolist()).encode())
            stream.write("".join(f"3 {a} {b} {c}\n" for a, b, c in faces.tolist()).encode())
        else:
            stream.write(rows.tobytes())
            triangles = np.zeros(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
            triangles["count"], triangles["corners"] = 3, faces
            stream.write(triangles.tobytes())
    groups = []
    for one in true.objects():
        box = one.box.moved(stored_from_world)
        obb = {
            "centroid": box.centre_world.tolist(),
            "axesLengths": box.size_m.tolist(),
            "normalizedAxes": box.world_from_object[:3, :3].T.ravel().tolist(),
        }
        number = one.object_id + FIRST_ID
        groups.append(
            {"id": number, "objectId": number, "label": one.category, "segments": [number], "obb": obb, "dominantNormal": [0, 0, 1]}
        )
    (folder / f"semseg{suffix}.json").write_text(json.dumps({"scan_id": folder.name, "segGroups": groups}))


def write_rooms(root: Path) -> None:
    """`3RScan.json`: matrices column by column, translations in millimetres."""
    in_mm = YAWED.copy()
    in_mm[:3, 3] *= 1000.0
    other = {"reference": "10b17940-3938-2467-8a7a-958300ba83d3", "type": "validation", "ambiguity": [], "scans": []}
    rescan = {"reference": RESCAN, "transform": in_mm.T.ravel().tolist(), "nonrigid": [], "removed": [], "rigid": []}
    (root / "3RScan.json").write_text(json.dumps([other, {"reference": REFERENCE, "type": "train", "ambiguity": [], "scans": [rescan]}]))


def written(root: Path, scan_id: str, *, options: dict, place_id: str) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(frame_id=f"frame-{index:06d}", world_from_camera=pose, intrinsics=COLOUR, depth_intrinsics=DEPTH, pixels="close")
        for index, pose in enumerate(true.poses())
    )
    return true.Written(
        source=root,
        reader="threerscan",
        scan_id=scan_id,
        place_id=place_id,
        frames=frames,
        options=options,
        boxes="own",
        id_shift=FIRST_ID,
        instances="surface",
        licence="3RScan",
    )


def unpacked(folder: Path) -> true.Written:
    """A first scan in a world that is the true one, unpacked; no list of rooms beside it."""
    scan = folder / REFERENCE
    (scan / "sequence").mkdir(parents=True)
    for name, data in sequence_files(np.eye(4)).items():
        (scan / "sequence" / name).write_bytes(data)
    write_labels(scan, np.eye(4), version=1)
    return written(scan, REFERENCE, options={}, place_id=f"threerscan_{REFERENCE}")


def zipped_rescan(folder: Path) -> true.Written:
    """A rescan in a world of its own, zipped, brought into the world of its reference."""
    scan = folder / RESCAN
    scan.mkdir(parents=True)
    with zipfile.ZipFile(scan / "sequence.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sequence_files(YAWED).items():
            archive.writestr(name, data)
    write_labels(scan, YAWED, version=2)
    write_rooms(folder)
    return written(folder, RESCAN, options={"to_reference": True}, place_id=f"threerscan_{REFERENCE}")


def lying(folder: Path) -> true.Written:
    """Pictures that lie on their side, zipped with a folder inside, turned upright on request; no labels."""
    scan = folder / REFERENCE
    scan.mkdir(parents=True)
    with zipfile.ZipFile(scan / "sequence.zip", "w") as archive:
        for name, data in sequence_files(np.eye(4), lying=True).items():
            archive.writestr(f"sequence/{name}", data)
    wrote = written(scan, REFERENCE, options={"upright": True}, place_id=f"threerscan_{REFERENCE}")
    return replace(wrote, boxes=None, instances=None)


VARIANTS = {"unpacked": unpacked, "zipped_rescan": zipped_rescan, "lying": lying}
