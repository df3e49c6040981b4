"""Charts, plans, coloured clouds and the 3-D page, held to what they draw."""

import re
import threading
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from made_reports import ROOM_M, TABLE, TABLE_COLOUR, WALL_COLOURS, make_sample

from sightline.answers.number import Number
from sightline.captures.capture import NO_WALL, Opening
from sightline.captures.images import read_rgb
from sightline.errors import DataError, SceneError
from sightline.evaluation.results import Interval
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import look_at
from sightline.questions.question import Mark
from sightline.reports import plots, svg
from sightline.reports.cloud import UNSEEN, coloured_cloud, evenly
from sightline.reports.curves import in_order, read_metrics
from sightline.reports.gallery import FrameLibrary, question_card
from sightline.reports.marks import edges_uv, object_under, objects_seen
from sightline.reports.plans import plan
from sightline.reports.scene_view import scene_view_html, write_scene_view


def drawn(markup):
    """All elements of a drawing, after an XML parser accepted it."""
    return list(ElementTree.fromstring(str(markup)).iter())


def of_class(markup, name):
    return [one for one in drawn(markup) if name in one.get("class", "").split()]


def corners(element):
    return np.array([[float(value) for value in pair.split(",")] for pair in element.get("points").split()])


def area(polygon):
    x, y = polygon[:, 0], polygon[:, 1]
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2.0


def px_per_m(markup):
    """Read off the drawing's own scale bar."""
    path = of_class(markup, "scale")[0].get("d")
    left, right = float(re.match(r"M([\d.]+)", path)[1]), float(re.search(r"H([\d.]+)", path)[1])
    words = [one.text for one in drawn(markup) if one.tag == "text" and one.text.endswith(" m")]
    return (right - left) / float(words[0].removesuffix(" m"))


# --- elements


def test_element_texts_and_attributes_are_escaped():
    assert str(svg.element("text", "<&>", title='"')) == '<text title="&#34;">&lt;&amp;&gt;</text>'
    assert str(svg.element("g", svg.element("rect", stroke_width=2.0, fill=None))) == '<g><rect stroke-width="2"></rect></g>'
    assert svg.number(-0.001) == "0" and svg.number(1.005) in ("1", "1.0", "1.01") and svg.number(2.5) == "2.5"


# --- charts


def bar_row(mean, low, high, **more):
    bar = plots.Bar(series=0, name="none", value=Interval(mean=mean, low=low, high=high))
    return plots.BarRow(label="depth", bars=(bar,), ticks=(plots.Tick(kind="chance", name="chance", value=0.25),), **more)


def test_bars_whiskers_and_ticks_stand_at_their_values():
    chart = plots.score_bars([bar_row(0.5, 0.4, 0.6)], label="scores")
    bar = of_class(chart, "bar")[0]
    left, width = float(bar.get("x")), float(bar.get("width"))
    full = width / 0.5
    low, high = re.match(r"M([\d.]+) [\d.]+H([\d.]+)", of_class(chart, "whisker")[0].get("d")).groups()
    assert float(low) == pytest.approx(left + 0.4 * full, abs=0.02)
    assert float(high) == pytest.approx(left + 0.6 * full, abs=0.02)
    tick = float(re.match(r"M([\d.]+)", of_class(chart, "tick")[0].get("d"))[1])
    assert tick == pytest.approx(left + 0.25 * full, abs=0.02)
    assert [one.text for one in of_class(chart, "value")] == ["50.0"]


def test_separated_tasks_carry_a_star_and_a_band():
    plain, marked = (
        plots.score_bars([bar_row(0.5, 0.4, 0.6)], label="s"),
        plots.score_bars([bar_row(0.5, 0.4, 0.6, is_marked=True)], label="s"),
    )
    assert not of_class(plain, "separated") and len(of_class(marked, "separated")) == 1
    assert of_class(marked, "label")[0].text.startswith("\u2605")


def test_a_curve_keeps_its_ends_and_its_order_when_it_is_thinned():
    curve = plots.Curve(name="loss", series=0, x=tuple(map(float, range(5000))), y=tuple(10.0 / (1 + x) for x in range(5000)))
    chart = plots.line_chart([curve], title="loss", x_label="update", is_log=True)
    line = corners(of_class(chart, "line")[0])
    assert len(line) <= plots.MAX_POINTS + 1
    assert (np.diff(line[:, 0]) > 0).all() and (np.diff(line[:, 1]) > -0.011).all()  # falling values sink on the page
    assert not of_class(chart, "raw")


