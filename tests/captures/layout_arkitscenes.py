"""Writes the true room as ARKitScenes: the 3dod and the raw download, held in every way a tablet can be held."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import true_room as true
from PIL import Image
from scipy.spatial.transform import Rotation

from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import inverse, rigid

VIDEO, VISIT = "41069021", "421001"
START_S, STEP_S = 3034.567, 0.5
UPRIGHT = Intrinsics(fx=118.0, fy=116.5, cx=57.0, cy=82.0, width=120, height=160)
FULL = Intrinsics(fx=211.0, fy=213.0, cx=160.5, cy=117.0, width=320, height=240)
ROLLS = {  # quarters that the stored picture lies clockwise of upright: stored camera axes from those of the upright camera
    0: np.eye(3),
    1: np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    2: np.diag([-1.0, -1.0, 1.0]),
    3: np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
}


def stored_camera(camera: Intrinsics, quarters: int) -> Intrinsics:
    """The camera of the picture as the sensor writes it, from the camera of the upright one."""
    width, height, cx, cy = camera.width, camera.height, camera.cx, camera.cy
    if quarters % 2 == 0:
        centre = (cx, cy) if quarters == 0 else (width - 1 - cx, height - 1 - cy)
        return Intrinsics(fx=camera.fx, fy=camera.fy, cx=centre[0], cy=centre[1], width=width, height=height)
    centre = (height - 1 - cy, cx) if quarters == 1 else (cy, width - 1 - cx)
    return Intrinsics(fx=camera.fy, fy=camera.fx, cx=centre[0], cy=centre[1], width=height, height=width)


def stored_pose(world_from_upright: np.ndarray, quarters: int) -> np.ndarray:
    return world_from_upright @ rigid(ROLLS[quarters].T, np.zeros(3))


def stored_pixels(upright: np.ndarray, quarters: int) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(upright, -quarters))


def times_s() -> list[float]:
    return [START_S + STEP_S * index for index in range(true.NUM_FRAMES)]


def pincam_line(camera: Intrinsics) -> str:
    return f"{camera.width} {camera.height} {camera.fx!r} {camera.fy!r} {camera.cx!r} {camera.cy!r}\n"


def trajectory_lines(rows: Sequence[tuple[float, np.ndarray]]) -> str:
    """`time_s axis-angle translation` of camera from world, for (time, world from stored camera)."""
    lines = []
    for time_s, world_from_camera in rows:
        camera_from_world = inverse(world_from_camera)
        numbers = [time_s, *Rotation.from_matrix(camera_from_world[:3, :3]).as_rotvec(), *camera_from_world[:3, 3]]
        lines.append(" ".join(repr(float(number)) for number in numbers) + "\n")
    return "".join(lines)


def between_frames(quarters: int) -> list[tuple[float, np.ndarray]]:
    """Poses before and after every frame and at none, that give the frame's pose when the camera turns and moves steadily."""
    rows = []
    for time_s, pose in zip(times_s(), true.poses()):
        for away_s in (-0.13, -0.05, 0.03, 0.11):
            turn = Rotation.from_rotvec(np.array([0.3, -1.1, 0.6]) * away_s).as_matrix()
            moved = rigid(pose[:3, :3] @ turn, pose[:3, 3] + np.array([0.4, -0.3, 0.1]) * away_s)
            rows.append((time_s + away_s, stored_pose(moved, quarters)))
    return rows


def write_annotation(path: Path) -> None:
    """Boxes whose axes are the rows, some of them left-handed as the data set has them."""
    data = []
    for place, one in enumerate(true.objects()):
        axes = one.box.world_from_object[:3, :3].T.copy()
        axes[1] *= -1.0 if place % 3 == 0 else 1.0
        aligned = {
            "centroid": one.box.centre_world.tolist(),
            "axesLengths": one.box.size_m.tolist(),
            "normalizedAxes": axes.reshape(-1).tolist(),
        }
        segments = {"obb": aligned, "obbAligned": aligned}
        data.append({"uid": f"uid-{place}", "label": one.category, "modelId": None, "objectId": place + 1, "segments": segments})
    path.write_text(json.dumps({"data": data, "stats": {}, "comment": "", "confirm": True, "skipped": False}))


def write_images(
    folder: Path, *, camera: Intrinsics, quarters: int, images: str, depth: str, depth_camera: Intrinsics, late_ms: int = 0
) -> None:
    """Colour, depth and cameras; the names of odd cameras are `late_ms` later than those of their images."""
    for name in (images, depth, f"{images}_intrinsics"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index, (time_s, pose) in enumerate(zip(times_s(), true.poses())):
        name = f"{VIDEO}_{time_s:.3f}"
        Image.fromarray(stored_pixels(true.shoot(camera, pose).rgb, quarters)).save(folder / images / f"{name}.png")
        depth_mm = true.stored_depth(true.shoot(depth_camera, pose))
        Image.fromarray(stored_pixels(depth_mm, quarters)).save(folder / depth / f"{name}.png")
        camera_name = f"{VIDEO}_{time_s + 0.001 * late_ms * (index % 2):.3f}.pincam"
        (folder / f"{images}_intrinsics" / camera_name).write_text(pincam_line(stored_camera(camera, quarters)))


def written(source: Path, *, camera: Intrinsics, depth_camera: Intrinsics, place_id: str, options: dict, boxes: str | None) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(frame_id=f"{time_s:.3f}", world_from_camera=pose, intrinsics=camera, depth_intrinsics=depth_camera)
        for time_s, pose in zip(times_s(), true.poses())
    )
    return true.Written(
        source=source,
        reader="arkitscenes",
        scan_id=VIDEO,
        place_id=place_id,
        frames=frames,
        options=options,
        boxes=boxes,
        licence="Apple",
    )


