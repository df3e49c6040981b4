"""Objects of a ScanNet scan: its mesh, segments and groups joined, boxes around their vertices in the aligned world."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sightline.captures import segmented
from sightline.captures.capture import LabelledSurface, SceneObject
from sightline.captures.containers.meshes import read_ply
from sightline.captures.scannet.files import ScanFiles
from sightline.captures.scannet.label_tables import LabelRow, attributes_of
from sightline.captures.segmented import Group, VertexObjects
from sightline.errors import CaptureError
from sightline.geometry.transforms import apply


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Annotation:
    """The annotated mesh of a scan, in the stored world."""

    vertices_stored: np.ndarray  # (V, 3)
    groups: tuple[Group, ...]
    joined: VertexObjects


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AnnotatedObjects:
    """Objects and labelled surface in the world, and why objects were left out."""

    objects: tuple[SceneObject, ...]
    surface: LabelledSurface
    skipped: Mapping[str, int]


def read_annotation(files: ScanFiles) -> Annotation | None:
    """Mesh and objects, None where the scan was not annotated. Raises CaptureError where only a part of it is there or parts differ."""
    if files.groups is None:
        return None
    for path, name in ((files.mesh, f"{files.scan_id}_vh_clean_2.ply"), (files.segments, f"{files.scan_id}_vh_clean_2.0.010000.segs.json")):
        if path is None:
            raise CaptureError(
                f"{files.folder}: expected {name} beside {files.groups.name}, found none. "
                "Fix: download it, or leave objects out: annotations=false"
            )
    assert files.mesh is not None and files.segments is not None
    groups = segmented.read_groups(files.groups, scene_id=files.scan_id)
    vertices = read_ply(files.mesh).vertices_stored
    segments = segmented.read_segments(files.segments, num_vertices=len(vertices))
    joined = segmented.vertex_object_ids(segments, groups, where=str(files.groups))
    return Annotation(vertices_stored=vertices, groups=groups, joined=joined)


def objects_in_world(
    annotation: Annotation, world_from_stored: np.ndarray, *, boxes: str, labels: Mapping[str, LabelRow] | None
) -> AnnotatedObjects:
    """Objects with a box `oriented` or along the `axis`; those without vertices or extent are counted."""
    vertices_world = apply(world_from_stored, annotation.vertices_stored)
    around = segmented.upright_box if boxes == "oriented" else segmented.axis_box
    objects, skipped = [], Counter()
    for group in annotation.groups:
        points_world = vertices_world[annotation.joined.vertices_of[group.object_id]]
        problem = segmented.points_problem(points_world)
        if problem:
            skipped[problem] += 1
            continue
        objects.append(
            SceneObject(
                object_id=group.object_id,
                category=group.label,
                box=around(points_world),
                attributes=attributes_of(group.label, labels),
            )
        )
    known = np.array([one.object_id for one in objects], dtype=np.int32)
    ids = annotation.joined.object_ids
    surface = LabelledSurface(points_world=vertices_world, object_ids=np.where(np.isin(ids, known), ids, -1).astype(np.int32))
    return AnnotatedObjects(objects=tuple(objects), surface=surface, skipped=dict(sorted(skipped.items())))
