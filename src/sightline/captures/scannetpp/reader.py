"""Reads ScanNet++: the phone's recording or the camera's pictures of a scene, with the boxes and labels of its laser scan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from sightline.captures.assemble import Assembled, assemble
from sightline.captures.capture import Capture, Frame
from sightline.captures.containers.meshes import PlyMesh
from sightline.captures.depth_packs import SUFFIX, DepthPackWriter
from sightline.captures.float_depth import QUANTISED_M, quantised
from sightline.captures.options import scan_options
from sightline.captures.scannetpp.dslr import dslr_files, read_dslr
from sightline.captures.scannetpp.frames import ScanNetPPOptions
from sightline.captures.scannetpp.iphone import POSES, iphone_files, read_iphone
from sightline.captures.scannetpp.mesh_depth import EXTRA, PACKAGE, MeshCaster, at_most, is_available
from sightline.captures.scannetpp.scan import MESH, read_scan, scan_files
from sightline.captures.scannetpp.scenes import read_list, scenes_below, split_lists
from sightline.errors import CaptureError, MissingExtraError

LICENCE = "ScanNet++ Terms of Use (non-commercial research, no redistribution)"
IPHONE, DSLR = "iphone", "dslr"


class ScanNetPPReader:
    """The dataset's folder, its `data/` folder, or one scene."""

    name: ClassVar[str] = "scannetpp"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(ScanNetPPOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(scenes_below(Path(root)))

    def scan_ids(self, split: str) -> Sequence[str]:
        """Scenes that are on disk; a split is named as its list in `splits/`, such as `nvs_sem_train`."""
        scenes = scenes_below(self.root)
        if split == "all":
            return tuple(scenes)
        lists = split_lists(self.root)
        if split not in lists:
            raise CaptureError(f"{self.root}: expected a split of {', '.join(['all', *lists])}, found '{split}'")
        return tuple(scene_id for scene_id in read_list(lists[split]) if scene_id in scenes)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """The files of the chosen sensor and of the laser scan."""
        scene = self._scene(scan_id)
        frames = iphone_files(scene) if self._sensor(scene) == IPHONE else dslr_files(scene, self.options)
        return [*frames, *scan_files(scene)]

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One scene as one of its sensors saw it. Raises CaptureError; MissingExtraError where depth=mesh cannot be rendered."""
        scene = self._scene(scan_id)
        sensor = self._sensor(scene)
        renders = sensor == DSLR and self._renders_depth(scene)
        scan = read_scan(scene, needs_mesh=renders)
        found = (read_iphone if sensor == IPHONE else read_dslr)(scene, self.options, workspace=workspace)
        assembled = assemble(found.stored, found.convention, where=found.where, skipped=found.skipped)
        frames, notes = assembled.frames, dict(found.notes)
        if renders:
            assert scan.mesh is not None
            frames, more = self._with_depth(assembled, scan.mesh, workspace), {"depth_from": "mesh", "depth_quantised_m": QUANTISED_M}
            notes |= more
        return Capture(
            scan_id=scan_id,
            place_id=self.options.place_id or f"scannetpp_{scan_id}",
            source=self.name,
            licence=self.options.licence or LICENCE,
            frames=frames,
            skipped=assembled.skipped,
            objects=scan.objects,
            surface=scan.surface,
            notes={
                "convention": assembled.convention.as_notes(),
                **notes,
                "objects_skipped": scan.objects_skipped,
                "shared_segments": scan.shared_segments,
            },
        )

    def _scene(self, scan_id: str) -> Path:
        scenes = scenes_below(self.root)
        if scan_id not in scenes:
            raise CaptureError(
                f"{self.root}: expected one of the scenes {', '.join(list(scenes)[:12]) or '(none is there)'}, found '{scan_id}'"
            )
        return scenes[scan_id]

    def _sensor(self, scene: Path) -> str:
        if self.options.sensor is not None:
            if not (scene / self.options.sensor).is_dir():
                raise CaptureError(f"{scene}: expected a folder {self.options.sensor}/ for sensor={self.options.sensor}, found none")
            return self.options.sensor
        if (scene / IPHONE / POSES).is_file():
            return IPHONE
        if (scene / DSLR).is_dir():
            return DSLR
        raise CaptureError(f"{scene}: expected {IPHONE}/{POSES} or {DSLR}/, found neither")

    def _renders_depth(self, scene: Path) -> bool:
        if self.options.depth == "none":
            return False
        if self.options.depth == "mesh":
            if not is_available():
                raise MissingExtraError(PACKAGE, EXTRA)
            if not (scene / MESH).is_file():
                raise CaptureError(f"{scene / MESH}: expected the mesh that depth=mesh renders, found none")
            return True
        return is_available() and (scene / MESH).is_file()

    def _with_depth(self, assembled: Assembled, mesh: PlyMesh, workspace: Path) -> tuple[Frame, ...]:
        if mesh.faces is None or not len(mesh.faces):
            raise CaptureError(f"{MESH}: expected a mesh with faces to render depth from, found none. Fix: depth=none")
        caster = MeshCaster(mesh.vertices_stored, mesh.faces)
        path, frames = workspace / f"depth{SUFFIX}", []
        with DepthPackWriter(path) as pack:
            for frame in assembled.frames:
                camera = at_most(frame.intrinsics, long_side_px=self.options.depth_long_side_px)
                index = pack.append(quantised(caster.depth_m(camera, frame.world_from_camera)))
                frames.append(replace(frame, depth_path=path, depth_index=index, depth_scale_m=QUANTISED_M, depth_intrinsics=camera))
        return tuple(frames)
