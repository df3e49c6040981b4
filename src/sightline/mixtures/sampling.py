"""Which frames of a scan are shown: evenly spread, so many a second, or those that together see most; written down and read back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sightline.captures.capture import Frame
from sightline.config import as_mapping, build, config
from sightline.errors import ConfigError, DataError
from sightline.files import read_json, write_json
from sightline.geometry.depth import points_world_from_depth
from sightline.mixtures.coverage_sampling import Picks, box_around, box_of_size, filled_up, greedy_cover, voxels_seen
from sightline.samples.thinning import thinned_depth
from sightline.scenes.scene import Scene

HOWS = ("uniform", "fps", "coverage", "space-aware")
FORMAT, VERSION = "sightline-frames", 1
ROBUST_PERCENTILES = (1.0, 99.0)
DEPTH_COLUMNS = 160  # readings taken along a row of a depth map: at 5 m and 60 degrees one every 4 cm, finer than the voxels
TICK_TOLERANCE = 1e-6  # of a tick: times such as 0.3 are not exact multiples of 0.1


@config
class FrameSampling:
    """How frames are chosen. Every way returns `count` frames in order of time, or all where there are no more."""

    how: Literal["uniform", "fps", "coverage", "space-aware"] = "uniform"
    count: Annotated[int, Field(ge=1)] = 16
    """Frames of a scan; of fps the most."""
    rule: Literal["floor", "round"] = "floor"
    """uniform: `linspace(0, n - 1, count)` cut to integers, as published, or rounded to them."""
    frames_per_s: Annotated[float, Field(gt=0.0)] = 1.0
    """fps: the first frame of every interval of this rate."""
    voxel_m: Annotated[float, Field(gt=0.0, le=2.0)] = 0.1
    """coverage: edge of the voxels that are to be seen."""
    within_cloud: bool = True
    """coverage: count only voxels that hold a point of the scan's cloud, so that flying readings count for nothing."""
    every: Annotated[int, Field(ge=1)] = 1
    """coverage: candidates are every so manieth frame, all where these are too few."""
    candidates: Annotated[int, Field(ge=1)] = 128
    """space-aware: evenly spread frames that are looked at."""
    cells: Annotated[int, Field(ge=1)] = 20
    """space-aware: voxels along the shortest side of the scene."""
    bounds: Literal["robust", "published"] = "robust"
    """space-aware: sides between percentiles 1 and 99, or between least and greatest point as published."""
    confidence_percentile: Annotated[float, Field(ge=0.0, le=100.0)] = 50.0
    """space-aware: points below this percentile of the confidence of all do not count."""
    least_confidence: float = 0.1
    """space-aware: nor do those that are not above this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameChoice:
    """The frames of one scan that are shown."""

    scan_id: str
    frame_ids: tuple[str, ...]  # in order of time
    indices: tuple[int, ...]  # of the scan's frames, counted from 0
    num_frames: int  # of the scan when it was looked at
    picks: Picks | None = None  # of coverage and space-aware, indices of the scan's frames

    def frames_of(self, scene: Scene) -> tuple[Frame, ...]:
        """The frames themselves. Raises DataError for a scan with other frames than the one looked at."""
        if len(scene.frames) != self.num_frames or [scene.frames[index].frame_id for index in self.indices] != list(self.frame_ids):
            raise DataError(
                f"{scene.root}: expected {self.num_frames} frames, among them {', '.join(self.frame_ids[:3])}, found {len(scene.frames)} "
                "or others: the frames were chosen from another import. Fix: choose them again with sightline frames"
            )
        return tuple(scene.frames[index] for index in self.indices)


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameIndex:
    """The chosen frames of many scans, and how they were chosen."""

    sampling: FrameSampling
    choices: Mapping[str, FrameChoice]  # by scan id


def uniform_indices(total: int, count: int, *, rule: str = "floor") -> tuple[int, ...]:
    """`count` indices of 0 .. total - 1, evenly spread from first to last; all where there are no more."""
    if total <= count:
        return tuple(range(total))
    if rule == "floor":
        return tuple(np.linspace(0, total - 1, count, dtype=int).tolist())
    return tuple(np.rint(np.linspace(0, total - 1, count)).astype(int).tolist())


def fps_indices(times_s: np.ndarray, *, frames_per_s: float) -> tuple[int, ...]:
    """The first frame of each interval of `1 / frames_per_s` seconds, counted from the first frame; intervals without one give none.

    Raises DataError where times `(N,)` do not rise: then nobody wrote down when the frames were taken.
    """
    times = np.asarray(times_s, dtype=np.float64)
    if not np.isfinite(times).all() or (np.diff(times) < 0).any() or (len(times) > 1 and times[0] == times[-1]):
        raise DataError(
            f"sampling by time: expected frames in order of rising time_s, found {times[:3].tolist()} ...; use uniform sampling instead"
        )
    ticks = np.floor((times - times[:1]) * frames_per_s + TICK_TOLERANCE)
    return tuple(np.flatnonzero(np.concatenate([[True], ticks[1:] > ticks[:-1]])[: len(times)]).tolist())


def space_aware(
    points: Sequence[np.ndarray] | np.ndarray,
    confidence: Sequence[np.ndarray] | np.ndarray,
    *,
    sampling: FrameSampling,
    times_s: np.ndarray | None = None,
) -> Picks:
    """Spatial-MLLM's sampling: greedy cover of the voxels of confident points `(N, H, W, 3)`, `confidence (N, H, W)`, one per candidate.

    Points are in one world for all frames, of any scale: a geometry encoder's, or depth unprojected. Unlike the published code it goes on
    to `count` frames where nothing new is left to see, by the frames farthest in time. Raises DataError without any confident point.
    """
    if len(points) != len(confidence) or any(one.shape != (*sure.shape, 3) for one, sure in zip(points, confidence)):
        raise DataError(
            f"space-aware sampling: expected points (N, H, W, 3) and confidence (N, H, W), found {len(points)}, {len(confidence)}"
        )
    # of an infinite or missing coordinate the sum is not finite either, and looking at the sum alone is four times faster
    finite = [np.asarray(sure) if np.isfinite(one.sum()) else sure[np.isfinite(one).all(axis=-1)] for one, sure in zip(points, confidence)]
    every = np.concatenate([one.reshape(-1) for one in finite])
    if not len(every):
        raise DataError("space-aware sampling: expected points to count, found none that is finite")
    at_least = float(np.float32(np.percentile(every, sampling.confidence_percentile)))
    counted = {"confidence": confidence, "at_least": at_least, "above": sampling.least_confidence}
    box = box_around(points, cells=sampling.cells, robust=ROBUST_PERCENTILES if sampling.bounds == "robust" else None, **counted)
    sets = voxels_seen(points, box, **counted)
    times = np.arange(len(points)) if times_s is None else times_s
    return filled_up(greedy_cover(sets, sampling.count), times, sampling.count)


def depth_points(frame: Frame, *, columns: int = DEPTH_COLUMNS) -> np.ndarray:
    """World points `(h, w, 3)` float32 of a frame's thinned depth, NaN without a reading. Raises CaptureError without depth."""
    depth_m, camera = thinned_depth(frame, columns=columns)
    return points_world_from_depth(depth_m, camera, frame.world_from_camera).astype(np.float32)


