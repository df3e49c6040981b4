"""Reads a folder of colour images, depth images, poses and intrinsics: one's own scan."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sightline.captures import layouts
from sightline.captures.assemble import MAX_BAD_SHARE, MIN_FRAMES
from sightline.captures.capture import Capture, Frame, SceneObject, SkippedFrame, Structure
from sightline.captures.conventions import AUTO, UP_FRAMES, evenly, measured, stated
from sightline.captures.images import image_size, read_depth_m
from sightline.captures.intrinsics import depth_camera, intrinsics_for, read_camera_matrix
from sightline.captures.layouts import Named, files_below
from sightline.captures.options import FolderOptions, check_scan_id, fix, read_options
from sightline.captures.poses import Convention, PoseLine, made_rigid, pose_problem, read_pose_file, read_pose_list
from sightline.captures.records import objects_from_json, structure_from_json
from sightline.errors import CaptureError, DataError
from sightline.files import read_json
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import rotate

NO_POSE = PoseLine(where="", matrix=np.full((4, 4), np.nan))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """One colour image with what belongs to it."""

    index: int  # place among all sorted colour images
    color: Named
    depth_path: Path
    instance_path: Path | None
    time_s: float


class FolderReader:
    """A folder that is a scan, or one whose subfolders are. What is not in its usual place stands in `capture.yaml`."""

    name: ClassVar[str] = "folder"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = dict(options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(layouts.scan_folders(Path(root)))

    def scan_ids(self, split: str) -> Sequence[str]:
        if split != "all":
            raise CaptureError(f"{self.root}: expected split 'all' (a folder of own scans has no other), found '{split}'")
        return tuple(self._folders)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """Every file below the scan's folder."""
        return files_below(self._folder(scan_id))

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One scan. Raises CaptureError or ConfigError; a file that is missing, of another size or mostly bad is named."""
        folder = self._folder(scan_id)
        return read_folder(folder, read_options(folder, self.options), scan_id=scan_id)

    def _folder(self, scan_id: str) -> Path:
        folders = self._folders
        if scan_id not in folders:
            raise CaptureError(f"{self.root}: expected one of the scans {', '.join(folders)}, found '{scan_id}'")
        return folders[scan_id]

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """Scan id -> folder. A root without any scan in it is read as one, so that its error says what is missing."""
        folders: dict[str, Path] = {}
        for folder in layouts.scan_folders(self.root) or [self.root]:
            options = read_options(folder, self.options)
            scan_id = check_scan_id(options.scan_id, where=str(folder)) if options.scan_id else id_of(folder)
            if scan_id in folders:
                raise CaptureError(f"{folder}: scan id '{scan_id}' is already that of {folders[scan_id]}; give one of them another scan_id")
            folders[scan_id] = folder
        return folders


def id_of(folder: Path) -> str:
    """A scan id from a folder's name; letters a file name should not hold become '_'."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", folder.resolve().name).strip("._-")[:128] or "scan"


def read_folder(folder: Path, options: FolderOptions, *, scan_id: str) -> Capture:
    """The capture of one scan folder."""
    color = layouts.files_of(layouts.color_place(folder, options), suffixes=layouts.IMAGE_SUFFIXES, what="colour images")
    entries, skipped = _matched(folder, options, color)
    entries = entries[:: options.frame_step]
    poses_path, lines = _poses(folder, options, entries, count=len(color))
    problems = ["pose_missing" if line is NO_POSE else pose_problem(line.matrix) for line in lines]
    skipped += [SkippedFrame(frame_id=entry.color.key, reason=problem) for entry, problem in zip(entries, problems) if problem]
    _refuse_mostly_bad(poses_path, lines, problems, skipped)
    good = [index for index, problem in enumerate(problems) if problem is None]

    color_size = _common_size([entries[index].color.path for index in good], kind="colour")
    depth_size = _common_size([entries[index].depth_path for index in good], kind="depth")
    intrinsics, depth_intrinsics = _cameras(folder, options, color_size=color_size, depth_size=depth_size)
    stored = np.stack([made_rigid(lines[index].matrix) for index in good])
    stored[:, :3, 3] *= options.pose_unit_m
    entries = [entries[index] for index in good]
    convention = _convention(options, stored, entries, depth_intrinsics)
    frames = tuple(
        Frame(
            frame_id=entry.color.key,
            time_s=entry.time_s,
            rgb_path=entry.color.path,
            depth_path=entry.depth_path,
            depth_scale_m=options.depth_unit_m,
            intrinsics=intrinsics,
            depth_intrinsics=depth_intrinsics,
            world_from_camera=pose,
            instance_path=entry.instance_path,
        )
        for entry, pose in zip(entries, convention.world_from_camera(stored))
    )
    return Capture(
        scan_id=scan_id,
        place_id=options.place_id or scan_id,
        source=FolderReader.name,
        licence=options.licence,
        frames=frames,
        skipped=tuple(skipped),
        objects=_objects(folder, options, convention.world_from_stored),
        structure=_structure(folder, options, convention.world_from_stored),
        notes={
            **options.notes,
            "convention": convention.as_notes(),
            "depth_unit_m": options.depth_unit_m,
            "pose_unit_m": options.pose_unit_m,
            "image_size": list(options.image_size or color_size),
            "frame_step": options.frame_step,
        },
    )


