"""Reads a nerfstudio folder: `transforms.json` with the images, and the depth where there is some, that it names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sightline.captures import layouts
from sightline.captures.assemble import StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, SkippedFrame
from sightline.captures.containers.safe_npz import read_npy
from sightline.captures.distortion import LensCamera
from sightline.captures.float_depth import QUANTISED_M, quantised
from sightline.captures.folder import id_of
from sightline.captures.image_lists import frame_ids, named_image, refuse_mostly_skipped
from sightline.captures.images import MAX_PIXELS, image_size
from sightline.captures.lens_images import LensImages, with_depth_cameras
from sightline.captures.options import ScanOptions, UpAxis, scan_options
from sightline.captures.poses import pose_problem
from sightline.captures.scan_folders import refuse_split
from sightline.captures.scannetpp.scenes import is_scene
from sightline.captures.transforms_json import DEPTH_UNIT, Transforms, TransformsFrame, read_transforms
from sightline.config import config
from sightline.errors import CaptureError

TRANSFORMS = "transforms.json"
TOO_CLOSE_M = 0.03  # of a whole picture: closer than cameras focus; depth in metres read as millimetres lies ten times below
_SUFFIXES = ("", ".png", ".jpg", ".jpeg")  # files of the Blender examples name images without theirs


@config
class NerfstudioOptions(ScanOptions):
    """Options of a nerfstudio import."""

    up_axis: UpAxis = "auto"
    """The stored world's axis that points up; measured where it is `auto`."""
    world_unit_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Metres per unit of the poses; depth is in the same unit. 1 and noted as not stated where it is left out."""
    undo_applied: bool = False
    """Bring poses and depth back to before `applied_transform` and `applied_scale`, which the file records."""
    undistort: bool = False
    """Resample images of distorted cameras into pinhole images."""
    depth: bool = True
    """Take the depth images that frames name."""
    depth_unit_scale_factor: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Units of the poses per stored depth value, as nerfstudio's option of this name; the file's own, else 0.001, where it is left out."""


