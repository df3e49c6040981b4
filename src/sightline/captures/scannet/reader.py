"""Reads ScanNet v2 scans: `.sens` recordings or frames exported from them, with their alignment, mesh, objects and instance images."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from sightline.captures.assemble import StoredConvention, assemble
from sightline.captures.capture import Capture
from sightline.captures.options import scan_options
from sightline.captures.scannet.export import exported_files, read_exported
from sightline.captures.scannet.files import SPLITS, ScanFiles, find_scan, find_scans, listed_scans
from sightline.captures.scannet.frames import Recording, read_recording
from sightline.captures.scannet.instances import refuse_shifted, write_instances
from sightline.captures.scannet.label_tables import FILE_NAME, LabelRow, read_label_table
from sightline.captures.scannet.objects import AnnotatedObjects, Annotation, objects_in_world, read_annotation
from sightline.captures.scannet.options import ScanNetOptions
from sightline.captures.scannet.text import ScanText, read_scan_text
from sightline.errors import CaptureError

LICENCE = "ScanNet Terms of Use (non-commercial research, no redistribution)"
OWN_LICENCE = "unknown"  # a recording in the same format that ScanNet did not name


class ScanNetReader:
    """A `.sens` file, a scan's folder, a folder of scans, or the root of the data set with `scans/` and `scans_test/`."""

    name: ClassVar[str] = "scannet"

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = Path(root)
        self.options = scan_options(ScanNetOptions, options)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return next(find_scans(Path(root)), None) is not None

    def scan_ids(self, split: str) -> Sequence[str]:
        """Ids of `all` scans, or of those in `train`, `val` or `test` where their list lies beside (else `test` is `scans_test/`)."""
        scans = self._scans
        if split == "all":
            return tuple(scans)
        if split not in SPLITS:
            raise CaptureError(f"{self.root}: expected split all, {', '.join(SPLITS)}, found '{split}'")
        listed = listed_scans(self.root, split)
        if listed is not None:
            return tuple(scan_id for scan_id in listed if scan_id in scans)
        of_folder = tuple(scan_id for scan_id, files in scans.items() if files.folder.parent.name == "scans_test")
        if split == "test" and of_folder:
            return of_folder
        raise CaptureError(f"{self.root}: expected the list scannetv2_{split}.txt at or beside it, found none")

    def source_files(self, scan_id: str) -> Sequence[Path]:
        """Every file the scan is read from."""
        files = self._scan(scan_id)
        recording = [files.sens] if self._uses_sens(files) else exported_files(files.exported) if files.exported else []
        annotation = [files.mesh, files.segments, files.groups] if self.options.annotations else []
        instances = [files.instance_zip] if self._uses_instances(files) else []
        beside = [files.text, *annotation, *instances, self._label_map(files)]
        return [path for path in (*recording, *beside) if path is not None]

    def read(self, scan_id: str, *, workspace: Path) -> Capture:
        """One scan. Raises CaptureError naming file, byte or field: version, truncation, missing files, bad poses, foreign annotation."""
        files = self._scan(scan_id)
        text = read_scan_text(files.text)
        world_from_stored = text.world_from_stored()
        labels = self._labels(files)
        annotation = read_annotation(files) if self.options.annotations else None
        notes: dict[str, Any] = {**text.notes(), "axis_aligned": world_from_stored is not None}
        recording = self._recording(files, text, workspace=workspace)
        frames = recording.frames
        if annotation is not None and self._uses_instances(files):
            assert files.instance_zip is not None
            known_ids = [group.object_id for group in annotation.groups]
            images = write_instances(files.instance_zip, frames, known_ids=known_ids, folder=workspace / "instances")
            frames = images.frames
            notes["instances"] = f"{files.instance_zip.name}, at the depth size"
            if images.missing:
                notes["instances_missing"] = images.missing
        convention = StoredConvention(
            pose_direction="world_from_camera", camera_axes="opencv", up_axis="+z", world_from_stored=world_from_stored
        )
        assembled = assemble(frames, convention, where=recording.where, skipped=recording.skipped)
        annotated = None
        if annotation is not None:
            annotated = objects_in_world(annotation, assembled.convention.world_from_stored, boxes=self.options.boxes, labels=labels)
            notes.update(_annotation_notes(annotation, annotated, labels, boxes=self.options.boxes))
            refuse_shifted(assembled.frames, annotated.surface, where=str(files.instance_zip))
        return Capture(
            scan_id=scan_id,
            place_id=self.options.place_id or files.place_id,
            source=self.name,
            licence=self.options.licence or (LICENCE if files.is_named_like_scannet else OWN_LICENCE),
            frames=assembled.frames,
            skipped=assembled.skipped,
            objects=None if annotated is None else annotated.objects,
            surface=None if annotated is None else annotated.surface,
            notes={**notes, **recording.notes, "convention": assembled.convention.as_notes()},
        )

    @cached_property
    def _scans(self) -> dict[str, ScanFiles]:
        scans: dict[str, ScanFiles] = {}
        for files in find_scans(self.root):
            if files.scan_id in scans:
                raise CaptureError(
                    f"{files.folder}: scan id '{files.scan_id}' is already that of {scans[files.scan_id].folder}; rename one of them"
                )
            scans[files.scan_id] = files
        if not scans:
            raise CaptureError(
                f"{self.root}: expected a .sens recording, or color/, depth/ and pose/ beside files of ScanNet's names "
                "(scene0000_00.txt, scene0000_00_vh_clean_2.ply), found neither"
            )
        return scans

    def _scan(self, scan_id: str) -> ScanFiles:
        named = find_scan(self.root, scan_id)
        if named is not None:
            return named
        scans = self._scans
        if scan_id not in scans:
            raise CaptureError(f"{self.root}: expected one of the scans {', '.join(list(scans)[:12])}, found '{scan_id}'")
        return scans[scan_id]

    def _uses_sens(self, files: ScanFiles) -> bool:
        return files.sens is not None and self.options.frames != "exported"

    def _recording(self, files: ScanFiles, text: ScanText, *, workspace: Path) -> Recording:
        wanted = self.options.frames
        if self._uses_sens(files):
            assert files.sens is not None
            return read_recording(files.sens, self.options, workspace=workspace)
        if files.exported is not None and wanted != "sens":
            return read_exported(files.exported, self.options, text)
        there = "a .sens recording" if files.sens is not None else "exported frames"
        raise CaptureError(f"{files.folder}: expected what frames={wanted} names, found {there} alone. Fix: frames=auto")

    def _uses_instances(self, files: ScanFiles) -> bool:
        if self.options.instances and (files.instance_zip is None or files.groups is None or not self.options.annotations):
            raise CaptureError(
                f"{files.folder}: expected {files.scan_id}_2d-instance-filt.zip and annotations for instances=true, found them not. "
                "Fix: download the archive, or leave instances out"
            )
        return self.options.instances is not False and self.options.annotations and None not in (files.instance_zip, files.groups)

    def _label_map(self, files: ScanFiles) -> Path | None:
        if self.options.label_map is not None:
            return Path(self.options.label_map)
        places = (files.folder, files.folder.parent, files.folder.parent.parent, self.root)
        return next((place / FILE_NAME for place in places if (place / FILE_NAME).is_file()), None)

    def _labels(self, files: ScanFiles) -> Mapping[str, LabelRow] | None:
        path = self._label_map(files)
        return None if path is None or not self.options.annotations else read_label_table(path)


def _annotation_notes(
    annotation: Annotation, annotated: AnnotatedObjects, labels: Mapping[str, LabelRow] | None, *, boxes: str
) -> dict[str, Any]:
    notes: dict[str, Any] = {"boxes": boxes}
    counts = {
        "objects_skipped": annotated.skipped,
        "shared_segments": annotation.joined.shared_segments,
        "unknown_segments": annotation.joined.unknown_segments,
        "labels_not_in_table": 0 if labels is None else sum(one.category not in labels for one in annotated.objects),
    }
    return {**notes, **{key: value for key, value in counts.items() if value}}
