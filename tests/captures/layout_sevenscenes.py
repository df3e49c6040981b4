"""Writes the true room in the layout of 7-Scenes: two cameras of one pose, sequences of one scene, in folders and zip archives."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import true_room as true
from PIL import Image

from sightline.geometry.cameras import Intrinsics

COLOUR = Intrinsics(fx=525.0, fy=525.0, cx=320.0, cy=240.0, width=640, height=480).resized(width=160, height=120)
DEPTH = Intrinsics(fx=585.0, fy=585.0, cx=320.0, cy=240.0, width=640, height=480).resized(width=160, height=120)
OWN_COLOUR = (520.0, 521.5, 322.0, 236.0)
NO_READING = 65535


def first_camera_from_world() -> np.ndarray:
    """The stored world is turned so that y points down, as a tracker's first camera that was held level has it."""
    return np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def write_sequence(folder: Path, poses: np.ndarray, *, colour: Intrinsics = COLOUR) -> None:
    folder.mkdir(parents=True)
    for index, pose in enumerate(poses):
        stem = folder / f"frame-{index:06d}"
        Image.fromarray(true.shoot(colour, pose).rgb).save(f"{stem}.color.png")
        depth = true.stored_depth(true.shoot(DEPTH, pose))
        Image.fromarray(np.where(depth == 0, NO_READING, depth).astype(np.uint16)).save(f"{stem}.depth.png")
        rows = (first_camera_from_world() @ pose).tolist()
        Path(f"{stem}.pose.txt").write_text("".join("\t ".join(f"{value: .9e}" for value in row) + "\t \n" for row in rows))
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")  # the real archives hold some


def write_splits(scene: Path) -> None:
    (scene / "TrainSplit.txt").write_text("sequence1\r\nsequence3\r\n")
    (scene / "TestSplit.txt").write_text("sequence2\r\n")


def zipped(sequence: Path) -> None:
    with zipfile.ZipFile(sequence.with_name(f"{sequence.name}.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(sequence.iterdir()):
            archive.write(path, f"{sequence.name}/{path.name}")
    shutil.rmtree(sequence)


def written(source: Path, scan_id: str, place_id: str, options: dict, colour: Intrinsics = COLOUR) -> true.Written:
    frames = tuple(
        true.ExpectedFrame(frame_id=f"frame-{index:06d}", world_from_camera=pose, intrinsics=colour, depth_intrinsics=DEPTH)
        for index, pose in enumerate(true.poses())
    )
    return true.Written(
        source=source,
        reader="sevenscenes",
        scan_id=scan_id,
        place_id=place_id,
        frames=frames,
        options=options,
        boxes=None,
        licence="7-Scenes",
    )


def scene(folder: Path) -> true.Written:
    """A scene with three sequences and its lists."""
    place = folder / "chess"
    write_sequence(place / "seq-01", true.poses())
    write_sequence(place / "seq-02", true.poses()[::-1][:4])
    write_sequence(place / "seq-03", true.poses()[:4])
    write_splits(place)
    return written(place, "chess_seq-01", "sevenscenes_chess", {})


def archives(folder: Path) -> true.Written:
    """As it is downloaded: a folder of scenes whose sequences are zip archives."""
    for name in ("chess", "red kitchen"):
        write_sequence(folder / name / "seq-01", true.poses())
        write_splits(folder / name)
        zipped(folder / name / "seq-01")
    return written(folder, "red_kitchen_seq-01", "sevenscenes_red_kitchen", {})


def one_sequence(folder: Path) -> true.Written:
    """One sequence alone, with a colour camera that its user calibrated."""
    fx, fy, cx, cy = OWN_COLOUR
    colour = Intrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=640, height=480).resized(width=160, height=120)
    write_sequence(folder / "office" / "seq-07", true.poses(), colour=colour)
    return written(folder / "office" / "seq-07", "office_seq-07", "sevenscenes_office", {"intrinsics": list(OWN_COLOUR)}, colour)


VARIANTS = {"scene": scene, "archives": archives, "one_sequence": one_sequence}
