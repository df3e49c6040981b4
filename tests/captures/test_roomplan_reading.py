"""RoomPlan's walls, arcs, openings, floors and storeys, each against a closed form."""

import json
import math

import numpy as np
import pytest
from handmade_roomplan import SQUARE, floor, part, pose, room, save, square_walls, wall

from sightline.captures.capture import NO_WALL
from sightline.captures.detect import find_reader
from sightline.captures.poses import UP_ROTATIONS
from sightline.captures.records import structure_as_json, structure_from_json
from sightline.captures.roomplan.captured_room import moved, room_plan_of
from sightline.captures.roomplan.loops import closed_loops
from sightline.captures.roomplan.reader import RoomPlanReader
from sightline.captures.roomplan.structure import plan_line
from sightline.errors import CaptureError
from sightline.geometry.shapes import polygon_area, stands_upright
from sightline.geometry.transforms import apply, rigid, yaw_matrix


def plan(**more):
    return room_plan_of(room(**more), where="room.json")


def test_a_wall_stands_where_its_column_major_transform_puts_it():
    """Numbers of a published scan, rounded to millimetres: centre in elements 12 to 14, width along the first column, +y up."""
    x = np.array([0.437, 0.0, -0.899])
    centre = np.array([-1.996, -0.155, 0.186])
    flat = [*x, 0, 0, 1, 0, 0, 0.899, 0, 0.437, 0, *centre, 1]
    found = plan(walls=[part("wall", "w", [3.464, 2.349, 0.0], flat)]).structure.walls[0]
    low = centre - [0.0, 2.349 / 2.0, 0.0]
    ends = np.array([low - 1.732 * x, low + 1.732 * x])
    expected = np.stack([ends[:, 0], -ends[:, 2], ends[:, 1]], axis=1)
    assert np.abs(np.stack([found.a_world, found.b_world]) - expected).max() < 1e-3
    assert found.height_m == 2.349 and found.thickness_m == 0.0


def arc_wall(start, end, *, centre=(0.0, 1.0), radius=2.0):
    curve = {"startAngle": start, "endAngle": end, "radius": radius, "center": list(centre)}
    return part("wall", "arc", [2.0, 2.5, 0.0], pose(1.0, 1.25, -2.0, yaw_deg=30.0), curve=curve)


def degrees(value):
    return {"value": value, "unit": {"symbol": "°", "converter": {"coefficient": 1, "constant": 0}}}


def radians(value):
    return {"value": math.radians(value), "unit": {"symbol": "rad", "converter": {"coefficient": 57.29577951308232, "constant": 0}}}


@pytest.mark.parametrize("spelled", [degrees, radians, lambda value: value, lambda value: math.radians(value)])
def test_an_arc_runs_counter_clockwise_from_above_whatever_its_angles_are_written_in(spelled):
    found = plan(walls=[arc_wall(spelled(-120.0), spelled(-30.0))]).structure.walls[0]
    turned = np.array(pose(1.0, 1.25, -2.0, yaw_deg=30.0)).reshape(4, 4).T
    for end, angle in ((found.a_world, -30.0), (found.b_world, -120.0)):  # x towards z is clockwise from above
        stored = apply(turned, np.array([2.0 * math.cos(math.radians(angle)), -1.25, 1.0 + 2.0 * math.sin(math.radians(angle))]))
        assert end == pytest.approx([stored[0], -stored[2], stored[1]], abs=1e-9)
    out_a, out_b = (end[:2] - found.arc_centre_world[:2] for end in (found.a_world, found.b_world))
    assert np.linalg.norm(out_a) == pytest.approx(2.0) and np.linalg.norm(out_b) == pytest.approx(2.0)
    assert out_a[0] * out_b[1] - out_a[1] * out_b[0] == pytest.approx(4.0)  # a quarter turn to the left
    length_m = np.linalg.norm(np.diff(plan_line(found), axis=0), axis=1).sum()
    assert length_m == pytest.approx(math.pi, rel=1e-3)