def threedod(folder: Path) -> true.Written:
    """The 3dod download with its table; camera names a millisecond late, a pose at every frame's time."""
    scan = folder / "3dod" / "Training" / VIDEO
    write_images(
        scan / f"{VIDEO}_frames",
        camera=true.SMALL,
        quarters=0,
        images="lowres_wide",
        depth="lowres_depth",
        depth_camera=true.SMALL,
        late_ms=1,
    )
    rows = [(time_s, stored_pose(pose, 0)) for time_s, pose in zip(times_s(), true.poses())]
    (scan / f"{VIDEO}_frames" / "lowres_wide.traj").write_text(trajectory_lines(rows))
    write_annotation(scan / f"{VIDEO}_3dod_annotation.json")
    table = f"video_id,visit_id,fold\n{VIDEO},{VISIT},Training\n47333462,NA,Validation\n"
    (folder / "3dod" / "3dod_train_val_splits.csv").write_text(table)
    return written(folder, camera=true.SMALL, depth_camera=true.SMALL, place_id=f"arkitscenes_visit_{VISIT}", options={}, boxes="own")


def portrait(folder: Path) -> true.Written:
    """One 3dod recording alone, held upright so that its pictures lie on their side; poses at other times than frames."""
    scan = folder / VIDEO
    write_images(scan / f"{VIDEO}_frames", camera=UPRIGHT, quarters=1, images="lowres_wide", depth="lowres_depth", depth_camera=UPRIGHT)
    (scan / f"{VIDEO}_frames" / "lowres_wide.traj").write_text(trajectory_lines(between_frames(1)))
    write_annotation(scan / f"{VIDEO}_3dod_annotation.json")
    return written(scan, camera=UPRIGHT, depth_camera=UPRIGHT, place_id=f"arkitscenes_{VIDEO}", options={}, boxes="own")


def portrait_raw(folder: Path) -> true.Written:
    """Raw VGA images held upright the other way, depth of half their size with its own camera files and with confidences."""
    scan = folder / "raw" / "Validation" / VIDEO
    half = UPRIGHT.resized(width=60, height=80)
    write_images(scan, camera=UPRIGHT, quarters=3, images="vga_wide", depth="lowres_depth", depth_camera=half)
    (scan / "lowres_wide").mkdir()
    (scan / "lowres_wide_intrinsics").mkdir()
    (scan / "confidence").mkdir()
    for time_s, pose in zip(times_s(), true.poses()):
        name = f"{VIDEO}_{time_s:.3f}"
        (scan / "lowres_wide_intrinsics" / f"{name}.pincam").write_text(pincam_line(stored_camera(half, 3)))
        Image.fromarray(stored_pixels(true.shoot(half, pose).rgb, 3)).save(scan / "lowres_wide" / f"{name}.png")
        levels = np.full((half.height, half.width), 2, dtype=np.uint8)
        levels[:2, :10] = 1
        Image.fromarray(stored_pixels(levels, 3)).save(scan / "confidence" / f"{name}.png")
    (scan / "lowres_wide.traj").write_text(trajectory_lines(between_frames(3)))
    (folder / "raw" / "metadata.csv").write_text(
        "video_id,visit_id,fold,sky_direction,is_in_upsampling\n"
        f"{VIDEO},{VISIT}.0,Validation,Left,False\n40753679,{VISIT}.0,Training,Up,True\n"
    )
    options = {"images": "vga_wide", "min_confidence": 1}
    return written(folder / "raw", camera=UPRIGHT, depth_camera=half, place_id=f"arkitscenes_visit_{VISIT}", options=options, boxes=None)


def upside_down(folder: Path) -> true.Written:
    """Raw wide images with the laser scanner's depth, the tablet held upside down."""
    scan = folder / VIDEO
    write_images(scan, camera=FULL, quarters=2, images="wide", depth="highres_depth", depth_camera=FULL)
    (scan / "lowres_wide.traj").write_text(trajectory_lines(between_frames(2)))
    write_annotation(scan / f"{VIDEO}_3dod_annotation.json")
    return written(folder, camera=FULL, depth_camera=FULL, place_id=f"arkitscenes_{VIDEO}", options={"images": "wide"}, boxes="own")


VARIANTS = {"3dod": threedod, "portrait": portrait, "portrait_raw": portrait_raw, "upside_down": upside_down}
