"""Reads the 7-Scenes layout: numbered colour, depth and pose files of sequences that share a scene, in folders or zip archives."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from sightline.captures.assemble import MAX_BAD_SHARE, StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, SkippedFrame
from sightline.captures.containers.archives import SafeZip
from sightline.captures.conventions import AUTO
from sightline.captures.depth_packs import SUFFIX, DepthPackWriter
from sightline.captures.folder import id_of
from sightline.captures.images import image_size, read_uint16
from sightline.captures.intrinsics import ASPECT_TOLERANCE, intrinsics_for, read_camera_matrix
from sightline.captures.layouts import files_below, natural
from sightline.captures.options import ScanOptions, UpAxis, scan_options
from sightline.captures.poses import PoseLine, read_pose_bytes, read_pose_file
from sightline.captures.scan_folders import folder_of
from sightline.captures.texts import decoded
from sightline.config import config
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics

LICENCE = "Microsoft 7-Scenes licence (non-commercial research, no redistribution)"
CALIBRATED_SIZE = (640, 480)
DEPTH_K = (585.0, 585.0, 320.0, 240.0)  # stated with the data: the default that its poses were tracked with
COLOUR_K = (525.0, 525.0, 320.0, 240.0)  # of the Kinect's colour camera; the data set states none
RATE_HZ = 30.0
SPLITS = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}
MAX_POSE_BYTES = 4096
MAX_SPLIT_BYTES = 65536
_SEQUENCE = re.compile(r"seq-(\d+)$")
_FILE = re.compile(r"(?:.*/)?frame-(\d+)\.(color\.png|depth\.png|pose\.txt)$")
_LISTED = re.compile(r"sequence\s*(\d{1,9})$", re.IGNORECASE)


@config
class SevenScenesOptions(ScanOptions):
    """Options of an import from the 7-Scenes layout."""

    intrinsics: tuple[float, float, float, float] | None = None
    """fx, fy, cx, cy of the colour camera, in pixels of a 640x480 image. The data set states none; 525 525 320 240 by default."""
    depth_intrinsics: tuple[float, float, float, float] = DEPTH_K
    """fx, fy, cx, cy of the depth camera in pixels of a 640x480 image."""
    depth_unit_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.001
    """Metres per stored depth unit."""
    up_axis: UpAxis = AUTO
    """The stored world's axis that points up; measured by default, for each sequence starts where its first camera was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sequence:
    """One sequence: a folder, or the archive that holds it."""

    scene: Path
    number: int
    place: Path

    @property
    def scan_id(self) -> str:
        return f"{id_of(self.scene)}_seq-{self.number:02d}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Files:
    """Names of the files of one frame, as they stand in the folder or archive."""

    number: str  # digits of the file name
    color: str
    depth: str
    pose: str | None

    @property
    def frame_id(self) -> str:
        return f"frame-{self.number}"


