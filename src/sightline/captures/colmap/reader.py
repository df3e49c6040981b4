"""Reads a COLMAP project: posed images of a sparse model, with the depth maps of its dense stage or a folder of depth images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sightline.captures import layouts
from sightline.captures.assemble import StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, SkippedFrame
from sightline.captures.colmap.depth import KINDS, find_depth_map, read_depth_map
from sightline.captures.colmap.files import count_points, read_model
from sightline.captures.colmap.model import ColmapImage, ColmapModel, find_model, lens_camera, model_suffix
from sightline.captures.distortion import LensCamera
from sightline.captures.float_depth import QUANTISED_M, quantised, share_beyond
from sightline.captures.folder import id_of
from sightline.captures.image_lists import frame_ids, named_image, refuse_mostly_skipped
from sightline.captures.lens_images import LensImages, with_depth_cameras
from sightline.captures.options import ScanOptions, UpAxis, scan_options
from sightline.captures.poses import pose_problem
from sightline.captures.scan_folders import refuse_split
from sightline.captures.scannetpp.scenes import is_scene
from sightline.config import config
from sightline.errors import CaptureError

IMAGE_NAMES = ("images", "image", "rgb", "color", "colour", "input")
STEREO = Path("stereo/depth_maps")
NO_DEPTH = "none"


@config
class ColmapOptions(ScanOptions):
    """Options of a COLMAP import; paths are relative to the project folder and may not lead out of it."""

    model: str | None = None
    """Folder of the sparse model. Usual: `sparse/0/ sparse/ ./ colmap/`."""
    images: str | None = None
    """Folder that the model's image names are relative to. Usual: `images/ rgb/ color/ input/`."""
    depth: str | None = None
    """Folder of depth maps: COLMAP's own (`stereo/depth_maps`) or 16-bit PNGs (`depth/`); `none` leaves them out."""
    depth_unit_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.001
    """Metres per value of 16-bit PNG depth."""
    world_unit_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Metres per unit of the model's world, which COLMAP cannot know; 1 and noted as not metric where it is left out."""
    up_axis: UpAxis = "auto"
    """The model's axis that points up; measured where it is `auto`."""
    undistort: bool = False
    """Resample images of distorted cameras into pinhole images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Places:
    model: Path
    images: Path
    depth: Path | None

    @property
    def has_stereo(self) -> bool:
        """Whether the depth maps are COLMAP's own."""
        return self.depth is not None and any(path.name.endswith(KINDS) for path in self.depth.rglob("*.bin"))