def test_an_arc_is_the_same_whichever_end_its_angles_start_at():
    one, other = (plan(walls=[arc_wall(degrees(a), degrees(b))]).structure.walls[0] for a, b in ((10.0, 200.0), (200.0, 10.0)))
    assert (one.a_world == other.a_world).all() and (one.b_world == other.b_world).all()
    length_m = np.linalg.norm(np.diff(plan_line(one), axis=0), axis=1).sum()
    assert length_m == pytest.approx(2.0 * math.radians(190.0), rel=1e-3)


def test_a_bay_of_an_arc_and_a_wall_closes_into_a_room():
    """Half a disc of 2 m: its wall runs along x, its arc bulges to -z, which is +y in our world."""
    curve = {"startAngle": degrees(180.0), "endAngle": degrees(360.0), "radius": 2.0, "center": [0.0, 0.0]}
    arc = part("wall", "arc", [4.0, 2.5, 0.0], pose(0.0, 1.25, 0.0), curve=curve)
    structure = plan(walls=[wall("w", (-2.0, 0.0), (2.0, 0.0)), arc]).structure
    assert polygon_area(structure.rooms[0].outline_world) == pytest.approx(math.pi * 2.0, rel=2e-3)
    assert structure.rooms[0].outline_world[:, 1].max() == pytest.approx(2.0, abs=2e-3)
    back = structure_from_json(json.loads(json.dumps(structure_as_json(structure))), where="structure.json")
    assert (back.walls[1].arc_centre_world == structure.walls[1].arc_centre_world).all()


def test_a_curve_without_a_centre_is_taken_straight_and_counted():
    bent = square_walls()
    bent[0]["curve"] = {"startAngle": degrees(0.0), "endAngle": degrees(90.0), "radius": 2.0}
    found = plan(walls=bent)
    assert found.structure.walls[0].arc_centre_world is None and found.notes["structure_counts"]["curves_taken_straight"] == 1
    assert len(found.structure.rooms) == 1


def test_a_gable_keeps_its_outline_and_a_rectangle_spelled_as_polygon_is_plain():
    gable = [[-2.0, -1.25, 0.0], [2.0, -1.25, 0.0], [2.0, 0.5, 0.0], [0.0, 1.25, 0.0], [-2.0, 0.5, 0.0]]
    plain = [[2.0, -1.25, 0.0], [2.0, 1.25, 0.0], [-2.0, 1.25, 0.0], [-2.0, -1.25, 0.0]]
    walls = [wall("g", (0.0, 0.0), (4.0, 0.0), polygonCorners=gable), wall("p", (0.0, 3.0), (4.0, 3.0), polygonCorners=plain)]
    one, other = plan(walls=walls).structure.walls
    assert one.outline_world == pytest.approx(np.array([[0, 0, 0], [4, 0, 0], [4, 0, 1.75], [2, 0, 2.5], [0, 0, 1.75]]), abs=1e-9)
    assert (one.height_m, one.a_world.tolist(), one.b_world.tolist()) == (2.5, [0, 0, 0], [4, 0, 0])
    assert other.outline_world is None and other.height_m == 2.5 and other.a_world == pytest.approx([0.0, -3.0, 0.0])


def test_a_leaning_wall_is_told_by_its_outline():
    tilt = math.radians(30.0)
    leaning = [1, 0, 0, 0, 0, math.cos(tilt), math.sin(tilt), 0, 0, -math.sin(tilt), math.cos(tilt), 0, 2.0, 1.0, 0.0, 1]
    found = plan(walls=[part("wall", "l", [4.0, 2.0, 0.0], leaning)]).structure.walls[0]
    assert found.height_m == pytest.approx(2.0 * math.cos(tilt)) and found.a_world[2] == found.b_world[2]
    assert np.ptp(found.outline_world[:, 1]) == pytest.approx(1.0) and found.outline_world[:, 2].min() == pytest.approx(found.a_world[2])


def test_a_wall_on_its_head_stands_on_its_lower_edge_all_the_same():
    on_its_head = [-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 2.0, 1.25, 0.0, 1]
    found = plan(walls=[part("wall", "h", [4.0, 2.5, 0.0], on_its_head)]).structure.walls[0]
    assert (found.a_world[2], found.b_world[2], found.height_m) == pytest.approx((0.0, 0.0, 2.5))


