"""Reads TAPVid-3D clips: one `.npz` with JPEG bytes, tracks of points in each frame's camera, visibility, intrinsics, perhaps poses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from sightline.captures.assemble import MAX_BAD_SHARE, StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, PointTracks
from sightline.captures.containers.archives import SafeZip
from sightline.captures.containers.safe_npz import SafeNpz
from sightline.captures.conventions import AUTO
from sightline.captures.folder import id_of
from sightline.captures.images import image_size
from sightline.captures.intrinsics import intrinsics_for, read_camera_matrix
from sightline.captures.layouts import natural
from sightline.captures.options import ScanOptions, UpAxis, scan_options
from sightline.captures.scan_folders import by_scan_id, folder_of, refuse_split
from sightline.config import config
from sightline.errors import CaptureError

IMAGES = "images_jpeg_bytes"
TRACKS = ("tracks_XYZ", "tracks_xyz")  # as the files say and as their documentation says
VISIBILITY = ("visibility", "visibilities")
INTRINSICS = ("fx_fy_cx_cy", "intrinsics")
EXTRINSICS = "extrinsics_w2c"
SUBSETS = ("adt", "drivetrack", "pstudio")
LEVEL = "-y"  # a camera held level has its image's up along -y
JPEG_START = b"\xff\xd8\xff"
LICENCES = {
    "adt": "Aria Digital Twin dataset licence (Project Aria's own terms, no redistribution); tracks CC BY 4.0",
    "drivetrack": "Waymo Open Dataset licence (non-commercial, no redistribution); tracks CC BY 4.0",
    "pstudio": "CMU Panoptic Studio terms (non-commercial research, no redistribution); tracks CC BY 4.0",
}
RATES_HZ = {"adt": 30.0, "drivetrack": 10.0, "pstudio": 30.0}
_NAMES = (  # of the released files: subset, and the sequence that a clip was cut from
    ("drivetrack", re.compile(r"(?:tapvid3d_)?(\d{10,}_\d+_\d+_\d+_\d+)_\d_.+")),
    ("adt", re.compile(r"((?:Apartment|Lite)_release_.+_seq\d+)_\d+")),
    ("pstudio", re.compile(r"(basketball|boxes|football|juggle|softball|tennis)_\d+")),
)
_CHUNK = re.compile(r"(.+)_\d+")


@config
class TapVid3dOptions(ScanOptions):
    """Options of an import of TAPVid-3D clips."""

    subset: Literal["adt", "drivetrack", "pstudio"] | None = None
    """Which of the three sources the clips are of, where neither their names nor that of their folder says so."""
    up_axis: UpAxis = AUTO
    """The stored world's axis that points up, where poses are known; measured from the way the camera is held by default."""
    frame_rate_hz: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Images per second. 30 for adt and pstudio, 10 for drivetrack."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Clip:
    """One file, the source it is of (None where nobody says) and the sequence it was cut from."""

    path: Path
    subset: str | None
    sequence: str


