"""Files: complete or absent, strict JSON, paths that stay inside."""

import math

import pytest

from sightline.arrays import expect, expect_finite
from sightline.errors import DataError, ShapeError
from sightline.files import (
    fingerprint,
    is_finished,
    mark_finished,
    parse_json,
    read_json,
    read_jsonl,
    replacing,
    replacing_folder,
    safe_join,
    write_json,
)


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(ValueError):
        write_json(path, {"x": math.nan})
    with pytest.raises(RuntimeError), replacing(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"x": 1} and [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_appears_complete_or_not_at_all(tmp_path):
    folder = tmp_path / "scan"
    with pytest.raises(RuntimeError), replacing_folder(folder) as beside:
        (beside / "one").write_text("1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    for text in ("old", "new"):
        with replacing_folder(folder) as beside:
            (beside / "one").write_text(text)
    assert (folder / "one").read_text() == "new" and [p.name for p in tmp_path.iterdir()] == ["scan"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "x:.*expected JSON"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": 1, "a": 2}', "key 'a' stands twice"),
        ("[Infinity]", "Infinity"),
    ],
)
def test_json_is_strict(text, message):
    with pytest.raises(DataError, match=message):
        parse_json(text, "x:1")


def test_a_bad_line_is_named_by_its_number(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \n')
    with pytest.raises(DataError, match=r"rows.jsonl:2: expected JSON"):
        list(read_jsonl(path))
    path.write_bytes(b'{"a": 1}\n"\xff"\n')
    with pytest.raises(DataError, match=r"rows.jsonl:2: expected UTF-8"):
        list(read_jsonl(path))


def test_a_line_separator_inside_a_string_does_not_split_a_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "x\u2028y"}\n', encoding="utf-8")
    assert list(read_jsonl(path)) == [{"a": "x\u2028y"}]


def test_a_finished_marker_is_bound_to_its_input(tmp_path):
    mark_finished(tmp_path, made_from="abc")
    assert is_finished(tmp_path, made_from="abc") and not is_finished(tmp_path, made_from="abd")
    assert fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1}) != fingerprint({"a": 2, "b": 2})


@pytest.mark.parametrize("relative", ["../outside", "/etc/passwd", "a/../../b", "link/x", "a\0b"])
def test_a_path_never_leads_outside(tmp_path, relative):
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(DataError):
        safe_join(root, relative)
    assert safe_join(root, "a/b") == root / "a/b"


def test_a_sibling_that_shares_the_name_is_outside(tmp_path):
    (tmp_path / "safe").mkdir()
    with pytest.raises(DataError):
        safe_join(tmp_path / "safe", "../safe_secret/x")


def test_shapes_are_checked_by_letters():
    import numpy as np

    assert expect(uv=(np.zeros((5, 2)), "N 2"), depth_m=(np.zeros(5), "N")) == {"N": 5}
    expect(points=(np.zeros((4, 5, 3)), "* 3"))
    with pytest.raises(ShapeError, match=r"depth_m: expected shape \(N\) with N=5, found \(4,\)"):
        expect(uv=(np.zeros((5, 2)), "N 2"), depth_m=(np.zeros(4), "N"))
    with pytest.raises(ShapeError, match="expected an array"):
        expect(uv=([1, 2], "N"))
    with pytest.raises(ShapeError, match=r"pose: expected finite numbers, found -inf at \(1,\)"):
        expect_finite(pose=np.array([0.0, -np.inf]))


def test_json_nested_without_end_is_one_clear_error():
    with pytest.raises(DataError, match="x: expected JSON, found brackets nested too deeply"):
        parse_json("[" * 200_000, "x")
