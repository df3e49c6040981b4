"""What a view's own token is told: pose from the first camera, lens, depth, each by closed form; and what is unknown says so."""

import math

import pytest
import torch

from sightline.models.fusions.view_facts import DEPTH_EDGES_M, LEGEND, view_facts
from sightline.models.model import Views

SQRT_HALF = math.sqrt(0.5)


def views_of(count: int, views_per_sample: tuple[int, ...] | None = None, **known: torch.Tensor) -> Views:
    return Views(images=(), views_per_sample=views_per_sample or (count,), token_grid_hw=torch.ones(count, 2, dtype=torch.long), **known)


def named(facts: torch.Tensor) -> list[dict[str, float]]:
    assert facts.shape[1] == len(LEGEND) and facts.dtype == torch.float32
    return [dict(zip(LEGEND, row, strict=True)) for row in facts.tolist()]


def pose(*, turned_deg: float = 0.0, centre_m: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> torch.Tensor:
    """World from camera, the camera turned to its right about its own down axis."""
    cos, sin = math.cos(math.radians(turned_deg)), math.sin(math.radians(turned_deg))
    rotation = torch.tensor([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]], dtype=torch.float64)
    last = torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    return torch.cat([torch.cat([rotation, torch.tensor(centre_m, dtype=torch.float64)[:, None]], 1), last])


def only(row: dict[str, float], *names: str) -> dict[str, float]:
    return {name: row[name] for name in names}


def test_poses_are_told_from_the_first_camera_of_their_own_sample_whatever_the_world():
    world = pose(turned_deg=37.0, centre_m=(100.0, -50.0, 3.0))
    poses = torch.stack([world, world @ pose(turned_deg=45.0, centre_m=(1.0, 2.0, 3.0)), pose(turned_deg=90.0), pose(turned_deg=90.0)])
    first, second, third, fourth = named(view_facts(views_of(4, (2, 2), frame_from_camera=poses)))
    at_home = {"right_x": 1.0, "right_y": 0.0, "right_z": 0.0, "down_x": 0.0, "down_y": 1.0, "down_z": 0.0}
    home = {"pose_known": 1.0, **at_home, "centre_x_m": 0.0, "centre_y_m": 0.0, "centre_z_m": 0.0}
    for row in (first, third, fourth):
        assert only(row, *home) == pytest.approx(home, abs=1e-6)
    turned = {"right_x": SQRT_HALF, "right_y": 0.0, "right_z": -SQRT_HALF, "down_x": 0.0, "down_y": 1.0, "down_z": 0.0}
    assert only(second, *home) == pytest.approx({**home, **turned, "centre_x_m": 1.0, "centre_y_m": 2.0, "centre_z_m": 3.0}, abs=1e-6)


def test_a_world_far_away_costs_no_precision():
    far = torch.stack([pose(centre_m=(1e7, 1e7, 0.0)), pose(centre_m=(1e7 + 0.001, 1e7, 0.0))])
    assert named(view_facts(views_of(2, frame_from_camera=far)))[1]["centre_x_m"] == pytest.approx(0.001, abs=1e-6)


def test_a_missing_pose_is_unknown_and_a_missing_first_pose_makes_its_sample_unknown():
    poses = torch.stack([pose(), pose(), pose(), pose()])
    poses[1], poses[2] = torch.nan, torch.nan
    rows = named(view_facts(views_of(4, (2, 2), frame_from_camera=poses)))
    assert [row["pose_known"] for row in rows] == [1.0, 0.0, 0.0, 0.0]
    assert all(value == 0.0 for value in rows[1].values())


def test_lenses_are_shares_of_the_image_so_that_a_resized_image_has_the_same():
    large = torch.tensor([600.0, 500.0, 319.5, 239.5, 640.0, 480.0])
    small = torch.tensor([300.0, 250.0, 159.5, 119.5, 320.0, 240.0])
    rows = named(view_facts(views_of(3, intrinsics=torch.stack([large, small, torch.full((6,), torch.nan)]))))
    lens = {"lens_known": 1.0, "fx_per_width": 0.9375, "fy_per_height": 500 / 480, "cx_per_width": 0.5, "cy_per_height": 0.5}
    assert only(rows[0], *lens) == pytest.approx(lens) and only(rows[1], *lens) == pytest.approx(lens)
    assert all(value == 0.0 for value in rows[2].values())


def test_depth_is_told_in_metres_over_the_pixels_that_were_read():
    depth_m = torch.tensor([[1.2, 1.4, 0.0, float("inf")], [3.6, float("nan"), 12.0, -1.0]])
    (row,) = named(view_facts(views_of(1, depth_m=depth_m[None])))
    mean = (1.2 + 1.4 + 3.6 + 12.0) / 4
    spread = math.sqrt(sum((value - mean) ** 2 for value in (1.2, 1.4, 3.6, 12.0)) / 4)
    told = {"depth_known": 1.0, "share_read": 4 / 8, "depth_mean_m": mean, "depth_std_m": spread}
    assert only(row, *told) == pytest.approx(told, rel=1e-6)
    bands = {name: value for name, value in row.items() if name.startswith(("share_to", "share_beyond"))}
    assert {name: value for name, value in bands.items() if value} == {
        "share_to_1.5_m": 0.5,
        "share_to_4.0_m": 0.25,
        "share_beyond_10.0_m": 0.25,
    }
    assert len(bands) == len(DEPTH_EDGES_M) + 1


def test_a_reading_on_an_edge_belongs_to_the_band_beyond_it():
    depth_m = torch.tensor(DEPTH_EDGES_M).view(1, 3, 5)
    (row,) = named(view_facts(views_of(1, depth_m=depth_m)))
    assert row["share_to_0.5_m"] == 0.0
    assert [row[f"share_to_{edge}_m"] for edge in DEPTH_EDGES_M[1:]] == pytest.approx([1 / 15] * 14)
    assert row["share_beyond_10.0_m"] == pytest.approx(1 / 15)


def test_padding_of_a_smaller_map_changes_nothing():
    depth_m = torch.rand(1, 3, 4, generator=torch.Generator().manual_seed(0)) * 5.0
    padded = torch.zeros(1, 6, 7)
    padded[:, :3, :4] = depth_m
    size = torch.tensor([[5.0, 5.0, 1.5, 1.0, 4.0, 3.0]])
    torch.testing.assert_close(
        view_facts(views_of(1, depth_m=padded, depth_intrinsics=size)), view_facts(views_of(1, depth_m=depth_m)), rtol=1e-6, atol=1e-6
    )


def test_a_map_with_nothing_read_is_unknown_and_so_is_everything_that_is_not_given():
    empty = torch.stack([torch.zeros(2, 2), torch.full((2, 2), torch.nan), torch.full((2, 2), torch.inf)])
    assert (view_facts(views_of(3, depth_m=empty)) == 0).all()
    assert torch.equal(view_facts(views_of(2)), torch.zeros(2, len(LEGEND)))


def test_names_of_columns_are_unique():
    assert len(set(LEGEND)) == len(LEGEND) == 35