def door(x, z, *, yaw_deg=0.0, y=1.0, **more):
    return part("door", f"door {x} {z}", [0.9, 2.0, 0.0], pose(x, y, z, yaw_deg=yaw_deg), **more)


def test_openings_hang_in_their_parent_else_in_the_nearest_wall_that_they_lie_along():
    doors = [
        door(2.0, 3.0, parentIdentifier="w0"),  # what the file says wins over what lies nearer
        door(2.0, 0.1),
        door(0.2, 1.5),  # across the wall it stands beside
        door(2.0, 1.5),  # in the middle of the room
        door(4.0, 1.5, yaw_deg=90.0, parentIdentifier="gone"),
        door(2.0, 0.0, y=6.0),  # a storey above
    ]
    found = plan(doors=doors)
    assert [opening.wall_id for opening in found.structure.openings] == [0, 0, NO_WALL, NO_WALL, 1, NO_WALL]
    counts = found.notes["structure_counts"]
    assert counts["openings_without_parent"] == 4 and counts["openings_of_unknown_parent"] == 1
    assert counts["openings_hung_into_nearest_wall"] == 2 and counts["openings_in_no_wall"] == 3


def test_an_opening_lies_in_a_curved_wall_by_its_arc_and_not_by_its_chord():
    curve = {"startAngle": degrees(180.0), "endAngle": degrees(360.0), "radius": 2.0, "center": [0.0, 0.0]}
    arc = part("wall", "arc", [4.0, 2.5, 0.0], pose(0.0, 1.25, 0.0), curve=curve)
    found = plan(walls=[arc], windows=[part("window", "o", [0.8, 1.0, 0.0], pose(0.05, 1.4, -2.05))]).structure
    assert found.openings[0].wall_id == 0
    assert plan(walls=[arc], doors=[door(0.0, 0.0)]).structure.openings[0].wall_id == NO_WALL


@pytest.mark.parametrize(
    ("category", "more", "expected"),
    [({"door": {"isOpen": True}}, {}, True), ({"door": {"isOpen": False}}, {}, False), ({"door": {}}, {}, None), ("door", {}, None),
     ("door", {"isOpen": True}, True)],
)  # fmt: skip
def test_a_door_is_open_closed_or_unknown(category, more, expected):
    assert plan(doors=[{**door(2.0, 0.0), "category": category, **more}]).structure.openings[0].is_open is expected


def test_storeys_keep_their_walls_rooms_and_labels_apart():
    sections = [{"label": "kitchen", "story": 0, "center": [1, 1, 1]}, {"label": "livingRoom", "story": 1, "center": [1, 4, 1]}]
    walls = square_walls(story=0) + square_walls(foot=2.8, prefix="u", story=1)
    found = plan(walls=walls, sections=sections, doors=[door(2.0, 0.0, y=3.8, story=1)])
    low, high = found.structure.rooms
    assert (low.label, low.floor_z_m, low.ceiling_z_m) == ("kitchen", 0.0, 2.5)
    assert (high.label, high.floor_z_m, high.ceiling_z_m) == ("living room", 2.8, pytest.approx(5.3))
    assert found.structure.openings[0].wall_id == 4 and found.structure.openings[0].rooms == (1,)
    assert found.notes["stories"] == [0, 1]


def test_rooms_are_named_by_the_section_inside_them_and_a_door_between_them_joins_both():
    floors = [floor(SQUARE, identifier="f0"), floor([(4.1, 0.0), (8.0, 0.0), (8.0, 3.0), (4.1, 3.0)], identifier="f1")]
    sections = [{"label": {"bedroom": {}}, "center": [6, 1, 1]}, {"label": "unidentified", "center": [2, 1, 1]}]
    walls = [*square_walls(), wall("east", (8.0, 0.0), (8.0, 3.0), height=3.0)]
    found = plan(walls=walls, floors=floors, sections=sections, doors=[door(4.05, 1.5, yaw_deg=90.0)]).structure
    assert [one.label for one in found.rooms] == ["room", "bedroom"]
    assert [one.ceiling_z_m for one in found.rooms] == [2.5, 3.0]
    assert sorted(found.openings[0].rooms) == [0, 1] and found.openings[0].wall_id == 1


