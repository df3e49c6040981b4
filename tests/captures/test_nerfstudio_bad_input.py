"""Each thing that is wrong with a nerfstudio folder is one clear line that names the file, frame and key, or a counted skip."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import layout_nerfstudio
import numpy as np
import pytest
from PIL import Image

from sightline.captures.nerfstudio import NerfstudioReader
from sightline.errors import SightlineError


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("nerfstudio")
    return {name: layout_nerfstudio.VARIANTS[name](folder / name).source for name in ("usual", "applied", "distorted")}


def read(folder: Path, **options):
    workspace = folder.parent / f"workspace_{len(list(folder.parent.iterdir()))}"
    workspace.mkdir()
    reader = NerfstudioReader(folder, options)
    return reader.read(reader.scan_ids("all")[0], workspace=workspace)


def edited(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """A damage that changes the JSON value."""

    def damage(folder: Path) -> None:
        path = folder / "transforms.json"
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return damage


def replaced(old: str, new: str) -> Callable[[Path], None]:
    """A damage that changes the text."""

    def damage(folder: Path) -> None:
        path = folder / "transforms.json"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return damage


def frame(number: int, **keys) -> Callable[[Path], None]:
    return edited(lambda value: value["frames"][number].update(keys))


def whole(**keys) -> Callable[[Path], None]:
    return edited(lambda value: value.update(keys))


def poses(count: int, number: str) -> Callable[[Path], None]:
    """JSON has no infinity, but 1e999 reads as one."""

    def damage(folder: Path) -> None:
        path = folder / "transforms.json"
        value = json.loads(path.read_text())
        for one in value["frames"][:count]:
            one["transform_matrix"][0][3] = "HERE"
        path.write_text(json.dumps(value).replace('"HERE"', number))

    return damage


def no_images(folder: Path) -> None:
    for path in sorted((folder / "images").iterdir())[:4]:
        path.unlink()


def linked_outside(folder: Path) -> None:
    path = folder / "images/frame_00002.png"
    shutil.move(path, folder.parent / "outside.png")
    path.symlink_to(folder.parent / "outside.png")


def lying_array(folder: Path) -> None:
    np.lib.format.write_array_header_1_0(
        stream := (folder / "depths/2.npy").open("wb"), {"descr": "<f4", "fortran_order": False, "shape": (60000, 80000)}
    )
    stream.close()


def pickled_array(folder: Path) -> None:
    np.save(folder / "depths/2.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


def other_depth(folder: Path) -> None:
    Image.fromarray(np.ones((100, 100), dtype=np.uint16)).save(folder / "depth/frame_00003.png")


def colour_as_depth(folder: Path) -> None:
    shutil.copy(folder / "images/frame_00003.png", folder / "depth/frame_00003.png")


REFUSED = [  # (catalogue, folder, damage, options, message)
    ("B29", "usual", lambda f: (f / "transforms.json").write_text("{"), {}, r"transforms.json: expected JSON"),
    (
        "B29",
        "usual",
        lambda f: (f / "transforms.json").write_bytes((f / "transforms.json").read_bytes()[:900]),
        {},
        r"expected JSON, found",
    ),
    ("B29", "usual", lambda f: (f / "transforms.json").write_text("[]"), {}, r"expected a JSON object with 'frames', found list"),
    ("B29", "usual", lambda f: (f / "transforms.json").write_text("[" * 100_000), {}, r"transforms.json: expected JSON"),
    ("B32", "usual", lambda f: (f / "transforms.json").write_bytes(b'{"a": "\xff"}'), {}, r"expected UTF-8, found byte 0xff at offset 7"),
    ("B33", "usual", lambda f: (f / "transforms.json").write_text('{"w": 1, "w": 2}'), {}, r"key 'w' stands twice"),
    ("B34", "usual", poses(1, "NaN"), {}, r"NaN is not JSON"),
    ("B46", "usual", whole(frames=[]), {}, r"key 'frames': expected at least one frame, found none"),
    ("B46", "usual", edited(lambda v: v.pop("frames")), {}, r"frames: expected a list of frames, found NoneType"),
    ("B46", "usual", edited(lambda v: v.update(frames=v["frames"][:1])), {}, r"at least 2 frames with a usable pose, found 1"),
    ("B01", "usual", poses(4, "-1e999"), {}, r"expected usable poses, found 4 of 8 .*pose_not_finite: 4; first: .*frames\[0\]"),
    ("B03", "usual", edited(lambda v: [f["transform_matrix"][0].__setitem__(0, 5.0) for f in v["frames"]]), {}, r"pose_not_rigid: 8"),
    (
        "B03",
        "usual",
        frame(1, transform_matrix=[[1, 0, 0]]),
        {},
        r"frames\[1\]: key 'transform_matrix': expected four rows of four numbers",
    ),
    ("B03", "usual", frame(1, transform_matrix=[[1, 0, 0, "a"]] * 4), {}, r"key 'transform_matrix': expected four rows of four numbers"),
    ("B33", "usual", frame(1, file_path="images/frame_00006.png"), {}, r"every image once, found 'images/frame_00006.png' again"),
    ("B26", "usual", frame(1, file_path="../../secret.png"), {}, r"frames\[1\]: path '../../secret.png': expected a path inside"),
    ("B26", "usual", frame(1, file_path="/etc/passwd"), {}, r"frames\[1\]: .*leads outside"),
    ("B26", "usual", frame(1, file_path="images/a\0.png"), {}, r"expected no NUL character"),
    ("B26", "usual", frame(1, depth_file_path="../secret.png"), {}, r"frames\[1\]: .*leads outside"),
    ("B26", "usual", linked_outside, {}, r"leads outside"),
    ("B43", "usual", frame(1, file_path=3), {}, r"frames\[1\]: key 'file_path': expected the path of an image, found '3'"),
    ("B11", "usual", frame(1, depth_file_path="depth/none.png"), {}, r"key 'depth_file_path': expected a depth image, found no file"),
    ("B11", "usual", no_images, {}, r"found 4 of 9 that are not \(image_missing: 4; first: frame_00001\)"),
    ("B07", "usual", whole(fl_x=-5.0), {}, r"frames\[0\]: .*fx=-5"),
    ("B07", "usual", edited(lambda v: v.pop("fl_x")), {}, r"key 'fl_x': expected a finite number, found 'none'"),
    ("B07", "usual", whole(cx=900.0), {}, r"intrinsics do not fit images of 160x120"),
    ("B07", "usual", whole(w=320, h=240, cx=160, cy=120), {}, r"expected a colour image of 320x240, found 160x120"),
    ("B07", "usual", whole(w="wide"), {}, r"keys 'w', 'h': key 'size': expected a finite number, found 'wide'"),
    ("model", "usual", whole(camera_model="EQUIRECTANGULAR"), {}, r"key 'camera_model': expected one of OPENCV.*found 'EQUIRECTANGULAR'"),
    ("model", "usual", whole(k4=0.1), {}, r"key 'k4': expected 0 for camera model OPENCV, found 0.1; only a fisheye has it"),
    ("model", "usual", whole(k1="strong"), {}, r"key 'k1': expected a finite number"),
    ("lens", "distorted", lambda f: None, {}, r"frames\[0\]: expected a camera without distortion, found a radial one .*undistort=true"),
    ("lens", "distorted", whole(k1=-40.0), {"undistort": True}, r"the coefficients belong to another model or camera"),
    ("depth", "usual", other_depth, {}, r"frame_00003.png: expected a depth image of the shape of its 160x120 colour image, found 100x100"),
    ("B13", "usual", colour_as_depth, {}, r"expected a 16-bit single-channel PNG, found mode RGB"),
    ("B14", "usual", whole(depth_unit_scale_factor=0), {}, r"key 'depth_unit_scale_factor': expected a number above 0, found 0"),
    (
        "B03",
        "applied",
        whole(applied_transform=[[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]]),
        {},
        r"key 'applied_transform': expected a rigid",
    ),
    ("B14", "applied", whole(applied_scale=-1.0), {}, r"key 'applied_scale': expected a number above 0"),
    ("B22", "applied", lying_array, {}, r"2.npy: expected 19200000000 bytes of float32"),
    ("B30", "applied", pickled_array, {}, r"2.npy: expected numbers, found an array of type object"),
    ("B29", "applied", lambda f: (f / "depths/2.npy").write_bytes(b""), {}, r"2.npy: expected the header of an array"),
    ("depth", "applied", lambda f: np.save(f / "depths/2.npy", np.ones((5, 5, 5))), {}, r"expected an array of shape \(height, width\)"),
]


@pytest.mark.parametrize(("catalogue", "name", "damage", "options", "message"), REFUSED)
def test_what_is_wrong_is_named_in_one_line(folders, tmp_path, catalogue, name, damage, options, message):
    folder = Path(shutil.copytree(folders[name], tmp_path / "flat", symlinks=True))
    damage(folder)
    with pytest.raises(SightlineError, match=message) as caught:
        read(folder, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


SKIPPED = [
    ("B01", poses(1, "-1e999"), {"pose_not_finite": 1, "marked_bad": 1}),
    ("B11", lambda folder: (folder / "images/frame_00004.png").unlink(), {"image_missing": 1, "marked_bad": 1}),
    ("bad", frame(0, is_bad=True), {"marked_bad": 2}),
]


@pytest.mark.parametrize(("catalogue", "damage", "reasons"), SKIPPED)
def test_a_frame_that_cannot_be_used_is_left_out_and_counted(folders, tmp_path, catalogue, damage, reasons):
    folder = Path(shutil.copytree(folders["usual"], tmp_path / "flat"))
    damage(folder)
    capture = read(folder)
    found = [one.reason for one in capture.skipped]
    assert {reason: found.count(reason) for reason in found} == reasons and len(capture.frames) == 7
