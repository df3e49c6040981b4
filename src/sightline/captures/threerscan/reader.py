"""Reads 3RScan: zipped or unpacked sequences, labelled meshes with oriented boxes, and rescans of one room known as one room."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sightline.captures.assemble import MAX_BAD_SHARE, StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, LabelledSurface, SceneObject, SkippedFrame
from sightline.captures.containers.meshes import PlyMesh, read_ply
from sightline.captures.containers.pgm import parse_pgm
from sightline.captures.depth_packs import SUFFIX, DepthPackWriter
from sightline.captures.options import ScanOptions, scan_options
from sightline.captures.scan_folders import by_scan_id, folder_of, scans_below
from sightline.captures.segmented import Group, box_from_stored, points_problem, read_groups, stored_box_problem, upright_box
from sightline.captures.threerscan import sequence as sequences
from sightline.captures.threerscan.meta import ScanMeta, find_meta, read_meta
from sightline.captures.turning import (
    NO_TURN,
    Turn,
    turned_camera,
    turned_colour,
    turned_pixels,
    turned_pose,
    turning_note,
    upright_turn,
)
from sightline.config import config
from sightline.errors import CaptureError
from sightline.geometry.transforms import apply

LICENCE = "3RScan terms (non-commercial research, no redistribution)"
MESHES = ("labels.instances.annotated.v2.ply", "labels.instances.annotated.ply")
GROUPS = ("semseg.v2.json", "semseg.json")
MAX_UNKNOWN_SHARE = 0.05  # of the labelled vertices: more is the mesh of another scan or version
SPLITS = ("train", "val", "test")


@config
class ThreeRScanOptions(ScanOptions):
    """Options of a 3RScan import."""

    to_reference: bool = False
    """Bring a rescan into the world of the first scan of its room, with the transform of `3RScan.json`."""
    upright: bool = False
    """Turn the recording in quarter turns, so that up is up in most of its images: the phone was mostly held on its side."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Place:
    """What is known of the room of a scan."""

    place_id: str
    world_from_stored: np.ndarray
    notes: Mapping[str, Any]