class TapVid3dReader:
    """One clip, a folder of clips, or the folder with `adt/ drivetrack/ pstudio/`."""

    name: ClassVar[str] = "tapvid3d"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(TapVid3dOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return any(_holds_clip(path) is True for path in _files(Path(root)))

    def scan_ids(self, split: str) -> Sequence[str]:
        refuse_split(split, root=self.root, layout="TAPVid-3D")
        return tuple(self._paths)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """The clip's one file."""
        return [folder_of(self._paths, scan_id, root=self.root)]

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One clip. Raises CaptureError: an array missing or damaged, shapes that do not fit, no JPEG bytes, mostly bad poses."""
        clip = _clip(folder_of(self._paths, scan_id, root=self.root), self.options)
        with SafeNpz(clip.path) as arrays:
            points, visible, hidden = _tracks(arrays)
            places = self.options.chosen(len(points))
            images = _images(arrays, workspace, places=places, count=len(points))
            K = _camera_matrix(arrays)
            stored_poses, poses_from = _poses(arrays, clip, count=len(points))
        rate_hz = self.options.frame_rate_hz or RATES_HZ.get(clip.subset or "", 30.0)
        size = image_size(images[0])
        camera = intrinsics_for(K, size=size, stated_size=None, where=f"{clip.path}: intrinsics", mend=None)
        frames = [
            StoredFrame(
                frame_id=f"{place:06d}",
                time_s=place / rate_hz,
                rgb_path=path,
                depth_path=None,
                depth_scale_m=0.001,
                intrinsics=camera,
                depth_intrinsics=None,
                stored_pose=stored_poses[place],
                pose_place=f"{clip.path}: {EXTRINSICS}[{place}]",
            )
            for place, path in zip(places, images)
        ]
        has_poses = poses_from != "unknown"
        convention = StoredConvention(
            pose_direction="camera_from_world", camera_axes="opencv", up_axis=self.options.up_axis if has_poses else LEVEL
        )
        assembled = assemble(frames, convention, where=str(clip.path))
        kept = {frame.frame_id for frame in assembled.frames}
        rows = [place for place in places if f"{place:06d}" in kept]
        notes: dict[str, Any] = {
            "convention": assembled.convention.as_notes(),
            "subset": clip.subset,
            "poses_from": poses_from,
            "num_tracks": points.shape[1],
        }
        if hidden:
            notes["track_points_hidden"] = {"not_in_front": hidden}
        return Capture(
            scan_id=scan_id,
            place_id=self.options.place_id or f"tapvid3d_{clip.sequence}",
            source=self.name,
            licence=self.options.licence or LICENCES.get(clip.subset or "", "unknown"),
            frames=assembled.frames,
            skipped=assembled.skipped,
            tracks=PointTracks(frame_ids=tuple(f"{row:06d}" for row in rows), points_camera=points[rows], visible=visible[rows]),
            has_poses=has_poses,
            notes=notes,
        )

    @cached_property
    def _paths(self) -> dict[str, Path]:
        """Scan id -> file. Files that cannot be opened are kept, so that their import says what is wrong with them."""
        places = [path for path in _files(self.root) if _holds_clip(path) is not False]
        wanted = f"TAPVid-3D clips (.npz with {IMAGES} and {TRACKS[0]})"
        return by_scan_id(self.root, places, layout="TAPVid-3D", expected=wanted)


def _files(root: Path) -> list[Path]:
    """Every `.npz` that may be a clip: `root` itself, those in it, those in its folders of subsets."""
    if root.is_file():
        return [root] if root.suffix == ".npz" else []
    folders = [root, *(root / subset for subset in SUBSETS)]
    found = [path for folder in folders if folder.is_dir() for path in folder.glob("*.npz") if not path.name.startswith(".")]
    return sorted(found, key=lambda path: natural(str(path)))


def _holds_clip(path: Path) -> bool | None:
    """Whether a file has the arrays of a clip, by its directory alone; None where it cannot be opened."""
    try:
        with SafeZip(path) as archive:
            return f"{IMAGES}.npy" in archive and any(f"{name}.npy" in archive for name in TRACKS)
    except CaptureError:
        return None


def _clip(path: Path, options: TapVid3dOptions) -> _Clip:
    for subset, pattern in _NAMES:
        match = pattern.fullmatch(path.stem)
        if match is not None:
            return _Clip(path=path, subset=options.subset or subset, sequence=match[1])
    chunk = _CHUNK.fullmatch(path.stem)
    folder = path.resolve().parent.name
    subset = options.subset or (folder if folder in SUBSETS else None)
    return _Clip(path=path, subset=subset, sequence=id_of(path.with_name(chunk[1])) if chunk else id_of(path.with_suffix("")))


def _one_of(arrays: SafeNpz, names: Sequence[str]) -> str:
    found = next((name for name in names if name in arrays.names()), None)
    if found is None:
        raise CaptureError(f"{arrays.path}: expected an array {' or '.join(names)}, found {', '.join(arrays.names()) or 'none'}")
    return found


def _tracks(arrays: SafeNpz) -> tuple[np.ndarray, np.ndarray, int]:
    """Points `(T, Q, 3)` float32, visibility `(T, Q)` bool, and how many points were called visible and cannot be."""
    name, flags = _one_of(arrays, TRACKS), _one_of(arrays, VISIBILITY)
    points = arrays.array(name)
    if points.ndim != 3 or points.shape[2] != 3 or points.dtype.kind != "f" or 0 in points.shape:
        raise CaptureError(f"{arrays.path}: array '{name}': expected (frames, tracks, 3) real numbers, found {points.dtype} {points.shape}")
    said = arrays.array(flags)
    if said.shape != points.shape[:2] or (said.dtype.kind != "b" and not np.isin(said, (0, 1)).all()):
        raise CaptureError(
            f"{arrays.path}: array '{flags}': expected {points.shape[0]}x{points.shape[1]} truth values like '{name}', "
            f"found {said.dtype} {said.shape}"
        )
    visible = said.astype(bool)
    with np.errstate(invalid="ignore"):
        in_front = np.isfinite(points).all(axis=2) & (points[:, :, 2] > 0.0)
    impossible = int((visible & ~in_front).sum())
    if impossible > MAX_BAD_SHARE * max(int(visible.sum()), 1):
        row, column = (int(place) for place in np.argwhere(visible & ~in_front)[0])
        raise CaptureError(
            f"{arrays.path}: array '{name}': expected visible points in front of the camera (z forward, metres), found {impossible} of "
            f"{int(visible.sum())} that are not (first: frame {row}, track {column}: {points[row, column].tolist()})"
        )
    kept = np.where(np.isfinite(points).all(axis=2, keepdims=True), points, np.nan).astype(np.float32)
    return kept, visible & in_front, impossible


def _images(arrays: SafeNpz, workspace: Path, *, places: Sequence[int], count: int) -> list[Path]:
    """The chosen JPEGs as files, byte for byte."""
    (workspace / "color").mkdir()
    wanted, paths, found = set(places), [], 0
    for place, content in enumerate(arrays.byte_strings(IMAGES, workspace=workspace)):
        found += 1
        if place in wanted:
            if not content.startswith(JPEG_START):
                raise CaptureError(f"{arrays.path}: array '{IMAGES}': expected JPEG bytes for frame {place}, found {content[:8]!r}")
            paths.append(workspace / "color" / f"{place:06d}.jpg")
            paths[-1].write_bytes(content)
    if found != count:
        raise CaptureError(f"{arrays.path}: expected an image for each of {count} frames of the tracks, found {found} images")
    return paths


def _camera_matrix(arrays: SafeNpz) -> np.ndarray:
    name = _one_of(arrays, INTRINSICS)
    numbers = arrays.array(name).astype(np.float64)
    if numbers.shape == (3, 3) and np.array_equal(numbers[2], [0.0, 0.0, 1.0]):
        return numbers
    if numbers.shape != (4,):
        raise CaptureError(f"{arrays.path}: array '{name}': expected fx, fy, cx, cy, found shape {numbers.shape}")
    return read_camera_matrix(tuple(numbers.tolist()))


def _poses(arrays: SafeNpz, clip: _Clip, *, count: int) -> tuple[np.ndarray, str]:
    """`(T, 4, 4)` camera_from_world, and where it is from: the file, a camera that does not move, or nowhere."""
    if EXTRINSICS in arrays.names():
        poses = arrays.array(EXTRINSICS).astype(np.float64)
        if poses.shape != (count, 4, 4):
            raise CaptureError(f"{arrays.path}: array '{EXTRINSICS}': expected shape {(count, 4, 4)}, found {poses.shape}")
        return poses, EXTRINSICS
    standing = np.tile(np.eye(4), (count, 1, 1))
    return standing, "static camera" if clip.subset == "pstudio" else "unknown"