def _matched(folder: Path, options: FolderOptions, color: list[Named]) -> tuple[list[_Entry], list[SkippedFrame]]:
    """Every colour image with its depth image, matched by name, number or, where all names are timestamps, time."""
    place = layouts.found(folder, options.depth, layouts.DEPTH_NAMES, key="depth", what="a folder of depth images")
    depth = layouts.files_of(place, suffixes=(".png",), what="depth images")
    instances = _instances(folder, options, color)
    times = [one.time_s for one in color]
    if None in times or any(one.time_s is None for one in depth) or {one.key for one in color} == {one.key for one in depth}:
        paths = layouts.match_all(color, depth, what="depth images")
        seconds = [index / options.frame_rate_hz if time_s is None else time_s for index, time_s in enumerate(times)]
        rows = enumerate(zip(color, paths, instances, seconds))
        return [_Entry(index=n, color=c, depth_path=d, instance_path=i, time_s=s) for n, (c, d, i, s) in rows], []
    found = layouts.nearest_in_time(np.array([one.time_s for one in depth]), np.array(times), max_gap_s=options.max_time_gap_s)
    entries = [
        _Entry(index=number, color=one, depth_path=depth[index].path, instance_path=instance, time_s=float(one.key))
        for number, (one, index, instance) in enumerate(zip(color, found, instances))
        if index >= 0
    ]
    skipped = [SkippedFrame(frame_id=one.key, reason="no_depth_in_time") for one, index in zip(color, found) if index < 0]
    if len(skipped) > MAX_BAD_SHARE * len(color):
        raise CaptureError(
            f"{place}: expected a depth image within {options.max_time_gap_s:g} s of each colour image, "
            f"found none for {len(skipped)} of {len(color)}. {fix(max_time_gap_s='SECONDS')}"
        )
    return entries, skipped


def _instances(folder: Path, options: FolderOptions, color: list[Named]) -> list[Path | None]:
    if options.instances is None and layouts.usual(folder, layouts.INSTANCE_NAMES) is None:
        return [None] * len(color)
    if _known(folder, options.objects, layouts.OBJECTS_NAMES, key="objects") is None:
        return [None] * len(color)
    place = layouts.found(folder, options.instances, layouts.INSTANCE_NAMES, key="instances", what="a folder of instance images")
    return list(layouts.match_all(color, layouts.files_of(place, suffixes=(".png",), what="instance images"), what="instance images"))


def _poses(folder: Path, options: FolderOptions, entries: list[_Entry], *, count: int) -> tuple[Path, list[PoseLine]]:
    """The stored pose of each entry; NO_POSE where there is none."""
    path = layouts.found(folder, options.poses, layouts.POSE_NAMES, key="poses", what="poses.txt or a folder pose/ of text files")
    if path.is_dir() or any(sign in path.name for sign in "*?["):
        files = layouts.files_of(path, suffixes=layouts.TEXT_SUFFIXES, what="pose files")
        return path, [
            NO_POSE if one is None else read_pose_file(one) for one in layouts.match_some([entry.color for entry in entries], files)
        ]
    lines = read_pose_list(path)
    if lines and lines[0].time_s is not None:
        times_s = np.array([line.time_s for line in lines], dtype=np.float64)
        found = layouts.nearest_in_time(times_s, np.array([entry.time_s for entry in entries]), max_gap_s=options.max_time_gap_s)
        return path, [lines[index] if index >= 0 else NO_POSE for index in found]
    if len(lines) != count:
        raise CaptureError(f"{path}: expected one pose for each of the {count} colour images, found {len(lines)} poses")
    return path, [lines[entry.index] for entry in entries]


