"""Readers of scans that lack something: depth, poses, frames; the way third parties bring their own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import true_room as true

from sightline.captures.capture import Capture, Frame, LabelledSurface, PointTracks
from sightline.captures.images import write_rgb_png, write_uint16_png
from sightline.geometry.transforms import apply, inverse


class OddReader:
    """The true room, short of what its options take away. The root is a file that is never opened."""

    name = "odd_readers:OddReader"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root, self.options = root, options

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return False

    def scan_ids(self, split: str) -> Sequence[str]:
        return ["odd_0000"]

    def source_files(self, scan_id: str) -> Sequence[Path]:
        return [self.root]

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        lacks = self.options.get("lacks", "")
        frames = []
        for index, pose in enumerate([] if lacks == "frames" else true.poses()):
            view = true.shoot(true.SMALL, pose)
            write_rgb_png(workspace / f"{index}.png", view.rgb)
            has_depth = lacks not in ("depth", "poses") and not (lacks == "some depth" and index == 2)
            if has_depth:
                write_uint16_png(workspace / f"{index}.depth.png", true.stored_depth(view))
            frames.append(
                Frame(
                    frame_id=str(index),
                    time_s=float(index),
                    rgb_path=workspace / f"{index}.png",
                    depth_path=workspace / f"{index}.depth.png" if has_depth else None,
                    depth_scale_m=0.001,
                    intrinsics=true.SMALL,
                    depth_intrinsics=true.SMALL,
                    world_from_camera=np.eye(4) if lacks == "poses" else pose,
                )
            )
        with_surface = self.options.get("surface", False)
        return Capture(
            scan_id=scan_id,
            place_id=scan_id,
            source=self.name,
            licence="CC0-1.0",
            frames=tuple(frames),
            objects=true.objects() if with_surface or lacks == "frames" else None,
            structure=true.structure() if lacks == "frames" else None,
            surface=LabelledSurface(points_world=true.mesh().vertices_world, object_ids=true.mesh().object_ids) if with_surface else None,
            tracks=tracks() if self.options.get("tracks", False) else None,
            has_poses=lacks != "poses",
        )


def tracks() -> PointTracks:
    """200 points of the mesh, followed through every frame; seen where the pixel they fall on shows them."""
    points = true.mesh().vertices_world[:: len(true.mesh().vertices_world) // 200][:200]
    rows = [apply(inverse(pose), points) for pose in true.poses()]
    return PointTracks(
        frame_ids=tuple(str(index) for index in range(len(rows))),
        points_camera=np.stack(rows).astype(np.float32),
        visible=np.stack([true.SMALL.contains(true.SMALL.project(row)[0]) for row in rows]),
    )