class ColmapReader:
    """One project folder: a sparse model (text or binary), its images, and depth where there is some."""

    name: ClassVar[str] = "colmap"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(ColmapOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        root = Path(root)
        if not root.is_dir() or (root / "transforms.json").is_file() or is_scene(root):
            return False
        return find_model(root) is not None

    def scan_ids(self, split: str) -> Sequence[str]:
        refuse_split(split, root=self.root, layout="COLMAP")
        return (id_of(self.root),)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """The model's files, every image, every depth map."""
        places = self._places(scan_id)
        suffix = model_suffix(places.model)
        model = [path for name in ("cameras", "images", "points3D") if (path := places.model / f"{name}{suffix}").is_file()]
        depth = [] if places.depth is None else layouts.files_below(places.depth)
        return [*model, *layouts.files_below(places.images), *depth]

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """The project's images. Raises CaptureError: a broken model, distorted cameras unless asked to undistort, missing images."""
        places = self._places(scan_id)
        model = read_model(places.model)
        images, ids, skipped = self._chosen(places, model)
        cameras = {camera_id: self._camera(model, camera_id) for camera_id in {image.camera_id for _, image in images}}
        if places.has_stereo and any(camera.lens is not None for camera in cameras.values()):
            raise CaptureError(
                f"{places.depth}: expected depth maps of images without distortion, found a model with distorted cameras beside them. "
                "Fix: import the dense workspace, whose own sparse/ folder is undistorted, or give depth=none"
            )
        worker = LensImages(workspace, pack_depth=any(camera.lens is not None for camera in cameras.values()))
        stereo = _Stereo(places, self._unit_m) if places.has_stereo else None
        stored = []
        with worker:
            for (place, image), frame_id in zip(images, ids):
                stored.append(self._frame(places, image, frame_id, place, cameras[image.camera_id], worker, stereo))
        without_depth = sum(frame.depth_path is None for frame in stored)
        if places.depth is not None and without_depth == len(stored):
            raise CaptureError(
                f"{places.depth}: expected depth maps named after the images, such as {images[0][1].name}, found none of them. "
                "Fix: depth=FOLDER, or depth=none"
            )
        sizes = {(frame.intrinsics.width, frame.intrinsics.height) for frame in stored}
        assembled = assemble(
            with_depth_cameras(stored),
            StoredConvention(
                pose_direction="camera_from_world", camera_axes="opencv", up_axis=self.options.up_axis, pose_unit_m=self._unit_m
            ),
            where=str(places.model),
            skipped=skipped,
            one_size=len(sizes) == 1,
        )
        points = count_points(places.model)
        return Capture(
            scan_id=scan_id,
            place_id=self.options.place_id or scan_id,
            source=self.name,
            licence=self.options.licence or "unknown",
            frames=assembled.frames,
            skipped=assembled.skipped,
            notes={
                "convention": assembled.convention.as_notes(),
                "model": f"{places.model.relative_to(self.root)} ({model_suffix(places.model)})",
                "camera_models": sorted({model.cameras[camera_id].model for camera_id in cameras}),
                "metric": self.options.world_unit_m is not None,
                "world_unit_m": self._unit_m,
                **({} if points is None else {"points": points}),
                **({"frames_without_depth": without_depth} if places.depth is not None and without_depth else {}),
                **worker.notes(),
                **({} if stereo is None else stereo.notes()),
            },
        )

    @property
    def _unit_m(self) -> float:
        return self.options.world_unit_m or 1.0

    def _places(self, scan_id: str) -> _Places:
        if scan_id != id_of(self.root):
            raise CaptureError(f"{self.root}: expected the scan {id_of(self.root)}, found '{scan_id}'")
        given = self.options
        model = layouts.inside(self.root, given.model, key="model") if given.model is not None else find_model(self.root)
        if model is None or model_suffix(model) is None:
            raise CaptureError(
                f"{model or self.root}: expected a COLMAP model (cameras and images, both .bin or both .txt), found none. Fix: model=FOLDER"
            )
        images = (
            layouts.inside(self.root, given.images, key="images") if given.images is not None else layouts.usual(self.root, IMAGE_NAMES)
        )
        if images is None or not images.is_dir():
            raise CaptureError(f"{self.root}: expected a folder of images, found none of {', '.join(IMAGE_NAMES)}. Fix: images=FOLDER")
        return _Places(model=model, images=images, depth=self._depth_place())

    def _depth_place(self) -> Path | None:
        if self.options.depth == NO_DEPTH:
            return None
        if self.options.depth is not None:
            return layouts.inside(self.root, self.options.depth, key="depth")
        stereo = self.root / STEREO
        if stereo.is_dir() and any(path.name.endswith(KINDS) for path in stereo.rglob("*.bin")):
            return stereo
        return layouts.usual(self.root, layouts.DEPTH_NAMES)

    def _chosen(self, places: _Places, model: ColmapModel) -> tuple[list[tuple[int, ColmapImage]], list[str], list[SkippedFrame]]:
        """(place among all images, image) of those to take, their frame ids, and those that have no file."""
        ordered = sorted(model.images, key=lambda image: layouts.natural(image.name))
        ids = frame_ids([image.name for image in ordered])
        chosen = self.options.chosen(len(ordered))
        missing = {index for index in chosen if named_image(places.images, ordered[index].name, where=ordered[index].where) is None}
        skipped = [SkippedFrame(frame_id=ids[index], reason="image_missing") for index in chosen if index in missing]
        refuse_mostly_skipped(
            skipped,
            count=len(chosen),
            where=str(places.images),
            fix="Fix: images=FOLDER, the folder that the model's names are relative to",
        )
        kept = [index for index in chosen if index not in missing]
        return [(index, ordered[index]) for index in kept], [ids[index] for index in kept], skipped

    def _camera(self, model: ColmapModel, camera_id: int) -> LensCamera:
        stored = model.cameras[camera_id]
        camera = lens_camera(stored)
        if camera.lens is not None and not self.options.undistort:
            raise CaptureError(
                f"{stored.where}: expected a camera without distortion, found {stored.model} with "
                f"{', '.join(f'{value:g}' for value in camera.lens.coefficients)}. Fix: undistort=true"
            )
        return camera

    def _frame(
        self,
        places: _Places,
        image: ColmapImage,
        frame_id: str,
        place: int,
        camera: LensCamera,
        worker: LensImages,
        stereo: "_Stereo | None",
    ) -> StoredFrame:
        rgb_path = named_image(places.images, image.name, where=image.where)
        assert rgb_path is not None, "missing images were left out"
        usable = pose_problem(image.camera_from_world) is None  # the others are left out: nothing is resampled for them
        depth_path, depth_index, scale_m = None, None, self.options.depth_unit_m
        if stereo is not None and usable and (source := find_depth_map(stereo.folder, image.name)) is not None:
            depth_path, depth_index, scale_m = worker.pack_path, worker.append(stereo.stored(source)), QUANTISED_M
        elif stereo is None and places.depth is not None and usable:
            source = _png_depth(places.depth, image.name, where=image.where)
            depth_path, depth_index = (None, None) if source is None else worker.depth(source, camera)
        return StoredFrame(
            frame_id=frame_id,
            time_s=float(place),
            rgb_path=worker.colour(rgb_path, camera, frame_id) if usable else rgb_path,
            depth_path=depth_path,
            depth_scale_m=scale_m,
            intrinsics=camera.intrinsics,
            depth_intrinsics=None,
            stored_pose=image.camera_from_world,
            pose_place=image.where,
            depth_index=depth_index,
        )


class _Stereo:
    """COLMAP's own depth maps, in metres, and how much of them 16 bits cannot hold."""

    def __init__(self, places: _Places, unit_m: float):
        assert places.depth is not None
        self.folder, self.unit_m = places.depth, unit_m
        self._beyond: list[float] = []

    def stored(self, path: Path) -> np.ndarray:
        depth_m = read_depth_map(path) * np.float32(self.unit_m)
        self._beyond.append(share_beyond(depth_m))
        return quantised(depth_m)

    def notes(self) -> dict[str, Any]:
        beyond = float(np.mean(self._beyond)) if self._beyond else 0.0
        return {"depth_quantised_m": QUANTISED_M, "depth_from": "COLMAP stereo", **({"depth_beyond_reach": beyond} if beyond > 0 else {})}


def _png_depth(folder: Path, name: str, *, where: str) -> Path | None:
    """The 16-bit PNG of an image: the same path with the suffix exchanged or added, or the bare file name."""
    path = PurePosixPath(name)
    candidates = (str(path.with_suffix(".png")), f"{name}.png", f"{path.stem}.png")
    return next((found for one in candidates if (found := named_image(folder, one, where=where)) is not None), None)
