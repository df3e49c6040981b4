"""Measure a scene once: every table of facts from one pass over its frames."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from sightline.config import as_mapping, build, config
from sightline.errors import DataError, SceneError
from sightline.facts.correspondences import Agreement, CorrespondenceOptions, correspondences, why_none
from sightline.facts.coverage import COVERAGE_TOLERANCE, coverage_or_why_not
from sightline.facts.describe import describe
from sightline.facts.distance import MAX_OBJECT_PAIRS, object_pairs
from sightline.facts.fact import KINDS, FactTable, FrameFacts, ObjectGlimpseFacts, ObjectPairFacts, PairFacts
from sightline.facts.motion import all_pairs, pair_motion
from sightline.facts.object_points import object_points
from sightline.facts.object_times import object_times
from sightline.facts.objects import glimpsed, join_views, object_views
from sightline.facts.overlap import count_visible, pair_overlaps
from sightline.facts.points import generator_for, join_points, sample_points
from sightline.facts.store import write_facts
from sightline.facts.structure import structure_facts
from sightline.facts.tracks import TrackOptions, measure_tracks
from sightline.facts.visibility import cloud_of, view_frame
from sightline.facts.visible_bits import new_words, write_order
from sightline.files import FINISHED, fingerprint, is_finished, mark_finished, read_json, replacing_folder
from sightline.geometry.visibility import NEAR_M, TOLERANCE_M, TOLERANCE_SHARE
from sightline.scenes.scene import Scene
from sightline.scenes.store import SceneStore

__all__ = ["FACTS_FOLDER", "MeasureOptions", "describe", "expect_one_visibility", "facts_fingerprint", "measure", "measure_scan"]

FACTS_FOLDER = "facts"
NO_OBJECTS = "the scan does not say which objects there are"
OF_OBJECTS = ("objects", "object_views", "object_glimpses", "object_pairs", "object_times")
NO_DEPTH = "no frame has a depth image"
OF_DEPTH = ("points", "object_views", "object_glimpses")
ONE_FRAME = "a pair takes two frames, and there is one"
FORMAT = 5  # raised when a fact changes its meaning, so that old folders are measured again


@config
class MeasureOptions:
    """What may be set for measuring."""

    near_m: float = NEAR_M
    tolerance_m: float = TOLERANCE_M  # a point this far from the depth reading still counts as the surface seen
    tolerance_share: float = TOLERANCE_SHARE  # or this share of the reading, whichever is more
    strict: bool = False  # visible by the one-sided test without tolerance of published engines: overlap comes out on their scale
    points_per_frame: int = 48
    min_object_pixel_share: float = 0.001  # 77 pixels of 320x240: smaller than that nobody recognises or marks it
    min_object_points: int = 12  # visible scene points an object needs where there is no id image
    max_pairs: int = 250_000  # more frame pairs than this are thinned at random, evenly over the scan
    coverage_tolerance: Annotated[float, Field(ge=0.0, lt=1.0)] = COVERAGE_TOLERANCE  # share of an extent that may stay unseen
    max_coverage_sets: Annotated[int, Field(ge=0)] = 1_000_000  # of 29 bytes; more minimal sets than this are thinned evenly
    correspondences: CorrespondenceOptions = CorrespondenceOptions()
    tracks: TrackOptions = TrackOptions()
    seed: int = 0


def measure(scene: Scene, options: MeasureOptions, *, keep_in: Path | None = None) -> FactTable:
    """All facts of a scene; the packed visibility they come from is kept in the folder `keep_in` where one is given.

    Raises SceneError when it has no frames, a pose is not finite or an image does not fit its camera, CaptureError when an image is
    missing or damaged.
    """
    if not scene.frames:
        raise SceneError(f"scan '{scene.scan_id}': expected at least one frame, found none")
    if not scene.has_poses:
        return _without_poses(scene, options, keep_in=keep_in)
    _expect_finite_poses(scene)
    cloud = cloud_of(scene)
    owners = None if scene.objects is None else object_points(cloud, scene.objects)
    seen = new_words(keep_in, num_frames=len(scene.frames), num_points=len(cloud.points_world))
    limits = {"near_m": options.near_m, "tolerance_m": options.tolerance_m, "tolerance_share": options.tolerance_share}
    coverage, points, views, glimpses = [], [], [], []
    for index, frame in enumerate(scene.frames):
        view = view_frame(frame, cloud, **limits, is_strict=options.strict)
        rng = generator_for(scene.scan_id, frame.frame_id, options.seed)
        points.append(sample_points(view, cloud, frame_index=index, count=options.points_per_frame, rng=rng))
        if owners is not None:
            glimpses.append(glimpsed(view, owners))
            views.append(
                object_views(
                    view,
                    cloud,
                    owners,
                    frame_index=index,
                    near_m=options.near_m,
                    min_pixel_share=options.min_object_pixel_share,
                    min_points=options.min_object_points,
                )
            )
        seen[index] = view.words
        coverage.append(view.depth_coverage)
    if keep_in is not None:
        write_order(keep_in, cloud.order)
    poses = np.array([frame.world_from_camera for frame in scene.frames], dtype=np.float64)
    skips = _without_input(scene)
    all_views = join_views(views) if scene.objects is not None else None
    covered = coverage_or_why_not(
        cloud,
        owners,
        scene.objects,
        seen,
        tolerance=options.coverage_tolerance,
        max_sets=options.max_coverage_sets,
        rng=generator_for(scene.scan_id, "coverage", options.seed),
    )
    if covered.why_not is not None:
        skips["coverage"] = covered.why_not
    built = structure_facts(scene, cloud)
    skips |= built.skips
    gaps = _gaps_of(scene, seed=options.seed, skips=skips)
    pairs = pairs_of(poses, seen, max_pairs=options.max_pairs, rng=generator_for(scene.scan_id, "", options.seed))
    all_points = join_points(points)
    followed = measure_tracks(scene, seed=options.seed, options=options.tracks, skips=skips)
    times = None if all_views is None else object_times(all_views, scene.objects, moving_ids=followed.moving_ids)
    blind = _why_blind(scene, seen, num_points=len(cloud.points_world))
    skips |= _short_pairs(len(scene.frames), options=options, blind=blind)
    matched, why_not = None, why_none(scene.frames, pairs, options.correspondences)
    if why_not is not None and (blind is not None or len(scene.frames) < 2):
        why_not = blind or ONE_FRAME
    if why_not is not None:
        skips["correspondences"] = why_not
    else:
        matched = correspondences(
            scene.frames,
            pairs,
            all_points,
            scan_id=scene.scan_id,
            seed=options.seed,
            options=options.correspondences,
            agreement=Agreement(**limits),
            moving_ids=followed.moving_ids,
        )
    return FactTable(
        scan_id=scene.scan_id,
        place_id=scene.place_id,
        source=scene.source,
        licence=scene.licence,
        frames=FrameFacts(
            frame_ids=tuple(frame.frame_id for frame in scene.frames),
            intrinsics=tuple(frame.intrinsics for frame in scene.frames),
            world_from_camera=poses,
            visible_points=count_visible(seen),
            depth_coverage=np.array(coverage),
        ),
        pairs=pairs,
        points=all_points,
        objects=scene.objects,
        object_views=all_views,
        object_pairs=gaps,
        structure=scene.structure,
        object_glimpses=_joined_glimpses(glimpses) if scene.objects is not None else None,
        object_times=times,
        coverage=covered.sets,
        object_places=built.object_places,
        rooms=built.rooms,
        room_links=built.room_links,
        free_space=built.free_space,
        correspondences=matched,
        tracks=followed.tracks,
        track_windows=followed.windows,
        is_strict=options.strict,
        skips=skips,
    )


def _expect_finite_poses(scene: Scene) -> None:
    """Raises SceneError naming the first frame whose pose holds NaN or infinity: readers leave such frames out, with a counted reason."""
    for frame in scene.frames:
        if not np.isfinite(frame.world_from_camera).all():
            raise SceneError(
                f"scan '{scene.scan_id}', frame '{frame.frame_id}': expected a pose of finite numbers, found "
                f"{np.asarray(frame.world_from_camera)[:3].tolist()}; leave the frame out, or import the scan again"
            )


def _without_input(scene: Scene) -> dict[str, str]:
    """Why tables are None or empty that need objects or depth, in a scan that has none."""
    skips = dict.fromkeys(OF_DEPTH, NO_DEPTH) if all(frame.depth_path is None for frame in scene.frames) else {}
    return skips | dict.fromkeys(OF_OBJECTS, NO_OBJECTS) if scene.objects is None else skips


def _joined_glimpses(of_frames: Sequence[np.ndarray]) -> ObjectGlimpseFacts:
    """Object ids seen in each frame, as one table."""
    frame = np.repeat(np.arange(len(of_frames), dtype=np.int32), [len(ids) for ids in of_frames])
    return ObjectGlimpseFacts(object_id=np.concatenate([np.empty(0, np.int32), *of_frames]).astype(np.int32), frame=frame)


def _why_blind(scene: Scene, words: np.ndarray, *, num_points: int) -> str | None:
    """Why no frame sees a point of the cloud; None where one does."""
    if words.any():
        return None
    if all(frame.depth_path is None for frame in scene.frames):
        return NO_DEPTH
    return "the scan has no point cloud" if num_points == 0 else "no frame sees a point of the cloud: its depth does not fit"


def _short_pairs(count: int, *, options: MeasureOptions, blind: str | None) -> dict[str, str]:
    """What frame pairs lack: all of them where there is one frame, some where there are too many, overlap where no frame sees a point."""
    total = count * (count - 1) // 2
    if total == 0:
        return {"pairs": ONE_FRAME}
    lacks = [] if blind is None else [f"{blind}, so overlap is not known; camera motion is"]
    if total > options.max_pairs:
        lacks.append(f"{options.max_pairs} of {total} frame pairs kept, drawn evenly; raise max_pairs for more")
    return {"pairs": "; ".join(lacks)} if lacks else {}


def _gaps_of(scene: Scene, *, seed: int, skips: dict[str, str]) -> ObjectPairFacts | None:
    """Distances of all object pairs, or of `MAX_OBJECT_PAIRS` drawn evenly, and then `skips` says so; None where objects are not known."""
    if scene.objects is None:
        return None
    count = len(scene.objects)
    total = count * (count - 1) // 2
    if total > MAX_OBJECT_PAIRS:
        skips["object_pairs"] = f"{MAX_OBJECT_PAIRS} of {total} object pairs kept, drawn evenly"
    rng = generator_for(scene.scan_id, "object pairs", seed)
    return object_pairs(scene.objects, chosen_pairs(count, max_pairs=MAX_OBJECT_PAIRS, rng=rng))


def _without_poses(scene: Scene, options: MeasureOptions, *, keep_in: Path | None) -> FactTable:
    """What can be said where nobody knows where the cameras were: the tracks of points, if any were followed. Poses are NaN."""
    skips = {kind: "nobody knows where the cameras were" for kind in KINDS if kind != "frames"}
    followed = measure_tracks(scene, seed=options.seed, options=options.tracks, skips=skips)
    if followed.tracks is not None:
        del skips["tracks"]  # that of the windows stays: they have apparent movements alone
    count, nothing = len(scene.frames), np.zeros((1, 0), dtype=np.uint64)
    if keep_in is not None:
        new_words(keep_in, num_frames=count, num_points=0)
        write_order(keep_in, np.zeros(0, dtype=np.int32))
    return FactTable(
        scan_id=scene.scan_id,
        place_id=scene.place_id,
        source=scene.source,
        licence=scene.licence,
        frames=FrameFacts(
            frame_ids=tuple(frame.frame_id for frame in scene.frames),
            intrinsics=tuple(frame.intrinsics for frame in scene.frames),
            world_from_camera=np.full((count, 4, 4), np.nan),
            visible_points=np.zeros(count, dtype=np.int64),
            depth_coverage=np.full(count, np.nan),
        ),
        pairs=pairs_of(np.eye(4)[None], nothing, max_pairs=0, rng=generator_for(scene.scan_id, "", options.seed)),
        points=join_points([]),
        objects=None,
        object_views=None,
        object_pairs=None,
        structure=None,
        tracks=followed.tracks,
        track_windows=followed.windows,
        is_strict=options.strict,
        skips=skips,
    )


def pairs_of(poses: np.ndarray, words: np.ndarray, *, max_pairs: int, rng: np.random.Generator) -> PairFacts:
    """Motion and overlap of all frame pairs, or of `max_pairs` of them drawn at random when there are more."""
    first, second = chosen_pairs(len(poses), max_pairs=max_pairs, rng=rng)
    motion = pair_motion(poses, first, second)
    shared = pair_overlaps(words, first, second)
    return PairFacts(
        first=first,
        second=second,
        overlap=shared.union_share,
        first_in_second=shared.first_in_second,
        second_in_first=shared.second_in_first,
        distance_m=motion.distance_m,
        displacement_m=motion.displacement_m,
        yaw_deg=motion.yaw_deg,
        pitch_deg=motion.pitch_deg,
        roll_deg=motion.roll_deg,
    )


def chosen_pairs(count: int, *, max_pairs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Unordered pairs of `count` frames in order, at most `max_pairs`; memory grows with `max_pairs`, not with `count` squared."""
    total = count * (count - 1) // 2
    if total <= max_pairs:
        return all_pairs(count)
    ranks = np.sort(rng.choice(total, size=max_pairs, replace=False, shuffle=False))
    starts = np.cumsum(np.concatenate([[0], np.arange(count - 1, 0, -1)]))
    first = np.searchsorted(starts, ranks, side="right") - 1
    second = ranks - starts[first] + first + 1
    return first.astype(np.int32), second.astype(np.int32)


