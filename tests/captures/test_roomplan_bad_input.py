"""What is wrong with a RoomPlan file is one clear line naming file and field, or a counted skip; never a crash."""

import json
import os
import random
import re
import struct
import sys
import zipfile
from pathlib import Path

import layout_roomplan
import pytest
from handmade_roomplan import pose, room, save, square_walls

from sightline.captures.roomplan import captured_room as roomplan_json
from sightline.captures.roomplan import usd_shapes as roomplan_usd_shapes
from sightline.captures.roomplan.reader import RoomPlanReader
from sightline.errors import CaptureError, MissingExtraError, SightlineError


def read(path: Path):
    reader = RoomPlanReader(path, {})
    return reader.read(reader.scan_ids("all")[0], workspace=path.parent)


def refusal(path: Path) -> str:
    """The message of the refusal, which must be a single line that names the file."""
    with pytest.raises(SightlineError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600 and path.name in message
    return message


def whole_text() -> bytes:
    return json.dumps(room()).encode()


def with_part(kind: str, **changes):
    """A document of 20 parts, the first of `kind` changed."""
    parts = [{"identifier": f"o{n}", "category": "table", "dimensions": [1, 1, 1], "transform": pose(1, 0.5, 1)} for n in range(14)]
    doors = [{"identifier": "d0", "category": "door", "dimensions": [1, 2, 0], "transform": pose(2, 1, 0)}]
    document = room(objects=parts, doors=doors, floors=[])
    if kind == "floors":
        document["floors"] = [{"identifier": "f", "category": "floor", "dimensions": [4, 3, 0],
                               "transform": [1, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, 0, 2, 0, 1.5, 1]}]  # fmt: skip
    document[kind][0] = {key: value for key, value in {**document[kind][0], **changes}.items() if value is not ...}
    return document


ROW_MAJOR = [1, 0, 0, 2, 0, 1, 0, 0.5, 0, 0, 1, 1, 0, 0, 0, 1]
UNIT = {"symbol": "grad", "converter": None}

TEXTS = [
    (whole_text()[:-40], "expected JSON, found "),  # B29
    (b"", "expected JSON, found "),
    (whole_text().replace(b'"room"', b'"r\xf6om"', 1), "expected UTF-8, found byte 0xf6 at offset 17"),  # B32
    (b"\xef\xbb\xbf" + whole_text(), "expected UTF-8 without a byte order mark, found one at offset 0"),  # B32
    (whole_text().decode().encode("utf-16"), "expected UTF-8, found byte 0xff at offset 0"),  # B32
    (b'{"walls": [], "walls": [1]}', "expected JSON, found key 'walls' twice"),  # B33
    (b'{"walls": ' + b"[" * 200_000, "nested too deeply"),  # B31
    (b'{"walls": [' + b"9" * 5000 + b"]}", "expected JSON, found "),
    (b"[1, 2]", "expected a CapturedRoom with a list of walls, .* found list"),
    (b'{"rooms": 3}', "expected a CapturedRoom with a list of walls, .* found keys rooms"),
    (b"{}", "found keys of nothing"),
    (b'{"walls": [], "objects": []}', "expected surfaces or objects, found none"),  # B46
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_a_file_that_is_no_captured_room_is_refused(tmp_path, text, expected):
    path = tmp_path / "Room.json"
    path.write_bytes(text)
    assert re.search(expected, refusal(path))


DOCUMENTS = [
    (room(version="seven"), "version: expected a whole number, found 'seven'"),
    (room(walls=None, rooms=[1]), "rooms: expected a list of rooms"),
    (room(doors={"a": 1}), "doors: expected a list, found dict"),
    (room(objects=[3]), r"objects\[0\]: expected a mapping, found int"),
    (room(sections=["kitchen"]), "sections: expected a list of mappings"),
    (room(sections=[{"label": {}}]), r"sections\[0\]: label: expected a name or a mapping with one"),
    (room(referenceOriginTransform=[1, 2]), "referenceOriginTransform: expected 16 numbers, found 2 of them"),
    (with_part("objects", transform=...), r"objects\[0\]: transform: expected 16 numbers, found none"),
    (with_part("objects", transform=pose(0, 0, 0)[:15]), "transform: expected 16 numbers, found 15 of them"),
    (with_part("objects", transform=[*pose(0, 0, 0)[:15], "one"]), "transform: expected numbers, found 'one'"),
    (with_part("objects", transform=[*pose(0, 0, 0)[:15], True]), "transform: expected numbers, found 'True'"),
    (
        with_part("walls", transform=ROW_MAJOR),
        r"walls\[0\]: transform: .* in elements 12 to 14, found them row by row \(2, 0.5, 1 in",
    ),  # B04
    (with_part("walls", transform=[ROW_MAJOR[n : n + 4] for n in (0, 4, 8, 12)]), "row by row"),  # B04
    (with_part("walls", dimensions=[1, 2]), "dimensions: expected 3 numbers, found 2 of them"),
    (with_part("walls", dimensions="4 m"), "dimensions: expected 3 numbers, found str"),
    (with_part("doors", category={}), r"doors\[0\]: category: expected a name or a mapping with one"),
    (with_part("doors", category=7), "category: expected a name"),
    (with_part("doors", identifier=7), "identifier: expected text, found int"),
    (with_part("doors", parentIdentifier=[]), "parentIdentifier: expected text, found list"),
    (with_part("doors", story="ground"), "story: expected a whole number, found 'ground'"),
    (with_part("walls", polygonCorners=[[0, 0, 0], [1, 0, 0]]), "polygonCorners: expected at least 3 corners, found 2"),
    (with_part("walls", polygonCorners=[[0, 0], [1, 0], [1, 1]]), r"polygonCorners\[0\]: expected 3 numbers"),
    (with_part("walls", curve=[1]), "curve: expected a mapping or null, found list"),
    (with_part("walls", curve={"startAngle": {"value": 1, "unit": UNIT}, "endAngle": 2, "radius": 1}), "unit in degrees or radians"),
    (with_part("objects", attributes=["x"]), "attributes: expected a mapping"),
    (
        with_part("objects", identifier="o1"),
        r"objects\[1\]: expected every identifier once, found o1 again, first in .*objects\[0\]",
    ),  # B33
    (
        room(walls=[{**one, "transform": [float("nan")] * 16} for one in square_walls()]),
        "found 4 of 4 that cannot .walls transform_not_fin",
    ),
    (room(walls=[{**one, "dimensions": [0, 0, 0]} for one in square_walls()[:2]] + square_walls(prefix="x")), "found 2 of 6 that"),  # B44
]


@pytest.mark.parametrize(("document", "expected"), DOCUMENTS)
def test_a_field_that_cannot_be_is_refused_by_name(tmp_path, document, expected):
    assert re.search(expected, refusal(save(document, tmp_path / "Room.json")))


MIRRORED = [-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1]
SHEARED = [1, 0, 0, 0, 0.3, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1]
SCALED = [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 1, 1, 1, 1]
STEEP = [1, 0, 0, 0, 0, 0.6, -0.8, 0, 0, 0.8, 0.6, 0, 2, 0, 1.5, 1]
FLAT = [1, 0, 0, 0, 0, 0, 1, 0, 0, -1, 0, 0, 2, 0, 1, 1]

SKIPS = [
    ("objects", {"transform": [float("nan"), *pose(0, 0, 0)[1:]]}, "transform_not_finite"),  # B02 B34
    ("objects", {"transform": [None, *pose(0, 0, 0)[1:]]}, "transform_not_finite"),
    ("objects", {"transform": ["-Infinity", *pose(0, 0, 0)[1:]]}, "transform_not_finite"),  # B01
    ("objects", {"transform": [10**400, *pose(0, 0, 0)[1:]]}, "transform_not_finite"),
    ("objects", {"transform": MIRRORED}, "transform_mirrored"),  # B03
    ("objects", {"transform": pose(2e5, 0, 0)}, "transform_far_away"),
    ("walls", {"curve": {"startAngle": 0, "endAngle": 1, "radius": 1, "center": [1e300, 0]}}, "curve_of_no_arc"),
    ("walls", {"transform": SHEARED}, "transform_not_rigid"),  # B03
    ("walls", {"transform": SCALED}, "transform_not_rigid"),  # B03
    ("objects", {"dimensions": [1, 0, 1]}, "extent_zero"),  # B44
    ("objects", {"dimensions": [1, -2, 1]}, "extent_zero"),  # B44
    ("objects", {"dimensions": [1, float("nan"), 1]}, "extent_not_finite"),  # B44
    ("walls", {"dimensions": [4, 0, 0]}, "extent_zero"),
    ("doors", {"dimensions": [0, 2, 0]}, "extent_zero"),
    ("objects", {"dimensions": [1200, 700, 700]}, "extent_beyond_200_m"),  # B14
    ("walls", {"polygonCorners": [[0, 0, 0], [1, 0, 0], [1, float("inf"), 0]]}, "extent_not_finite"),
    ("walls", {"curve": {"startAngle": 0, "endAngle": float("nan"), "radius": 1}}, "curve_not_finite"),
    ("walls", {"curve": {"startAngle": 0, "endAngle": 1, "radius": 0}}, "curve_of_no_arc"),
    ("walls", {"curve": {"startAngle": 1, "endAngle": 1, "radius": 1}}, "curve_of_no_arc"),
]


@pytest.mark.parametrize(("kind", "changes", "reason"), SKIPS)
def test_one_part_that_cannot_be_used_is_left_out_and_counted(tmp_path, kind, changes, reason):
    capture = read(save(with_part(kind, **changes), tmp_path / "Room.json"))
    found = capture.notes["objects_skipped"] if kind == "objects" else capture.notes["surfaces_skipped"][kind]
    assert found == {reason: 1}
    assert len(capture.objects) == 14 - (kind == "objects") and len(capture.structure.walls) == 4 - (kind == "walls")
    json.dumps(capture.notes, allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [("floors", {"transform": STEEP}, "floors_not_level"), ("walls", {"transform": FLAT}, "walls_lying_flat"),
     ("floors", {"polygonCorners": [[0, 0, 0], [1, 0, 0], [2, 0, 0]]}, "floors_without_area"),
     ("floors", {"transform": [1, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, 0, 2, 40, 1.5, 1]}, "floors_without_walls"),
     ("walls", {"polygonCorners": [[0, 0, 0], [1, 0, 0], [2, 0, 0]]}, "walls_without_area")],
)  # fmt: skip
def test_a_surface_that_makes_no_wall_or_room_is_counted(tmp_path, kind, changes, reason):
    capture = read(save(with_part(kind, **changes), tmp_path / "Room.json"))
    assert capture.notes["structure_counts"][reason] == 1


def test_files_and_lists_beyond_all_measure_are_refused_before_they_are_read(tmp_path, monkeypatch):
    path = save(with_part("objects"), tmp_path / "Room.json")
    monkeypatch.setattr(roomplan_json, "MAX_PARTS", 10)
    assert "expected at most 10 surfaces and objects, found 19" in refusal(path)
    monkeypatch.setattr(roomplan_json, "MAX_BYTES", 100)
    assert "expected at most 100 bytes of JSON, found" in refusal(path)  # B22


def test_no_cut_and_no_flipped_byte_brings_the_reader_down(tmp_path):
    whole = json.dumps(layout_roomplan.structure_document()).replace("opaque" * 30_000, "opaque").encode()
    rng = random.Random(0)
    path = tmp_path / "flat.json"
    for _ in range(60):
        broken = bytearray(whole[: rng.randrange(1, len(whole))] if rng.random() < 0.3 else whole)
        for _ in range(rng.randrange(3)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        path.write_bytes(broken)
        try:
            read(path)
        except CaptureError as error:
            assert "\n" not in str(error)


def test_a_scan_or_split_that_is_not_there_is_named(tmp_path):
    reader = RoomPlanReader(save(room(), tmp_path / "Room.json"), {})
    with pytest.raises(CaptureError, match="expected a RoomPlan scan called 'Flat', found Room"):
        reader.read("Flat", workspace=tmp_path)
    with pytest.raises(CaptureError, match="expected the split 'all', found 'val'"):
        reader.scan_ids("val")
    with pytest.raises(CaptureError, match="found nothing"):
        RoomPlanReader(tmp_path / "gone", {})
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaptureError, match="expected a RoomPlan .json or .usdz file, or a folder with one, found none"):
        RoomPlanReader(tmp_path / "empty", {}).scan_ids("all")


CUBE = 'def Cube "{name}" {{\n double size = {size}\n matrix4d xformOp:transform = ( {rows} )\n' \
       ' uniform token[] xformOpOrder = ["xformOp:transform"]\n}}\n'  # fmt: skip
AT = "(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), ({x}, {y}, {z}, 1)"


def layer(*cubes: str, header: str = 'metersPerUnit = 1\n upAxis = "Y"') -> str:
    return f"#usda 1.0\n(\n {header}\n)\n" + "".join(cubes)


def cube(name: str, *, size: float = 1.0, rows: str = AT.format(x=1, y=0.5, z=1)) -> str:
    return CUBE.format(name=name, size=size, rows=rows)


def pack(path: Path, members: dict[str, str | bytes]) -> Path:
    """A zip whose members are stored and start at multiples of 64 bytes, as USDZ wants."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            head = archive.fp.tell() + 30 + len(name.encode())
            pad = (-head - 4) % 64
            member = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            member.extra = struct.pack("<HH", 0x1986, pad) + b"\0" * pad
            archive.writestr(member, content)
    return path


def test_boxes_of_usd_shapes_take_units_axes_and_names_from_the_file(tmp_path):
    pytest.importorskip("pxr")
    header = 'metersPerUnit = 0.01\n upAxis = "Z"'
    shapes = cube("Table3", size=80, rows=AT.format(x=100, y=200, z=40)) + cube("Blob")
    mesh = 'def Xform "Sofa_grp" { def Mesh "Mesh0" { point3f[] points = [(0,0,0), (200,0,0), (200,90,0), (0,0,70)] } }\n'.replace(
        " }", "\n }"
    )
    given = cube("Shape9").replace('"Shape9" {', '"Shape9" (\n customData = {\n  string category = "washerDryer"\n }\n) {')
    capture = read(pack(tmp_path / "Room.usdz", {"Room.usda": layer(shapes, mesh, given, header=header), "names.plist": b"<plist/>"}))
    found = {one.category: one.box for one in capture.objects}
    assert set(found) == {"table", "sofa", "washerDryer"}
    assert found["table"].centre_world == pytest.approx([1.0, 2.0, 0.4]) and found["table"].size_m == pytest.approx([0.8, 0.8, 0.8])
    assert found["sofa"].size_m == pytest.approx([2.0, 0.9, 0.7]) and found["sofa"].is_upright
    assert capture.notes["shapes_skipped"] == {"category_not_known": 1} and capture.notes["metadata_not_read"] == ["names.plist"]


def test_a_usd_shape_on_its_head_is_a_box_that_stands_upright(tmp_path):
    pytest.importorskip("pxr")
    turned = "(1, 0, 0, 0), (0, -1, 0, 0), (0, 0, -1, 0), (1, 0.5, 1, 1)"
    capture = read(pack(tmp_path / "Room.usdz", {"Room.usda": layer(cube("Table0", rows=turned))}))
    assert capture.objects[0].box.is_upright and capture.objects[0].box.centre_world == pytest.approx([1.0, -1.0, 0.5])


def test_a_captured_room_inside_the_package_says_more_than_its_shapes(tmp_path):
    document = json.dumps(room()).encode()
    capture = read(pack(tmp_path / "Room.usdz", {"Room.usda": layer(cube("Table0")), "room.json": document}))
    assert len(capture.structure.walls) == 4 and capture.objects == () and len(capture.structure.rooms) == 1


SHEARED_ROWS = "(1, 0, 0, 0), (0.5, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)"
PACKAGES = [
    ({"../Room.usda": layer(cube("Table0"))}, "member '../Room.usda': expected a path inside the archive"),  # B25
    ({"/tmp/Room.usda": layer(cube("Table0"))}, "expected a relative path, found an absolute one"),  # B25
    ({"readme.txt": "hello", "Room.usda": layer()}, "expected a USD layer as the first member of the package, found readme.txt"),
    ({"Room.usdc": b"PXR-USDC" + b"\xff" * 200}, "expected a USD "),
    ({"Room.usda": "#usda 1.0\ndef Cube {"}, "expected a USD "),
    (
        {"Room.usda": layer('def Xform "Wall0" (\n references = @/etc/hostname.usda@\n) {\n}\n')},
        "found a reference to '/etc/hostname.usda'",
    ),
    ({"Room.usda": layer('def Xform "Wall0" (\n references = @../../up.usda@\n) {\n}\n')}, "found a reference to '../../up.usda'"),  # B26
    ({"Room.usda": layer('def Xform "Wall0" (\n references = @https://example.org/x.usda@\n) {\n}\n')}, "no file outside the package"),
    ({"Room.usda": layer(cube("Blob"))}, "expected shapes whose paths name walls or furniture, found none"),
    ({"Room.usda": layer(cube("Table0", size=0))}, "found none .*extent_zero"),  # B44
    ({"Room.usda": layer(cube("Table0", rows=SHEARED_ROWS))}, "found none .*transform_sheared"),
    ({"Room.usda": layer(cube("Table0", rows=AT.format(x="nan", y=0, z=0)))}, "found none .*shape_not_finite"),
    ({"Room.usda": layer(), "room.json": b'{"walls": ["transform", "dimensions", "walls", '}, r"Room.usdz\[room.json\]: expected JSON"),
]


@pytest.mark.parametrize(("members", "expected"), PACKAGES)
def test_a_package_that_is_not_what_it_says_is_refused(tmp_path, members, expected):
    pytest.importorskip("pxr")
    assert re.search(expected, refusal(pack(tmp_path / "Room.usdz", members)))


def test_truncated_linked_and_swelling_packages_never_reach_usd(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr", None)
    whole = pack(tmp_path / "Room.usdz", {"Room.usda": layer(cube("Table0")) + "\n" * 3000}).read_bytes()
    path = tmp_path / "Broken.usdz"
    for length in (10, len(whole) // 2, len(whole) - 8):
        path.write_bytes(whole[:length])
        assert "zip archive" in refusal(path)
    path.write_bytes(whole.replace(b"double size = 1", b"double size = 2"))
    assert "CRC" in refusal(path)  # B20
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Room.usda", b" " * (40 << 20))
    assert "times its" in refusal(path)  # B25
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("Room.usda")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "found a link or a device" in refusal(path)  # B25


@pytest.mark.parametrize(
    ("does", "expected"),
    [("import os; os.abort()", "found a damaged one that ends USD's own library (exit code -6)"),
     ("import time; time.sleep(60)", "found one that does not open within 2 s"),
     ("open('written', 'w').write('x' * 9)", "that ends USD's own library")],
)  # fmt: skip
def test_a_package_that_breaks_usd_itself_breaks_nothing_else(tmp_path, monkeypatch, does, expected):
    """Damaged binary layers can end the process or never come back: played by a library of that name that does so."""
    pytest.importorskip("pxr")
    (tmp_path / "pxr").mkdir()
    (tmp_path / "pxr" / "__init__.py").write_text(does)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(roomplan_usd_shapes, "MAX_SECONDS", 2)
    monkeypatch.chdir(tmp_path)
    assert expected in refusal(pack(tmp_path / "Room.usdz", {"Room.usda": layer(cube("Table0"))}))
    assert not (tmp_path / "written").exists() or not (tmp_path / "written").read_bytes()


def test_a_stage_in_no_unit_is_refused(tmp_path):
    pytest.importorskip("pxr")
    path = pack(tmp_path / "Room.usdz", {"Room.usda": layer(cube("Table0"), header="metersPerUnit = 1000")})
    assert "metersPerUnit: expected a length between" in refusal(path)  # B14


def test_a_missing_usd_package_names_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr", None)
    path = pack(tmp_path / "Room.usdz", {"Room.usda": layer(cube("Table0"))})
    with pytest.raises(MissingExtraError, match=r"'usd-core' is needed here .* pip install 'sightline\[usd\]'"):
        read(path)