@pytest.mark.parametrize("corners", [SQUARE, SQUARE[::-1], [*SQUARE, SQUARE[0]]])
def test_a_floor_comes_out_counter_clockwise_from_above_however_it_was_drawn(corners):
    outline = plan(floors=[floor(corners)]).structure.rooms[0].outline_world
    assert len(outline) == 4 and polygon_area(outline) == pytest.approx(12.0)
    assert {tuple(np.round(corner, 6) + 0.0) for corner in outline} == {(0, 0), (4, 0), (4, -3), (0, -3)}


def test_walls_that_do_not_close_give_no_room_and_say_so():
    found = plan(walls=square_walls()[:3])
    assert found.structure.rooms == () and found.notes["structure_counts"] == {"storeys_whose_walls_do_not_close": 1}


def test_loops_need_corners_of_two_walls_and_leave_out_those_that_lead_nowhere():
    ring = [np.array([SQUARE[n], SQUARE[(n + 1) % 4]]) for n in range(4)]
    shuffled = [ring[2], ring[0][::-1], ring[3], ring[1] + 0.04]
    stub = [np.array([[0.0, 3.0], [-1.0, 3.0]]), np.array([[-1.0, 3.0], [-1.0, 4.0]])]
    (outline,) = closed_loops(shuffled + stub)
    assert len(outline) == 4 and abs(polygon_area(outline)) == pytest.approx(12.0, rel=0.03)
    assert closed_loops([*ring, np.array([[0.0, 0.0], [4.0, 3.0]])]) == []  # which side is which room is not said
    apart = [line + [10.0, 0.0] for line in ring]
    assert len(closed_loops(ring + apart)) == 2 and closed_loops(ring[:3]) == [] and closed_loops([]) == []


def test_how_sure_roomplan_was_of_its_surfaces_is_kept_as_counts():
    walls = [{**one, "confidence": {"high": {}} if number else "low"} for number, one in enumerate(square_walls())]
    assert plan(walls=walls, doors=[door(2.0, 0.0)]).notes["surface_confidence"] == {"walls": {"high": 3, "low": 1}}


def box(identifier, category="table", size=(1.2, 0.7, 0.6), transform=None, **more):
    return part(category, identifier, list(size), transform or pose(2.0, 0.35, 1.0, yaw_deg=20.0), **more)


def test_objects_keep_attributes_confidence_and_kinds_that_nobody_knows():
    chair = box("C-1", "chair", attributes={"ChairType": "swivel"}, confidence={"low": {}}, parentIdentifier="T-1", story=0)
    chair_object, other = plan(objects=[chair, box("H", "hammock")]).objects
    assert chair_object.attributes == {
        "ChairType": "swivel", "confidence": "low", "identifier": "C-1", "parent_identifier": "T-1", "story": "0"
    }  # fmt: skip
    assert (chair_object.category, other.category) == ("chair", "hammock")
    assert chair_object.box.size_m.tolist() == [1.2, 0.6, 0.7] and chair_object.box.is_upright
    assert np.degrees(chair_object.box.yaw_rad) == pytest.approx(20.0)
    assert chair_object.box.centre_world == pytest.approx([2.0, -1.0, 0.35])


def test_single_precision_does_not_make_an_upright_box_lean():
    rounded = [float(np.float32(value)) + 3e-8 for value in pose(2.0, 0.35, 1.0, yaw_deg=33.3)]
    found = plan(objects=[box("t", transform=rounded)]).objects[0].box
    assert stands_upright(found) and np.degrees(found.yaw_rad) == pytest.approx(33.3, abs=1e-4)


def test_merged_lists_of_a_structure_win_over_its_rooms():
    rooms = [room(objects=[box("a")]), room(objects=[box("b")])]
    merged = {"rooms": rooms, "walls": square_walls(prefix="merged"), "objects": [box("m")], "version": 2}
    found = room_plan_of(merged, where="flat.json")
    assert len(found.structure.walls) == 4 and [one.attributes["identifier"] for one in found.objects] == ["m"]
    assert found.notes["rooms_merged"] == 2 and "parts_repeated" not in found.notes
    del merged["walls"], merged["objects"]
    found = room_plan_of(merged, where="flat.json")
    assert [one.attributes["identifier"] for one in found.objects] == ["a", "b"]
    assert len(found.structure.walls) == 4 and found.notes["parts_repeated"] == {"walls": 4}