def choose_frames(scene: Scene, sampling: FrameSampling, *, point_maps: "PointMaps | None" = None) -> FrameChoice:
    """The frames of a scan that are shown. `point_maps`: an encoder's points for space-aware; without them depth is used.

    Raises DataError for a scan without the depth, poses or times that the way needs.
    """
    frames = scene.frames
    times = np.array([frame.time_s for frame in frames])
    picks = None
    if sampling.how == "uniform":
        indices = uniform_indices(len(frames), sampling.count, rule=sampling.rule)
    elif sampling.how == "fps":
        ticks = fps_indices(times, frames_per_s=sampling.frames_per_s)
        indices = tuple(ticks[place] for place in uniform_indices(len(ticks), sampling.count))
    else:
        picks = _covering(scene, times, sampling, point_maps)
        indices = picks.frames
    return FrameChoice(
        scan_id=scene.scan_id,
        frame_ids=tuple(frames[index].frame_id for index in indices),
        indices=indices,
        num_frames=len(frames),
        picks=picks,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PointMaps:
    """What a geometry encoder said of some frames of a scan."""

    frame_ids: tuple[str, ...]
    points: np.ndarray  # (N, H, W, 3) in one world for all, of any scale
    confidence: np.ndarray  # (N, H, W)

    @classmethod
    def read(cls, path: Path) -> "PointMaps":
        """From an `.npz` of `frame_ids`, `world_points` and `world_points_conf`. Raises DataError for another."""
        wanted = ("frame_ids", "world_points", "world_points_conf")
        try:
            with np.load(path, allow_pickle=False) as stored:
                ids, points, confidence = (stored[name] for name in wanted)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path}: expected a file of point maps with {', '.join(wanted)} ({error})") from error
        if points.shape != (len(ids), *confidence.shape[1:], 3) or len(confidence) != len(ids):
            raise DataError(f"{path}: expected points (N, H, W, 3) and confidence (N, H, W), found {points.shape} and {confidence.shape}")
        return cls(frame_ids=tuple(map(str, ids)), points=points, confidence=confidence)


def drop_views(count: int, *, share: float, at_least: int, seed: int, position: int) -> tuple[int, ...]:
    """Which of `count` views a training sample keeps, in order: each is lost with probability `share`, but so many stay.

    A pure function of seed and position, so that resuming and sharing out change nothing.
    """
    if not 0.0 <= share < 1.0 or at_least < 1:
        raise ConfigError(f"view dropout: expected a share of 0 to below 1 and at least 1 view, found {share} and {at_least}")
    rng = np.random.default_rng([seed, position])
    order = rng.permutation(count)
    kept = max(min(at_least, count), int((rng.random(count) >= share).sum()))
    return tuple(sorted(order[:kept].tolist()))


