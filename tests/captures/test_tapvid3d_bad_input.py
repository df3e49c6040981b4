"""Each thing that is wrong with a TAPVid-3D clip is one clear line, or points and frames that are counted; nothing in a clip is run."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import layout_tapvid3d as layout
import numpy as np
import pytest
import true_room as true
from spoiling import copied, expect_verdict, halved, read

from sightline.captures.detect import find_reader
from sightline.captures.tapvid3d import TapVid3dReader
from sightline.errors import CaptureError

NAME = "tapvid3d_9142545919543484617_86_000_106_000_2_5AKc-TYQochsSWXpv376cA"


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    root = tmp_path_factory.mktemp("tapvid3d") / "source"
    return layout.drivetrack(root), root


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path: Path, contents: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=True) as loaded:  # written by this test
        return dict(loaded)


def rewrite(path: Path, **changes) -> None:
    """The clip with some arrays changed; None leaves one out."""
    kept = {**arrays(path), **changes}
    np.savez(path, **{name: value for name, value in kept.items() if value is not None})


def spoil_bytes(path: Path, name: str, change) -> None:
    contents = members(path)
    write_members(path, {**contents, name: change(contents[name])})


class Runs:
    """Makes a folder where it is unpickled."""

    def __reduce__(self):
        return os.mkdir, (os.environ["SIGHTLINE_TEST_MARK"],)


def npy(value: object) -> bytes:
    """An object array of one axis with two elements, holding any pickle."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (8,)})
    return header.getvalue() + pickle.dumps(value, protocol=4)


def a_cut_file(path: Path) -> None:
    halved(path)


def an_empty_file(path: Path) -> None:
    path.write_bytes(b"")


def no_tracks(path: Path) -> None:
    rewrite(path, tracks_XYZ=None)


def no_images(path: Path) -> None:
    rewrite(path, images_jpeg_bytes=None)


def no_visibility(path: Path) -> None:
    rewrite(path, visibility=None)


def no_intrinsics(path: Path) -> None:
    rewrite(path, fx_fy_cx_cy=None)


def no_frames(path: Path) -> None:
    held = arrays(path)
    rewrite(
        path,
        images_jpeg_bytes=held["images_jpeg_bytes"][:0],
        tracks_XYZ=held["tracks_XYZ"][:0],
        visibility=held["visibility"][:0],
        extrinsics_w2c=held["extrinsics_w2c"][:0],
    )


def an_image_less(path: Path) -> None:
    rewrite(path, images_jpeg_bytes=arrays(path)["images_jpeg_bytes"][:-1])


def an_image_more(path: Path) -> None:
    images = arrays(path)["images_jpeg_bytes"]
    rewrite(path, images_jpeg_bytes=np.concatenate([images, images[:1]]))


def tracks_by_point(path: Path) -> None:
    rewrite(path, tracks_XYZ=arrays(path)["tracks_XYZ"].transpose(1, 0, 2))


def tracks_in_pixels(path: Path) -> None:
    rewrite(path, tracks_XYZ=arrays(path)["tracks_XYZ"][..., :2])


def tracks_of_whole_numbers(path: Path) -> None:
    rewrite(path, tracks_XYZ=arrays(path)["tracks_XYZ"].astype(np.int32))


def tracks_behind_the_camera(path: Path) -> None:
    rewrite(path, tracks_XYZ=-arrays(path)["tracks_XYZ"])


def tracks_all_nan(path: Path) -> None:
    rewrite(path, tracks_XYZ=np.full_like(arrays(path)["tracks_XYZ"], np.nan))


def visibility_of_another_shape(path: Path) -> None:
    rewrite(path, visibility=arrays(path)["visibility"][:, :-1])


def visibility_of_shares(path: Path) -> None:
    rewrite(path, visibility=arrays(path)["visibility"] * 0.5)


def intrinsics_of_three(path: Path) -> None:
    rewrite(path, fx_fy_cx_cy=np.array([112.0, 81.0, 58.0]))


def intrinsics_not_finite(path: Path) -> None:
    rewrite(path, fx_fy_cx_cy=np.array([np.nan, 113.5, 81.0, 58.0]))


