"""The page of facts: what its pictures show, and that it holds only what was measured."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("jinja2")

import oracle_scenes
from PIL import Image
from seen_rooms import flat

from sightline.facts.fact import CorrespondenceFacts, TrackFacts, TrackWindowFacts
from sightline.facts.free_space import FREE, TAKEN, free_space
from sightline.facts.rooms import links_of, rooms_of
from sightline.facts.support import object_places
from sightline.reports import fact_plots, fact_summaries
from sightline.reports.fact_plots import INK, MATRIX_CELLS, UNKNOWN, matrix_image, render_fact_page


@pytest.fixture(scope="module")
def table():
    """The oracle world's facts, with the structure of a two-room flat."""
    room, measured = flat(2, 2), oracle_scenes.measured("same")
    nothing = {"points_world": np.zeros((0, 3)), "structure": room.structure}
    return replace(
        measured,
        structure=room.structure,
        objects=room.objects,
        object_places=object_places(room.objects, floor_z_m=None, point_object_ids=None, **nothing),
        rooms=rooms_of(room.structure),
        room_links=links_of(room.structure),
        free_space=free_space(objects=room.objects, floor=None, **nothing),
        skips={"tracks": "nobody followed <points>"},
    )


def pictures(markup):
    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", str(markup))
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


def test_a_small_matrix_is_drawn_cell_by_cell():
    row, column = np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1])
    pixels = matrix_image(row, column, np.array([1.0, 0.5, np.nan, 0.0]), shape=(3, 2))
    assert pixels.shape == (3, 2, 4) and pixels[0, 0].tolist() == [*INK, 255] and pixels[1, 0].tolist() == [*INK, 128]
    assert pixels[2, 1].tolist() == [*INK, 0] and pixels[1, 1].tolist() == list(UNKNOWN) == pixels[0, 1].tolist()


def test_a_matrix_too_large_to_be_seen_shows_means_of_neighbours():
    count = 2 * MATRIX_CELLS
    here = np.arange(count)
    pixels = matrix_image(here, here, np.where(here % 2, 1.0, 0.5), shape=(count, count))
    assert pixels.shape == (MATRIX_CELLS, MATRIX_CELLS, 4) and set(pixels[np.arange(MATRIX_CELLS), np.arange(MATRIX_CELLS), 3]) == {191}


def test_the_overlap_matrix_holds_every_pair_both_ways(table):
    (pixels,) = pictures(fact_plots.overlap_panel(table).drawing)
    pairs = table.pairs
    assert np.array_equal(pixels[pairs.first, pairs.second], pixels[pairs.second, pairs.first])
    assert np.abs(pixels[pairs.first, pairs.second, 3] / 255.0 - pairs.overlap).max() <= 0.5 / 255.0 + 1e-9
    assert (pixels[np.arange(len(pixels)), np.arange(len(pixels)), 3] == 255).all()


def test_the_plan_holds_the_free_space_with_north_up(table):
    drawn = fact_plots.plan_panel(table).drawing
    (pixels,) = pictures(drawn)
    cells = table.free_space.cells[::-1]
    assert [len(np.unique(pixels[cells == kind], axis=0)) for kind in (0, FREE, TAKEN)] == [1, 1, 1]
    assert (pixels[cells == 0, 3] == 0).all() and pixels[cells == FREE][0].tolist() != pixels[cells == TAKEN][0].tolist()
    for area_m2 in table.rooms.area_m2:
        assert f"{area_m2:.1f} m\u00b2" in str(drawn)
    assert "to outside" in str(drawn) and "on the floor" in str(drawn)


def test_objects_appear_in_the_order_in_which_they_are_seen(table):
    views = table.object_views
    words = str(fact_plots.object_panel(table).drawing)
    ids = np.unique(views.object_id)
    names = {one.object_id: f"{one.category} {one.object_id}" for one in table.objects}
    first = [int(views.frame[views.object_id == one].min()) for one in ids]
    expected = [names[int(ids[place])] for place in np.lexsort((ids, first))]
    assert sorted(expected, key=lambda name: words.index(f">{name if len(name) <= 19 else name[:18]}")) == expected
    (pixels,) = pictures(words)
    assert np.count_nonzero(pixels[..., 3]) == np.count_nonzero(np.rint(255.0 * np.nan_to_num(views.visible_share, nan=1.0)))


def test_the_page_needs_nothing_else_and_says_what_was_not_measured(table):
    page = render_fact_page(table)
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page and "src=" not in page
    assert "nobody followed &lt;points&gt;" in page
    assert "<h2>Rooms</h2>" in page and "<h2>Coverage</h2>" in page and "<h2>Tracks</h2>" not in page
    assert render_fact_page(table) == page


def test_a_scan_of_one_frame_without_labels_still_has_its_page():
    bare = oracle_scenes.measured("bare")
    pairs = replace(bare.pairs, **{name: getattr(bare.pairs, name)[:0] for name in bare.pairs.__dataclass_fields__})
    names = ("visible_points", "depth_coverage", "world_from_camera", "frame_ids", "intrinsics")
    frames = replace(bare.frames, **{name: getattr(bare.frames, name)[:1] for name in names})
    page = render_fact_page(replace(bare, frames=frames, pairs=pairs, rooms=None, free_space=None))
    assert "Overlap of frame pairs" not in page and "Plan with free space" not in page and "Visible points" in page


def test_tracks_and_correspondences_are_summed_up_where_they_were_measured(table):
    tracks = TrackFacts(
        point=np.array([0, 0, 1, 1]), frame=np.array([0, 1, 0, 1]), visible=np.array([True, True, True, False]),
        point_camera=np.zeros((4, 3)), point_world=np.zeros((4, 3)), body=np.array([0, 0, 1, 1]), at_edge=np.zeros(4, bool),
    )  # fmt: skip
    assert fact_summaries.tracks(replace(table, tracks=tracks)).rows == (("still", "1", "100%"), ("body 1", "1", "50%"))
    windows = TrackWindowFacts(
        point=np.array([0, 1]), start=np.zeros(2, int), end=np.ones(2, int), displacement_m=np.array([[0, 0, 0], [0.3, 0, 0.4]]),
        apparent_m=np.array([[1.0, 0, 0], [0, 0, 2.0]]), body=np.array([0, 1]),
    )  # fmt: skip
    assert fact_summaries.windows(replace(table, track_windows=windows)).rows[1] == (
        "body 1",
        "1",
        "0.50 (0.50 to 0.50)",
        "2.00 (2.00 to 2.00)",
    )
    uv = np.array([[0.0, 0.0], [10.0, 0.0], [5.0, 5.0]])
    shared = CorrespondenceFacts(
        first=np.array([0, 0, 1]), second=np.array([1, 1, 2]), first_uv=uv, second_uv=uv + [3.0, 4.0], first_depth_m=np.ones(3),
        second_depth_m=np.full(3, 1.5), point_world=np.zeros((3, 3)), object_id=np.zeros(3, int),
    )  # fmt: skip
    rows = dict(fact_summaries.correspondences(replace(table, correspondences=shared)).rows)
    assert rows["pairs of frames"] == "2" and rows["correspondences"] == "3" and rows["shift between the images, px"] == "5 (5 to 5)"
    page = render_fact_page(replace(table, tracks=tracks, track_windows=windows, correspondences=shared))
    assert all(f"<h2>{title}</h2>" in page for title in ("Tracks", "Movements", "Correspondences"))
