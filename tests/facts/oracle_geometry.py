"""Oracle checks of geometry and of facts that need no scene: plain functions, called by the tests and by the mutants."""

import numpy as np
from oracle_world import CAMERA, standard_poses, standard_world

from sightline.facts import direction, distance, motion, overlap
from sightline.geometry import depth, visibility
from sightline.geometry.boxes import Box
from sightline.geometry.cameras import Intrinsics

POSES = standard_poses()
WORLD = standard_world()


def quantised(depth_m: np.ndarray) -> np.ndarray:
    """As a millimetre PNG stores it."""
    return (np.round(depth_m * 1000.0) * 0.001).astype(np.float32)


def seen(points_world: np.ndarray, depth_m: np.ndarray, pose: np.ndarray, camera: Intrinsics = CAMERA) -> np.ndarray:
    words = visibility.visible_words(points_world, depth_m=depth_m, depth_intrinsics=camera, intrinsics=camera, world_from_camera=pose)
    return visibility.unpack_words(words, len(points_world))


def surface_along_pixels(pose: np.ndarray, factor: float, offset_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Points on every pixel's ray at `factor * z + offset_m`, computed here and not by the code under test; and the depth map."""
    exact_m, _ = WORLD.picture(CAMERA, pose)
    v, u = np.mgrid[: CAMERA.height, : CAMERA.width]
    z = factor * exact_m + offset_m
    points = np.stack([(u - CAMERA.cx) / CAMERA.fx * z, (v - CAMERA.cy) / CAMERA.fy * z, z], axis=-1).reshape(-1, 3)
    return points @ pose[:3, :3].T + pose[:3, 3], quantised(exact_m)


def own_surface_is_visible() -> None:
    for pose in POSES[:4]:
        points, depth_m = surface_along_pixels(pose, 1.0, 0.0)
        assert seen(points, depth_m, pose).mean() >= 0.999


def nothing_behind_a_surface_is_visible() -> None:
    for pose in POSES[:4]:
        points, depth_m = surface_along_pixels(pose, 1.06, 0.2)
        assert not seen(points, depth_m, pose).any()


def nothing_behind_the_camera_is_visible() -> None:
    for pose in POSES[:4]:
        points, depth_m = surface_along_pixels(pose, -1.0, 0.0)  # on the same lines through the eye, on its other side
        assert not seen(points, depth_m, pose).any()


def nothing_floating_before_a_surface_is_visible() -> None:
    for pose in POSES[:4]:
        points, depth_m = surface_along_pixels(pose, 0.94, -0.2)
        assert not seen(points, depth_m, pose).any()


def visible_set_is_what_rays_reach() -> None:
    rng = np.random.default_rng(3)
    points, _ = WORLD.surface(20_000, rng)
    wrong = total = strictly_wrong = 0
    for pose in POSES:
        exact_m, _ = WORLD.picture(CAMERA, pose)
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        with np.errstate(divide="ignore", invalid="ignore"):
            u, v = CAMERA.fx * local[:, 0] / local[:, 2] + CAMERA.cx, CAMERA.fy * local[:, 1] / local[:, 2] + CAMERA.cy
        inside = (local[:, 2] > 0.05) & (u >= -0.5) & (u < CAMERA.width - 0.5) & (v >= -0.5) & (v < CAMERA.height - 0.5)
        hit_m = local[:, 2] * WORLD.cast(pose[:3, 3], points - pose[:3, 3])[0]
        within = inside & (local[:, 2] - hit_m <= np.maximum(0.02, 0.02 * hit_m))  # the exact ray with the stated tolerance
        found = seen(points, quantised(exact_m), pose)
        assert not (found & ~inside).any()
        wrong, total = wrong + np.count_nonzero(found != within), total + np.count_nonzero(found | within)
        strictly_wrong += np.count_nonzero(found != (inside & WORLD.sees(pose[:3, 3], points)))
    assert wrong <= 0.03 * total, f"{wrong} of {total} differ"
    assert strictly_wrong <= 0.05 * total, f"{strictly_wrong} of {total} differ"  # the rest are hidden sides of visible edges


def holes_only_remove_visible_points() -> None:
    points, depth_m = surface_along_pixels(POSES[0], 1.0, 0.0)
    before = seen(points, depth_m, POSES[0])
    holes = np.random.default_rng(0).random(depth_m.shape) < 0.3
    after = seen(points, np.where(holes, np.nan, depth_m).astype(np.float32), POSES[0])
    assert not (after & holes.ravel()).any() and np.array_equal(after, before & ~holes.ravel())
    behind, _ = surface_along_pixels(POSES[0], 1.3, 0.5)
    assert not seen(behind, np.full(depth_m.shape, np.nan, dtype=np.float32), POSES[0]).any()


def the_nearest_pixel_decides() -> None:
    depth_m = np.full((CAMERA.height, CAMERA.width), 3.0, dtype=np.float32)
    depth_m[40, 60] = 1.0
    offsets = np.array([[0.4, 0.4], [-0.4, -0.4], [0.4, -0.4], [0.6, 0.0], [-0.6, 0.0], [0.0, 0.6], [0.0, -0.6]])
    u, v = 60 + offsets[:, 0], 40 + offsets[:, 1]
    points = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(7)], axis=1)
    assert seen(points, depth_m, np.eye(4)).tolist() == [True, True, True, False, False, False, False]