def test_a_noisy_curve_gets_its_running_mean_over_faint_values():
    noisy = plots.Curve(name="loss", series=0, x=tuple(map(float, range(400))), y=tuple(1.0 + (x % 2) for x in range(400)))
    chart = plots.line_chart([noisy], title="loss", x_label="update")
    raw, mean = corners(of_class(chart, "raw")[0]), corners(of_class(chart, "line")[0])
    assert np.ptp(mean[30:, 1]) < 0.05 * np.ptp(raw[:, 1])
    assert mean[-1, 1] == pytest.approx(raw[:, 1].mean(), abs=1.0)


def test_equal_values_and_no_values_make_a_chart_too():
    flat = plots.Curve(name="x", series=0, x=(1.0,), y=(3.0,))
    assert of_class(plots.line_chart([flat], title="t", x_label="update"), "line")
    assert "nothing recorded" in str(plots.line_chart([], title="t", x_label="update"))
    assert "nothing recorded" in str(
        plots.line_chart([flat.__class__(name="x", series=0, x=(1.0,), y=(-1.0,))], title="t", x_label="u", is_log=True)
    )


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 17.0), (1e-6, 9e-4), (5.0, 5.0), (0.0, 0.0), (1e4, 1.2e6)])
def test_axis_ticks_are_round_and_hold_the_range(low, high):
    ticks = plots._ticks(low, high)
    assert ticks[0] <= low and ticks[-1] >= high and 2 <= len(ticks) <= 8
    assert np.diff(ticks) == pytest.approx(np.diff(ticks)[0])


def test_histogram_bars_are_as_high_as_their_counts():
    chart = plots.histogram([1, 2, 4], ["a", "b", "c"], title="t")
    heights = [float(one.get("height")) for one in of_class(chart, "bar")]
    assert np.array(heights) / heights[2] == pytest.approx([0.25, 0.5, 1.0], abs=0.01)


# --- logs


def test_metrics_are_read_by_name_with_gaps_and_refused_by_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"update": 1, "loss": 2, "note": "x", "gate": null}\n{"update": 3, "gate": 0.5, "is_best": true}\n')
    metrics = read_metrics(path)
    assert set(metrics) == {"loss", "gate"}
    assert metrics["loss"].updates == (1.0,) and metrics["gate"].values == (0.5,)
    for line in ('{"loss": 1}', "[1]", '{"update": true}', '{"update": -1}', '{"update": 1, "loss": NaN}', '{"update": 1'):
        path.write_text('{"update": 0}\n' + line + "\n")
        with pytest.raises(DataError, match=r"metrics\.jsonl:2"):
            read_metrics(path)
    with pytest.raises(DataError, match="no file"):
        read_metrics(tmp_path / "none.jsonl")


def test_charts_stand_in_the_usual_order():
    names = ["zeal", "gate", "validation/object_count", "seconds", "loss", "validation/loss"]
    assert in_order(names) == ["loss", "validation/loss", "validation/object_count", "gate", "zeal"]


# --- plans


def test_plan_shapes_have_their_true_areas_and_places(made):
    drawing = plan(made.scene)
    scale = px_per_m(drawing)
    floor, table = of_class(drawing, "floor")[0], of_class(drawing, "object")[0]
    assert area(corners(floor)) / scale**2 == pytest.approx(12.0, rel=2e-3)
    assert area(corners(table)) / scale**2 == pytest.approx(1.2 * 0.8, rel=5e-3)
    origin = np.array([corners(floor)[:, 0].min(), corners(floor)[:, 1].max()])  # world (0, 0): left, and down the page
    centre_m = (corners(table).mean(axis=0) - origin) / scale * [1, -1]
    assert centre_m == pytest.approx(TABLE.centre_world[:2], abs=0.01)
    start, end = of_class(drawing, "start")[0], of_class(drawing, "end")[0]
    for dot, frame in ((start, made.scene.frames[0]), (end, made.scene.frames[-1])):
        spot_m = (np.array([float(dot.get("cx")), float(dot.get("cy"))]) - origin) / scale * [1, -1]
        assert spot_m == pytest.approx(frame.world_from_camera[:2, 3], abs=0.01)


def test_a_tilted_box_covers_the_floor_below_all_its_corners(made):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]), [2.0, 1.5, 1.0]
    lying = replace(made.scene.objects[0], box=Box(size_m=np.array([1.0, 0.5, 0.2]), world_from_object=pose))
    drawing = plan(replace(made.scene, objects=(lying,)))
    assert area(corners(of_class(drawing, "object")[0])) / px_per_m(drawing) ** 2 == pytest.approx(1.0 * 0.2, rel=0.01)


