"""Points of a batch on the device are the points of each view on the host: same validity, same places, whatever shares the batch."""

import weakref
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from toy_models import toy_view

from sightline.errors import ConfigError, ModelError, ShapeError
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import apply, look_at, rigid, yaw_matrix
from sightline.models.backbones.backbone import VisionGrid
from sightline.models.fusions.sin3d import Sin3d
from sightline.models.geometry_encoders import pointmap
from sightline.models.geometry_encoders.pointmap import PointmapEncoder, metres, token_points, token_points_of
from sightline.models.geometry_tokens import COORDINATE_FRAMES, frame_from_camera, frame_from_world
from sightline.models.images import images_of, patches_of
from sightline.models.model import GeometryTokens, Sizes, Views, VisualTokens
from sightline.samples.frames import View

FRACTION = 0.25
POINTS_M = 1e-5
LANDSCAPE, PORTRAIT, ODD = (64, 48), (48, 64), (70, 42)


def a_view(seed: int, *, shown: tuple[int, int] = LANDSCAPE, depth: tuple[int, int] = (131, 97), roll_rad: float = 0.0) -> View:
    """A view of a noisy depth map with holes, infinite and negative readings; its image is a crop of what the depth camera sees."""
    rng = np.random.default_rng(seed)
    depth_intrinsics = Intrinsics.from_field_of_view(horizontal_deg=70.0, width=depth[0], height=depth[1])
    wide = Intrinsics.from_field_of_view(horizontal_deg=66.0, width=shown[0] + 8, height=shown[1] + 6)
    depth_m = rng.uniform(0.3, 9.0, (depth[1], depth[0])).astype(np.float32)
    depth_m[rng.random(depth_m.shape) < 0.2] = np.nan
    depth_m[: depth[1] // 3, : depth[0] // 4] = 0.0
    depth_m[rng.random(depth_m.shape) < 0.02] = np.inf
    depth_m[rng.random(depth_m.shape) < 0.02] = -1.0
    pose = look_at(rng.uniform(-2.0, 2.0, 3) + [0.0, 0.0, 1.5], rng.uniform(3.0, 5.0, 3))
    cosine, sine = np.cos(roll_rad), np.sin(roll_rad)
    roll = rigid(np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]]), np.zeros(3))
    return replace(
        toy_view(seed, depth_m=depth_m, world_from_camera=pose @ roll),
        intrinsics=wide.cropped(left=5, top=2, width=shown[0], height=shown[1]),
        depth_intrinsics=depth_intrinsics,
    )


def numbers(intrinsics: Intrinsics) -> list[float]:
    return [intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy, intrinsics.width, intrinsics.height]