def two_cameras_before_a_wall_overlap_as_worked_out() -> None:
    camera = Intrinsics(fx=100.0, fy=100.0, cx=99.5, cy=74.5, width=200, height=150)
    across = np.stack(np.meshgrid(np.arange(-5, 5, 0.01), [-0.6, 0.0, 0.6], indexing="ij"), axis=-1).reshape(-1, 2)
    wall = np.column_stack([across, np.full(len(across), 2.0)])
    words = []
    for shift_m in (0.0, 1.0, 3.0, 6.0):
        pose = np.eye(4)
        pose[0, 3] = shift_m
        depth_m = np.full((150, 200), 2.0, dtype=np.float32)
        words.append(visibility.visible_words(wall, depth_m=depth_m, depth_intrinsics=camera, intrinsics=camera, world_from_camera=pose))
    first, second = motion.all_pairs(4)
    width_m = 4.0  # 200 pixels at focal length 100 and depth 2
    shift = np.array([0.0, 1.0, 3.0, 6.0])
    low, high = np.maximum(shift - width_m / 2, -5.0), np.minimum(shift + width_m / 2, 5.0)
    both = np.maximum(np.minimum(high[first], high[second]) - np.maximum(low[first], low[second]), 0.0)
    expected = both / ((high - low)[first] + (high - low)[second] - both)
    assert np.allclose(overlap.pair_overlap(np.stack(words), first, second), expected, atol=0.006)


def overlap_is_symmetric_one_with_itself_and_unknown_without_points() -> None:
    bits = np.random.default_rng(0).random((4, 200)) < np.array([[0.5], [0.1], [0.0], [0.0]])
    words = visibility.pack_words(bits)
    first, second = np.array([0, 1, 0, 2, 0, 2], dtype=np.int32), np.array([1, 0, 0, 3, 2, 2], dtype=np.int32)
    forth, own, unknown = overlap.pair_overlap(words, first, second), 2, (3, 5)
    assert forth[0] == forth[1] == (bits[0] & bits[1]).sum() / (bits[0] | bits[1]).sum()
    assert forth[own] == 1.0 and forth[4] == 0.0 and np.isnan(forth[list(unknown)]).all()
    shuffled = visibility.pack_words(bits[:, np.random.default_rng(1).permutation(200)])
    assert np.array_equal(overlap.pair_overlap(shuffled, first, second), forth, equal_nan=True)


def pair(first_pose: np.ndarray, second_pose: np.ndarray) -> motion.PairMotion:
    return motion.pair_motion(np.stack([first_pose, second_pose]), np.array([0]), np.array([1]))


