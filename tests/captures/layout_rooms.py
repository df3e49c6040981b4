"""Writes the true room as `sightline rooms` writes its scans."""

from pathlib import Path

import true_room as true
from layout_folder import _write

from sightline.captures.options import CAPTURE_FILE
from sightline.captures.records import structure_as_json
from sightline.captures.rooms import DEPTH_UNIT_M, HEADER
from sightline.files import mark_finished, write_json, write_text


def usual(folder: Path) -> true.Written:
    """The folder that `write_room_scan` makes; only the flat and its cameras are those of the true room."""
    scan = folder / "rooms_0000"
    _write(scan, stored_poses=true.poses(), unit_m=DEPTH_UNIT_M)
    for place in ("color", "depth", "instances"):
        for path in list((scan / place).iterdir()):
            path.rename(path.with_name(f"{int(path.stem):06d}.png"))
    write_json(scan / "structure.json", structure_as_json(true.structure()))
    about = f"scan_id: rooms_0000\nplace_id: rooms_0000\nlicence: CC0-1.0\ndepth_unit_m: {DEPTH_UNIT_M}\nup_axis: +z\nframe_rate_hz: 2.0\n"
    write_text(scan / CAPTURE_FILE, HEADER + about)
    mark_finished(scan, made_from="test")
    frames = tuple(
        true.ExpectedFrame(frame_id=f"{index:06d}", world_from_camera=pose, intrinsics=true.SMALL, depth_intrinsics=true.SMALL)
        for index, pose in enumerate(true.poses())
    )
    return true.Written(
        source=folder,
        reader="rooms",
        scan_id="rooms_0000",
        place_id="rooms_0000",
        frames=frames,
        options={},
        boxes="own",
        instances="pixels",
        licence="CC0",
        structure=true.structure(),
    )


VARIANTS = {"usual": usual}