def batch_of(
    views: list[View],
    grids: list[tuple[int, int]],
    *,
    frame: str = "world",
    views_per_sample: tuple[int, ...] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Views:
    """The views as a model gets them, smaller depth maps padded with a reading that must not count."""
    height, width = (max(view.depth_m.shape[axis] for view in views) for axis in (0, 1))
    depth_m = torch.full((len(views), height, width), 3.0, dtype=dtype)
    for index, view in enumerate(views):
        rows, columns = view.depth_m.shape
        depth_m[index, :rows, :columns] = torch.from_numpy(view.depth_m)
    per_sample = views_per_sample or (len(views),)
    poses = np.stack([np.full((4, 4), np.nan) if view.world_from_camera is None else view.world_from_camera for view in views])
    return Views(
        images=(),
        views_per_sample=per_sample,
        token_grid_hw=torch.tensor(grids),
        intrinsics=torch.tensor([numbers(view.intrinsics) for view in views], dtype=torch.float64),
        depth_m=depth_m,
        depth_intrinsics=torch.tensor([numbers(view.depth_intrinsics) for view in views], dtype=torch.float64),
        frame_from_camera=frame_from_camera(frame, torch.from_numpy(poses), per_sample),
    )


def on_host(views: list[View], grids: list[tuple[int, int]], fraction: float = FRACTION) -> tuple[np.ndarray, np.ndarray]:
    found = [
        token_points(view, rows=rows, columns=columns, min_valid_fraction=fraction)
        for view, (rows, columns) in zip(views, grids, strict=True)
    ]
    return np.concatenate([points for points, _ in found]), np.concatenate([valid for _, valid in found])


def encode(views: Views, fraction: float = FRACTION) -> GeometryTokens:
    return PointmapEncoder({"min_valid_fraction": fraction})(views)


def expect_same(geometry: GeometryTokens, points: np.ndarray, is_valid: np.ndarray) -> None:
    assert geometry.is_valid.numpy().tolist() == is_valid.tolist()
    assert geometry.coordinates_m.dtype == torch.float32
    np.testing.assert_allclose(geometry.coordinates_m.numpy(), points, atol=POINTS_M, rtol=0.0, equal_nan=True)


@pytest.mark.parametrize("shown", [LANDSCAPE, PORTRAIT, ODD])
@pytest.mark.parametrize("depth", [(131, 97), (64, 48), (97, 131), (33, 25)])
@pytest.mark.parametrize("fraction", [0.25, 0.75])
def test_a_view_has_the_same_points_either_way(shown, depth, fraction):
    grid = (shown[1] // 14, shown[0] // 16)
    view = a_view(3, shown=shown, depth=depth)
    points, is_valid = on_host([view], [grid], fraction)
    assert is_valid.any()
    expect_same(encode(batch_of([view], [grid]), fraction), points, is_valid)


def test_padding_counts_nowhere_even_where_the_image_shows_more_than_the_depth_camera():
    narrow = a_view(2, depth=(40, 30))
    wide = Intrinsics.from_field_of_view(horizontal_deg=110.0, width=64, height=48)
    views = [replace(narrow, intrinsics=wide), a_view(3)]
    points, is_valid = on_host(views, [(3, 4)] * 2)
    assert is_valid[:12].any() and not is_valid[:12].all()
    expect_same(encode(batch_of(views, [(3, 4)] * 2)), points, is_valid)


def test_views_of_several_sizes_share_a_padded_batch():
    views = [a_view(1), a_view(2, shown=PORTRAIT, depth=(97, 131)), a_view(3, depth=(40, 30)), a_view(4), a_view(5, shown=ODD)]
    grids = [(3, 4), (4, 3), (3, 4), (3, 4), (5, 7)]
    geometry = encode(batch_of(views, grids, views_per_sample=(2, 3)))
    expect_same(geometry, *on_host(views, grids))
    assert geometry.views_per_sample == (2, 3) and geometry.grid_hw.tolist() == [list(grid) for grid in grids]


def test_a_view_does_not_depend_on_the_others_nor_on_how_many_fit_at_once(monkeypatch):
    views = [a_view(seed) for seed in range(5)]
    together = encode(batch_of(views, [(3, 4)] * 5)).coordinates_m
    monkeypatch.setattr(pointmap, "PIXELS_AT_ONCE", 2 * 131 * 97)
    torch.testing.assert_close(encode(batch_of(views, [(3, 4)] * 5)).coordinates_m, together, rtol=0.0, atol=1e-6, equal_nan=True)
    alone = torch.cat([encode(batch_of([view], [(3, 4)])).coordinates_m for view in views])
    torch.testing.assert_close(alone, together, rtol=0.0, atol=1e-6, equal_nan=True)


def test_pixels_on_the_edge_of_two_tokens_are_counted_alike():
    """Depth of 6x9 pixels under 4x6 tokens: every third row and column lies exactly on an edge, where rounding falls to either side."""
    size = {"width": 6, "height": 9}
    for degrees in np.linspace(40.0, 110.0, 15):
        camera = Intrinsics.from_field_of_view(horizontal_deg=float(degrees), **size)
        for times in (1, 3, 7):
            shown = camera.resized(width=6 * times, height=9 * times)
            depth_m = np.random.default_rng(0).uniform(1.0, 4.0, (9, 6)).astype(np.float32)
            view = replace(toy_view(0, depth_m=depth_m), intrinsics=shown, depth_intrinsics=camera)
            points, is_valid = on_host([view], [(6, 4)])
            expect_same(encode(batch_of([view], [(6, 4)])), points, is_valid)
            rounded = batch_of([view], [(6, 4)])
            rounded = replace(rounded, intrinsics=rounded.intrinsics.float(), depth_intrinsics=rounded.depth_intrinsics.float())
            expect_same(encode(rounded), points, is_valid)


def test_planted_coordinates_arrive_at_the_token_whose_patch_they_lie_under():
    """In the order of the vision tower: patches in merge windows, averaged window by window, are tokens row by row."""
    rows, columns, patch = 3, 5, 4
    planted_m = 1.0 + np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    depth_m = np.kron(planted_m, np.ones((2 * patch, 2 * patch), np.float32))
    camera = Intrinsics.from_field_of_view(horizontal_deg=60.0, width=depth_m.shape[1], height=depth_m.shape[0])
    view = replace(toy_view(0, depth_m=depth_m, world_from_camera=np.eye(4)), intrinsics=camera, depth_intrinsics=camera)
    z_m = encode(batch_of([view], [(rows, columns)])).coordinates_m[:, 2]
    drawn = np.repeat(depth_m[..., None], 3, axis=2).astype(np.uint8)
    by_window = patches_of(drawn, patch_size=patch, merge_size=2).reshape(rows * columns, -1)
    assert (by_window == by_window[:, :1]).all()
    assert z_m.tolist() == by_window[:, 0].tolist() == planted_m.reshape(-1).tolist()
    centre = encode(batch_of([view], [(rows, columns)])).coordinates_m.numpy()
    uv = np.stack(np.meshgrid(np.arange(columns) * 8 + 3.5, np.arange(rows) * 8 + 3.5), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(centre, camera.unproject(uv, planted_m.reshape(-1)), atol=POINTS_M)


def test_images_and_points_of_a_batch_are_in_one_order():
    """The colour under each token, taken from what a view encoder is shown, is the depth that the token is told."""
    grid = VisionGrid(patch_px=4, merge=2, temporal_patch=1, mean=(0.0,) * 3, std=(1.0,) * 3)
    planted_m = np.arange(1.0, 13.0, dtype=np.float32).reshape(2, 3, 2)
    for depth_m in np.kron(planted_m, np.ones((1, 8, 8), np.float32)):
        drawn = np.repeat(depth_m[..., None], 3, axis=2).astype(np.uint8)
        pixels = torch.from_numpy(patches_of(drawn, patch_size=4, merge_size=2)).float()
        (image,) = images_of(pixels, torch.tensor([[1, 6, 4]]), grid, first_only=True)
        assert image[0].numpy().tolist() == depth_m.tolist()


@pytest.mark.parametrize("unknown", [0.0, torch.nan])
def test_a_view_without_pose_or_without_depth_is_invalid_and_its_neighbours_are_not(unknown):
    views = [a_view(1), replace(a_view(2), world_from_camera=None), a_view(3), a_view(4)]
    broken = a_view(2).world_from_camera.copy()
    broken[1, 3] = -np.inf
    batch = batch_of([*views, replace(a_view(2), world_from_camera=broken)], [(3, 4)] * 5)
    depth_m, cameras, shown = batch.depth_m.clone(), batch.depth_intrinsics.clone(), batch.intrinsics.clone()
    depth_m[3], cameras[3], shown[3] = torch.nan, unknown, unknown
    geometry = encode(replace(batch, depth_m=depth_m, depth_intrinsics=cameras, intrinsics=shown))
    expected, is_valid = on_host(views, [(3, 4)] * 4)
    per_view = geometry.is_valid.view(5, 12)
    assert not per_view[[1, 3, 4]].any() and geometry.coordinates_m.view(5, 12, 3)[[1, 3, 4]].isnan().all()
    np.testing.assert_allclose(geometry.coordinates_m.view(5, 12, 3)[[0, 2]], expected.reshape(4, 12, 3)[[0, 2]], atol=POINTS_M)
    assert per_view[[0, 2]].numpy().tolist() == is_valid.reshape(4, 12)[[0, 2]].tolist()


def test_an_invalid_view_puts_no_nan_into_gradients():
    geometry = encode(batch_of([a_view(1), replace(a_view(2), world_from_camera=None)], [(3, 4)] * 2))
    assert geometry.coordinates_m.isnan().any()
    fusion = Sin3d(Sizes(hidden_size=8, geometry_channels=3, merge=1), {"num_wavelengths": 4})
    torch.nn.init.ones_(fusion.gate)
    tokens = torch.randn(24, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    fused = fusion(VisualTokens(tokens=tokens, grid_thw=torch.tensor([[1, 3, 4]] * 2)), geometry)
    fused.square().sum().backward()
    assert torch.equal(fused[12:], tokens[12:])
    for tensor in (tokens, *fusion.parameters()):
        assert tensor.grad.isfinite().all() and tensor.grad.abs().sum() > 0


@pytest.mark.parametrize("name", COORDINATE_FRAMES)
@pytest.mark.parametrize("roll_rad", [0.0, 0.4, np.pi / 2, -np.pi / 2])
def test_coordinate_frames_of_a_batch_are_those_of_each_sample(name, roll_rad):
    views = [a_view(seed, roll_rad=roll_rad) for seed in range(5)]
    counts = (2, 1, 2)
    poses = np.stack([view.world_from_camera for view in views])
    found = frame_from_camera(name, torch.from_numpy(poses), counts).numpy()
    for first, end in pairwise(np.cumsum([0, *counts])):
        expected = frame_from_world(name, poses[first]) @ poses[first:end]
        np.testing.assert_allclose(found[first:end], expected, atol=1e-12)
    geometry = encode(batch_of(views, [(3, 4)] * 5, frame=name, views_per_sample=counts))
    points_world, is_valid = on_host(views, [(3, 4)] * 5)
    first_of = np.repeat([0, 2, 3], np.array(counts) * 12)
    expected = np.stack([apply(frame_from_world(name, poses[first]), point) for first, point in zip(first_of, points_world, strict=True)])
    expect_same(geometry, expected, is_valid)


def test_straight_down_and_a_camera_on_its_side_have_a_level_frame():
    down = rigid(np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 2.0]))
    side = rigid(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]).T, np.array([1.0, 2.0, 3.0]))
    quarter_turn = rigid(np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).T, np.zeros(3))  # looks along +y, right is down
    np.testing.assert_allclose(frame_from_world("first_camera_level", quarter_turn), np.eye(4), atol=1e-12)
    poses = np.stack([down, side, quarter_turn])
    found = frame_from_camera("first_camera_level", torch.from_numpy(poses), (1, 1, 1)).numpy()
    np.testing.assert_allclose(found, [frame_from_world("first_camera_level", pose) @ pose for pose in poses], atol=1e-12)