def measure_scan(scan_id: str, *, store: str, options: dict[str, Any]) -> dict[str, Any]:
    """Measure one scan of a scene store into its `facts/` folder and return how much was found; a Job function.

    A folder that was finished from the same scene and the same options is left as it is (`reused` is then true).
    """
    chosen = build(MeasureOptions, options, where="measure options")
    scenes = SceneStore(Path(store))
    marker = scenes.marker(scan_id)
    if marker is None:
        raise SceneError(f"{scenes.path(scan_id)}: expected a finished scene, found none. Fix: sightline import SOURCE {store}")
    made_from = facts_fingerprint(marker, chosen)
    folder = scenes.path(scan_id) / FACTS_FOLDER
    if is_finished(folder, made_from=made_from):
        return {**read_json(folder / FINISHED)["summary"], "reused": True}
    with replacing_folder(folder) as beside:
        table = measure(scenes.read(scan_id), chosen, keep_in=beside)
        summary = {
            "frames": len(table.frames.frame_ids),
            "pairs": len(table.pairs.first),
            "points": len(table.points.frame),
            "objects": None if table.objects is None else len(table.objects),
            "object_views": None if table.object_views is None else len(table.object_views.frame),
        }
        write_facts(table, beside)
        mark_finished(beside, made_from=made_from, options=_said(chosen), summary=summary)
    return {**summary, "reused": False}