class NerfstudioReader:
    """One folder with `transforms.json` in it."""

    name: ClassVar[str] = "nerfstudio"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(NerfstudioOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        root = Path(root)
        return root.is_dir() and (root / TRANSFORMS).is_file() and not is_scene(root)

    def scan_ids(self, split: str) -> Sequence[str]:
        refuse_split(split, root=self.root, layout="nerfstudio")
        return (id_of(self.root),)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """Every file below the folder: any of them may be named."""
        self._expect_known(scan_id)
        return layouts.files_below(self.root)

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """The folder's frames. Raises CaptureError: a broken file, distorted cameras unless asked to undistort, most images missing."""
        self._expect_known(scan_id)
        found: dict[str, Path | None] = {}
        transforms = read_transforms(self.root / TRANSFORMS, self._size_of(found))
        frames, skipped = self._chosen(transforms, found)
        needs_pack = any(_lens_camera(frame).lens is not None or _is_array(frame.depth_name) for _, _, frame in frames)
        worker = LensImages(workspace, pack_depth=needs_pack)
        with worker:
            stored = [self._stored(transforms, place, frame_id, frame, found, worker) for place, frame_id, frame in frames]
        sizes = {(frame.intrinsics.width, frame.intrinsics.height) for frame in stored}
        assembled = assemble(
            with_depth_cameras(stored),
            StoredConvention(
                pose_direction="world_from_camera", camera_axes="opengl", up_axis=self.options.up_axis, pose_unit_m=self._unit_m
            ),
            where=str(transforms.path),
            skipped=skipped,
            one_size=len(sizes) == 1,
        )
        has_arrays = any(_is_array(frame.depth_name) for _, _, frame in frames) and self.options.depth
        return Capture(
            scan_id=scan_id,
            place_id=self.options.place_id or scan_id,
            source=self.name,
            licence=self.options.licence or "unknown",
            frames=assembled.frames,
            skipped=assembled.skipped,
            notes={
                "convention": assembled.convention.as_notes(),
                "camera_models": list(transforms.camera_models),
                "metric": self.options.world_unit_m is not None,
                "world_unit_m": self._unit_m,
                "applied_undone": self.options.undo_applied,
                "applied_scale": transforms.applied_scale,
                "applied_transform": [float(value) for value in transforms.applied_transform.reshape(-1)],
                **worker.notes(),
                **({"depth_quantised_m": QUANTISED_M} if has_arrays else {}),
            },
        )

    def _expect_known(self, scan_id: str) -> None:
        if scan_id != id_of(self.root):
            raise CaptureError(f"{self.root}: expected the scan {id_of(self.root)}, found '{scan_id}'")

    @property
    def _unit_m(self) -> float:
        return self.options.world_unit_m or 1.0

    def _depth_unit_m(self, transforms: Transforms) -> float:
        """Metres per stored depth value: the file gives it in units of the stored poses."""
        scale = transforms.applied_scale if self.options.undo_applied else 1.0
        return (self.options.depth_unit_scale_factor or transforms.depth_unit or DEPTH_UNIT) / scale * self._unit_m

    def _image(self, name: str, *, where: str) -> Path | None:
        return next((path for suffix in _SUFFIXES if (path := named_image(self.root, name + suffix, where=where)) is not None), None)

    def _size_of(self, found: dict[str, Path | None]):
        """For files that do not say the image size: that of the image itself."""

        def size(name: str) -> tuple[int, int] | None:
            found[name] = self._image(name, where=f"{self.root / TRANSFORMS}: '{name}'")
            path = found[name]
            return None if path is None else image_size(path)

        return size

    def _chosen(
        self, transforms: Transforms, found: dict[str, Path | None]
    ) -> tuple[list[tuple[int, str, TransformsFrame]], list[SkippedFrame]]:
        """(place, frame id, frame) of those to take, in the natural order of their names, and those left out."""
        every = sorted((*transforms.frames, *transforms.test_frames), key=lambda frame: layouts.natural(frame.name))
        ids = frame_ids([frame.name for frame in every])
        chosen = [(index, ids[index], every[index]) for index in self.options.chosen(len(every))]
        kept, skipped, missing = [], [], []
        for index, frame_id, frame in chosen:
            if frame.name not in found:
                found[frame.name] = self._image(frame.name, where=frame.where)
            if frame.is_bad:
                skipped.append(SkippedFrame(frame_id=frame_id, reason="marked_bad"))
            elif found[frame.name] is None or frame.camera is None:
                missing.append(SkippedFrame(frame_id=frame_id, reason="image_missing"))
            else:
                kept.append((index, frame_id, frame))
        refuse_mostly_skipped(missing, count=len(chosen), where=str(transforms.path), fix="Fix: put the images where `file_path` says")
        return kept, [*skipped, *missing]

    def _stored(
        self,
        transforms: Transforms,
        place: int,
        frame_id: str,
        frame: TransformsFrame,
        found: dict[str, Path | None],
        worker: LensImages,
    ) -> StoredFrame:
        camera, rgb_path = _lens_camera(frame), found[frame.name]
        assert rgb_path is not None, "missing images were left out"
        if camera.lens is not None and not self.options.undistort:
            raise CaptureError(
                f"{frame.where}: expected a camera without distortion, found a {camera.lens.kind} one with "
                f"{', '.join(f'{value:g}' for value in camera.lens.coefficients)}. Fix: undistort=true"
            )
        pose = frame.stored_pose
        usable = pose_problem(pose) is None  # the others are left out: nothing is resampled for them
        depth_path, depth_index, scale_m = None, None, self._depth_unit_m(transforms)
        if self.options.depth and frame.depth_name is not None and usable:
            source = named_image(self.root, frame.depth_name, where=frame.where)
            if source is None:
                raise CaptureError(f"{frame.where}: key 'depth_file_path': expected a depth image, found no file '{frame.depth_name}'")
            if _is_array(frame.depth_name):
                stored = quantised(self._metres(_array(source), scale_m, transforms, where=source))
                depth_path, depth_index, scale_m = worker.pack_path, worker.append_undistorted(stored, camera, where=source), QUANTISED_M
            else:
                depth_path, depth_index = worker.depth(source, camera)
        return StoredFrame(
            frame_id=frame_id,
            time_s=float(place),
            rgb_path=worker.colour(rgb_path, camera, frame_id) if usable else rgb_path,
            depth_path=depth_path,
            depth_scale_m=scale_m,
            intrinsics=camera.intrinsics,
            depth_intrinsics=None,
            stored_pose=transforms.undone(pose) if self.options.undo_applied and usable else pose,
            pose_place=frame.where,
            depth_index=depth_index,
        )

    def _metres(self, array: np.ndarray, scale_m: float, transforms: Transforms, *, where: Path) -> np.ndarray:
        """Depth of an array. Raises CaptureError where its unit was assumed and puts everything closer than any camera can be."""
        depth_m = array * scale_m
        read = depth_m[np.isfinite(depth_m) & (depth_m > 0)]
        assumed = self.options.depth_unit_scale_factor is None and transforms.depth_unit is None
        if assumed and array.dtype.kind == "f" and len(read) and np.median(read) < TOO_CLOSE_M:
            raise CaptureError(
                f"{where}: expected values of 1/1000 of the poses' unit, nerfstudio's own where {TRANSFORMS} does not say "
                f"depth_unit_scale_factor, found a median of {np.median(read) / scale_m:.3g}. Fix: depth_unit_scale_factor=1"
            )
        return depth_m


def _lens_camera(frame: TransformsFrame) -> LensCamera:
    assert frame.camera is not None, "frames without one were left out"
    return frame.camera


def _is_array(depth_name: str | None) -> bool:
    return depth_name is not None and depth_name.lower().endswith(".npy")


def _array(path: Path) -> np.ndarray:
    """`(H, W)` depth of an .npy file, in its own unit. Raises CaptureError."""
    array = read_npy(path)
    array = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if array.ndim != 2 or array.dtype.kind not in "fu" or not 0 < array.size <= MAX_PIXELS:
        raise CaptureError(f"{path}: expected an array of shape (height, width), found {array.dtype} {array.shape}")
    return np.array(array, dtype=np.float64 if array.dtype.kind == "f" else array.dtype)