def _refuse_mostly_bad(path: Path, lines: list[PoseLine], problems: list[str | None], skipped: list[SkippedFrame]) -> None:
    bad = [(line.where, problem) for line, problem in zip(lines, problems) if problem]
    if len(bad) > MAX_BAD_SHARE * len(lines):
        reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(Counter(problem for _, problem in bad).items()))
        first = next((where for where, _ in bad if where), f"{path}")
        advice = f"More than {MAX_BAD_SHARE:.0%} is a broken export; export the poses again or remove those frames"
        if not any(pose_problem(line.matrix.T) for line in lines):
            advice = "They look transposed; write each matrix row by row"
        raise CaptureError(
            f"{path}: expected usable poses, found {len(bad)} of {len(lines)} that are not ({reasons}; first: {first}). {advice}"
        )
    if len(lines) - len(bad) < MIN_FRAMES:
        raise CaptureError(f"{path}: expected at least {MIN_FRAMES} frames with a usable pose, found {len(lines) - len(bad)}")


def _common_size(paths: list[Path], *, kind: str) -> tuple[int, int]:
    """The one size of all these images, from their headers. Raises CaptureError naming the first that differs."""
    first = image_size(paths[0])
    for path in paths[1:]:
        size = image_size(path)
        if size != first:
            raise CaptureError(
                f"{path}: expected a {kind} image of {first[0]}x{first[1]} like {paths[0].name}, found {size[0]}x{size[1]}; "
                "one scan has one image size"
            )
    return first


def _cameras(
    folder: Path, options: FolderOptions, *, color_size: tuple[int, int], depth_size: tuple[int, int]
) -> tuple[Intrinsics, Intrinsics]:
    """The colour and the depth camera."""
    source = options.intrinsics
    if not isinstance(source, tuple):
        source = layouts.found(folder, source, layouts.INTRINSICS_NAMES, key="intrinsics", what="a camera matrix")
    where = f"{folder}: intrinsics" if isinstance(source, tuple) else str(source)
    color = intrinsics_for(read_camera_matrix(source), size=color_size, stated_size=options.image_size, where=where, mend="image_size")
    own: Path | tuple[float, float, float, float] | None
    if isinstance(options.depth_intrinsics, tuple):
        own = options.depth_intrinsics
    else:
        own = _known(folder, options.depth_intrinsics, layouts.DEPTH_INTRINSICS_NAMES, key="depth_intrinsics")
    if own is None:
        return color, depth_camera(color, size=depth_size, where=str(folder))
    where = f"{folder}: depth_intrinsics" if isinstance(own, tuple) else str(own)
    K = read_camera_matrix(own)
    return color, intrinsics_for(K, size=depth_size, stated_size=None, where=where, mend="depth_intrinsics")


def _known(folder: Path, given: str | None, names: Sequence[str], *, key: str) -> Path | None:
    """A file that need not be there."""
    return layouts.inside(folder, given, key=key) if given is not None else layouts.usual(folder, names)


def _convention(options: FolderOptions, stored: np.ndarray, entries: list[_Entry], camera: Intrinsics) -> Convention:
    """The stated convention, with up measured where it is `auto`."""
    if options.up_axis != AUTO:
        return stated(pose_direction=options.pose_direction, camera_axes=options.camera_axes, up_axis=options.up_axis)
    chosen = evenly(len(entries), UP_FRAMES)
    maps = [(index, read_depth_m(entries[index].depth_path, depth_scale_m=options.depth_unit_m), camera) for index in chosen]
    return measured(stored, pose_direction=options.pose_direction, camera_axes=options.camera_axes, depth_m=maps)


def _objects(folder: Path, options: FolderOptions, world_from_stored: np.ndarray) -> tuple[SceneObject, ...] | None:
    path = _known(folder, options.objects, layouts.OBJECTS_NAMES, key="objects")
    if path is None:
        return None
    try:
        objects = objects_from_json(read_json(path), where=str(path))
    except DataError as error:
        raise CaptureError(str(error)) from error
    return tuple(
        SceneObject(
            object_id=one.object_id,
            category=one.category,
            box=one.box.moved(world_from_stored),
            front_world=None if one.front_world is None else rotate(world_from_stored, one.front_world),
            attributes=one.attributes,
        )
        for one in objects
    )


def _structure(folder: Path, options: FolderOptions, world_from_stored: np.ndarray) -> Structure | None:
    path = _known(folder, options.structure, layouts.STRUCTURE_NAMES, key="structure")
    if path is None:
        return None
    if not np.array_equal(world_from_stored, np.eye(4)):
        raise CaptureError(
            f"{path}: expected walls and rooms in a world that is +z up already, found one that had to be turned; leave it out"
        )
    try:
        return structure_from_json(read_json(path), where=str(path))
    except DataError as error:
        raise CaptureError(str(error)) from error
