"""Seeded geometry bugs: each must make one of the oracle checks it names fail, or the oracle is blind to it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import oracle_geometry
import oracle_scenes
import pytest

from sightline.captures.images import depth_m_from_stored
from sightline.facts import direction, motion, objects, overlap, points, visibility
from sightline.geometry import depth, shapes, transforms
from sightline.geometry import visibility as geometry_visibility
from sightline.geometry.cameras import Intrinsics

CHECKS = {**oracle_geometry.CHECKS, **oracle_scenes.CHECKS}


@dataclass(frozen=True, kw_only=True)
class Wrongs:
    """Ways to get the visibility test wrong; none is on by itself."""

    one_sided: bool = False
    no_occlusion: bool = False
    no_tolerance: bool = False
    hole_is_far: bool = False
    range_for_z: bool = False
    corner_pixels: bool = False
    inverse_pose: bool = False
    behind_too: bool = False
    focal_swapped: bool = False


def mutated_words(wrong: Wrongs) -> Callable:
    """The visibility test written once more, with a switch for each way to get it wrong."""

    def visible_words(points_world, *, depth_m, depth_intrinsics, intrinsics, world_from_camera, near_m=0.05, bounds_world=None,
                      tolerance_m=0.02, tolerance_share=0.02):  # fmt: skip
        if isinstance(depth_m, geometry_visibility.StoredDepth):
            depth_m = depth_m_from_stored(depth_m.stored, depth_scale_m=depth_m.scale_m)
        camera_from_world = world_from_camera if wrong.inverse_pose else transforms.inverse(world_from_camera)
        local = points_world @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
        z = local[:, 2]
        seen = (z < -near_m) | (z >= near_m) if wrong.behind_too else z >= near_m
        safe = np.where(seen, z, 1.0)
        for camera in (depth_intrinsics, intrinsics):
            fx, fy = (camera.fy, camera.fx) if wrong.focal_swapped else (camera.fx, camera.fy)
            shift = 0.0 if wrong.corner_pixels else 0.5
            column, row = np.floor(fx * local[:, 0] / safe + camera.cx + shift), np.floor(fy * local[:, 1] / safe + camera.cy + shift)
            seen = seen & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
            if camera is depth_intrinsics:
                place = np.where(seen, row, 0).astype(int), np.where(seen, column, 0).astype(int)
        reading = depth_m[place].astype(np.float64)
        if wrong.hole_is_far:
            reading = np.where(np.isfinite(reading), reading, np.inf)
        own = np.linalg.norm(local, axis=1) if wrong.range_for_z else np.abs(z)
        with np.errstate(invalid="ignore"):
            slack = 0.0 if wrong.no_tolerance else np.where(np.isfinite(reading), np.maximum(tolerance_m, tolerance_share * reading), 0.0)
            far_enough = True if wrong.one_sided or wrong.hole_is_far else own >= reading - slack
            near_enough = True if wrong.no_occlusion else own < reading if wrong.no_tolerance else own <= reading + slack
        return geometry_visibility.pack_words(seen & (reading > 0) & far_enough & near_enough)

    return visible_words


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A bug: what replaces `owner.name` everywhere it was imported, and the checks of which at least one must fail."""

    owner: object
    name: str
    bug: Callable
    killed_by: tuple[str, ...]


def sees(**switches) -> dict:
    return {"owner": geometry_visibility, "name": "visible_words", "bug": mutated_words(Wrongs(**switches))}


def wrong_motion(change: Callable) -> Callable:
    right = motion.pair_motion
    return lambda poses, first, second: change(right, np.asarray(poses), np.asarray(first), np.asarray(second))


def displaced(value: Callable) -> Callable:
    return wrong_motion(lambda right, poses, i, j: replace(right(poses, i, j), displacement_m=value(poses, i, j)))


def steps(poses, i, j) -> np.ndarray:
    return poses[j, :3, 3] - poses[i, :3, 3]


def wrong_centres(poses: np.ndarray) -> np.ndarray:
    """-R^T t of a matrix that already takes camera points to the world."""
    moved = poses.copy()
    moved[:, :3, 3] = -np.einsum("fji,fj->fi", poses[:, :3, :3], poses[:, :3, 3])
    return moved