def test_view_wedges_open_where_the_camera_looks(made):
    drawing = plan(made.scene)
    for wedge, frame in zip(of_class(drawing, "view"), made.scene.frames):
        eye, left, right = corners(wedge) * [1, -1]
        heading = (left + right) / 2 - eye
        assert heading / np.linalg.norm(heading) == pytest.approx(
            frame.world_from_camera[:2, 2] / np.linalg.norm(frame.world_from_camera[:2, 2]), abs=0.02
        )
        turn = np.cross([*(left - eye), 0], [*(right - eye), 0])[2]
        assert turn < 0  # the image's right side is clockwise of its left, seen from above


def test_walls_doors_windows_and_openings_are_all_there(made):
    drawing = plan(made.scene)
    assert len(of_class(drawing, "wall")) == 4 and len(of_class(drawing, "gap")) == 3
    assert len(of_class(drawing, "door")) == 1 and len(of_class(drawing, "window")) == 2
    scale = px_per_m(drawing)
    gap = of_class(drawing, "gap")[0]
    assert abs(float(gap.get("x2")) - float(gap.get("x1"))) / scale == pytest.approx(0.9, abs=0.01)


def test_a_door_opens_into_its_room_and_its_arc_ends_at_the_gap(made):
    for wall_id, centre in ((0, [1.0, 0.0]), (1, [4.0, 1.5]), (2, [1.0, 3.0]), (3, [0.0, 1.5])):
        door = Opening(kind="door", wall_id=wall_id, centre_world=np.array([*centre, 1.0]), width_m=0.9, height_m=2.0, rooms=(0,))
        drawing = plan(replace(made.scene, structure=replace(made.scene.structure, openings=(door,))))
        floor, leaf = corners(of_class(drawing, "floor")[0]), of_class(drawing, "door")[0]
        tip, hinge = (np.array([float(leaf.get(f"x{end}")), float(leaf.get(f"y{end}"))]) for end in (2, 1))
        assert (tip > floor.min(axis=0)).all() and (tip < floor.max(axis=0)).all(), wall_id
        arc = [float(number) for number in re.findall(r"-?[\d.]+", of_class(drawing, "swing")[0].get("d"))]
        assert arc[:2] == pytest.approx(tip, abs=0.02)
        sweep, end = arc[6], np.array(arc[7:])
        assert np.linalg.norm(end - hinge) == pytest.approx(arc[2], abs=0.05)
        # clockwise on the page (y down) is sweep 1: the arc must bulge away from the hinge, a quarter circle about it
        turn = np.cross([*(tip - hinge), 0], [*(end - hinge), 0])[2]
        assert (turn > 0) == bool(sweep)


def test_labels_never_touch_and_the_rest_is_in_tooltips(made):
    table = made.scene.objects[0]
    crowd = tuple(
        replace(table, object_id=index, category=f"thing {index}", box=TABLE.moved(np.eye(4) + np.eye(4, k=3) * 0.0)) for index in range(30)
    )
    drawing = plan(replace(made.scene, objects=crowd))
    labels = of_class(drawing, "object-label")
    spots = [(float(one.get("x")), float(one.get("y")), len(one.text)) for one in labels]
    assert 1 < len(labels) < 30
    for index, (x, y, letters) in enumerate(spots):
        for other_x, other_y, other_letters in spots[:index]:
            assert abs(y - other_y) >= 12 or abs(x - other_x) > 3 * (letters + other_letters)
    titles = [one.text for one in drawn(drawing) if one.tag == "title"]
    assert sum(title.startswith("thing") for title in titles) == 30


def test_the_room_label_stands_inside_an_l_shaped_room(made):
    outline = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 0.8], [0.8, 0.8], [0.8, 4.0], [0.0, 4.0]])
    room = replace(made.scene.structure.rooms[0], outline_world=outline, label="l")
    drawing = plan(replace(made.scene, objects=(), structure=replace(made.scene.structure, rooms=(room,))))
    label, floor = of_class(drawing, "room-label")[0], corners(of_class(drawing, "floor")[0])
    scale = px_per_m(drawing)
    x_m = (float(label.get("x")) - floor[:, 0].min()) / scale
    y_m = (floor[:, 1].max() - float(label.get("y"))) / scale
    assert 0 < x_m < 4 and 0 < y_m < 4 and (x_m < 0.8 or y_m < 0.8)
    assert "5.8 m" in label.text