def intrinsics_of_another_size(path: Path) -> None:
    rewrite(path, fx_fy_cx_cy=np.array([525.0, 525.0, 319.5, 239.5]))


def poses_of_three_rows(path: Path) -> None:
    rewrite(path, extrinsics_w2c=arrays(path)["extrinsics_w2c"][:, :3])


def one_infinite_pose(path: Path) -> None:
    poses = arrays(path)["extrinsics_w2c"]
    poses[3] = -np.inf
    rewrite(path, extrinsics_w2c=poses)


def one_scaled_pose(path: Path) -> None:
    poses = arrays(path)["extrinsics_w2c"]
    poses[3, :3, :3] *= 1.5
    rewrite(path, extrinsics_w2c=poses)


def all_poses_nan(path: Path) -> None:
    rewrite(path, extrinsics_w2c=np.full((8, 4, 4), np.nan))


def pictures_that_are_no_jpeg(path: Path) -> None:
    images = arrays(path)["images_jpeg_bytes"]
    images[4] = b"GIF89a"
    rewrite(path, images_jpeg_bytes=images)


def pictures_as_pixels(path: Path) -> None:
    rewrite(path, images_jpeg_bytes=np.zeros((8, 120, 160, 3), dtype=np.uint8))


def pictures_as_numbers(path: Path) -> None:
    rewrite(path, images_jpeg_bytes=np.arange(8))


def a_cut_jpeg_header(path: Path) -> None:
    images = arrays(path)["images_jpeg_bytes"]
    images[4] = images[4][:30]
    rewrite(path, images_jpeg_bytes=images)


def a_picture_of_another_size(path: Path) -> None:
    images = arrays(path)["images_jpeg_bytes"]
    images[4] = layout.jpeg(np.zeros((60, 80, 3), dtype=np.uint8))
    rewrite(path, images_jpeg_bytes=images)


def an_array_of_another_format(path: Path) -> None:
    spoil_bytes(path, "tracks_XYZ.npy", lambda content: content[:6] + b"\x09\x00" + content[8:])


def an_array_that_is_none(path: Path) -> None:
    spoil_bytes(path, "visibility.npy", lambda content: b"nothing of NumPy")


def an_array_that_claims_more(path: Path) -> None:
    spoil_bytes(path, "tracks_XYZ.npy", lambda content: content.replace(b"(8, 60, 3)", b"(8, 60,99)"))


def an_array_that_claims_petabytes(path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 60, 3)})
    spoil_bytes(path, "tracks_XYZ.npy", lambda content: header.getvalue() + bytes(64))


def a_negative_shape(path: Path) -> None:
    spoil_bytes(path, "tracks_XYZ.npy", lambda content: content.replace(b"(8, 60, 3)", b"(-8,60,-3)"))


def a_header_that_nests(path: Path) -> None:
    text = b"(" * 5000
    header = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    spoil_bytes(path, "tracks_XYZ.npy", lambda content: header)


def tracks_as_objects(path: Path) -> None:
    rewrite(path, tracks_XYZ=np.array([None] * 8, dtype=object))


