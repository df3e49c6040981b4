"""Writes the true room as EmbodiedScan keeps a scan of each of its four sources."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import true_room as true
from PIL import Image
from scipy.spatial.transform import Rotation

from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import rigid

CATEGORIES = sorted({one.category for one in true.objects()} | {"adhesive tape", "zebra"})
LABEL_OF = {name: place + 1 for place, name in enumerate(CATEGORIES)}  # labels start at 1
ALIGN = rigid(Rotation.from_euler("ZXY", [37.0, 2.5, -1.5], degrees=True).as_matrix(), np.array([1.25, -3.5, 0.75]))  # world from stored
COLOUR = Intrinsics(fx=226.5, fy=228.0, cx=163.0, cy=117.5, width=324, height=242)  # of another shape than the depth, as ScanNet's
SMALL_WIDE = Intrinsics(fx=151.4, fy=151.2, cx=98.6, cy=54.1, width=192, height=108)
SMALL_WIDE_DEPTH = SMALL_WIDE.resized(width=56, height=43)  # 3RScan: the same view, squeezed
UUID = "0a4b8ef6-a83a-21f2-8672-dce34dd0d7ca"
REFERENCE = "00d42bed-778d-2ac6-86a7-0e0e5f5f5660"
PANORAMA = "03a8325e3b054e3fad7e1e7091f9d283"


def matrix_4x4(camera: Intrinsics) -> np.ndarray:
    K = np.eye(4)
    K[:3, :3] = camera.K
    return K


def instances() -> list[dict]:
    records = []
    for one in true.objects():
        angles = Rotation.from_matrix(one.box.world_from_object[:3, :3]).as_euler("ZXY")
        box = [*one.box.centre_world.tolist(), *one.box.size_m.tolist(), *angles.tolist()]
        records.append({"bbox_3d": box, "bbox_label_3d": LABEL_OF[one.category], "bbox_id": one.object_id})
    return records


def image_of(index: int, img_path: str, depth_path: str) -> dict:
    pose = true.poses()[index]
    view = true.shoot(true.SMALL, pose)
    seen = [place for place, one in enumerate(true.objects()) if (view.object_ids == one.object_id).any()]
    return {"img_path": img_path, "depth_path": depth_path, "cam2global": np.linalg.inv(ALIGN) @ pose, "visible_instance_ids": seen}


def write_pgm(path: Path, depth: np.ndarray) -> None:
    path.write_bytes(b"P5\n%d %d\n65535\n" % (depth.shape[1], depth.shape[0]) + depth.astype(">u2").tobytes())


def write_infos(path: Path, scans: list[dict], *, protocol: int = 4) -> None:
    infos = {"metainfo": {"categories": LABEL_OF, "dataset_version": "2.0"}, "data_list": scans}
    path.write_bytes(pickle.dumps(infos, protocol=protocol))


def record(sample_idx: str, images: list[dict], **cameras: np.ndarray) -> dict:
    return {"sample_idx": sample_idx, "axis_align_matrix": ALIGN, **cameras, "images": images, "instances": instances()}


def write_images(root: Path, images: list[dict], color: Intrinsics, depth: Intrinsics, *, unit_m: float) -> None:
    for image, pose in zip(images, true.poses()):
        rgb_path, depth_path = root / image["img_path"], root / image["depth_path"]
        for path in (rgb_path, depth_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(true.shoot(color, pose).rgb).save(rgb_path, quality=95)
        stored = true.stored_depth(true.shoot(depth, pose), unit_m=unit_m)
        write_pgm(depth_path, stored) if depth_path.suffix == ".pgm" else Image.fromarray(stored).save(depth_path)


def scannet_record() -> dict:
    names = [f"scannet/posed_images/scene0011_01/{10 * index:05d}" for index in range(true.NUM_FRAMES)]
    images = [image_of(index, f"{name}.jpg", f"{name}.png") for index, name in enumerate(names)]
    return record("scannet/scene0011_01", images, cam2img=matrix_4x4(COLOUR), depth_cam2img=matrix_4x4(true.SMALL))


def written(
    source: Path,
    scan_id: str,
    place_id: str,
    frame_ids: list[str],
    color: Intrinsics,
    depth: Intrinsics,
    *,
    licence: str,
    pixels: str = "close",
) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(frame_id=frame_id, world_from_camera=pose, intrinsics=color, depth_intrinsics=depth, pixels=pixels)
        for frame_id, pose in zip(frame_ids, true.poses(), strict=True)
    )
    return true.Written(
        source=source,
        reader="embodiedscan",
        scan_id=scan_id,
        place_id=place_id,
        frames=frames,
        options={},
        boxes="own",
        instances=None,
        licence=licence,
    )


def scannet(folder: Path) -> true.Written:
    """Exported images, one camera per scan, colour and depth of different shapes; written by an old protocol."""
    scan = scannet_record()
    write_images(folder, scan["images"], COLOUR, true.SMALL, unit_m=0.001)
    write_infos(folder / "embodiedscan_infos_val.pkl", [scan], protocol=2)
    frame_ids = [f"{10 * index:05d}" for index in range(true.NUM_FRAMES)]
    return written(folder, "scannet__scene0011_01", "scannet_scene0011", frame_ids, COLOUR, true.SMALL, licence="ScanNet")


def threerscan(folder: Path) -> true.Written:
    """An unpacked sequence with PGM depth; a rescan, which 3RScan.json tells. The file itself is the source."""
    names = [f"data/3rscan/{UUID}/sequence/frame-{index:06d}" for index in range(true.NUM_FRAMES)]
    images = [image_of(index, f"{name}.color.jpg", f"{name}.depth.pgm") for index, name in enumerate(names)]
    cameras = {"cam2img": matrix_4x4(SMALL_WIDE), "depth_cam2img": matrix_4x4(SMALL_WIDE_DEPTH)}
    write_images(folder, images, SMALL_WIDE, SMALL_WIDE_DEPTH, unit_m=0.001)
    rooms = [{"reference": REFERENCE, "type": "train", "scans": [{"reference": UUID, "transform": np.eye(4).ravel().tolist()}]}]
    (folder / "data" / "3rscan" / "3RScan.json").write_text(json.dumps(rooms))
    path = folder / "data" / "embodiedscan_infos_train_full.pkl"
    write_infos(path, [record(f"3rscan/{UUID}", images, **cameras)], protocol=5)
    frame_ids = [f"frame-{index:06d}" for index in range(true.NUM_FRAMES)]
    return written(path, f"3rscan__{UUID}", f"threerscan_{REFERENCE}", frame_ids, SMALL_WIDE, SMALL_WIDE_DEPTH, licence="3RScan")


def matterport3d(folder: Path) -> true.Written:
    """A region of a building: quarter millimetres, a camera per image and none for the depth."""
    house = "matterport3d/2n8kARJN3HM"
    ids = [f"{PANORAMA}_i{index % 3}_{index // 3}" for index in range(true.NUM_FRAMES)]
    images = [
        image_of(index, f"{house}/matterport_color_images/{name}.jpg", f"{house}/matterport_depth_images/{name.replace('_i', '_d')}.png")
        for index, name in enumerate(ids)
    ]
    for image in images:
        image["cam2img"] = matrix_4x4(true.SMALL)
    write_images(folder, images, true.SMALL, true.SMALL, unit_m=1.0 / 4000.0)
    write_infos(folder / "embodiedscan_infos_test.pkl", [record("matterport3d/2n8kARJN3HM/region3", images)])
    return written(
        folder, "matterport3d__2n8kARJN3HM__region3", "matterport3d_2n8kARJN3HM", ids, true.SMALL, true.SMALL, licence="Matterport"
    )


def arkitscenes(folder: Path) -> true.Written:
    """PNG images named by their time, a camera per image; the visit stands in metadata.csv."""
    place = "arkitscenes/Training/41048190/41048190_frames"
    ids = [f"41048190_{3414.282 + index / 10:.3f}" for index in range(true.NUM_FRAMES)]
    images = [image_of(index, f"{place}/lowres_wide/{name}.png", f"{place}/lowres_depth/{name}.png") for index, name in enumerate(ids)]
    for image in images:
        image["cam2img"] = matrix_4x4(true.SMALL)
    write_images(folder, images, true.SMALL, true.SMALL, unit_m=0.001)
    (folder / "arkitscenes" / "metadata.csv").write_text("video_id,visit_id,fold\n41048190,420673,Training\n")
    write_infos(folder / "embodiedscan_infos_train.pkl", [record("arkitscenes/Training/41048190", images)])
    return written(
        folder,
        "arkitscenes__Training__41048190",
        "arkitscenes_visit_420673",
        ids,
        true.SMALL,
        true.SMALL,
        licence="ARKitScenes",
        pixels="same",
    )


def arkitscenes_lying(folder: Path) -> true.Written:
    """The same with pictures that lie on their side, turned upright on request; a depth camera of its own."""
    wrote = arkitscenes(folder)
    place = "arkitscenes/Training/41048190/41048190_frames"
    camera = on_its_side(true.SMALL)
    images = []
    for index, expected in enumerate(wrote.frames):
        paths = [f"{place}/{kind}/{expected.frame_id}.png" for kind in ("lowres_wide", "lowres_depth")]
        for path in paths:
            pixels = np.asarray(Image.open(folder / path))
            Image.fromarray(np.ascontiguousarray(np.rot90(pixels, 1))).save(folder / path)
        image = {**image_of(index, *paths), "cam2img": matrix_4x4(camera), "depth_cam2img": matrix_4x4(camera)}
        images.append(image | {"cam2global": image["cam2global"] @ LYING})
    write_infos(folder / "embodiedscan_infos_train.pkl", [record("arkitscenes/Training/41048190", images)])
    return replace(wrote, options={"upright": True})


def on_its_side(camera: Intrinsics) -> Intrinsics:
    """The camera of a picture lying on its other side: pixel (u, v) of the upright one stands at (v, width - 1 - u)."""
    return Intrinsics(fx=camera.fy, fy=camera.fx, cx=camera.cy, cy=camera.width - 1 - camera.cx, width=camera.height, height=camera.width)


LYING = np.array([[0.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])  # upright from lying camera

VARIANTS: dict[str, Callable[[Path], true.Written]] = {
    "scannet": scannet,
    "threerscan": threerscan,
    "matterport3d": matterport3d,
    "arkitscenes": arkitscenes,
    "arkitscenes_lying": arkitscenes_lying,
}
