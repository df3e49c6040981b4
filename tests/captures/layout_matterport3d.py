"""Writes the true room as a house of Matterport3D: undistorted and raw images, a `.house` file, meshes with segments of faces."""

import json
from pathlib import Path

import numpy as np
import true_room as true
from lens_pictures import distorted_view
from PIL import Image

from sightline.geometry.cameras import Intrinsics

HOUSE = "2n8kARJN3HM"
PANORAMA = "03a8325e3b054e3fad7e1e7091f9d283"
UNIT_M = 1.0 / 4000.0
LENS = (0.05, -0.03, 0.0008, -0.0006, 0.004)  # k1 k2 p1 p2 k3
OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
SEGMENTS_PER_OBJECT = 3


def view_name(index: int) -> tuple[int, int]:
    """Camera and yaw of a frame; their order is that of the frames."""
    return index // 3, index % 3


def flat(matrix: np.ndarray) -> str:
    return " ".join(map(repr, matrix.ravel().tolist()))


def write_images(house: Path, color: str, depth: str | None, *, camera: Intrinsics = true.SMALL, lens: bool = False) -> None:
    for index, pose in enumerate(true.poses()):
        cam, yaw = view_name(index)
        view = true.shoot(camera, pose)
        rgb = distorted_view(camera, "radial", (*LENS, 0.0, 0.0, 0.0), pose)[0] if lens else view.rgb
        (house / color).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(house / color / f"{PANORAMA}_i{cam}_{yaw}.jpg", quality=95)
        if depth is not None:
            (house / depth).mkdir(parents=True, exist_ok=True)
            Image.fromarray(true.stored_depth(view, unit_m=UNIT_M)).save(house / depth / f"{PANORAMA}_d{cam}_{yaw}.png")


def write_raw(house: Path, *, depth: bool, lens: bool) -> None:
    """Raw images; a pose file per image and an intrinsics file per camera."""
    write_images(house, "matterport_color_images", "matterport_depth_images" if depth else None, lens=lens)
    poses, cameras = house / "matterport_camera_poses", house / "matterport_camera_intrinsics"
    poses.mkdir()
    cameras.mkdir()
    camera = true.SMALL
    values = [camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, *(LENS if lens else (0, 0, 0, 0, 0))]
    for index, pose in enumerate(true.poses()):
        cam, yaw = view_name(index)
        (poses / f"{PANORAMA}_pose_{cam}_{yaw}.txt").write_text("".join(flat(row) + " \n" for row in pose))
        (cameras / f"{PANORAMA}_intrinsics_{cam}.txt").write_text(" ".join(map(repr, values)) + "\n")


def write_undistorted(house: Path) -> None:
    """Undistorted images and the `.conf` file: OpenGL cameras, and rows counted from the bottom of the image."""
    write_images(house, "undistorted_color_images", "undistorted_depth_images")
    camera = true.SMALL
    lines = ["dataset matterport", f"n_images {true.NUM_FRAMES}", "depth_directory undistorted_depth_images"]
    lines += ["color_directory undistorted_color_images", ""]
    for index, pose in enumerate(true.poses()):
        cam, yaw = view_name(index)
        if yaw == 0:
            lines.append(f"intrinsics_matrix {camera.fx!r} 0 {camera.cx!r}  0 {camera.fy!r} {camera.height - 1 - camera.cy!r}  0 0 1")
        lines.append(f"scan {PANORAMA}_d{cam}_{yaw}.png {PANORAMA}_i{cam}_{yaw}.jpg {flat(pose @ OPENGL)}")
    (house / "undistorted_camera_parameters").mkdir()
    (house / "undistorted_camera_parameters" / f"{HOUSE}.conf").write_text("\n".join(lines) + "\n")


def face_segments() -> np.ndarray:
    """Segment of every face: three for each object, one for the room's shell (0)."""
    mesh = true.mesh()
    owner = mesh.object_ids[mesh.faces[:, 0]]
    return np.where(owner < 0, 0, 1 + SEGMENTS_PER_OBJECT * owner + np.arange(len(owner)) % SEGMENTS_PER_OBJECT)


def segments_of(object_id: int) -> list[int]:
    return [1 + SEGMENTS_PER_OBJECT * object_id + place for place in range(SEGMENTS_PER_OBJECT)]