def a_cut_list_of_pictures(path: Path) -> None:
    spoil_bytes(path, "images_jpeg_bytes.npy", lambda content: content[: len(content) // 2])


def words_among_the_pictures(path: Path) -> None:
    images = arrays(path)["images_jpeg_bytes"]
    images[4] = "a word"
    rewrite(path, images_jpeg_bytes=images)


def a_value_that_is_no_array(path: Path) -> None:
    spoil_bytes(path, "images_jpeg_bytes.npy", lambda content: npy({"frames": 8}))


def a_program(path: Path) -> None:
    spoil_bytes(path, "images_jpeg_bytes.npy", lambda content: npy([b"\xff\xd8\xff"] * 7 + [Runs()]))


def a_member_that_leads_out(path: Path) -> None:
    write_members(path, {**members(path), "../../escaped.npy": b"out"})


def a_bomb(path: Path) -> None:
    write_members(path, {**members(path), "visibility.npy": bytes(64 << 20)})


CASES = [  # id in the catalogue of bad inputs, damage, pattern of the refusal or counted skips
    ("truncated", a_cut_file, r"\.npz: expected a zip archive, found none or a damaged one"),
    ("truncated", an_empty_file, r"\.npz: expected a zip archive"),
    ("missing sidecar", no_tracks, r"expected TAPVid-3D clips .*, found none"),
    ("missing sidecar", no_images, r"expected TAPVid-3D clips .*, found none"),
    ("missing sidecar", no_visibility, r"\.npz: expected an array visibility or visibilities, found images_jpeg_bytes, queries_xyt"),
    ("missing sidecar", no_intrinsics, r"\.npz: expected an array fx_fy_cx_cy or intrinsics, found"),
    ("zero frames", no_frames, r"array 'tracks_XYZ': expected \(frames, tracks, 3\) real numbers, found float64 \(0, 60, 3\)"),
    ("B05", an_image_less, r"array 'images_jpeg_bytes'|expected an image for each of 8 frames of the tracks, found 7 images"),
    ("B05", an_image_more, r"expected an image for each of 8 frames of the tracks, found 9 images"),
    ("wrong version", tracks_by_point, r"array 'visibility': expected 60x8 truth values like 'tracks_XYZ', found bool \(8, 60\)"),
    ("wrong version", tracks_in_pixels, r"array 'tracks_XYZ': expected \(frames, tracks, 3\) real numbers, found float64 \(8, 60, 2\)"),
    ("wrong version", tracks_of_whole_numbers, r"array 'tracks_XYZ': expected .* real numbers, found int32"),
    ("B17", tracks_behind_the_camera, r"expected visible points in front of the camera .*\(first: frame 0, track \d+: \["),
    ("B17", tracks_all_nan, r"expected visible points in front of the camera .*nan"),
    ("B16", visibility_of_another_shape, r"array 'visibility': expected 8x60 truth values .*, found bool \(8, 59\)"),
    ("wrong version", visibility_of_shares, r"array 'visibility': expected 8x60 truth values .*, found float64"),
    ("B07", intrinsics_of_three, r"array 'fx_fy_cx_cy': expected fx, fy, cx, cy, found shape \(3,\)"),
    ("B07", intrinsics_not_finite, r"\.npz: intrinsics: intrinsics: expected finite fx, fy > 0, found fx=nan"),
    ("B07", intrinsics_of_another_size, r"\.npz: intrinsics: intrinsics do not fit images of 160x120"),
    ("wrong version", poses_of_three_rows, r"array 'extrinsics_w2c': expected shape \(8, 4, 4\), found \(8, 3, 4\)"),
    ("B01", one_infinite_pose, {"pose_not_finite": 1}),
    ("B03", one_scaled_pose, {"pose_not_rigid": 1}),
    ("B02", all_poses_nan, r"expected usable poses, found 8 of 8 .*first: .*extrinsics_w2c\[0\]\)"),
    ("B24", pictures_that_are_no_jpeg, r"array 'images_jpeg_bytes': expected JPEG bytes for frame 4, found b'GIF89a'"),
    ("wrong version", pictures_as_pixels, r"array 'images_jpeg_bytes': expected one axis .*, found shape \(8, 120, 160, 3\)"),
    ("wrong version", pictures_as_numbers, r"array 'images_jpeg_bytes': expected byte strings, found an array of type int64"),
    ("B19", a_cut_jpeg_header, r"color/000004\.jpg: expected a JPEG/PNG/WEBP image"),
    ("B16", a_picture_of_another_size, r"color/000004\.jpg: expected a colour image of 160x120, found 80x60"),
    ("wrong version", an_array_of_another_format, r"array 'tracks_XYZ': expected an array of format 1\.0 or 2\.0, found 9\.0"),
    ("truncated", an_array_that_is_none, r"array 'visibility': expected the header of an array"),
    ("B21", an_array_that_claims_more, r"array 'tracks_XYZ': expected \d+ bytes of float64 for shape \(8, 60, 99\), found"),
    ("B21", an_array_that_claims_petabytes, r"array 'tracks_XYZ': expected \d+ bytes of float64 .*, found 64"),
    ("B21", a_negative_shape, r"array 'tracks_XYZ': expected \d+ bytes of float64 for shape \(-8, 60, -3\)"),
    ("B30", a_header_that_nests, r"array 'tracks_XYZ': expected the header of an array"),
    ("B30", tracks_as_objects, r"array 'tracks_XYZ': expected numbers, found an array of type object"),
    ("truncated", a_cut_list_of_pictures, r"array 'images_jpeg_bytes': .*truncated or damaged"),
    ("B30", words_among_the_pictures, r"array 'images_jpeg_bytes': expected byte strings, found a str at 4"),
    ("B30", a_value_that_is_no_array, r"array 'images_jpeg_bytes': expected 8 byte strings, found dict"),
    ("B30", a_program, r"array 'images_jpeg_bytes': .*the name 'posix\.mkdir'; nothing of it was run"),
    ("B25", a_member_that_leads_out, r"member '\.\./\.\./escaped\.npy': expected a path inside the archive"),
    ("B25", a_bomb, r"member 'visibility\.npy': expected at most 200 times its"),
]


@pytest.mark.parametrize(("spoil", "told"), [case[1:] for case in CASES], ids=[f"{case[0]} {case[1].__name__}" for case in CASES])
def test_what_is_wrong_is_named_or_counted(usual, tmp_path, monkeypatch, spoil, told):
    monkeypatch.setenv("SIGHTLINE_TEST_MARK", str(tmp_path / "ran"))
    wrote, root = usual
    source = copied(wrote, root, tmp_path / "source")
    spoil(source / "drivetrack" / f"{NAME}.npz")
    expect_verdict(wrote, source, tmp_path / "workspace", told)
    assert {path.name for path in tmp_path.iterdir()} <= {"source", "workspace"} and not list(tmp_path.rglob("escaped*"))
    assert not list((tmp_path / "workspace").glob("*.npy"))


def test_a_few_points_that_cannot_be_seen_are_hidden_and_counted(usual, tmp_path):
    wrote, root = usual
    path = copied(wrote, root, tmp_path / "source") / "drivetrack" / f"{NAME}.npz"
    held = arrays(path)
    row, column = (int(place) for place in np.argwhere(held["visibility"])[5])
    held["tracks_XYZ"][row, column] = np.nan
    rewrite(path, tracks_XYZ=held["tracks_XYZ"])
    capture = read(wrote, path, tmp_path / "workspace")
    assert capture.notes["track_points_hidden"] == {"not_in_front": 1}
    assert not capture.tracks.visible[row, column] and np.isnan(capture.tracks.points_camera[row, column]).all()


def test_a_damaged_clip_keeps_its_name_and_its_neighbours(usual, tmp_path):
    wrote, root = usual
    folder = copied(wrote, root, tmp_path / "source") / "drivetrack"
    (folder / "boxes_6.npz").write_bytes((folder / f"{NAME}.npz").read_bytes()[:9000])
    reader = TapVid3dReader(folder, {})
    assert find_reader(folder) == "tapvid3d" and set(reader.scan_ids("all")) == {NAME, "boxes_6"}
    (tmp_path / "workspace").mkdir()
    assert len(reader.read(NAME, workspace=tmp_path / "workspace").frames) == true.NUM_FRAMES
    with pytest.raises(CaptureError, match=r"boxes_6\.npz: expected a zip archive"):
        reader.read("boxes_6", workspace=tmp_path)


def test_other_files_are_not_claimed(tmp_path):
    np.savez(tmp_path / "points.npz", points=np.zeros(3))
    assert not TapVid3dReader.recognises(tmp_path) and not TapVid3dReader.recognises(tmp_path / "points.npz")
    with pytest.raises(CaptureError, match="expected TAPVid-3D clips"):
        TapVid3dReader(tmp_path, {}).scan_ids("all")
    with pytest.raises(CaptureError, match="expected split 'all'"):
        TapVid3dReader(tmp_path, {}).scan_ids("minival")