def test_rooms_that_each_have_their_own_origin_are_not_guessed_together():
    rooms = [room(referenceOriginTransform=pose(shift, 0.0, 0.0)) for shift in (0.0, 5.0)]
    with pytest.raises(CaptureError, match="flat.json: rooms: expected the merged walls .* Fix: export the structure that"):
        room_plan_of({"rooms": rooms}, where="flat.json")


def test_a_plan_moves_with_the_motion_of_the_scan_that_shares_its_session():
    found = plan(doors=[door(2.0, 0.0)], objects=[box("t")], floors=[floor(SQUARE)])
    level = rigid(UP_ROTATIONS["+y"], np.zeros(3))
    same = moved(found, level)
    assert np.abs(same.structure.walls[1].b_world - found.structure.walls[1].b_world).max() < 1e-12
    motion = rigid(yaw_matrix(0.7), np.array([1.0, -2.0, 0.3]))
    there = moved(found, motion @ level)
    assert there.objects[0].box.corners_world() == pytest.approx(apply(motion, found.objects[0].box.corners_world()))
    for one, other in zip(found.structure.walls, there.structure.walls, strict=True):
        assert other.a_world == pytest.approx(apply(motion, one.a_world)) and other.b_world == pytest.approx(apply(motion, one.b_world))
    assert there.structure.openings[0].centre_world == pytest.approx(apply(motion, found.structure.openings[0].centre_world))
    one, other = found.structure.rooms[0], there.structure.rooms[0]
    assert (other.floor_z_m, other.ceiling_z_m) == pytest.approx((one.floor_z_m + 0.3, one.ceiling_z_m + 0.3))
    assert other.outline_world == pytest.approx(one.outline_world @ yaw_matrix(0.7)[:2, :2].T + [1.0, -2.0])
    with pytest.raises(CaptureError, match="a floor plan cannot be tilted"):
        moved(found, np.eye(4))  # a scan whose stored world is +z up already


def test_files_become_scans_by_their_names(tmp_path):
    single = save(room(), tmp_path / "Living room" / "Room.json")
    assert RoomPlanReader(single.parent, {}).scan_ids("all") == ["Living_room"]
    assert RoomPlanReader(single, {}).scan_ids("all") == ["Room"] and find_reader(single) == "roomplan"
    save(room(), single.with_name("Attic 2.json"))
    (single.parent / "notes.json").write_text('{"walls": 4}')
    reader = RoomPlanReader(single.parent, {"place_id": "flat", "licence": "CC-BY-4.0"})
    assert reader.scan_ids("all") == ["Attic_2", "Room"] and reader.source_files("Room") == (single,)
    capture = reader.read("Attic_2", workspace=tmp_path)
    assert (capture.place_id, capture.licence, capture.frames) == ("flat", "CC-BY-4.0", ())
    assert capture.notes["convention"]["up_axis"] == "+y" and capture.notes["version"] == 2
    save(room(), single.with_name("Attic_2.json"))
    with pytest.raises(CaptureError, match="expected scans of different names, found 'Attic_2' again"):
        RoomPlanReader(single.parent, {}).scan_ids("all")


def test_scans_with_pictures_and_our_own_structure_are_left_to_others(tmp_path):
    save(room(), tmp_path / "phone" / "room.json")
    (tmp_path / "phone" / "depth").mkdir()
    assert not RoomPlanReader.recognises(tmp_path / "phone")
    own = save(structure_as_json(plan().structure), tmp_path / "own" / "structure.json")
    assert not RoomPlanReader.recognises(own) and not RoomPlanReader.recognises(own.parent)
    empty = tmp_path / "empty.json"
    empty.touch()
    assert not RoomPlanReader.recognises(empty) and not RoomPlanReader.recognises(tmp_path / "nowhere")