def turned(yaw_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray:
    """A camera built of its angles: heading left of +x, looking up, its right hand sunk."""
    yaw, pitch, roll = np.radians([yaw_deg, pitch_deg, roll_deg])
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    level = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    right = np.cos(roll) * level + np.sin(roll) * np.cross(forward, level)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    return pose


def a_camera_moved_by_a_known_step_moved_by_that_step() -> None:
    rng = np.random.default_rng(5)
    for pose in POSES:
        step = rng.normal(size=3)  # right, down, forward
        second = pose.copy()
        second[:3, 3] = pose[:3, 3] + step[0] * pose[:3, 0] + step[1] * pose[:3, 1] + step[2] * pose[:3, 2]
        found = pair(pose, second)
        assert np.allclose(found.displacement_m[0], step, atol=1e-9)
        assert np.isclose(found.distance_m[0], np.linalg.norm(step), atol=1e-9)
        assert np.allclose([found.yaw_deg[0], found.pitch_deg[0], found.roll_deg[0]], 0.0, atol=1e-9)


def turns_are_left_up_and_clockwise_positive_and_wrapped() -> None:
    cases = [
        ((170, 0, 0), (-170, 0, 0), (20, 0, 0)),
        ((10, 5, 0), (-30, 25, 0), (-40, 20, 0)),
        ((0, 0, -170), (90, -40, 160), (90, -40, -30)),
    ]
    for before, after, expected in cases:
        found = pair(turned(*before), turned(*after))
        assert np.allclose([found.yaw_deg[0], found.pitch_deg[0], found.roll_deg[0]], expected, atol=1e-6)


def swapping_a_pair_inverts_its_movement_and_movements_compose() -> None:
    poses = np.stack(POSES)
    first, second = motion.all_pairs(len(poses))
    forth, back = motion.pair_motion(poses, first, second), motion.pair_motion(poses, second, first)
    first_from_second = np.swapaxes(poses[first, :3, :3], 1, 2) @ poses[second, :3, :3]
    assert np.allclose(forth.displacement_m, -np.einsum("pij,pj->pi", first_from_second, back.displacement_m), atol=1e-9)
    for name in ("yaw_deg", "pitch_deg", "roll_deg"):
        assert np.allclose(getattr(forth, name), -getattr(back, name), atol=1e-6)
    ij, jk, ik = pair(POSES[0], POSES[3]), pair(POSES[3], POSES[6]), pair(POSES[0], POSES[6])
    rotation = POSES[0][:3, :3].T @ POSES[3][:3, :3]
    assert np.allclose(ik.displacement_m[0], ij.displacement_m[0] + rotation @ jk.displacement_m[0], atol=1e-9)


def pixels_and_points_are_inverses() -> None:
    rng = np.random.default_rng(1)
    uv, z = rng.uniform([0, 0], [160, 120], (200, 2)), rng.uniform(0.2, 9.0, 200)
    points = CAMERA.unproject(uv, z)
    expected = np.stack([(uv[:, 0] - 81.0) / 150.0 * z, (uv[:, 1] - 58.5) / 140.0 * z, z], axis=1)
    assert np.allclose(points, expected, atol=1e-9)
    back, back_m = CAMERA.project(points)
    assert np.allclose(back, uv, atol=1e-6) and np.allclose(back_m, z, atol=1e-9)


def resizing_by_two_keeps_pixel_centres() -> None:
    uv, _ = CAMERA.project(np.array([[0.3, -0.2, 2.0], [-0.5, 0.4, 3.0]]))
    twice, _ = CAMERA.resized(width=320, height=240).project(np.array([[0.3, -0.2, 2.0], [-0.5, 0.4, 3.0]]))
    assert np.allclose(twice, 2.0 * uv + 0.5, atol=1e-9)


def depth_of_a_range_map_is_z() -> None:
    exact_m, _ = WORLD.picture(CAMERA, POSES[0])
    points, _ = surface_along_pixels(POSES[0], 1.0, 0.0)
    range_m = np.linalg.norm(points - POSES[0][:3, 3], axis=1).reshape(exact_m.shape)
    assert np.allclose(depth.depth_from_range(range_m, CAMERA), exact_m, atol=1e-9)
    world = depth.points_world_from_depth(exact_m, CAMERA, POSES[0])
    assert np.allclose(world.reshape(-1, 3), points, atol=1e-9)


def upright(centre, size, yaw_deg: float = 0.0) -> Box:
    return Box.upright(centre_world=np.array(centre, float), size_m=np.array(size, float), yaw_rad=np.radians(yaw_deg))


def boxes_with_a_known_gap_have_that_distance() -> None:
    cases = [
        (upright([0, 0, 0], [1, 1, 1]), upright([2, 0, 0], [1, 1, 1]), 1.0),
        (upright([0, 0, 0], [1, 1, 1]), upright([0.3, 0.2, 1.4], [1, 1, 1]), 0.4),
        (upright([0, 0, 0], [2, 2, 2]), upright([3, 4, 14], [2, 2, 2]), np.sqrt(1 + 4 + 144)),
        (upright([0, 0, 0], [1, 1, 1]), upright([2, 0, 0], [1, 1, 1], 45), 1.5 - np.sqrt(0.5)),
        (upright([0, 0, 0], [4, 0.2, 0.2]), upright([0, 0, 0], [0.2, 4, 0.2]), 0.0),
        (upright([0, 0, 0], [1, 1, 1]), upright([1, 0, 0], [1, 1, 1]), 0.0),
    ]
    for first, second, gap_m in cases:
        assert abs(distance.closest_distance_m(first, second) - gap_m) < 1e-9
        assert abs(distance.closest_distance_m(second, first) - gap_m) < 1e-9
    assert abs(distance.centre_distance_m(cases[2][0], cases[2][1]) - 14.866068747318506) < 1e-12


def standing_here_and_facing_there_left_is_left() -> None:
    stand, face = np.array([1.0, 1.0, 0.4]), np.array([1.0, 3.0, 1.5])  # looking along +y
    for target, angle_deg, word in (
        ([1.0, 5.0, 0.0], 0.0, "front"),
        ([-2.0, 1.0, 2.0], 90.0, "left"),
        ([4.0, 1.0, 0.0], -90.0, "right"),
        ([1.0, -5.0, 0.0], 180.0, "back"),
        ([0.0, 2.0, 0.0], 45.0, None),
    ):
        bearing = direction.bearing_deg(stand, face, np.array(target))
        assert abs(bearing - angle_deg) < 1e-9 and direction.quarter(bearing, margin_deg=5.0) == word
    assert direction.side(30.0, margin_deg=10.0) == "left" and direction.side(-30.0, margin_deg=10.0) == "right"
    assert np.isnan(direction.bearing_deg(stand, stand, face))


def mirroring_the_world_swaps_left_and_right_only() -> None:
    rng = np.random.default_rng(2)
    mirror = np.array([-1.0, 1.0, 1.0])
    swap = {"left": "right", "right": "left", "front": "front", "back": "back", None: None}
    for _ in range(50):
        stand, face, target = rng.normal(size=(3, 3))
        bearing, mirrored = (
            direction.bearing_deg(stand, face, target),
            direction.bearing_deg(stand * mirror, face * mirror, target * mirror),
        )
        assert direction.quarter(mirrored, margin_deg=3.0) == swap[direction.quarter(bearing, margin_deg=3.0)]


def a_camera_has_things_right_down_and_forward_of_it() -> None:
    pose = turned(40.0, 0.0, 0.0)
    point = pose[:3, 3] + 2.0 * pose[:3, 2] + 2.0 * pose[:3, 0] - 1.0 * pose[:3, 1]
    assert np.allclose(direction.camera_offset_m(pose, point), [2.0, -1.0, 2.0], atol=1e-9)
    assert abs(direction.camera_bearing_deg(pose, point) + 45.0) < 1e-9
    assert direction.camera_elevation_deg(pose, point) > 0


CHECKS = {
    check.__name__: check
    for check in (
        own_surface_is_visible,
        nothing_behind_a_surface_is_visible,
        nothing_behind_the_camera_is_visible,
        nothing_floating_before_a_surface_is_visible,
        visible_set_is_what_rays_reach,
        holes_only_remove_visible_points,
        the_nearest_pixel_decides,
        two_cameras_before_a_wall_overlap_as_worked_out,
        overlap_is_symmetric_one_with_itself_and_unknown_without_points,
        a_camera_moved_by_a_known_step_moved_by_that_step,
        turns_are_left_up_and_clockwise_positive_and_wrapped,
        swapping_a_pair_inverts_its_movement_and_movements_compose,
        pixels_and_points_are_inverses,
        resizing_by_two_keeps_pixel_centres,
        depth_of_a_range_map_is_z,
        boxes_with_a_known_gap_have_that_distance,
        standing_here_and_facing_there_left_is_left,
        mirroring_the_world_swaps_left_and_right_only,
        a_camera_has_things_right_down_and_forward_of_it,
    )
}