def flipped_unproject(self, uv, depth_m):
    x = (uv[:, 0] - self.cx) / self.fx * depth_m
    return np.stack([x, -(uv[:, 1] - self.cy) / self.fy * depth_m, depth_m], axis=1)


def swapped_focal_unproject(self, uv, depth_m):
    return np.stack([(uv[:, 0] - self.cx) / self.fy * depth_m, (uv[:, 1] - self.cy) / self.fx * depth_m, depth_m], axis=1)


def range_unproject(self, uv, depth_m):
    rays = np.stack([(uv[:, 0] - self.cx) / self.fx, (uv[:, 1] - self.cy) / self.fy, np.ones(len(uv))], axis=1)
    return rays / np.linalg.norm(rays, axis=1, keepdims=True) * depth_m[:, None]


def corner_pixel_unproject(self, uv, depth_m):
    return np.stack([(uv[:, 0] + 0.5 - self.cx) / self.fx * depth_m, (uv[:, 1] + 0.5 - self.cy) / self.fy * depth_m, depth_m], axis=1)


def resized_without_centres(self, *, width, height):
    sx, sy = width / self.width, height / self.height
    return Intrinsics(fx=self.fx * sx, fy=self.fy * sy, cx=self.cx * sx, cy=self.cy * sy, width=width, height=height)


def scaled_uv(uv, frame):
    return uv * [frame.intrinsics.width / frame.depth_intrinsics.width, frame.intrinsics.height / frame.depth_intrinsics.height]


def over_the_first(words, first, second):
    return overlap.shared_counts(words, first, second) / np.maximum(overlap.count_visible(words)[first], 1)


def over_the_sum(words, first, second):
    counts = overlap.count_visible(words)
    return overlap.shared_counts(words, first, second) / np.maximum(counts[first] + counts[second], 1)


def zero_for_unknown(words, first, second, right=overlap.pair_overlap):
    return np.nan_to_num(right(words, first, second))


def unwrapped(angle_deg, first, second):
    return angle_deg[second] - angle_deg[first]


def negated(right: Callable) -> Callable:
    return lambda *given: -right(*given)


def centre_gap(first, second):
    return np.array([np.linalg.norm(b.centre_world - a.centre_world) for a, b in zip(first, second)])


def turned_boxes_as_straight(box):
    half = box.size_m[:2] / 2.0
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + box.centre_world[:2]


def corners_only(first, second, right=shapes._corner_to_edge):
    return np.linalg.norm(first[:, :, None] - second[:, None], axis=-1).min(axis=(1, 2))


def never_overlapping(first, second):
    return np.ones(len(first), dtype=bool)


def any_pixel(depth_m, instances, *, half_width):
    return np.isfinite(depth_m)


def middle_of_the_mask(mask, markable):
    rows, columns = np.nonzero(mask)
    return int(columns.mean()), int(rows.mean())


def first_pixel(mask, markable):
    row, column = np.argwhere(markable)[0]
    return int(column), int(row)


def neighbour_object(view, in_colour, slices, object_id, right=objects._patch_of_ids):
    return right(view, in_colour, slices, max(object_id - 1, 0))


def all_of_the_cloud(view, cloud, owners, near_m, right=objects.point_shares):
    shares = right(view, cloud, owners, near_m=near_m)
    return replace(shares, visible_share=shares.seen / len(cloud.points_world))


def global_random(scan_id, frame_id, seed):
    return np.random.default_rng()


def world_axes_offset(world_from_camera, point_world):
    return point_world - world_from_camera[:3, 3]


VISIBLE = ("visible_set_is_what_rays_reach",)
MOVED = ("a_camera_moved_by_a_known_step_moved_by_that_step", "swapping_a_pair_inverts_its_movement_and_movements_compose")
POINTS = ("sampled_points_lie_on_the_surface_their_pixel_shows",)
OTHER = ("views_of_another_colour_camera_fall_on_the_object_there", *POINTS)
GAPS = ("boxes_with_a_known_gap_have_that_distance", "object_distances_are_those_of_the_boxes")
SIDES = ("standing_here_and_facing_there_left_is_left",)
TURNS = ("turns_are_left_up_and_clockwise_positive_and_wrapped",)
VIEWS = ("object_views_agree_with_the_id_map",)