def facts_fingerprint(scene_marker: dict[str, Any], options: MeasureOptions) -> str:
    """What facts are made from: the finished marker of their scene, the options, and the version of the facts' meaning."""
    return fingerprint({"scene": scene_marker, "options": _said(options), "format": FORMAT})


def _said(options: MeasureOptions) -> dict[str, Any]:
    """Options as kept beside facts; `strict` only where it is chosen, so that facts measured before there was a choice stay valid."""
    return {name: value for name, value in as_mapping(options).items() if name != "strict" or value}


def expect_one_visibility(markers: Mapping[str, Mapping[str, Any]], *, store: Path) -> None:
    """Finished markers of facts by scan. Raises DataError where some scans were measured with `strict` and others without."""
    strict = [scan_id for scan_id, marker in markers.items() if marker.get("options", {}).get("strict", False)]
    if strict and len(strict) < len(markers):
        other = next(scan_id for scan_id in markers if scan_id not in set(strict))
        raise DataError(
            f"{store}: expected facts of one test of visibility, found {len(strict)} scans measured with --strict (such as '{strict[0]}') "
            f"and {len(markers) - len(strict)} without (such as '{other}'); their overlaps do not compare. "
            f"Fix: sightline measure {store} (or sightline measure {store} --strict) for all of them"
        )
