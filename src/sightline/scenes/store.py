"""Scenes on disk: one folder per scan, which appears whole or not at all, and is read back strictly."""

import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sightline import __version__
from sightline.captures.capture import Capture, Frame
from sightline.captures.records import objects_as_json, objects_from_json, structure_as_json, structure_from_json
from sightline.captures.tracks import read_tracks, write_tracks
from sightline.catalog import nearest
from sightline.errors import DataError, SceneError, ShapeError
from sightline.files import FINISHED, fingerprint, mark_finished, read_json, replacing_folder, sha256_of, write_json
from sightline.geometry.cameras import Intrinsics
from sightline.scenes.clouds import Cloud
from sightline.scenes.scene import Scene, Verification
from sightline.scenes.vocabulary import VOCABULARY_VERSION

FORMAT = 2
MANIFEST = "scene.json"
FRAMES = "frames.parquet"
POINTS = "points.npy"
POINT_OBJECTS = "point_object_ids.npy"
PACK = "depth.depthpack"  # every depth map of the scan; the files in depth/ are what it was made from
TRACKS = "tracks.npz"
CAMERA = ("fx", "fy", "cx", "cy", "width", "height")
PLACES = {"color": "rgb_path", "instances": "instance_path"}  # folder of the scan -> field of Frame


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """What the manifest knows of one image."""

    sha256: str
    num_bytes: int


class SceneStore:
    """A folder of scenes. Paths inside it are relative, so a store whose images were copied may be moved."""

    def __init__(self, root: Path):
        self.root = Path(root)

    def path(self, scan_id: str) -> Path:
        """The folder of a scan, whether it is there or not."""
        return self.root / scan_id

    def scan_ids(self) -> list[str]:
        """Ids of the finished scans, sorted. Raises SceneError where the store itself is missing."""
        if not self.root.is_dir():
            raise SceneError(f"{self.root}: expected a scene store, found no folder. Fix: sightline import SOURCE {self.root}")
        return sorted(child.name for child in self.root.iterdir() if not child.name.startswith(".") and (child / FINISHED).is_file())

    def marker(self, scan_id: str) -> dict[str, Any] | None:
        """The finished marker of a scan, None where it was not finished."""
        path = self.path(scan_id) / FINISHED
        return read_json(path) if path.is_file() else None

    def write(
        self,
        capture: Capture,
        cloud: Cloud,
        *,
        verification: Verification | None,
        made_from: str,
        copy_images: bool,
        depth_images: Mapping[str, Path],
        workspace: Path,
        notes: Mapping[str, Any],
    ) -> Path:
        """Write a scan, replacing an older one of that id in one step.

        Images are hard-linked, else sym-linked, unless copied; those in `workspace` are moved. The depth of all frames lies in one
        pack; `depth_images` (frame id -> file) are the images it was made from, kept beside it byte for byte.
        """
        with replacing_folder(self.path(capture.scan_id)) as folder:
            files = _place_images(capture, folder, depth_images=depth_images, workspace=workspace, copy_images=copy_images)
            _write_frames(capture, folder)
            if capture.tracks is not None:
                write_tracks(capture.tracks, folder / TRACKS)
            np.save(folder / POINTS, np.ascontiguousarray(cloud.points_world, dtype=np.float32), allow_pickle=False)
            if cloud.object_ids is not None:
                np.save(folder / POINT_OBJECTS, np.ascontiguousarray(cloud.object_ids, dtype=np.int32), allow_pickle=False)
            manifest = {
                "format": FORMAT,
                "sightline_version": __version__,
                "vocabulary_version": VOCABULARY_VERSION,
                "scan_id": capture.scan_id,
                "place_id": capture.place_id,
                "source": capture.source,
                "has_poses": capture.has_poses,
                "licence": capture.licence,
                "num_frames": len(capture.frames),
                "num_points": len(cloud.points_world),
                "skipped": [{"frame_id": skipped.frame_id, "reason": skipped.reason} for skipped in capture.skipped],
                "verification": None if verification is None else verification_as_json(verification),
                "notes": {**capture.notes, **notes},
                "objects": None if capture.objects is None else objects_as_json(capture.objects),
                "structure": None if capture.structure is None else structure_as_json(capture.structure),
                "files": {name: {"sha256": stored.sha256, "num_bytes": stored.num_bytes} for name, stored in files.items()},
            }
            write_json(folder / MANIFEST, manifest)
            mark_finished(folder, made_from=made_from, content=fingerprint(manifest))
        return self.path(capture.scan_id)

    def read(self, scan_id: str) -> Scene:
        """The scene of a scan. Raises SceneError for one that is missing, unfinished or damaged, saying what to do."""
        root = self._finished(scan_id)
        with _damage(root):
            manifest = read_json(root / MANIFEST)
            if manifest["format"] != FORMAT:
                raise SceneError(f"{root}: expected format {FORMAT}, found {manifest['format']}. {_again(self.root)}")
            frames = _read_frames(root)
            points = _load(root / POINTS, np.float32)
            objects = None if manifest["objects"] is None else objects_from_json(manifest["objects"], where=str(root / MANIFEST))
            ids = None if objects is None else _load(root / POINT_OBJECTS, np.int32)
            _expect(root, "frames", manifest["num_frames"], len(frames))
            _expect(root, "points", (manifest["num_points"], 3), points.shape)
            if ids is not None:
                _expect(root, "point object ids", (manifest["num_points"],), ids.shape)
            for name, stored in manifest["files"].items():
                _expect_file(root, name, stored["num_bytes"])
            structure = manifest["structure"]
            return Scene(
                scan_id=manifest["scan_id"],
                place_id=manifest["place_id"],
                source=manifest["source"],
                licence=manifest["licence"],
                root=root,
                frames=frames,
                points_world=points,
                point_object_ids=ids,
                objects=objects,
                structure=None if structure is None else structure_from_json(structure, where=str(root / MANIFEST)),
                verification=None if manifest["verification"] is None else verification_from_json(manifest["verification"]),
                notes=manifest["notes"],
                tracks=read_tracks(root / TRACKS) if (root / TRACKS).is_file() else None,
                has_poses=manifest["has_poses"],
            )

    def check_files(self, scan_id: str) -> int:
        """Compare every image of a scan with its recorded hash; how many there are. Raises SceneError naming the first that changed."""
        root = self._finished(scan_id)
        with _damage(root):
            files = read_json(root / MANIFEST)["files"]
            for name, stored in files.items():
                _expect_file(root, name, stored["num_bytes"])
                if sha256_of(root / name) != stored["sha256"]:
                    raise SceneError(
                        f"{root / name}: expected the image that was imported, found another or a damaged one. {_again(self.root)}"
                    )
        return len(files)

    def image_hashes(self, scan_id: str) -> dict[str, str]:
        """Name in the scan's folder -> SHA-256 of every image, as recorded at import; a depth pack made from images there is left out."""
        root = self._finished(scan_id)
        with _damage(root):
            files = read_json(root / MANIFEST)["files"]
            packed_alone = not any(name.startswith("depth/") for name in files)
            return {name: stored["sha256"] for name, stored in sorted(files.items()) if name != PACK or packed_alone}

    def _finished(self, scan_id: str) -> Path:
        """The absolute folder of a finished scan."""
        root = self.path(scan_id).resolve()
        is_name = Path(scan_id).name == scan_id and not scan_id.startswith(".")
        if is_name and (self.path(scan_id) / FINISHED).is_file():
            return root
        known = self.scan_ids()  # listed for the message alone: a store may hold thousands
        if self.path(scan_id).is_dir():
            raise SceneError(f"{root}: expected {FINISHED}, found none: the import did not end. {_again(self.root)}")
        raise SceneError(
            f"{self.root}: no scan called '{scan_id}'.{nearest(scan_id, known)} Known: {', '.join(known[:12]) or 'none'}"
            + (f" and {len(known) - 12} more" if len(known) > 12 else "")
        )