def test_moving_the_world_moves_its_points_and_no_point_seen_from_the_first_camera():
    new_from_world = rigid(yaw_matrix(2.1), np.array([300.0, -200.0, 15.0]))
    views = [a_view(seed) for seed in range(3)]
    moved = [replace(view, world_from_camera=new_from_world @ view.world_from_camera) for view in views]
    before, after = (encode(batch_of(which, [(3, 4)] * 3)).coordinates_m.numpy() for which in (views, moved))
    np.testing.assert_allclose(after, apply(new_from_world, before.astype(np.float64)), atol=5e-5)  # float32 at 300 m
    for name in ("first_camera", "first_camera_level"):
        before, after = (encode(batch_of(which, [(3, 4)] * 3, frame=name)).coordinates_m.numpy() for which in (views, moved))
        np.testing.assert_allclose(after, before, atol=POINTS_M)


@pytest.mark.parametrize("context", ["autocast", "tf32"])
def test_half_precision_around_it_changes_no_bit(context):
    batch = batch_of([a_view(1), a_view(2)], [(3, 4)] * 2)
    expected = encode(batch).coordinates_m
    precision = torch.get_float32_matmul_precision()
    if context == "tf32":
        torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=context == "autocast"):
            found = encode(batch).coordinates_m
    finally:
        torch.set_float32_matmul_precision(precision)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.0, equal_nan=True)


