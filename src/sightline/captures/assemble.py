"""What every reader does with the frames it found: leave out bad poses, check sizes and cameras, bring the poses into the world."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightline.captures import conventions
from sightline.captures.capture import Frame, SkippedFrame
from sightline.captures.conventions import AUTO, UP_FRAMES, evenly
from sightline.captures.frame_images import depth_place, depth_size, frame_depth_m
from sightline.captures.images import image_size
from sightline.captures.intrinsics import ASPECT_TOLERANCE, size_problem
from sightline.captures.poses import Convention, made_rigid, pose_problem
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics

MAX_BAD_SHARE = 0.2  # more frames without a usable pose than this is a broken export (reliability catalogue B05)
MIN_FRAMES = 2


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoredFrame:
    """One frame as its layout stores it: files, cameras of their sizes, and the pose matrix still in the stored convention."""

    frame_id: str
    time_s: float
    rgb_path: Path
    depth_path: Path | None
    depth_scale_m: float
    intrinsics: Intrinsics
    depth_intrinsics: Intrinsics | None  # None: the colour camera at the size of the depth image
    stored_pose: np.ndarray  # (4, 4), may hold NaN or infinity
    pose_place: str  # file and line of the pose, for messages
    depth_index: int | None = None
    instance_path: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoredConvention:
    """How a layout stores its poses. `up_axis` is `auto` where the layout does not say; `world_from_stored` overrides it."""

    pose_direction: str  # world_from_camera | camera_from_world
    camera_axes: str  # opencv | opengl
    up_axis: str  # auto or a signed axis
    world_from_stored: np.ndarray | None = None  # (4, 4) rigid, where the layout gives the whole motion to a +z-up world
    pose_unit_m: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Assembled:
    """Frames in Sightline's world, those left out, and the convention that was found."""

    frames: tuple[Frame, ...]
    skipped: tuple[SkippedFrame, ...]
    convention: Convention


def assemble(
    stored: Sequence[StoredFrame],
    convention: StoredConvention,
    *,
    where: str,
    skipped: Sequence[SkippedFrame] = (),
    max_bad_share: float = MAX_BAD_SHARE,
    min_frames: int = MIN_FRAMES,
    one_size: bool = True,
) -> Assembled:
    """Frames of one scan; those whose pose is not finite or not rigid are skipped and counted.

    Raises CaptureError, naming `where` and the first frame: too few frames, more than `max_bad_share` of them with bad poses, a
    frame id twice, an image of another size than its camera (sizes come from headers; nothing is decoded but a few depth maps
    where up is measured), a camera that cannot belong to its image size, images of several sizes where `one_size` is asked.
    """
    _refuse_twice(stored, where=where)
    problems = [pose_problem(one.stored_pose) for one in stored]
    _refuse_mostly_bad(stored, problems, where=where, max_bad_share=max_bad_share, min_frames=min_frames)
    out = [SkippedFrame(frame_id=one.frame_id, reason=problem) for one, problem in zip(stored, problems) if problem]
    good = [one for one, problem in zip(stored, problems) if problem is None]
    poses = np.stack([made_rigid(one.stored_pose) for one in good])
    poses[:, :3, 3] *= convention.pose_unit_m
    unposed = [_unposed(one) for one in good]
    for frame in unposed:
        _check_images(frame)
    if one_size:
        _refuse_sizes(unposed, where=where)
    found = _found(convention, poses, unposed)
    frames = tuple(replace(frame, world_from_camera=pose) for frame, pose in zip(unposed, found.world_from_camera(poses)))
    return Assembled(frames=frames, skipped=(*skipped, *out), convention=found)


def _found(convention: StoredConvention, poses: np.ndarray, frames: Sequence[Frame]) -> Convention:
    ways = {"pose_direction": convention.pose_direction, "camera_axes": convention.camera_axes}
    if convention.world_from_stored is not None or convention.up_axis != AUTO:
        return conventions.stated(**ways, up_axis=convention.up_axis, world_from_stored=convention.world_from_stored)
    chosen = [index for index in evenly(len(frames), UP_FRAMES) if frames[index].depth_path is not None]
    maps = [(index, frame_depth_m(frames[index]), frames[index].depth_intrinsics) for index in chosen]
    return conventions.measured(poses, **ways, depth_m=maps)


