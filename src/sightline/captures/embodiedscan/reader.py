"""Reads EmbodiedScan: its boxes and poses, over images of ScanNet, 3RScan, Matterport3D and ARKitScenes as its layout keeps them."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sightline.captures.arkitscenes.files import LAYOUTS, METADATA, SPLIT_TABLES
from sightline.captures.assemble import MAX_BAD_SHARE, StoredConvention, StoredFrame, assemble
from sightline.captures.capture import Capture, SceneObject, SkippedFrame
from sightline.captures.containers.pgm import read_pgm
from sightline.captures.depth_packs import SUFFIX, DepthPackWriter
from sightline.captures.embodiedscan.infos import SPLITS, InfoFile, InfoImage, InfoScan, info_paths, objects_of, read_infos, scan_of
from sightline.captures.images import image_size, read_uint16
from sightline.captures.matrices import pinhole
from sightline.captures.options import ScanOptions, scan_options
from sightline.captures.threerscan.meta import find_meta, read_meta
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
from sightline.errors import CaptureError, DataError
from sightline.files import safe_join

DEPTH_SCALE_M = {"matterport3d": 1.0 / 4000.0}  # metres per stored unit; the other sources have millimetres
TERMS = {
    "scannet": "ScanNet Terms of Use (non-commercial research, no redistribution)",
    "3rscan": "3RScan terms (non-commercial, no redistribution)",
    "matterport3d": "Matterport3D EULA (academic non-commercial, no redistribution)",
    "arkitscenes": "ARKitScenes licence of Apple",
}


@config
class EmbodiedScanOptions(ScanOptions):
    """Options of an EmbodiedScan import."""

    data_root: str | None = None
    """Folder that holds `scannet/ 3rscan/ matterport3d/ arkitscenes/`, where it is not the one of the `.pkl` files."""
    upright: bool = False
    """Turn a scan in quarter turns, so that up is up in most of its images: those of 3RScan and many of ARKitScenes lie on their side."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Found:
    """One image with its files."""

    frame_id: str
    place: int  # among the record's images
    image: InfoImage
    rgb_path: Path
    depth_path: Path | None