def test_depth_in_float16_is_depth_rounded_to_float16():
    view = a_view(6)
    rounded = replace(view, depth_m=view.depth_m.astype(np.float16).astype(np.float32))
    expect_same(encode(batch_of([view], [(3, 4)], dtype=torch.float16)), *on_host([rounded], [(3, 4)]))


def test_millimetres_become_metres_on_the_device_and_zero_means_nothing_read():
    stored = torch.tensor([[[0, 1, 1500, 65535]]], dtype=torch.uint16)
    found = metres(stored, unit_m=0.001)
    torch.testing.assert_close(found, torch.tensor([[[torch.nan, 0.001, 1.5, 65.535]]]), equal_nan=True)
    assert found.dtype == torch.float32 and stored.element_size() == 2
    with pytest.raises(ModelError, match=r"expected integers .* found torch\.float32"):
        metres(found, unit_m=0.001)


def test_depth_in_stored_units_is_refused_by_name():
    batch = batch_of([a_view(1)], [(3, 4)])
    with pytest.raises(ModelError, match=r"expected metres in float32 or float16, found torch\.int16"):
        encode(replace(batch, depth_m=torch.ones(1, 8, 8, dtype=torch.int16)))


@pytest.mark.parametrize("name", ["depth_m", "intrinsics", "depth_intrinsics"])
def test_a_batch_cast_to_bfloat16_as_a_whole_is_refused_by_name(name):
    batch = batch_of([a_view(1)], [(3, 4)])
    with pytest.raises(ModelError, match=rf"view_{name}: expected .*, found torch.bfloat16"):
        encode(replace(batch, **{name: getattr(batch, name).bfloat16()}))
    with pytest.raises(ModelError, match=r"view_world_from_camera: expected float64 or float32, found torch.float16"):
        frame_from_camera("world", torch.eye(4)[None].half(), (1,))


