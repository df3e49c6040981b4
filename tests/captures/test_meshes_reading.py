"""A PLY file gives its vertices, faces and fields, whichever way it is written, or one clear line."""

import numpy as np
import pytest
from plyfile import PlyData, PlyElement

from sightline.captures.containers import meshes
from sightline.captures.containers.meshes import read_ply
from sightline.errors import CaptureError

CORNERS = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 2.0, 0.0], [0.0, 2.0, 0.5], [0.5, 1.0, 2.0]])


def write(path, polygons, *, as_text=False, byte_order="<", points=CORNERS):
    vertex = np.zeros(
        len(points), dtype=[("x", "f4"), ("y", "f4"), ("z", "f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1"), ("label", "u2")]
    )
    vertex["x"], vertex["y"], vertex["z"] = points.T
    vertex["red"], vertex["label"] = 200, np.arange(len(points)) + 300
    elements = [PlyElement.describe(vertex, "vertex")]
    if polygons is not None:
        face = np.empty(len(polygons), dtype=[("vertex_indices", object), ("material", "i4")])
        face["vertex_indices"] = [np.array(one, dtype="i4") for one in polygons] if polygons else []
        elements.append(PlyElement.describe(face, "face", len_types={"vertex_indices": "u1"}, val_types={"vertex_indices": "i4"}))
    PlyData(elements, text=as_text, byte_order="=" if as_text else byte_order).write(str(path))
    return path


@pytest.mark.parametrize("way", [{"as_text": True}, {"byte_order": "<"}, {"byte_order": ">"}])
@pytest.mark.parametrize("polygons", [[[0, 1, 2], [0, 2, 3], [2, 3, 4]], [[0, 1, 2, 3], [2, 3, 4]]])
def test_text_and_both_byte_orders_give_the_same_triangles(tmp_path, way, polygons):
    mesh = read_ply(write(tmp_path / "mesh.ply", polygons, **way))
    assert np.allclose(mesh.vertices_stored, CORNERS) and mesh.vertices_stored.dtype == np.float64
    assert sorted(map(tuple, mesh.faces.tolist())) == [(0, 1, 2), (0, 2, 3), (2, 3, 4)]
    assert (mesh.colours[:, 0] == 200).all() and mesh.colours.dtype == np.uint8
    assert list(mesh.fields) == ["label"] and mesh.fields["label"].tolist() == [300, 301, 302, 303, 304]


@pytest.mark.parametrize("as_text", [True, False])
def test_a_point_cloud_has_no_faces_and_an_empty_list_of_faces_is_one(tmp_path, as_text):
    assert read_ply(write(tmp_path / "cloud.ply", None, as_text=as_text)).faces is None
    assert read_ply(write(tmp_path / "bare.ply", [], as_text=as_text)).faces.shape == (0, 3)


@pytest.mark.parametrize("as_text", [True, False])
def test_a_file_cut_anywhere_is_refused(tmp_path, as_text):
    whole = write(tmp_path / "whole.ply", [[0, 1, 2], [0, 2, 3], [2, 3, 4]], as_text=as_text).read_bytes()
    path = tmp_path / "cut.ply"
    for size in range(0, len(whole) - 3, 7):
        path.write_bytes(whole[:size])
        with pytest.raises(CaptureError, match="cut.ply"):
            read_ply(path)


HEADER = b"ply\nformat binary_little_endian 1.0\nelement vertex %s\nproperty float x\nproperty float y\nproperty float z\n%send_header\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"solid not a ply", "does not start with 'ply'"),
        (b"ply\nformat binary_middle_endian 1.0\n", ":2: expected a line of a PLY header"),
        (b"ply\n\xff\xfe\n", "expected ASCII in the header, found byte 0xff"),
        (HEADER % (b"999999999999", b""), "expected 999999999999 rows .* truncated"),
        (HEADER % (b"-4", b""), "expected a line of a PLY header"),
        (HEADER % (b"0", b"property __import__ os\n"), "found 'property __import__ os'"),
        (HEADER % (b"1", b"element vertex 1\n"), "found 'element vertex 1'"),
        (b"ply\nformat ascii 1.0\nelement point 0\nend_header\n", "vertices with x, y, z, found point"),
        (HEADER % (b"1", b"") + np.array([0, np.nan, 0], dtype="<f4").tobytes(), "expected finite vertices, found .* at vertex 0"),
        (
            b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n1 two 3\n",
            "damaged",
        ),
    ],
)
def test_what_is_no_whole_mesh_is_one_clear_line(tmp_path, content, message):
    path = tmp_path / "bad.ply"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=message) as caught:
        read_ply(path)
    assert "\n" not in str(caught.value) and "bad.ply" in str(caught.value)


@pytest.mark.parametrize(("polygons", "message"), [([[0, 1, 9]], "found .0, 1, 9."), ([[0, 1, -1]], "-1"), ([[0, 1]], "found 2 at face 0")])
def test_faces_of_vertices_that_are_not_there_are_refused(tmp_path, polygons, message):
    with pytest.raises(CaptureError, match=message):
        read_ply(write(tmp_path / "faces.ply", polygons))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CaptureError, match="none.ply: expected a PLY file, found none"):
        read_ply(tmp_path / "none.ply")


def test_a_number_that_its_type_cannot_hold_is_named(tmp_path):
    path = tmp_path / "a.ply"
    header = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\nproperty ushort objectId\n"
    faces = "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    path.write_text(header + faces + "0 0 0 1\n1 0 0 -3\n0 1 0 1\n3 0 1 2\n")
    with pytest.raises(CaptureError, match="a.ply: expected a whole PLY file, found a truncated or damaged one .*-3"):
        read_ply(path)


TEXT = """ply
format ascii 1.0
element vertex 4
property float x
property double y
property float z
property uchar red
property uchar green
property uchar blue
property short objectId
element face 2
property list uchar int vertex_indices
end_header
0.1 0.2 0.3 255 0 7 -1
1e-3 0.123456789012345 2 1 2 3 4 \t
-0.0 1 1 0 0 0 32767
  3.25 1 0 9 9 9 0
3 0 1 2
3 3 2 1
"""


@pytest.mark.parametrize("content", [TEXT, TEXT.replace("\n", "\r\n"), TEXT.rstrip("\n")])
def test_a_text_is_read_fast_and_line_by_line_the_same(tmp_path, monkeypatch, content):
    path = tmp_path / "mesh.ply"
    path.write_bytes(content.encode())
    assert meshes._text_rows(path, meshes._checked_header(path)) is not None
    fast = read_ply(path)
    monkeypatch.setattr(meshes, "_text_rows", lambda *_: None)
    path.write_bytes(TEXT.encode())
    slow = read_ply(path)
    for name in ("vertices_stored", "faces", "colours"):
        assert np.array_equal(getattr(fast, name), getattr(slow, name))
    assert np.array_equal(fast.fields["objectId"], [-1, 4, 32767, 0]) and fast.fields["objectId"].dtype == np.int16


@pytest.mark.parametrize(
    ("old", "new"),
    [("255 0 7", "256 0 7"), ("255 0 7", "2.5 0 7"), ("3 3 2 1\n", "4 3 2 1 0\n"), ("0.1 0.2", "0.1 x"), ("3 3 2 1\n", "3 3 2 1\n5\n")],
)
def test_a_text_with_anything_odd_is_left_to_the_general_way(tmp_path, old, new):
    path = tmp_path / "mesh.ply"
    path.write_text(TEXT.replace(old, new))
    assert meshes._text_rows(path, meshes._checked_header(path)) is None