class ThreeRScanReader:
    """A scan's folder, or the folder of many with `3RScan.json` beside them."""

    name: ClassVar[str] = "threerscan"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(ThreeRScanOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(scans_below(Path(root), _is_scan))

    def scan_ids(self, split: str) -> Sequence[str]:
        folders = self._folders
        if split == "all":
            return tuple(folders)
        path = self._meta_path()
        if split not in SPLITS or path is None:
            known = f"all, {', '.join(SPLITS)}" if path is not None else "'all' (3RScan.json, which knows the others, is not there)"
            raise CaptureError(f"{self.root}: expected split {known}, found '{split}'")
        meta = read_meta(path)
        return tuple(scan_id for scan_id in folders if scan_id in meta and meta[scan_id].split == split)

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """The sequence, the labels and the list of scans."""
        folder = folder_of(self._folders, scan_id, root=self.root)
        unpacked = folder / "sequence" / sequences.INFO_FILE
        frames = sorted(path for path in unpacked.parent.iterdir() if path.is_file()) if unpacked.is_file() else [folder / "sequence.zip"]
        others = [_first(folder, MESHES), _first(folder, GROUPS), self._meta_path()]
        return [*frames, *(path for path in others if path is not None)]

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One scan. Raises CaptureError: a damaged archive or image, missing cameras, mostly bad or missing poses."""
        folder = folder_of(self._folders, scan_id, root=self.root)
        place = self._place(scan_id)
        with sequences.opened(folder, workspace=workspace) as sequence:
            stored, skipped, turn = self._frames(sequence, workspace=workspace)
            zipped = sequence.place.suffix == ".zip"
        convention = StoredConvention(
            pose_direction="world_from_camera", camera_axes="opencv", up_axis="+z", world_from_stored=place.world_from_stored
        )
        assembled = assemble(stored, convention, where=str(folder), skipped=skipped)
        objects, surface, objects_skipped = _objects(folder, place.world_from_stored)
        return Capture(
            scan_id=scan_id,
            place_id=self.options.place_id or place.place_id,
            source=self.name,
            licence=self.options.licence or LICENCE,
            frames=assembled.frames,
            skipped=assembled.skipped,
            objects=objects,
            surface=surface,
            notes={
                "convention": assembled.convention.as_notes(),
                "images": "taken out of sequence.zip unchanged" if zipped else "in place",
                "reencoded": "depth: PGM maps packed without loss" + (f"; {turning_note(turn, '.jpg')}" if turn.quarters else ""),
                "upright": turn.as_notes(),
                "objects_skipped": objects_skipped,
                **place.notes,
            },
        )

    @cached_property
    def _folders(self) -> dict[str, Path]:
        return by_scan_id(self.root, scans_below(self.root, _is_scan), layout="3RScan")

    def _meta_path(self) -> Path | None:
        return find_meta(self.root, self.root.resolve().parent)

    def _place(self, scan_id: str) -> _Place:
        path = self._meta_path()
        meta: ScanMeta | None = None if path is None else read_meta(path).get(scan_id)
        if meta is None:
            if self.options.to_reference:
                raise CaptureError(f"{self.root}: to_reference: expected 3RScan.json to know '{scan_id}', found {path or 'no such file'}")
            doubt = "3RScan.json was not found or does not know this scan: rescans of one room are not known as one place"
            return _Place(place_id=f"threerscan_{scan_id}", world_from_stored=np.eye(4), notes={"place": doubt})
        is_rescan = meta.reference != scan_id
        reference_from_rescan = meta.reference_from_rescan()
        notes: dict[str, Any] = {"reference_scan": meta.reference, "is_rescan": is_rescan, "split": meta.split}
        if reference_from_rescan is not None:
            notes["reference_from_rescan"] = [float(value) for value in reference_from_rescan.reshape(-1)]  # metres, row by row
        world_from_stored = np.eye(4)
        if self.options.to_reference and is_rescan:
            if reference_from_rescan is None:
                raise CaptureError(f"{meta.where}: to_reference: expected a transform of this rescan, found none")
            world_from_stored, notes["world"] = reference_from_rescan, "that of the reference scan"
        return _Place(place_id=f"threerscan_{meta.reference}", world_from_stored=world_from_stored, notes=notes)

    def _frames(self, sequence: sequences.Sequence, *, workspace: Path) -> tuple[list[StoredFrame], list[SkippedFrame], Turn]:
        """The chosen frames, their depth in a pack; one frame's images in memory at a time."""
        info = sequence.info()
        numbers, skipped = _whole_frames(sequence, info)
        numbers = [numbers[place] for place in self.options.chosen(len(numbers))]
        poses = np.stack([sequence.pose(number) for number in numbers])
        turn = upright_turn(poses, up_world=(0.0, 0.0, 1.0)) if self.options.upright else NO_TURN
        pack, stored = workspace / f"depth{SUFFIX}", []
        with DepthPackWriter(pack) as writer:
            for number, pose in zip(numbers, poses):
                depth = parse_pgm(sequence.depth_bytes(number, info), where=sequence.where(sequences.file_name(number, sequences.DEPTH)))
                rgb_path = sequence.colour_path(sequences.file_name(number, sequences.COLOR))
                if turn.quarters:
                    (workspace / "color").mkdir(exist_ok=True)
                    rgb_path = turned_colour(rgb_path, workspace / "color", turn.quarters)
                stored.append(
                    StoredFrame(
                        frame_id=sequences.file_name(number, ""),
                        time_s=float(number),
                        rgb_path=rgb_path,
                        depth_path=pack,
                        depth_scale_m=info.depth_scale_m,
                        intrinsics=turned_camera(info.intrinsics, turn.quarters),
                        depth_intrinsics=turned_camera(info.depth_intrinsics, turn.quarters),
                        stored_pose=turned_pose(pose, turn.quarters),
                        pose_place=sequence.where(sequences.file_name(number, sequences.POSE)),
                        depth_index=writer.append(turned_pixels(depth, turn.quarters)),
                    )
                )
        return stored, skipped, turn


def _is_scan(folder: Path) -> bool:
    return (folder / "sequence.zip").is_file() or (folder / "sequence" / sequences.INFO_FILE).is_file()


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _whole_frames(sequence: sequences.Sequence, info: sequences.SequenceInfo) -> tuple[list[int], list[SkippedFrame]]:
    """Numbers of the frames that have colour, depth and pose, and those that lack one. Raises CaptureError where too many do."""
    numbers = sorted(set().union(*sequence.numbers.values()))
    if not numbers:
        raise CaptureError(f"{sequence.place}: expected frames (frame-000000{sequences.COLOR} and so on), found none")
    kept, skipped = [], []
    reasons = {sequences.COLOR: "image_missing", sequences.DEPTH: "depth_missing", sequences.POSE: "pose_missing"}
    for number in numbers:
        reason = next((reason for suffix, reason in reasons.items() if number not in sequence.numbers[suffix]), None)
        if reason is None:
            kept.append(number)
        else:
            skipped.append(SkippedFrame(frame_id=sequences.file_name(number, ""), reason=reason))
    stated = max(info.num_frames or 0, len(numbers))
    if stated - len(kept) > MAX_BAD_SHARE * stated:
        counts = Counter(one.reason for one in skipped) + Counter({"frame_missing": stated - len(numbers)})
        said = ", ".join(f"{reason}: {count}" for reason, count in sorted(counts.items()))
        hidden = "; the poses of the test set are not public" if not sequence.numbers[sequences.POSE] else ""
        raise CaptureError(f"{sequence.place}: expected {stated} frames with colour, depth and pose, found {len(kept)} ({said}){hidden}")
    return kept, skipped


def _objects(folder: Path, world_from_stored: np.ndarray) -> tuple[tuple[SceneObject, ...] | None, LabelledSurface | None, dict[str, int]]:
    """Objects with their oriented boxes, the labelled mesh, and how many boxes were left out, by reason."""
    groups_path, mesh_path = _first(folder, GROUPS), _first(folder, MESHES)
    if groups_path is None:
        return None, None, {}
    groups = read_groups(groups_path)
    mesh = None if mesh_path is None else read_ply(mesh_path)
    vertex_ids = None if mesh is None or mesh_path is None else _vertex_ids(mesh, groups, where=str(mesh_path))
    skipped: Counter[str] = Counter()
    objects = []
    for group in groups:
        made = _object(group, mesh, vertex_ids, world_from_stored)
        if isinstance(made, str):
            skipped[made] += 1
        else:
            objects.append(made)
    surface = None
    if mesh is not None and vertex_ids is not None:
        kept = np.array([one.object_id for one in objects], dtype=np.int32)
        ids = np.where(np.isin(vertex_ids, kept), vertex_ids, -1).astype(np.int32)
        surface = LabelledSurface(points_world=apply(world_from_stored, mesh.vertices_stored), object_ids=ids)
    return tuple(objects), surface, dict(sorted(skipped.items()))


def _vertex_ids(mesh: PlyMesh, groups: Sequence[Group], *, where: str) -> np.ndarray:
    """`(V,)` int32 object of every vertex, -1 = none. Raises CaptureError where mesh and objects do not belong together."""
    if "objectId" not in mesh.fields:
        raise CaptureError(f"{where}: expected a vertex property 'objectId', found {', '.join(mesh.fields) or 'none'}")
    stored = np.asarray(mesh.fields["objectId"]).astype(np.int64)
    known = np.isin(stored, [group.object_id for group in groups])
    unknown = int((~known & (stored != 0)).sum())
    if unknown > MAX_UNKNOWN_SHARE * max(int((stored != 0).sum()), 1):
        raise CaptureError(
            f"{where}: expected objects of {GROUPS[0]}, found {unknown} vertices of others; the files belong to different scans"
        )
    return np.where(known, stored, -1).astype(np.int32)


def _object(group: Group, mesh: PlyMesh | None, vertex_ids: np.ndarray | None, world_from_stored: np.ndarray) -> SceneObject | str:
    """An object with its annotated box, or with the upright one around its vertices where none is annotated; else the reason."""
    if group.obb is not None:
        problem = stored_box_problem(group.obb)
        return problem or SceneObject(
            object_id=group.object_id, category=group.label, box=box_from_stored(group.obb, world_from_stored=world_from_stored)
        )
    if mesh is None or vertex_ids is None:
        return "box_missing"
    points_world = apply(world_from_stored, mesh.vertices_stored[vertex_ids == group.object_id])
    return points_problem(points_world) or SceneObject(object_id=group.object_id, category=group.label, box=upright_box(points_world))
