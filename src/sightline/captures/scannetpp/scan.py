"""The laser scan of a ScanNet++ scene: its mesh, annotated boxes, and which object each vertex belongs to."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures.capture import LabelledSurface, SceneObject
from sightline.captures.containers.meshes import PlyMesh, read_ply
from sightline.captures.scannetpp.scenes import SCENE_ID
from sightline.captures.segmented import Group, box_from_stored, read_groups, read_segments, stored_box_problem, vertex_object_ids

MESH, SEGMENTS, GROUPS = "scans/mesh_aligned_0.05.ply", "scans/segments.json", "scans/segments_anno.json"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LaserScan:
    """What the `scans/` folder holds; each part is None where its files are not there."""

    mesh: PlyMesh | None
    objects: tuple[SceneObject, ...] | None
    objects_skipped: dict[str, int]
    surface: LabelledSurface | None
    shared_segments: int


def scan_files(scene: Path) -> list[Path]:
    """Those of its files that exist."""
    return [path for name in (MESH, SEGMENTS, GROUPS) if (path := scene / name).is_file()]


def read_scan(scene: Path, *, needs_mesh: bool) -> LaserScan:
    """Mesh, objects and surface, all in the mesh's +z-up world. The mesh is read where it is labelled or `needs_mesh`."""
    is_annotated = (scene / GROUPS).is_file()  # some `sceneId`s are the day of the scan: only one like a scene's id can contradict
    groups = read_groups(scene / GROUPS, scene_id=scene.resolve().name, ids=SCENE_ID) if is_annotated else None
    is_labelled = groups is not None and (scene / SEGMENTS).is_file() and (scene / MESH).is_file()
    mesh = read_ply(scene / MESH) if is_labelled or (needs_mesh and (scene / MESH).is_file()) else None
    objects, skipped = (None, Counter()) if groups is None else _objects(groups)
    surface, shared = None, 0
    if is_labelled:
        assert mesh is not None and groups is not None
        segments = read_segments(scene / SEGMENTS, num_vertices=len(mesh.vertices_stored))
        owners = vertex_object_ids(segments, groups, where=str(scene / GROUPS))
        surface, shared = LabelledSurface(points_world=mesh.vertices_stored, object_ids=owners.object_ids), owners.shared_segments
    return LaserScan(mesh=mesh, objects=objects, objects_skipped=dict(sorted(skipped.items())), surface=surface, shared_segments=shared)


def _objects(groups: tuple[Group, ...]) -> tuple[tuple[SceneObject, ...], Counter]:
    objects, skipped = [], Counter()
    for group in groups:
        problem = "no_box" if group.obb is None else stored_box_problem(group.obb)
        if problem is not None:
            skipped[problem] += 1
            continue
        assert group.obb is not None
        box = box_from_stored(group.obb, world_from_stored=np.eye(4))
        objects.append(SceneObject(object_id=group.object_id, category=group.label, box=box))
    return tuple(objects), skipped