def _unposed(one: StoredFrame) -> Frame:
    frame = Frame(
        frame_id=one.frame_id,
        time_s=one.time_s,
        rgb_path=one.rgb_path,
        depth_path=one.depth_path,
        depth_scale_m=one.depth_scale_m,
        intrinsics=one.intrinsics,
        depth_intrinsics=one.depth_intrinsics or one.intrinsics,
        world_from_camera=np.eye(4),
        instance_path=one.instance_path,
        depth_index=one.depth_index,
    )
    if one.depth_intrinsics is not None or one.depth_path is None:
        return frame
    width, height = depth_size(frame)
    if (width, height) == _size(one.intrinsics):
        return frame
    color = one.intrinsics
    if abs((width / height) / (color.width / color.height) - 1.0) > ASPECT_TOLERANCE:
        raise CaptureError(
            f"{depth_place(frame)}: expected a depth image shaped like the colour images of {color.width}x{color.height}, found "
            f"{width}x{height}: they have different shapes, so the depth camera is not the colour camera scaled"
        )
    return replace(frame, depth_intrinsics=one.intrinsics.resized(width=width, height=height))


def _size(camera: Intrinsics) -> tuple[int, int]:
    return camera.width, camera.height


def _check_images(frame: Frame) -> None:
    """Sizes from the headers, and cameras that can belong to them."""
    images = [(str(frame.rgb_path), "colour", image_size(frame.rgb_path), frame.intrinsics)]
    if frame.depth_path is not None:
        images.append((depth_place(frame), "depth", depth_size(frame), frame.depth_intrinsics))
    if frame.instance_path is not None:
        images.append((str(frame.instance_path), "instance", image_size(frame.instance_path), frame.depth_intrinsics))
    for place, kind, found, camera in images:
        if found != _size(camera):
            raise CaptureError(
                f"{place}: expected {'an' if kind == 'instance' else 'a'} {kind} image of {camera.width}x{camera.height}, "
                f"found {found[0]}x{found[1]}"
            )
        problem = size_problem(camera)
        if problem:
            raise CaptureError(f"{place}: {problem}")


def _refuse_sizes(frames: Sequence[Frame], *, where: str) -> None:
    first = frames[0]
    for frame in frames[1:]:
        for kind in ("intrinsics", "depth_intrinsics"):
            if kind == "depth_intrinsics" and None in (frame.depth_path, first.depth_path):
                continue
            mine, wanted = _size(getattr(frame, kind)), _size(getattr(first, kind))
            if mine != wanted:
                raise CaptureError(
                    f"{where}: frame {frame.frame_id}: expected {'colour' if kind == 'intrinsics' else 'depth'} images of "
                    f"{wanted[0]}x{wanted[1]} like frame {first.frame_id}, found {mine[0]}x{mine[1]}; one scan has one image size"
                )


def _refuse_twice(stored: Sequence[StoredFrame], *, where: str) -> None:
    counts = Counter(one.frame_id for one in stored)
    twice = next((frame_id for frame_id, count in counts.items() if count > 1), None)
    if twice is not None:
        raise CaptureError(f"{where}: expected every frame once, found frame '{twice}' {counts[twice]} times")


def _refuse_mostly_bad(
    stored: Sequence[StoredFrame], problems: Sequence[str | None], *, where: str, max_bad_share: float, min_frames: int
) -> None:
    if not stored:
        raise CaptureError(f"{where}: expected frames, found none")
    bad = [(one.pose_place, problem) for one, problem in zip(stored, problems) if problem]
    if len(bad) > max_bad_share * len(stored):
        reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(Counter(problem for _, problem in bad).items()))
        raise CaptureError(
            f"{where}: expected usable poses, found {len(bad)} of {len(stored)} that are not ({reasons}; first: {bad[0][0]}). "
            f"More than {max_bad_share:.0%} is a broken export; export the poses again or remove those frames"
        )
    if len(stored) - len(bad) < min_frames:
        raise CaptureError(f"{where}: expected at least {min_frames} frames with a usable pose, found {len(stored) - len(bad)}")
