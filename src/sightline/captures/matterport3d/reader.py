"""Reads Matterport3D: the panorama cameras' images of a house, raw or undistorted, with its annotated objects and regions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from sightline.captures.assemble import MAX_BAD_SHARE, StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, SkippedFrame
from sightline.captures.lens_images import LensImages
from sightline.captures.matterport3d import views
from sightline.captures.matterport3d.house import annotation_files, read_house
from sightline.captures.options import ScanOptions, scan_options
from sightline.captures.scan_folders import by_scan_id, folder_of, scans_below
from sightline.config import config
from sightline.errors import CaptureError

LICENCE = "Matterport3D EULA (academic non-commercial use, no redistribution)"
DEPTH_SCALE_M = 1.0 / 4000.0  # stored units of a quarter millimetre
SPLITS = ("train", "val", "test")
PLACES = ("", "scans", "v1/scans")  # where houses lie below the folder of a download


@config
class Matterport3DOptions(ScanOptions):
    """Options of a Matterport3D import."""

    images: Literal["auto", "raw", "undistorted"] = "auto"
    """Which of the two sets of images is read; `auto` takes the undistorted one where it is there."""
    undistort: bool = False
    """Take the lens out of raw images; their depth maps are resampled with them, each pixel from its nearest."""


class Matterport3DReader:
    """A house's folder, the folder of many, or that of a download (`v1/scans/` below it). One house is one scan and one place."""

    name: ClassVar[str] = "matterport3d"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(Matterport3DOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(_houses(Path(root)))

    def scan_ids(self, split: str) -> Sequence[str]:
        folders = self._folders
        if split == "all":
            return tuple(folders)
        path = self.root / f"scenes_{split}.txt"
        if split not in SPLITS or not path.is_file():
            raise CaptureError(f"{self.root}: expected split 'all', or one whose list scenes_SPLIT.txt lies there, found '{split}'")
        try:
            listed = set(path.read_text(encoding="utf-8").split())
        except (OSError, UnicodeDecodeError) as error:
            raise CaptureError(f"{path}: expected a list of houses, found a file that cannot be read ({error})") from error
        return tuple(house for house in folders if house in listed)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """Images, cameras and annotations of the house."""
        folder = self._folder(scan_id)
        kind = self._kind(folder)
        found = views.raw_files(folder) if kind == views.RAW else views.conf_files(folder)[0]
        paths = [path for one in found for path in (one.color_path, one.depth_path) if path is not None]
        if kind == views.RAW:
            paths += [path for one in found for path in (views.raw_pose_path(one), views.raw_intrinsics_path(one))]
        else:
            paths.append(views.conf_path(folder))
        return [path for path in dict.fromkeys([*paths, *annotation_files(folder)]) if path.is_file()]

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One house. Raises CaptureError: distorted images without `undistort`, missing images or cameras, damaged annotations."""
        folder = self._folder(scan_id)
        kind = self._kind(folder)
        found, conf = (views.raw_files(folder), {}) if kind == views.RAW else views.conf_files(folder)
        present, skipped = _present(found, raw=kind == views.RAW, where=str(folder))
        chosen = [present[place] for place in self.options.chosen(len(present))]
        read = views.raw_views(chosen, undistort=self.options.undistort) if kind == views.RAW else views.conf_views(chosen, conf)
        with LensImages(workspace, pack_depth=any(one.camera.lens is not None for one in read)) as images:
            stored = [_stored(one, images, time_s=float(index)) for index, one in enumerate(read)]
        convention = StoredConvention(
            pose_direction="world_from_camera", camera_axes="opencv" if kind == views.RAW else "opengl", up_axis="+z"
        )
        assembled = assemble(stored, convention, where=str(folder), skipped=skipped)
        house = read_house(folder)
        return Capture(
            scan_id=scan_id,
            place_id=self.options.place_id or f"matterport3d_{scan_id}",
            source=self.name,
            licence=self.options.licence or LICENCE,
            frames=assembled.frames,
            skipped=assembled.skipped,
            objects=house.objects,
            surface=house.surface,
            notes={
                "convention": assembled.convention.as_notes(),
                "images": kind,
                "objects_skipped": house.skipped,
                "regions": list(house.regions),
                "region_of_panorama": house.region_of_panorama,
                **images.notes(),
            },
        )

    @cached_property
    def _folders(self) -> dict[str, Path]:
        return by_scan_id(self.root, _houses(self.root), layout="Matterport3D")

    def _folder(self, scan_id: str) -> Path:
        return folder_of(self._folders, scan_id, root=self.root)

    def _kind(self, folder: Path) -> str:
        there, wanted = views.kinds_of(folder), self.options.images
        if wanted != "auto" and wanted not in there:
            raise CaptureError(f"{folder}: images={wanted}: expected that set of images, found {' and '.join(there)} only")
        return there[0] if wanted == "auto" else wanted


def _houses(root: Path) -> list[Path]:
    return next((found for place in PLACES if (found := scans_below(root / place, lambda path: bool(views.kinds_of(path))))), [])


def _present(found: list[views.ViewFiles], *, raw: bool, where: str) -> tuple[list[views.ViewFiles], list[SkippedFrame]]:
    """The images whose files are all there, and those left out. Raises CaptureError where there are none or too many lack one."""
    if not found:
        raise CaptureError(f"{where}: expected images (NAME_i0_0.jpg and so on), found none")
    kept, skipped = [], []
    for one in found:
        wanted = {"image_missing": one.color_path, "depth_missing": one.depth_path}
        if raw:
            wanted |= {"pose_missing": views.raw_pose_path(one), "intrinsics_missing": views.raw_intrinsics_path(one)}
        reason = next((reason for reason, path in wanted.items() if path is not None and not path.is_file()), None)
        if reason is None:
            kept.append(one)
        else:
            skipped.append(SkippedFrame(frame_id=one.frame_id, reason=reason))
    if len(skipped) > MAX_BAD_SHARE * len(found):
        said = ", ".join(f"{reason}: {count}" for reason, count in sorted(Counter(one.reason for one in skipped).items()))
        raise CaptureError(f"{where}: expected {len(found)} images with all their files, found {len(skipped)} without ({said})")
    return kept, skipped


def _stored(view: views.View, images: LensImages, *, time_s: float) -> StoredFrame:
    depth_path, depth_index = (None, None) if view.files.depth_path is None else images.depth(view.files.depth_path, view.camera)
    return StoredFrame(
        frame_id=view.files.frame_id,
        time_s=time_s,
        rgb_path=images.colour(view.files.color_path, view.camera, view.files.frame_id),
        depth_path=depth_path,
        depth_scale_m=DEPTH_SCALE_M,
        intrinsics=view.camera.intrinsics,
        depth_intrinsics=None,
        stored_pose=view.stored_pose,
        pose_place=view.pose_place,
        depth_index=depth_index,
    )