def write_index(path: Path, index: FrameIndex) -> None:
    """Write the chosen frames as JSON, scan by scan; equal choices give equal bytes."""
    scans = {
        scan_id: {
            "num_frames": choice.num_frames,
            "frame_ids": list(choice.frame_ids),
            "indices": list(choice.indices),
            **({} if choice.picks is None else {"picks": {**asdict(choice.picks)}}),
        }
        for scan_id, choice in sorted(index.choices.items())
    }
    write_json(path, {"format": FORMAT, "version": VERSION, "sampling": as_mapping(index.sampling), "scans": scans})


def read_index(path: Path) -> FrameIndex:
    """The inverse of `write_index`. Raises DataError for another file."""
    value = read_json(path)
    if not isinstance(value, dict) or (value.get("format"), value.get("version")) != (FORMAT, VERSION):
        raise DataError(
            f"{path}: expected format '{FORMAT}', version {VERSION}, found another file. Fix: sightline frames STORE --out {path}"
        )
    try:
        choices = {
            scan_id: FrameChoice(
                scan_id=scan_id,
                frame_ids=tuple(stored["frame_ids"]),
                indices=tuple(stored["indices"]),
                num_frames=stored["num_frames"],
                picks=None if "picks" not in stored else _picks(stored["picks"]),
            )
            for scan_id, stored in value["scans"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected num_frames, frame_ids and indices of every scan ({error!r})") from error
    for choice in choices.values():
        in_order = list(choice.indices) == sorted(set(choice.indices)) and len(choice.indices) == len(choice.frame_ids)
        if not in_order or (choice.indices and not 0 <= choice.indices[0] <= choice.indices[-1] < choice.num_frames):
            raise DataError(f"{path}: scan {choice.scan_id}: expected rising indices of {choice.num_frames} frames, found {choice.indices}")
    return FrameIndex(sampling=build(FrameSampling, value["sampling"], where=str(path)), choices=choices)


def _picks(stored: Mapping[str, list[int] | int]) -> Picks:
    return Picks(order=tuple(stored["order"]), new_voxels=tuple(stored["new_voxels"]), all_voxels=int(stored["all_voxels"]))


def _covering(scene: Scene, times: np.ndarray, sampling: FrameSampling, point_maps: PointMaps | None) -> Picks:
    frames = scene.frames
    if point_maps is not None and sampling.how == "space-aware":
        places = {frame.frame_id: number for number, frame in enumerate(frames)}
        unknown = [frame_id for frame_id in point_maps.frame_ids if frame_id not in places]
        if unknown:
            raise DataError(f"{scene.root}: expected point maps of its frames, found one of frame '{unknown[0]}'")
        chosen = [places[frame_id] for frame_id in point_maps.frame_ids]
        picks = space_aware(point_maps.points, point_maps.confidence, sampling=sampling, times_s=times[chosen])
        return _of_scan(picks, chosen, times, sampling)
    blind = [frame.frame_id for frame in frames if frame.depth_path is None]
    if not scene.has_poses or len(blind) == len(frames):
        raise DataError(f"{scene.root}: expected poses and depth for {sampling.how} sampling, found none. Fix: --how uniform")
    if sampling.how == "space-aware":
        chosen = list(uniform_indices(len(frames), sampling.candidates))
        chosen = [number for number in chosen if frames[number].depth_path is not None]
        maps = [depth_points(frames[number]) for number in chosen]
        sure = [np.isfinite(one[..., 0]).astype(np.float32) for one in maps]
        return _of_scan(space_aware(maps, sure, sampling=sampling, times_s=times[chosen]), chosen, times, sampling)
    chosen = list(range(0, len(frames), sampling.every))
    chosen = chosen if len(chosen) >= sampling.count else list(range(len(frames)))
    chosen = [number for number in chosen if frames[number].depth_path is not None]
    box = box_of_size(scene.points_world, edge=sampling.voxel_m)
    within = np.asarray(scene.points_world) if sampling.within_cloud else None
    sets = voxels_seen((depth_points(frames[number]) for number in chosen), box, within=within)
    return _of_scan(greedy_cover(sets, sampling.count), chosen, times, sampling)


def _of_scan(picks: Picks, chosen: Sequence[int], times: np.ndarray, sampling: FrameSampling) -> Picks:
    """Numbers of candidates as numbers of the scan's frames, filled up from all of these."""
    order = tuple(chosen[number] for number in picks.order)
    return filled_up(Picks(order=order, new_voxels=picks.new_voxels, all_voxels=picks.all_voxels), times, sampling.count)