MUTANTS = {
    "one-sided tolerance": Mutant(**sees(one_sided=True), killed_by=("nothing_floating_before_a_surface_is_visible",)),
    "no occlusion test": Mutant(**sees(no_occlusion=True), killed_by=("nothing_behind_a_surface_is_visible", *VISIBLE)),
    "no tolerance": Mutant(**sees(no_tolerance=True, one_sided=True), killed_by=("own_surface_is_visible",)),
    "a hole is far away": Mutant(**sees(hole_is_far=True), killed_by=("holes_only_remove_visible_points",)),
    "range for z": Mutant(**sees(range_for_z=True), killed_by=("own_surface_is_visible", *VISIBLE)),
    "pixels start at their corners": Mutant(**sees(corner_pixels=True), killed_by=("the_nearest_pixel_decides",)),
    "world_from_camera read as camera_from_world": Mutant(**sees(inverse_pose=True), killed_by=("own_surface_is_visible",)),
    "points behind the camera": Mutant(**sees(behind_too=True), killed_by=("nothing_behind_the_camera_is_visible",)),
    "fx and fy swapped when projecting": Mutant(**sees(focal_swapped=True), killed_by=("own_surface_is_visible", *VISIBLE)),
    "y flipped when unprojecting": Mutant(
        owner=Intrinsics, name="unproject", bug=flipped_unproject, killed_by=("pixels_and_points_are_inverses",)
    ),
    "fx and fy swapped when unprojecting": Mutant(
        owner=Intrinsics, name="unproject", bug=swapped_focal_unproject, killed_by=("pixels_and_points_are_inverses", *POINTS)
    ),
    "range unprojected as z": Mutant(owner=Intrinsics, name="unproject", bug=range_unproject, killed_by=POINTS),
    "half a pixel when unprojecting": Mutant(
        owner=Intrinsics, name="unproject", bug=corner_pixel_unproject, killed_by=("pixels_and_points_are_inverses",)
    ),
    "half a pixel when resizing": Mutant(
        owner=Intrinsics, name="resized", bug=resized_without_centres, killed_by=("resizing_by_two_keeps_pixel_centres",)
    ),
    "range taken as depth": Mutant(
        owner=depth, name="depth_from_range", bug=lambda range_m, camera: range_m, killed_by=("depth_of_a_range_map_is_z",)
    ),
    "colour pixels scaled by image size alone": Mutant(owner=visibility, name="colour_from_depth_uv", bug=scaled_uv, killed_by=OTHER),
    "colour pixels taken for depth pixels": Mutant(
        owner=visibility, name="colour_from_depth_uv", bug=lambda uv, frame: uv, killed_by=OTHER
    ),
    "overlap over the first frame": Mutant(
        owner=overlap,
        name="pair_overlap",
        bug=over_the_first,
        killed_by=("overlap_is_symmetric_one_with_itself_and_unknown_without_points",),
    ),
    "overlap over the sum": Mutant(
        owner=overlap, name="pair_overlap", bug=over_the_sum, killed_by=("two_cameras_before_a_wall_overlap_as_worked_out",)
    ),
    "no overlap where it is unknown": Mutant(
        owner=overlap,
        name="pair_overlap",
        bug=zero_for_unknown,
        killed_by=("overlap_is_symmetric_one_with_itself_and_unknown_without_points",),
    ),
    "displacement in world axes": Mutant(owner=motion, name="pair_motion", bug=displaced(steps), killed_by=MOVED),
    "displacement in the second camera's axes": Mutant(
        owner=motion,
        name="pair_motion",
        bug=displaced(lambda p, i, j: np.einsum("pji,pj->pi", p[j, :3, :3], steps(p, i, j))),
        killed_by=MOVED[1:],
    ),
    "displacement with y up": Mutant(
        owner=motion,
        name="pair_motion",
        bug=wrong_motion(lambda right, p, i, j: replace(right(p, i, j), displacement_m=right(p, i, j).displacement_m * [1, -1, 1])),
        killed_by=MOVED[:1],
    ),
    "first and second swapped": Mutant(
        owner=motion, name="pair_motion", bug=wrong_motion(lambda right, p, i, j: right(p, j, i)), killed_by=MOVED[:1]
    ),
    "camera centre taken as -R^T t": Mutant(
        owner=motion, name="pair_motion", bug=wrong_motion(lambda right, p, i, j: right(wrong_centres(p), i, j)), killed_by=MOVED
    ),
    "turns not wrapped": Mutant(owner=motion, name="_turned_deg", bug=unwrapped, killed_by=TURNS),
    "yaw right positive": Mutant(owner=transforms, name="camera_yaw_deg", bug=negated(transforms.camera_yaw_deg), killed_by=TURNS),
    "pitch down positive": Mutant(owner=transforms, name="camera_pitch_deg", bug=negated(transforms.camera_pitch_deg), killed_by=TURNS),
    "roll counter-clockwise": Mutant(owner=transforms, name="camera_roll_deg", bug=negated(transforms.camera_roll_deg), killed_by=TURNS),
    "centre distance for surface distance": Mutant(owner=shapes, name="box_distances_m", bug=centre_gap, killed_by=GAPS),
    "turned boxes taken as straight": Mutant(owner=shapes, name="box_outline", bug=turned_boxes_as_straight, killed_by=GAPS[:1]),
    "corner to corner for corner to edge": Mutant(owner=shapes, name="_corner_to_edge", bug=corners_only, killed_by=GAPS[:1]),
    "crossing boxes taken as apart": Mutant(owner=shapes, name="_polygons_apart", bug=never_overlapping, killed_by=GAPS[:1]),
    "left and right swapped": Mutant(owner=direction, name="signed_angle_deg", bug=negated(direction.signed_angle_deg), killed_by=SIDES),
    "facing taken as a place seen from the origin": Mutant(
        owner=direction,
        name="bearing_deg",
        bug=lambda stand, face, target: direction.signed_angle_deg(face[:2], target[:2] - stand[:2]),
        killed_by=SIDES,
    ),
    "camera offset in world axes": Mutant(
        owner=direction, name="camera_offset_m", bug=world_axes_offset, killed_by=("a_camera_has_things_right_down_and_forward_of_it",)
    ),
    "points drawn anywhere": Mutant(
        owner=points, name="steady_pixels", bug=any_pixel, killed_by=("sampled_points_keep_away_from_edges_and_borders",)
    ),
    "points drawn without a seed": Mutant(
        owner=points, name="generator_for", bug=global_random, killed_by=("points_of_one_frame_are_spread_and_drawn_the_same_each_time",)
    ),
    "the mark in the middle of the mask": Mutant(owner=objects, name="deepest_pixel", bug=middle_of_the_mask, killed_by=VIEWS),
    "the mark on the first pixel": Mutant(owner=objects, name="deepest_pixel", bug=first_pixel, killed_by=VIEWS),
    "instance ids off by one": Mutant(owner=objects, name="_patch_of_ids", bug=neighbour_object, killed_by=VIEWS),
    "visible share of the whole cloud": Mutant(
        owner=objects, name="point_shares", bug=all_of_the_cloud, killed_by=("visible_shares_are_what_rays_reach",)
    ),
}


def seed_bug(monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    """Put the bug in place of the right one wherever modules of the library hold it by name."""
    right = getattr(mutant.owner, mutant.name)
    monkeypatch.setattr(mutant.owner, mutant.name, mutant.bug)
    for name, module in list(sys.modules.items()):
        if name.startswith("sightline.") and getattr(module, mutant.name, None) is right:
            monkeypatch.setattr(module, mutant.name, mutant.bug)


def survives(check: Callable[[], None]) -> bool:
    try:
        check()
    except (AssertionError, IndexError, ValueError):
        return False
    return True


@pytest.mark.parametrize("name", MUTANTS)
def test_the_oracle_kills(name, monkeypatch):
    mutant = MUTANTS[name]
    seed_bug(monkeypatch, mutant)
    assert not all([survives(CHECKS[check]) for check in mutant.killed_by]), f"'{name}' passes {mutant.killed_by}"


def test_the_visibility_test_written_once_more_without_a_bug_passes(monkeypatch):
    seed_bug(monkeypatch, Mutant(**sees(), killed_by=()))
    assert all(survives(CHECKS[check]) for check in oracle_geometry.CHECKS)