class EmbodiedScanReader:
    """The folder of `embodiedscan_infos_{train,val,test}.pkl`, or one of these files. A scan id is its `sample_idx` with `__` for `/`."""

    name: ClassVar[str] = "embodiedscan"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(EmbodiedScanOptions, options)
        folder = self.root if self.root.is_dir() else self.root.parent
        self.data_root = folder if self.options.data_root is None else Path(self.options.data_root)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(info_paths(Path(root)))

    def scan_ids(self, split: str) -> Sequence[str]:
        if split not in ("all", *SPLITS):
            raise CaptureError(f"{self.root}: expected split all, {', '.join(SPLITS)}, found '{split}'")
        known = self._files
        return tuple(scan_id for scan_id, infos in known.items() if split in ("all", infos.split))

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """The file of records, the images that are there, and the lists that tell the place."""
        infos = self._infos(scan_id)
        scan = scan_of(infos, scan_id)
        paths = [path for one in self._located(scan) for path in (one.rgb_path, one.depth_path) if path is not None and path.is_file()]
        rescans = self._rescans()
        return [infos.path, *([] if rescans is None else [rescans]), *self._visits(), *paths]

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One scan. Raises CaptureError: a record that is wrong, images that are missing or of another scan, mostly bad poses."""
        infos = self._infos(scan_id)
        scan = scan_of(infos, scan_id)
        objects_at, objects_skipped = objects_of(scan, infos.category_of)
        found, skipped = _present(self._located(scan), where=scan.where, data_root=self.data_root)
        found = [found[place] for place in self.options.chosen(len(found))]
        turn = _turn(found, scan) if self.options.upright else NO_TURN
        stored, reencoded = _stored_frames(found, scan, turn, workspace=workspace)
        convention = StoredConvention(
            pose_direction="world_from_camera", camera_axes="opencv", up_axis="+z", world_from_stored=scan.world_from_global
        )
        assembled = assemble(stored, convention, where=scan.where, skipped=skipped)
        kept = {frame.frame_id for frame in assembled.frames}
        return Capture(
            scan_id=scan_id,
            place_id=self.options.place_id or self._place(scan),
            source=self.name,
            licence=self.options.licence or f"EmbodiedScan CC BY-NC-SA 4.0 (annotations); {TERMS[scan.parts[0]]}",
            frames=assembled.frames,
            skipped=assembled.skipped,
            objects=None if scan.instances is None else tuple(objects_at.values()),
            notes={
                "convention": assembled.convention.as_notes(),
                "sample_idx": "/".join(scan.parts),
                "split": scan.split,
                "objects_skipped": objects_skipped,
                "upright": turn.as_notes(),
                **({"reencoded": reencoded} if reencoded else {}),
                **_visible([one for one in found if one.frame_id in kept], objects_at),
                **self._doubt(scan),
            },
        )

    @cached_property
    def _files(self) -> dict[str, InfoFile]:
        """Scan id -> its file. Raises CaptureError where two files hold the same scan."""
        paths = info_paths(self.root)
        if not paths:
            raise CaptureError(f"{self.root}: expected embodiedscan_infos_train.pkl, _val.pkl or _test.pkl, found none of them")
        known: dict[str, InfoFile] = {}
        for infos in map(read_infos, paths):
            for scan_id in infos.records:
                if scan_id in known:
                    raise CaptureError(
                        f"{infos.path}: scan '{scan_id}' is in {known[scan_id].path.name} as well. Fix: give one of the files as the source"
                    )
                known[scan_id] = infos
        return known

    def _infos(self, scan_id: str) -> InfoFile:
        known = self._files
        if scan_id not in known:
            raise CaptureError(
                f"{self.root}: expected one of its {len(known)} scans ({', '.join(list(known)[:3])}, ...), found '{scan_id}'"
            )
        return known[scan_id]

    def _located(self, scan: InfoScan) -> list[_Found]:
        """Every image of the record with the paths of its files, whether they are there or not."""
        found = []
        for place, image in enumerate(scan.images):
            where = f"{scan.where}: images[{place}]"
            rgb_path = self._inside(image.img_path, scan, where=f"{where}: img_path")
            depth_path = None if image.depth_path is None else self._inside(image.depth_path, scan, where=f"{where}: depth_path")
            frame_id = rgb_path.name.removesuffix(rgb_path.suffix).removesuffix(".color")
            found.append(_Found(frame_id=frame_id, place=place, image=image, rgb_path=rgb_path, depth_path=depth_path))
        return found

    def _inside(self, recorded: str, scan: InfoScan, *, where: str) -> Path:
        """A recorded path below the folder of its source, which itself may be a link. What stands before the source's name is dropped.

        Raises CaptureError for a path that leads out, or into another scan's folder (reliability catalogue B26, B35).
        """
        source, parts = scan.parts[0], recorded.split("/")
        if source not in parts:
            raise CaptureError(f"{where}: expected a path with a folder '{source}', found {recorded[:120]!a}")
        below = parts[parts.index(source) + 1 :]
        own = scan.parts[-1] if source != "matterport3d" else scan.parts[1]
        if own not in below[:-1]:
            raise CaptureError(f"{where}: expected an image of '{own}', found {recorded[:120]!a}")
        base = self.data_root / source
        try:
            return safe_join(base, "/".join(below))
        except (DataError, OSError) as error:
            raise CaptureError(f"{where}: {error}") from error

    def _rescans(self) -> Path | None:
        return find_meta(self.data_root / "3rscan", self.data_root)

    def _visits(self) -> list[Path]:
        """The tables of ARKitScenes that name the visit of a recording: those of the splits, and the one of the raw download."""
        folder = self.data_root / "arkitscenes"
        paths = [place / name for name in (*SPLIT_TABLES, METADATA) for place in (folder, *(folder / layout for layout in LAYOUTS))]
        return [path for path in paths if path.is_file()]

    def _place(self, scan: InfoScan) -> str:
        """The room, by the rule of its source, so that scans of one room are known across data sets."""
        source, own = scan.parts[0], scan.parts[-1]
        if source == "scannet":
            return f"scannet_{own.rsplit('_', 1)[0]}"
        if source == "matterport3d":
            return f"matterport3d_{scan.parts[1]}"
        if source == "3rscan":
            path = self._rescans()
            meta = None if path is None else read_meta(path).get(own)
            return f"threerscan_{own if meta is None else meta.reference}"
        visit = next((visit for visit in (_visit_of(path, own) for path in self._visits()) if visit is not None), None)
        return f"arkitscenes_{own}" if visit is None else f"arkitscenes_visit_{visit}"

    def _doubt(self, scan: InfoScan) -> dict[str, str]:
        if scan.parts[0] == "3rscan" and self._rescans() is None:
            return {"place": "3RScan.json was not found: rescans of one room are not known as one place"}
        if scan.parts[0] == "arkitscenes" and not self._visits():
            return {"place": f"{SPLIT_TABLES[0]} was not found: recordings of one visit are not known as one place"}
        return {}


def _visit_of(path: Path, video_id: str) -> str | None:
    """The visit of a recording in a table of ARKitScenes."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = {row.get("video_id"): row.get("visit_id") for row in csv.DictReader(stream)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaptureError(f"{path}: expected a table with video_id and visit_id, found one that cannot be read ({error})") from error
    visit = (rows.get(video_id) or "").removesuffix(".0")
    return visit if visit.isalnum() and visit not in ("NA", "nan") else None