def write_mesh(path: Path) -> None:
    """The mesh, with the three numbers per face that Matterport3D adds, and its `fsegs.json`."""
    mesh, segments = true.mesh(), face_segments()
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(mesh.vertices_world)}\nproperty float x\nproperty float y\n"
        f"property float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nelement face {len(mesh.faces)}\n"
        "property list uchar int vertex_indices\nproperty int face_material\nproperty int face_segment\nproperty int face_category\n"
        "end_header\n"
    )
    vertices = np.zeros(len(mesh.vertices_world), dtype=[("xyz", "<f4", 3), ("rgb", "u1", 3)])
    vertices["xyz"], vertices["rgb"] = mesh.vertices_world, mesh.colours
    faces = np.zeros(len(mesh.faces), dtype=[("count", "u1"), ("corners", "<i4", 3), ("more", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.faces
    faces["more"][:, 0] = segments
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.encode() + vertices.tobytes() + faces.tobytes())
    path.with_suffix(".fsegs.json").write_text(json.dumps({"params": {}, "sceneId": path.stem, "segIndices": segments.tolist()}))


def house_text() -> str:
    """All kinds of records, in the order and with the spacing of the tool that writes them; half extents; `#` for blanks in names."""
    names = sorted({one.category for one in true.objects()})
    zeros, low_high = " ".join("0" * 5), "-9 -9 -1  9 9 4"
    counts = [true.NUM_FRAMES, 1, 4, 1, SEGMENTS_PER_OBJECT * len(true.objects()), len(true.objects()), len(names), 1, 1, 1]
    lines = ["ASCII 1.1", f"H  {HOUSE}  -  {' '.join(map(str, counts))}  {zeros} {low_high}  {zeros} "]
    lines += [f"L  0  1  -  0 0 1  {low_high}  {zeros} ", f"R  0 0  0 0  l  0.5 0.25 1  {low_high}  2.6  0 0 0 0 "]
    lines += ["P  0 0 -1  -  0 0 0  1 0 2  0 0 0 0 ", f"S  0 0  0  -  0 0 0  0 0 1  {low_high}  {zeros} "]
    lines += [f"V  {corner} 0  -  {x} {y} 0  0 0 1  0 0 0 " for corner, (x, y) in enumerate([(0, 0), (1, 0), (1, 1), (0, 1)])]
    lines.append(f"P  {PANORAMA}  0 0  0  0.5 0.5 1.5  {zeros} ")
    for index, pose in enumerate(true.poses()):
        cam, yaw = view_name(index)
        inverse = np.linalg.inv(pose @ OPENGL)
        lines.append(f"I  {index} 0   {PANORAMA}  {cam} {yaw}  {flat(inverse)}  {flat(true.SMALL.K)}  160 120  0 0 0  {zeros} ")
    lines += [f"C  {place}  {100 + place} {name.replace(' ', '#')}  {1 + place} misc  {zeros} " for place, name in enumerate(names)]
    for one in true.objects():
        turn, box = one.box.world_from_object[:3, :3], one.box
        numbers = "  ".join(flat(part) for part in (box.centre_world, turn[:, 0], turn[:, 1], box.size_m / 2.0))
        lines.append(f"O  {one.object_id} 0 {names.index(one.category)}  {numbers}  {' '.join('0' * 8)} ")
    numbered = enumerate((one.object_id, segment) for one in true.objects() for segment in segments_of(one.object_id))
    lines += [f"E  {place} {owner} {segment}  0.1  0 0 0  {low_high}  {zeros} " for place, (owner, segment) in numbered]
    return "\n".join(lines) + "\n"


def write_regions(house: Path) -> None:
    """One region with its own mesh, segments and objects."""
    place = house / "region_segmentations"
    write_mesh(place / "region0.ply")
    groups = []
    for one in true.objects():
        obb = {
            "centroid": one.box.centre_world.tolist(),
            "axesLengths": one.box.size_m.tolist(),
            "normalizedAxes": one.box.world_from_object[:3, :3].T.ravel().tolist(),
        }
        number = one.object_id
        groups.append({"id": number, "objectId": number, "label": one.category, "segments": segments_of(number), "obb": obb})
    (place / "region0.semseg.json").write_text(json.dumps({"segGroups": groups}))


def written(source: Path, *, depth: bool = True, boxes: str | None, options: dict | None = None) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(
            frame_id=f"{PANORAMA}_{view_name(index)[0]}_{view_name(index)[1]}",
            world_from_camera=pose,
            intrinsics=true.SMALL,
            depth_intrinsics=true.SMALL if depth else None,
            pixels="close",
        )
        for index, pose in enumerate(true.poses())
    )
    return true.Written(
        source=source,
        reader="matterport3d",
        scan_id=HOUSE,
        place_id=f"matterport3d_{HOUSE}",
        frames=frames,
        options=options or {},
        boxes=boxes,
        instances="surface" if boxes else None,
        licence="Matterport3D EULA",
    )


def undistorted(folder: Path) -> true.Written:
    """The undistorted set of one house, with the house's annotations."""
    house = folder / HOUSE
    write_undistorted(house)
    write_mesh(house / "house_segmentations" / f"{HOUSE}.ply")
    (house / "house_segmentations" / f"{HOUSE}.house").write_text(house_text())
    return written(house, boxes="own")


def raw(folder: Path) -> true.Written:
    """The raw set where a download puts it, of a camera without distortion, with the annotations of its regions."""
    house = folder / "v1" / "scans" / HOUSE
    write_raw(house, depth=True, lens=False)
    write_regions(house)
    return written(folder, boxes="own")


def distorted(folder: Path) -> true.Written:
    """The raw set of a camera with a lens, colour alone, undistorted on request."""
    write_raw(folder / HOUSE, depth=False, lens=True)
    return written(folder, depth=False, boxes=None, options={"undistort": True})


VARIANTS = {"undistorted": undistorted, "raw": raw, "distorted": distorted}