def test_a_scan_without_walls_is_drawn_over_its_cloud(made):
    bare = replace(made.scene, structure=None, objects=None)
    cloud = coloured_cloud(bare, max_points=20_000)
    drawing = plan(bare, cloud=cloud)
    assert len(of_class(drawing, "backdrop")) == 1 and not of_class(drawing, "wall")
    assert of_class(drawing, "backdrop")[0].get("href").startswith("data:image/png;base64,")


def test_an_opening_without_its_wall_and_an_empty_scene_are_refused(made):
    stray = Opening(kind="door", wall_id=77, centre_world=np.zeros(3), width_m=0.9, height_m=2.0, rooms=(0,))
    with pytest.raises(SceneError, match="expected wall 77"):
        plan(replace(made.scene, structure=replace(made.scene.structure, openings=(stray,))))
    with pytest.raises(SceneError, match="to draw a plan of"):
        plan(replace(made.scene, frames=(), objects=None, structure=None))


def test_an_opening_whose_wall_nobody_knows_is_left_out_and_a_curved_wall_is_drawn_round(made):
    stray = Opening(kind="door", wall_id=NO_WALL, centre_world=np.zeros(3), width_m=0.9, height_m=2.0, rooms=())
    first, *others = made.scene.structure.walls
    middle = (first.a_world + first.b_world) / 2.0
    curved = replace(first, arc_centre_world=middle)
    drawing = plan(replace(made.scene, structure=replace(made.scene.structure, walls=(curved, *others), openings=(stray,))))
    assert not of_class(drawing, "door") and len(of_class(drawing, "wall")) == len(others) + 24  # half a circle in steps of 7.5 degrees


# --- boxes in images


def test_the_object_behind_a_mark_is_found_and_its_wireframe_encloses_its_pixels(made):
    frame, table = made.scene.frames[0], made.scene.objects[0]
    pixels = np.argwhere((read_rgb(frame.rgb_path) == TABLE_COLOUR).all(axis=2))
    v, u = np.round(pixels.mean(axis=0))
    on_table = Mark(frame_id=frame.frame_id, u_px=float(u), v_px=float(v), colour="red")
    on_wall = Mark(frame_id=frame.frame_id, u_px=2.0, v_px=2.0, colour="blue")
    assert object_under(on_table, frame=frame, objects=made.scene.objects) is table
    assert object_under(on_wall, frame=frame, objects=made.scene.objects) is None
    bigger = replace(table, object_id=5, box=Box(size_m=TABLE.size_m + 0.02, world_from_object=TABLE.world_from_object))
    assert object_under(on_table, frame=frame, objects=(bigger, table)) is table  # a cup in a cupboard is the cup
    edges = np.concatenate(edges_uv(TABLE, intrinsics=frame.intrinsics, world_from_camera=frame.world_from_camera))
    inside = (edges[:, 0] > 0) & (edges[:, 0] < 95) & (edges[:, 1] > 0) & (edges[:, 1] < 71)
    assert inside.any()
    assert edges[:, 0].min() - 1 <= pixels[:, 1].min() and pixels[:, 1].max() <= edges[:, 0].max() + 1
    assert edges[:, 1].min() - 1 <= pixels[:, 0].min() and pixels[:, 0].max() <= edges[:, 1].max() + 1


def test_counted_objects_are_those_the_frame_sees(made):
    inside = TABLE.contains(made.scene.points_world.astype(np.float64), margin_m=0.005)
    scene = replace(made.scene, point_object_ids=np.where(inside, 0, -1).astype(np.int32))
    frame = made.scene.frames[0]
    assert objects_seen(scene, frame, category="table") == [made.scene.objects[0]]
    assert objects_seen(scene, frame, category="chair") == []
    away = replace(frame, world_from_camera=look_at(np.array([1.0, 0.3, 1.5]), np.array([0.0, 0.0, 1.5])))
    assert objects_seen(scene, away, category="table") == []
    assert objects_seen(made.scene, frame, category="table") == []  # a cloud without labels tells nothing


def test_edges_that_pass_the_camera_are_cut_and_boxes_behind_it_left_out(made):
    camera = made.scene.frames[0].intrinsics
    around = Box.upright(centre_world=np.zeros(3), size_m=np.array([2.0, 2.0, 2.0]), yaw_rad=0.0)
    for start, end in edges_uv(around, intrinsics=camera, world_from_camera=np.eye(4)):
        assert np.isfinite([start, end]).all()
    behind = Box.upright(centre_world=np.array([0.0, 0.0, -3.0]), size_m=np.ones(3), yaw_rad=0.0)
    assert edges_uv(behind, intrinsics=camera, world_from_camera=np.eye(4)) == []