def verification_as_json(verification: Verification) -> dict[str, Any]:
    """Plain values; NaN becomes null."""
    return {
        "pairs_checked": verification.pairs_checked,
        "agreement": _null(verification.agreement),
        "residual_m": _null(verification.residual_m),
        "depth_coverage": _null(verification.depth_coverage),
        "gravity_tilt_deg": _null(verification.gravity_tilt_deg),
        "frames_used": verification.frames_used,
        "frames_skipped": dict(verification.frames_skipped),
        "depth_unit_checked": verification.depth_unit_checked,
    }


def verification_from_json(value: Mapping[str, Any]) -> Verification:
    """The inverse of `verification_as_json`."""
    return Verification(**{key: math.nan if inner is None else inner for key, inner in value.items()})


def _null(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _place_images(
    capture: Capture, folder: Path, *, depth_images: Mapping[str, Path], workspace: Path, copy_images: bool
) -> dict[str, StoredFile]:
    """Link, copy or move every image under `color/`, `depth/`, `instances/`, named after its frame, and the depth pack."""
    sources: dict[str, Path] = {}
    for frame in capture.frames:
        images = [(place, getattr(frame, field)) for place, field in PLACES.items()] + [("depth", depth_images.get(frame.frame_id))]
        sources |= {_stored_name(place, frame.frame_id, path): path for place, path in images if path is not None}
    packs = {frame.depth_path for frame in capture.frames if frame.depth_path is not None}
    assert len(packs) <= 1 and all(frame.depth_index is not None for frame in capture.frames if frame.depth_path is not None)
    if packs:
        sources[PACK] = packs.pop()
    files = {}
    for name, source in sources.items():
        files[name] = StoredFile(sha256=sha256_of(source), num_bytes=source.stat().st_size)
        (folder / name).parent.mkdir(exist_ok=True)
        if source.is_relative_to(workspace) and not source.is_symlink():
            os.replace(source, folder / name)
        else:
            _link(source.resolve(), folder / name, copy=copy_images)
    return files


def _stored_name(place: str, frame_id: str, source: Path) -> str:
    return f"{place}/{frame_id}{source.suffix.lower()}"


def _link(source: Path, target: Path, *, copy: bool) -> None:
    if not copy:
        try:
            os.link(source, target)
            return
        except OSError:  # another file system, or one without hard links
            pass
        try:
            target.symlink_to(source)
            return
        except OSError:  # a system that forbids symbolic links
            pass
    shutil.copyfile(source, target)


def _write_frames(capture: Capture, folder: Path) -> None:
    frames = capture.frames
    columns: dict[str, pa.Array] = {
        "frame_id": pa.array([frame.frame_id for frame in frames], pa.string()),
        "time_s": pa.array([float(frame.time_s) for frame in frames], pa.float64()),
        "depth_scale_m": pa.array([float(frame.depth_scale_m) for frame in frames], pa.float64()),
        "world_from_camera": pa.array([frame.world_from_camera.reshape(-1).tolist() for frame in frames], pa.list_(pa.float64(), 16)),
    }
    columns["depth_path"] = pa.array([None if frame.depth_path is None else PACK for frame in frames], pa.string())
    columns["depth_index"] = pa.array([frame.depth_index for frame in frames], pa.int32())
    for place, field in PLACES.items():
        paths = [getattr(frame, field) for frame in frames]
        names = [None if path is None else _stored_name(place, frame.frame_id, path) for frame, path in zip(frames, paths)]
        columns[field] = pa.array(names, pa.string())
    for prefix, field in (("", "intrinsics"), ("depth_", "depth_intrinsics")):
        for name in CAMERA:
            kind = pa.int32() if name in ("width", "height") else pa.float64()
            columns[prefix + name] = pa.array([getattr(getattr(frame, field), name) for frame in frames], kind)
    pq.write_table(pa.table(columns), folder / FRAMES, compression="zstd")


def _read_frames(root: Path) -> tuple[Frame, ...]:
    rows = pq.read_table(root / FRAMES).to_pylist()
    return tuple(
        Frame(
            frame_id=row["frame_id"],
            time_s=row["time_s"],
            rgb_path=_inside(root, row["rgb_path"]),
            depth_path=None if row["depth_path"] is None else _inside(root, row["depth_path"]),
            depth_scale_m=row["depth_scale_m"],
            depth_index=row["depth_index"],
            intrinsics=Intrinsics(**{name: row[name] for name in CAMERA}),
            depth_intrinsics=Intrinsics(**{name: row["depth_" + name] for name in CAMERA}),
            world_from_camera=_read_only(np.array(row["world_from_camera"], dtype=np.float64).reshape(4, 4)),
            instance_path=None if row["instance_path"] is None else _inside(root, row["instance_path"]),
        )
        for row in rows
    )


def _inside(root: Path, relative: str) -> Path:
    """A path of the tables. Images may be links to anywhere, but their names may not lead out of the scan's folder."""
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or "\0" in relative:
        raise SceneError(f"{root / FRAMES}: expected paths inside the scan's folder, found '{relative}'")
    return root / pure


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _load(path: Path, dtype: type) -> np.ndarray:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype != dtype:
        raise SceneError(f"{path}: expected {np.dtype(dtype)}, found {array.dtype}")
    return array


def _expect(root: Path, what: str, wanted: object, found: object) -> None:
    if wanted != found:
        raise SceneError(f"{root}: expected {wanted} {what} as the manifest says, found {found}. {_again(root.parent)}")


def _expect_file(root: Path, name: str, num_bytes: int) -> None:
    path = _inside(root, name)
    if not path.is_file():
        gone = "a link to a file that is gone" if path.is_symlink() else "no file"
        raise SceneError(f"{path}: expected the image that was imported, found {gone}. {_again(root.parent)}, or with --copy-images")
    size = path.stat().st_size
    if size != num_bytes:
        raise SceneError(f"{path}: expected {num_bytes} bytes as imported, found {size}: it changed since. {_again(root.parent)}")


def _again(store: Path) -> str:
    return f"Fix: sightline import SOURCE {store}"


@contextmanager
def _damage(root: Path) -> Iterator[None]:
    """Turn what goes wrong inside a damaged scan into one SceneError."""
    try:
        yield
    except KeyError as error:
        raise SceneError(
            f"{root}: expected {MANIFEST} and {FRAMES} as this version writes them, found no {error}. {_again(root.parent)}"
        ) from error
    except (DataError, ShapeError, OSError, ValueError, TypeError) as error:
        raise SceneError(f"{root}: this scan is damaged: {error}. {_again(root.parent)}") from error