class SevenScenesReader:
    """A scene with its sequences, a folder of scenes, or one sequence."""

    name: ClassVar[str] = "sevenscenes"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(SevenScenesOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(_sequences(Path(root)))

    def scan_ids(self, split: str) -> Sequence[str]:
        """`all`, or `train` and `test` as the scenes' own lists say."""
        named = self._named
        if split == "all":
            return tuple(named)
        if split not in SPLITS:
            raise CaptureError(f"{self.root}: expected split all, train or test, found '{split}'")
        listed = {scene: _listed(scene / SPLITS[split]) for scene in {one.scene for one in named.values()}}
        return tuple(scan_id for scan_id, one in named.items() if one.number in listed[one.scene])

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """The archive, or every file of the sequence's folder."""
        place = self._sequence(scan_id).place
        return files_below(place) if place.is_dir() else [place]

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One sequence. Raises CaptureError: a frame without its depth, a damaged archive, mostly bad or missing poses."""
        sequence = self._sequence(scan_id)
        options = self.options
        with _opened(sequence, workspace) as source:
            frames = _matched(source.names(), where=str(sequence.place))
            chosen = [frames[place] for place in options.chosen(len(frames))]
            skipped = [SkippedFrame(frame_id=one.frame_id, reason="pose_missing") for one in chosen if one.pose is None]
            if len(skipped) > MAX_BAD_SHARE * len(chosen):
                raise CaptureError(
                    f"{sequence.place}: expected a pose file for each frame, found none for {len(skipped)} of {len(chosen)} "
                    f"(first: {skipped[0].frame_id}.pose.txt)"
                )
            stored = [_stored(source, files, files.pose, options) for files in chosen if files.pose is not None]
        convention = StoredConvention(pose_direction="world_from_camera", camera_axes="opencv", up_axis=options.up_axis)
        assembled = assemble(stored, convention, where=str(sequence.place), skipped=skipped)
        splits = [split for split, name in SPLITS.items() if (sequence.scene / name).is_file()]
        inside = [split for split in splits if sequence.number in _listed(sequence.scene / SPLITS[split])]
        notes: dict[str, Any] = {
            "convention": assembled.convention.as_notes(),
            "depth_unit_m": options.depth_unit_m,
            "registered": "colour and depth are two uncalibrated cameras 2.5 cm apart; poses are those of the depth camera",
            "colour_intrinsics_from": "option intrinsics" if options.intrinsics else "nominal Kinect colour camera",
        }
        if inside:
            notes["split"] = inside[0]
        return Capture(
            scan_id=scan_id,
            place_id=options.place_id or f"sevenscenes_{id_of(sequence.scene)}",
            source=self.name,
            licence=options.licence or LICENCE,
            frames=assembled.frames,
            skipped=assembled.skipped,
            notes=notes,
        )

    @cached_property
    def _named(self) -> dict[str, _Sequence]:
        found = _sequences(self.root)
        if not found:
            raise CaptureError(
                f"{self.root}: expected a scene with folders or archives seq-01, seq-02, ... of frame-000000.color.png, .depth.png and "
                f".pose.txt, found {'none' if self.root.exists() else 'nothing'}"
            )
        named: dict[str, _Sequence] = {}
        for one in found:
            if one.scan_id in named:
                raise CaptureError(
                    f"{one.place}: scan id '{one.scan_id}' is already that of {named[one.scan_id].place}; rename one of them"
                )
            named[one.scan_id] = one
        return named

    def _sequence(self, scan_id: str) -> _Sequence:
        named = self._named
        folder_of({key: one.place for key, one in named.items()}, scan_id, root=self.root)
        return named[scan_id]


def _sequences(root: Path) -> list[_Sequence]:
    """The sequences of a sequence folder or archive, of a scene, or of the scenes below a folder."""
    own = _sequence(root)
    if own is not None:
        return [own]
    if not root.is_dir():
        return []
    return _of_scene(root) or [one for scene in sorted(root.iterdir()) if scene.is_dir() for one in _of_scene(scene)]


def _of_scene(scene: Path) -> list[_Sequence]:
    found = {one.number: one for one in map(_sequence, sorted(scene.iterdir(), reverse=True)) if one is not None}
    return [found[number] for number in sorted(found)]  # a folder wins over the archive that it was taken from


def _sequence(place: Path) -> _Sequence | None:
    match = _SEQUENCE.match(place.stem if place.suffix == ".zip" else place.name)
    if match is None or not (place.is_file() if place.suffix == ".zip" else next(place.glob("frame-*.color.png"), None) is not None):
        return None
    return _Sequence(scene=place.resolve().parent, number=int(match[1]), place=place)


def _listed(path: Path) -> set[int]:
    """The numbers of the sequences in a split file. Raises CaptureError naming the line."""
    try:
        content = path.read_bytes()[:MAX_SPLIT_BYTES]
    except OSError as error:
        raise CaptureError(f"{path}: expected lines such as sequence1, found a file that cannot be read ({error})") from error
    lines = decoded(content, str(path)).splitlines()
    numbers = set()
    for number, line in enumerate(lines, start=1):
        match = _LISTED.match(line.strip())
        if match is not None:
            numbers.add(int(match[1]))
        elif line.strip():
            raise CaptureError(f"{path}:{number}: expected a line such as sequence1, found {line[:40]!r}")
    return numbers


def _matched(names: Sequence[str], *, where: str) -> list[_Files]:
    """The frames of a sequence, by number. Raises CaptureError for a colour image without depth and the other way round."""
    kinds: dict[str, dict[str, str]] = {"color.png": {}, "depth.png": {}, "pose.txt": {}}
    for name in names:
        match = _FILE.match(name)
        if match is not None:
            if match[1] in kinds[match[2]]:
                raise CaptureError(f"{where}: expected frame {match[1]} once, found {kinds[match[2]][match[1]]} and {name}")
            kinds[match[2]][match[1]] = name
    color, depth, pose = kinds["color.png"], kinds["depth.png"], kinds["pose.txt"]
    if not color:
        raise CaptureError(f"{where}: expected frames frame-000000.color.png, found none")
    for these, those, missing in ((color, depth, "depth.png"), (depth, color, "color.png")):
        lone = min((number for number in these if number not in those), default=None)
        if lone is not None:
            raise CaptureError(
                f"{where}: {len(color)} colour images, {len(depth)} depth images: expected one of each per frame, "
                f"found no frame-{lone}.{missing}"
            )
    numbers = sorted(color, key=natural)
    return [_Files(number=number, color=color[number], depth=depth[number], pose=pose.get(number)) for number in numbers]


class _FolderSource:
    """Files used where they lie."""

    def __init__(self, folder: Path):
        self.folder = folder

    def names(self) -> list[str]:
        return [path.name for path in self.folder.iterdir() if path.is_file()]

    def color(self, name: str) -> Path:
        return self.folder / name

    def depth(self, name: str) -> tuple[Path, int | None, tuple[int, int]]:
        return self.folder / name, None, image_size(self.folder / name)

    def pose(self, name: str) -> PoseLine:
        return read_pose_file(self.folder / name)


class _ZipSource:
    """Colour images taken out unchanged, depth into a pack."""

    def __init__(self, archive: SafeZip, workspace: Path, pack: DepthPackWriter):
        self.archive, self.workspace, self.pack = archive, workspace, pack

    def names(self) -> Sequence[str]:
        return self.archive.names()

    def color(self, name: str) -> Path:
        return self.archive.extract([name], self.workspace)[name]

    def depth(self, name: str) -> tuple[Path, int | None, tuple[int, int]]:
        path = self.archive.extract([name], self.workspace)[name]
        try:
            values = read_uint16(path)
        except CaptureError as error:
            raise CaptureError(f"{self.archive.path}: member '{name}': {error}") from error
        path.unlink()
        return self.pack.path, self.pack.append(values), (values.shape[1], values.shape[0])

    def pose(self, name: str) -> PoseLine:
        return read_pose_bytes(self.archive.read(name, max_bytes=MAX_POSE_BYTES), f"{self.archive.path}: member '{name}'")


@contextmanager
def _opened(sequence: _Sequence, workspace: Path) -> Iterator[_FolderSource | _ZipSource]:
    if sequence.place.is_dir():
        yield _FolderSource(sequence.place)
        return
    with SafeZip(sequence.place) as archive, DepthPackWriter(workspace / f"depth{SUFFIX}") as pack:
        yield _ZipSource(archive, workspace, pack)


def _stored(source: _FolderSource | _ZipSource, files: _Files, pose: str, options: SevenScenesOptions) -> StoredFrame:
    rgb_path = source.color(files.color)
    depth_path, depth_index, depth_size = source.depth(files.depth)
    line = source.pose(pose)
    return StoredFrame(
        frame_id=files.frame_id,
        time_s=int(files.number) / RATE_HZ,
        rgb_path=rgb_path,
        depth_path=depth_path,
        depth_scale_m=options.depth_unit_m,
        intrinsics=_camera(options.intrinsics or COLOUR_K, image_size(rgb_path), where=str(rgb_path), mend="intrinsics"),
        depth_intrinsics=_camera(options.depth_intrinsics, depth_size, where=str(depth_path), mend="depth_intrinsics"),
        stored_pose=line.matrix,
        pose_place=line.where,
        depth_index=depth_index,
    )


def _camera(numbers: tuple[float, float, float, float], size: tuple[int, int], *, where: str, mend: str) -> Intrinsics:
    if abs(size[0] * CALIBRATED_SIZE[1] / (size[1] * CALIBRATED_SIZE[0]) - 1.0) > ASPECT_TOLERANCE:
        raise CaptureError(f"{where}: expected an image shaped like 640x480, found {size[0]}x{size[1]}")
    return intrinsics_for(read_camera_matrix(numbers), size=size, stated_size=CALIBRATED_SIZE, where=where, mend=mend)