def test_views_that_do_not_match_are_refused_by_name():
    batch = batch_of([a_view(1), a_view(2)], [(3, 4)] * 2)
    with pytest.raises(ShapeError, match="view_depth_m: expected shape"):
        encode(replace(batch, depth_m=batch.depth_m[:1]))
    with pytest.raises(ModelError, match="expected depth, intrinsics and poses of the views"):
        encode(replace(batch, frame_from_camera=None))
    with pytest.raises(ModelError, match=r"sum to the 2 poses, found \[1\]"):
        frame_from_camera("first_camera", torch.eye(4)[None].repeat(2, 1, 1), (1,))
    with pytest.raises(ConfigError, match="found 'camera'"):
        frame_from_camera("camera", torch.eye(4)[None], (1,))
    with pytest.raises(ModelError, match="0 < min_valid_fraction <= 1, found 0"):
        PointmapEncoder({"min_valid_fraction": 0.0})


def test_a_batch_without_views_has_no_points():
    none = Views(
        images=(),
        views_per_sample=(0,),
        token_grid_hw=torch.zeros(0, 2, dtype=torch.long),
        intrinsics=torch.zeros(0, 6),
        depth_m=torch.zeros(0, 4, 4),
        depth_intrinsics=torch.zeros(0, 6),
        frame_from_camera=torch.zeros(0, 4, 4),
    )
    assert encode(none).coordinates_m.shape == (0, 3) and encode(none).is_valid.shape == (0,)


def test_the_arithmetic_compiles_into_one_graph():
    batch = batch_of([a_view(1), a_view(2)], [(3, 4)] * 2, frame="first_camera_level")
    given = {"depth_intrinsics": batch.depth_intrinsics, "intrinsics": batch.intrinsics, "frame_from_camera": batch.frame_from_camera}
    sizes = {"rows": 3, "columns": 4, "min_valid_fraction": FRACTION}
    compiled = torch.compile(token_points_of, fullgraph=True, backend="aot_eager")
    points, is_valid = compiled(batch.depth_m, **given, **sizes)
    expected, expected_valid = token_points_of(batch.depth_m, **given, **sizes)
    torch.testing.assert_close(points, expected, rtol=0.0, atol=1e-6, equal_nan=True)
    assert torch.equal(is_valid, expected_valid)


class Allocated(TorchDispatchMode):
    """Counts the bytes of tensors alive at once while it is on."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(tensor, torch.Tensor) and tensor._base is None and not any(tensor is given for given in args):
                self._count(tensor)
        return made

    def _count(self, tensor):
        size = tensor.numel() * tensor.element_size()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(tensor, self._free, size)

    def _free(self, size):
        self.now -= size


def test_thirty_two_views_need_a_thousandth_of_a_code_per_pixel():
    """Tensors alive at once, counted as they are made: 32 views of 640x480 whose code per pixel (2,560 wide) would be 100.7 GB."""
    camera = Intrinsics.from_field_of_view(horizontal_deg=60.0, width=640, height=480)
    six = torch.tensor([numbers(camera)] * 32, dtype=torch.float64)
    views = Views(
        images=(),
        views_per_sample=(32,),
        token_grid_hw=torch.tensor([[15, 20]] * 32),
        intrinsics=six,
        depth_m=torch.full((32, 480, 640), 2.0),
        depth_intrinsics=six,
        frame_from_camera=torch.eye(4, dtype=torch.float64).repeat(32, 1, 1),
    )
    with Allocated() as counted:
        geometry = encode(views)
    assert geometry.is_valid.all()
    neighbour_bytes = 32 * 480 * 640 * 2560 * 4
    assert neighbour_bytes == 100_663_296_000
    assert 20e6 < counted.peak < neighbour_bytes / 1000, counted.peak