def test_object_questions_show_the_boxes_and_point_questions_do_not(made):
    frame = made.scene.frames[0]
    pixels = np.argwhere((read_rgb(frame.rgb_path) == TABLE_COLOUR).all(axis=2))
    v, u = np.round(pixels.mean(axis=0))
    mark = Mark(frame_id=frame.frame_id, u_px=float(u), v_px=float(v), colour="red")
    library = FrameLibrary(store=made.store, scenes={"box_room": made.scene})
    for task, paths in (("object_size", 2), ("depth_estimation", 0)):
        sample = replace(make_sample(0, task, Number(unit="m", decimals=1), 1.2, frames=(0,)), marks=(mark,))
        drawing = question_card(sample, library).pictures[0].drawing
        assert len([one for one in drawn(drawing) if one.tag == "path"]) == paths


# --- colours


def test_cloud_points_take_the_colour_of_the_surface_they_lie_on(made):
    cloud = coloured_cloud(made.scene, max_points=100_000)
    assert len(cloud.points_world) == len(made.scene.points_world)
    points = cloud.points_world.astype(np.float64)
    on_table = TABLE.contains(points, margin_m=0.005)
    well_inside = (np.sort(np.minimum(np.abs(points), np.abs(points - ROOM_M)), axis=1)[:, 1] > 0.15) & ~TABLE.contains(
        points, margin_m=0.15
    )
    share_table = (cloud.colours[on_table] == TABLE_COLOUR).all(axis=1).mean()
    gap = np.concatenate([np.abs(points), np.abs(points - ROOM_M)], axis=1)
    wall = gap.argmin(axis=1) % 3 * 2 + (gap.argmin(axis=1) >= 3)
    share_wall = (cloud.colours[well_inside] == WALL_COLOURS[wall[well_inside]]).all(axis=1).mean()
    assert on_table.sum() > 100 and well_inside.sum() > 1000
    assert share_table > 0.97 and share_wall > 0.995


def test_points_no_frame_sees_borrow_near_colours_or_stay_grey(made):
    far, near = np.array([[50.0, 50.0, 1.0]]), made.scene.points_world[:1] + 0.05
    scene = replace(made.scene, points_world=np.concatenate([made.scene.points_world, far, near]).astype(np.float32))
    colours = coloured_cloud(scene, max_points=100_000).colours
    assert tuple(colours[-2]) == UNSEEN and tuple(colours[-1]) != UNSEEN


def test_the_ceiling_is_told_apart_with_and_without_a_known_room(made):
    raised = np.array([[1.0, 1.0, 2.5], [1.0, 1.0, 1.0]], dtype=np.float32)
    for scene in (made.scene, replace(made.scene, structure=None)):
        assert coloured_cloud(replace(scene, points_world=raised), max_points=10).is_overhead.tolist() == [True, False]


def test_thinning_keeps_both_ends():
    assert evenly(tuple(range(100)), 4) == (0, 33, 66, 99)
    assert evenly((1, 2), 5) == (1, 2)


# --- the 3-D page


def test_the_scene_page_needs_no_network_and_leaves_no_server(made, tmp_path, capsys):
    before = set(threading.enumerate())
    write_scene_view(made.scene, tmp_path / "scene.html", max_points=3000)
    page = (tmp_path / "scene.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[\w./-]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?!data:)", page)
    assert "<title>box_room in 3-D</title>" in page and "frames: 4" in page
    alive = [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]
    for thread in alive:
        thread.join(timeout=5.0)
    assert not [thread.name for thread in alive if thread.is_alive()]
    assert capsys.readouterr().out == ""


def test_names_in_the_scene_page_are_escaped(made):
    scene = replace(made.scene, scan_id="<script>alert(1)</script>", licence="<b>")
    page = scene_view_html(scene, max_points=100)
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page and "&lt;b&gt;" in page


def test_a_scene_without_points_shows_what_is_known_and_one_with_nothing_says_what_to_do(made):
    empty = replace(made.scene, points_world=np.empty((0, 3), dtype=np.float32))
    assert "</html>" in scene_view_html(empty)
    with pytest.raises(SceneError, match="depth images"):
        scene_view_html(replace(empty, frames=(), objects=None, structure=None))