def _present(located: list[_Found], *, where: str, data_root: Path) -> tuple[list[_Found], list[SkippedFrame]]:
    """The images whose files are there, and those left out. Raises CaptureError where too many are missing."""
    kept, skipped, first = [], [], None
    for one in located:
        missing = next((path for path in (one.rgb_path, one.depth_path) if path is not None and not path.is_file()), None)
        if missing is None:
            kept.append(one)
            continue
        first = first or missing
        skipped.append(SkippedFrame(frame_id=one.frame_id, reason="image_missing" if missing == one.rgb_path else "depth_missing"))
    if len(skipped) > MAX_BAD_SHARE * len(located):
        reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(Counter(one.reason for one in skipped).items()))
        raise CaptureError(
            f"{where}: expected its {len(located)} images below {data_root}, found {len(skipped)} missing ({reasons}; first: {first}). "
            "Fix: put the raw data there and extract its images, or say data_root=FOLDER"
        )
    return kept, skipped


def _turn(found: Sequence[_Found], scan: InfoScan) -> Turn:
    """The quarter turns that bring up to the top in most images."""
    with np.errstate(invalid="ignore"):
        poses = scan.world_from_global @ np.stack([one.image.global_from_camera for one in found])
    return upright_turn(poses, up_world=(0.0, 0.0, 1.0))


def _stored_frames(found: Sequence[_Found], scan: InfoScan, turn: Turn, *, workspace: Path) -> tuple[list[StoredFrame], str]:
    """The frames, and what was written anew: PGM and turned depth maps are packed, turned images written, all else stays in place."""
    depths = [one.depth_path for one in found if one.depth_path is not None]
    if not turn.quarters and not any(path.suffix == ".pgm" for path in depths):
        return [_stored(one, scan, turn, rgb_path=one.rgb_path, depth=None, pack=None) for one in found], ""
    pack, stored = workspace / f"depth{SUFFIX}", []
    with DepthPackWriter(pack) as writer:
        for one in found:
            rgb_path = one.rgb_path
            if turn.quarters:
                (workspace / "color").mkdir(exist_ok=True)
                rgb_path = turned_colour(one.rgb_path, workspace / "color", turn.quarters)
            depth = None if one.depth_path is None else _depth(one.depth_path)
            packed = None if depth is None else (pack, writer.append(turned_pixels(depth, turn.quarters)))
            stored.append(_stored(one, scan, turn, rgb_path=rgb_path, depth=depth, pack=packed))
    said = ["depth: packed without loss"] if depths else []
    return stored, "; ".join([*said, turning_note(turn, found[0].rgb_path.suffix)] if turn.quarters else said)


def _depth(path: Path) -> np.ndarray:
    return read_pgm(path) if path.suffix == ".pgm" else read_uint16(path)


def _stored(
    one: _Found, scan: InfoScan, turn: Turn, *, rgb_path: Path, depth: np.ndarray | None, pack: tuple[Path, int] | None
) -> StoredFrame:
    """The frame of one image; `depth` is its map before any turn and `pack` its place, where it does not stay the file that it is."""
    where, quarters = f"{scan.where}: images[{one.place}]", turn.quarters
    depth_camera = None
    if one.image.K_depth is not None and one.depth_path is not None:
        size = image_size(one.depth_path) if depth is None else (depth.shape[1], depth.shape[0])
        depth_camera = turned_camera(pinhole(one.image.K_depth, size=size, where=f"{where}: depth_cam2img"), quarters)
    return StoredFrame(
        frame_id=one.frame_id,
        time_s=float(one.place),
        rgb_path=rgb_path,
        depth_path=one.depth_path if pack is None else pack[0],
        depth_scale_m=DEPTH_SCALE_M.get(scan.parts[0], 0.001),
        intrinsics=turned_camera(pinhole(one.image.K, size=image_size(one.rgb_path), where=f"{where}: cam2img"), quarters),
        depth_intrinsics=depth_camera,
        stored_pose=turned_pose(one.image.global_from_camera, quarters),
        pose_place=f"{where}: cam2global",
        depth_index=None if pack is None else pack[1],
    )


def _visible(found: Sequence[_Found], objects_at: Mapping[int, SceneObject]) -> dict[str, Any]:
    """Frame -> ids of the objects that the record says are seen in it (it names them by their place among the instances)."""
    if any(one.image.visible is None for one in found):
        return {}
    seen = {one.frame_id: [objects_at[place].object_id for place in one.image.visible or () if place in objects_at] for one in found}
    return {"visible_objects": seen}
