"""The catalogue of bad inputs, B01 to B28, as one table: what the import command refuses, where, or leaves out and counts.

Every case is laid on a good written scan with a good neighbour. The import ends with the stated exit code and one line that names
the place, or counts the frames it left out; the neighbour is imported all the same, nothing half-written stays in the store and
no file outside it is touched. Cases with a home of their own are named at the end of the table.
"""

import re
import shutil
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import layout_sevenscenes
import numpy as np
import pytest
import true_room as true
from PIL import Image
from spoiled_scans import LAYOUTS, Scans
from typer.testing import CliRunner

import sightline as sightline_package
from sightline.cli import app
from sightline.errors import SceneError
from sightline.scenes.store import SceneStore

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def sightline(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def with_poses(scans: Scans, changes: dict[int, np.ndarray]) -> None:
    scans.write_poses([changes.get(index, pose) for index, pose in enumerate(scans.poses)])


def infinite(count: int) -> Callable[[Scans], None]:
    return lambda scans: with_poses(scans, {index: np.full((4, 4), -np.inf) for index in range(count)})


def one_nan(scans: Scans) -> None:
    pose = scans.poses[3].copy()
    pose[1, 2] = np.nan
    with_poses(scans, {3: pose})


def scaled(count: int) -> Callable[[Scans], None]:
    return lambda scans: with_poses(scans, {index: scans.poses[index] @ np.diag([1.7, 1.7, 1.7, 1.0]) for index in range(count)})


def mirrored(scans: Scans) -> None:
    with_poses(scans, {3: scans.poses[3] @ np.diag([-1.0, 1.0, 1.0, 1.0])})


def a_bottom_row_of_its_own(scans: Scans) -> None:
    pose = scans.poses[3].copy()
    pose[3, 0] = 0.5
    with_poses(scans, {3: pose})


def rounded(scans: Scans) -> None:
    scans.write_poses([np.round(pose, 4) for pose in scans.poses])


def inverted(scans: Scans) -> None:
    scans.write_poses([np.linalg.inv(pose) for pose in scans.poses])


def of_an_opengl_camera(scans: Scans) -> None:
    scans.write_poses([pose @ OPENGL for pose in scans.poses])


def one_pose_less(scans: Scans) -> None:
    if scans.layout == "sevenscenes":
        scans.color[3].with_name("frame-000003.pose.txt").unlink()
        return
    path, head, size = {"folder": ("poses.txt", 0, 1), "redwood": ("scene/trajectory.log", 0, 5), "tum": ("groundtruth.txt", 0, 1)}[
        scans.layout
    ]
    lines = (scans.scan / path).read_text().splitlines()
    (scans.scan / path).write_text("\n".join(lines[: head + 3 * size] + lines[head + 4 * size :]) + "\n")


def no_poses(scans: Scans) -> None:
    if scans.layout == "sevenscenes":
        for path in scans.scan.glob("*.pose.txt"):
            path.unlink()
        return
    (scans.scan / {"folder": "poses.txt", "redwood": "scene/trajectory.log", "tum": "groundtruth.txt"}[scans.layout]).unlink()


def intrinsics_of_three_times_the_size(scans: Scans) -> None:
    scans.write_camera(*(3.0 * number for number in (true.SMALL.fx, true.SMALL.fy, true.SMALL.cx, true.SMALL.cy)))


def a_focal_length_of_nothing(scans: Scans) -> None:
    scans.write_camera(0.0, true.SMALL.fy, true.SMALL.cx, true.SMALL.cy)


def turned_by_exif(scans: Scans) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.open(scans.color[3])
    image.save(scans.color[3], exif=exif)


def a_depth_image_less(scans: Scans) -> None:
    scans.depth[3].unlink()


def a_depth_image_cut_to_nothing(scans: Scans) -> None:
    scans.depth[3].write_bytes(b"")


def depth(scans: Scans, index: int) -> np.ndarray:
    return np.asarray(Image.open(scans.depth[index])).astype(np.uint16)


def write_depth(scans: Scans, index: int, values: np.ndarray) -> None:
    Image.fromarray(values).save(scans.depth[index])


def depth_of_zeros(count: int) -> Callable[[Scans], None]:
    def spoil(scans: Scans) -> None:
        for index in range(count):
            write_depth(scans, index, np.zeros((120, 160), dtype=np.uint16))

    return spoil


def saturated(count: int) -> Callable[[Scans], None]:
    def spoil(scans: Scans) -> None:
        for index in range(count):
            write_depth(scans, index, np.full((120, 160), 65535, dtype=np.uint16))

    return spoil


def half_saturated(scans: Scans) -> None:
    for index in range(true.NUM_FRAMES):
        values = depth(scans, index)
        values[::2] = 65535
        write_depth(scans, index, values)


def eight_bits(scans: Scans) -> None:
    for path in scans.depth:
        Image.fromarray((np.asarray(Image.open(path)) // 256).astype(np.uint8)).save(path)


def in_other_units(factor: float) -> Callable[[Scans], None]:
    def spoil(scans: Scans) -> None:
        for index in range(true.NUM_FRAMES):
            write_depth(scans, index, np.clip(np.rint(depth(scans, index) * factor), 0, 65534).astype(np.uint16))

    return spoil


def of_another_shape(scans: Scans) -> None:
    for index in range(true.NUM_FRAMES):
        write_depth(scans, index, depth(scans, index)[:, :120].copy())


def one_of_another_size(scans: Scans) -> None:
    write_depth(scans, 3, depth(scans, 3)[::2, ::2].copy())


def along_the_ray(scans: Scans) -> None:
    camera = layout_sevenscenes.DEPTH if scans.layout == "sevenscenes" else true.SMALL
    v, u = np.mgrid[:120, :160]
    longer = np.sqrt(1.0 + ((u - camera.cx) / camera.fx) ** 2 + ((v - camera.cy) / camera.fy) ** 2)
    for index in range(true.NUM_FRAMES):
        values = depth(scans, index)
        write_depth(scans, index, np.where(values == 65535, 65535, np.rint(values * longer)).astype(np.uint16))


def truncated(kind: str) -> Callable[[Scans], None]:
    def spoil(scans: Scans) -> None:
        path = getattr(scans, kind)[3]
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    return spoil


def rotten(kind: str) -> Callable[[Scans], None]:
    def spoil(scans: Scans) -> None:
        path = getattr(scans, kind)[3]
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0x10
        path.write_bytes(bytes(content))

    return spoil


def a_bomb(width: int, height: int) -> Callable[[Scans], None]:
    return lambda scans: Image.new("1", (width, height)).save(scans.color[3], format="PNG")


def kept_as(form: str) -> Callable[[Scans], None]:
    return lambda scans: Image.open(scans.color[3]).convert("RGB").save(scans.color[3], format=form)


def in_mode(mode: str) -> Callable[[Scans], None]:
    return lambda scans: Image.open(scans.color[3]).convert(mode).save(scans.color[3])


def of_sixteen_bits(scans: Scans) -> None:
    Image.fromarray(depth(scans, 3)).save(scans.color[3])


def a_path_upwards(scans: Scans) -> None:
    shutil.copytree(scans.color[0].parent, scans.source / "neighbour" / "secret")
    if scans.layout == "folder":
        (scans.scan / "capture.yaml").write_text("color: ../neighbour/secret\n")
    else:
        listed = (scans.scan / "rgb.txt").read_text().replace("rgb/", "../neighbour/secret/")
        (scans.scan / "rgb.txt").write_text(listed)


def an_absolute_path(scans: Scans) -> None:
    if scans.layout == "folder":
        (scans.scan / "capture.yaml").write_text("poses: /etc/hostname\n")
    else:
        (scans.scan / "rgb.txt").write_text("".join(f"{index / 2.0:.6f} /etc/hostname\n" for index in range(8)))


def a_link_outwards(scans: Scans) -> None:
    away = scans.source.parent / "away"
    shutil.move(scans.color[0].parent, away)
    scans.color[0].parent.symlink_to(away)
    if scans.layout == "folder":
        (scans.scan / "capture.yaml").write_text("color: color\n")


def a_nul_in_a_path(scans: Scans) -> None:
    if scans.layout == "folder":
        (scans.scan / "capture.yaml").write_text('color: "co\\0lor"\n')
    else:
        (scans.scan / "rgb.txt").write_text("".join(f"{index / 2.0:.6f} rgb/a\0b.png\n" for index in range(8)))


ALL = tuple(LAYOUTS)
TWO = ("folder", "sevenscenes")  # what concerns an image file is the same for every reader that uses it where it lies
MATRICES = ("folder", "redwood", "sevenscenes")  # quaternions cannot be scaled or mirrored


@dataclass(frozen=True, kw_only=True)
class Case:
    """One line of the table. `told` is a pattern of the one line of refusal (exit code 2), or the counted skips (exit code 0)."""

    id: str
    what: str
    spoil: Callable[[Scans], None]
    told: str | dict[str, int]
    layouts: tuple[str, ...] = ("folder", "redwood")

    @property
    def checking(self) -> tuple[str, ...]:
        """Only wrong conventions need the check against the depth, which takes most of the time."""
        return () if self.id in ("B04", "B14", "B18") else ("--no-verify",)


CASES = (
    Case(id="B01", what="one pose of -inf", spoil=infinite(1), told={"pose_not_finite": 1}, layouts=ALL),
    Case(
        id="B01", what="mostly -inf", spoil=infinite(3), told=r"usable poses, found 3 of 8 .*pose_not_finite: 3; first: .+\)", layouts=ALL
    ),
    Case(id="B02", what="one NaN in a pose", spoil=one_nan, told={"pose_not_finite": 1}, layouts=ALL),
    Case(id="B03", what="a scaled rotation", spoil=scaled(1), told={"pose_not_rigid": 1}, layouts=MATRICES),
    Case(id="B03", what="all scaled", spoil=scaled(8), told=r"usable poses, found 8 of 8 .*pose_not_rigid: 8", layouts=MATRICES),
    Case(id="B03", what="a mirrored rotation", spoil=mirrored, told={"pose_not_rigid": 1}, layouts=MATRICES),
    Case(id="B03", what="a bottom row of its own", spoil=a_bottom_row_of_its_own, told={"pose_not_rigid": 1}, layouts=MATRICES),
    Case(id="B03", what="four digits are rounded, not wrong", spoil=rounded, told={}, layouts=MATRICES),
    Case(id="B04", what="camera from world", spoil=inverted, told=r"poses look inverted.*camera_from_world", layouts=ALL),
    Case(id="B04", what="OpenGL axes", spoil=of_an_opengl_camera, told=r"camera axes look like OpenGL", layouts=ALL),
    Case(id="B05", what="one pose less", spoil=one_pose_less, told={"pose_missing": 1}, layouts=("redwood", "sevenscenes")),
    Case(id="B05", what="one pose less, by time", spoil=one_pose_less, told={"pose_not_in_time": 1}, layouts=("tum",)),
    Case(id="B05", what="one line less", spoil=one_pose_less, told=r"poses\.txt: expected one pose for each of the 8", layouts=("folder",)),
    Case(
        id="B05",
        what="no poses",
        spoil=no_poses,
        told=r"poses\.txt or a folder|a pose file for each|one trajectory",
        layouts=("folder", "sevenscenes", "tum"),
    ),
    Case(
        id="B07",
        what="camera of thrice the size",
        spoil=intrinsics_of_three_times_the_size,
        told=r"(K\.txt|intrinsic\.json): intrinsics do not fit",
        layouts=("folder", "redwood", "tum"),
    ),
    Case(
        id="B07",
        what="fx of zero",
        spoil=a_focal_length_of_nothing,
        told=r"expected finite fx, fy > 0, found fx=0|expected rows|fx 0 0 0",
        layouts=("folder", "redwood", "tum"),
    ),
    Case(
        id="B10",
        what="turned by EXIF",
        spoil=turned_by_exif,
        told=r"3\.(color\.)?png: expected an image without EXIF rotation",
        layouts=TWO,
    ),
    Case(
        id="B11",
        what="a depth image less",
        spoil=a_depth_image_less,
        told=r"found no(thing there| depth image for .*3\.png| frame-000003\.depth)",
        layouts=ALL,
    ),
    Case(
        id="B11",
        what="an empty depth file",
        spoil=a_depth_image_cut_to_nothing,
        told=r"3\.(depth\.)?png: expected a JPEG/PNG/WEBP image",
        layouts=ALL,
    ),
    Case(id="B12", what="a depth image of zeros", spoil=depth_of_zeros(1), told={"depth_empty": 1}, layouts=TWO),
    Case(
        id="B12", what="three of zeros", spoil=depth_of_zeros(3), told=r"expected depth readings, found 3 of 8 .*first: .*0\.(depth\.)?png"
    ),
    Case(
        id="B13", what="depth of eight bits", spoil=eight_bits, told=r"0\.(depth\.)?png: expected a 16-bit single-channel PNG", layouts=TWO
    ),
    Case(
        id="B14",
        what="depth in half millimetres",
        spoil=in_other_units(2.0),
        told=r"depth looks .*depth-unit-m 0\.0005",
        layouts=("folder",),
    ),
    Case(
        id="B14",
        what="depth in half millimetres",
        spoil=in_other_units(2.0),
        told=r"depth looks .*as 0\.0005",
        layouts=("redwood", "sevenscenes", "tum"),
    ),
    Case(id="B14", what="depth in centimetres", spoil=in_other_units(0.1), told=r"depth looks .*(as|-m) 0\.01"),
    Case(id="B15", what="every second row saturated", spoil=half_saturated, told={}, layouts=("redwood", "tum")),
    Case(id="B15", what="one image saturated", spoil=saturated(1), told={"depth_empty": 1}),
    Case(
        id="B16",
        what="depth of another shape",
        spoil=of_another_shape,
        told=r"have different shapes|expected an image shaped like 640x480",
        layouts=ALL,
    ),
    Case(
        id="B16",
        what="one depth image of another size",
        spoil=one_of_another_size,
        told=r"expected (a )?depth images? of 160x120 like .*, found 80x60",
        layouts=ALL,
    ),
    Case(id="B18", what="lengths along the ray", spoil=along_the_ray, told=r"look like lengths along the ray instead of z", layouts=ALL),
    Case(
        id="B19",
        what="a cut colour image",
        spoil=truncated("color"),
        told=r"3\.(color\.)?png: expected a whole image, found a truncated",
        layouts=TWO,
    ),
    Case(
        id="B19",
        what="a cut depth image",
        spoil=truncated("depth"),
        told=r"3\.(depth\.)?png: expected a whole image, found a truncated",
        layouts=TWO,
    ),
    Case(id="B20", what="a flipped bit of a colour PNG", spoil=rotten("color"), told=r"3\.(color\.)?png: expected a whole image, found"),
    Case(id="B20", what="a flipped bit of a depth PNG", spoil=rotten("depth"), told=r"3\.(depth\.)?png: expected a whole image, found"),
    Case(
        id="B22",
        what="a bomb of 89 million pixels",
        spoil=a_bomb(9_450, 9_450),
        told=r"expected at most 50000000 pixels, found 9450x9450",
        layouts=TWO,
    ),
    Case(id="B22", what="a bomb of 300 million pixels", spoil=a_bomb(20_000, 15_000), told=r"3\.png: expected .*(pixels|image)"),
    Case(id="B23", what="a GIF called PNG", spoil=kept_as("GIF"), told=r"3\.(color\.)?png: expected a JPEG/PNG/WEBP image", layouts=TWO),
    Case(id="B23", what="a TIFF called PNG", spoil=kept_as("TIFF"), told=r"3\.png: expected a JPEG/PNG/WEBP image"),
    Case(id="B23", what="a BMP called PNG", spoil=kept_as("BMP"), told=r"3\.png: expected a JPEG/PNG/WEBP image"),
    Case(id="B24", what="grey", spoil=in_mode("L"), told={}),
    Case(id="B24", what="a palette", spoil=in_mode("P"), told={}),
    Case(id="B24", what="with alpha", spoil=in_mode("RGBA"), told={}),
    Case(
        id="B24",
        what="sixteen bits",
        spoil=of_sixteen_bits,
        told=r"3\.(color\.)?png: expected an 8-bit colour image, found mode I",
        layouts=TWO,
    ),
    Case(
        id="B26",
        what="a path upwards",
        spoil=a_path_upwards,
        told=r"'\.\./neighbour/secret.*expected a path inside .*, found one that leads outside",
        layouts=("folder", "tum"),
    ),
    Case(
        id="B26",
        what="an absolute path",
        spoil=an_absolute_path,
        told=r"'/etc/hostname': expected a path inside",
        layouts=("folder", "tum"),
    ),
    Case(
        id="B26",
        what="a link outwards",
        spoil=a_link_outwards,
        told=r"expected a path inside .*, found one that leads outside",
        layouts=("folder", "tum"),
    ),
    Case(id="B26", what="a NUL in a path", spoil=a_nul_in_a_path, told=r"expected no NUL character", layouts=("folder", "tum")),
)
ELSEWHERE = {  # catalogue id -> the test file that holds it, where one line of this table cannot
    "B02": "captures/test_folder_bad_input.py",  # every one of the sixteen entries
    "B04": "scenes/test_scene_verify.py",
    "B08": "captures/test_folder_reading.py",  # up is measured where nobody states it
    "B17": "captures/test_tapvid3d_bad_input.py",
    "B21": "captures/test_scannet_bad_input.py",  # recordings whose sizes lie
    "B09": "captures/test_arkitscenes_reading.py",  # frames that lie on their side
}
OF_OTHER_ROOMS = {"B06"}  # a jump in a trajectory concerns the questions asked across it, not the import


def outside(tmp_path: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of everything but the store."""
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "store" not in path.relative_to(tmp_path).parts]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in files}


def expect_whole(store: Path, *, finished: set[str]) -> None:
    """The store holds these scans and no part of another."""
    there = {path.name for path in store.iterdir()} - {".records"}
    assert there == finished and all((store / name / "finished.json").is_file() for name in finished)
    assert not [path for path in store.rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.parametrize(
    ("case", "layout"),
    [(case, layout) for case in CASES for layout in case.layouts],
    ids=lambda part: f"{part.id} {part.what}" if isinstance(part, Case) else part,
)
def test_a_bad_scan_is_refused_in_one_line_or_its_frames_are_counted(tmp_path, case, layout):
    scans = LAYOUTS[layout](tmp_path / "source")
    case.spoil(scans)
    before, store = outside(tmp_path), tmp_path / "store"
    done = sightline("import", scans.source, store, *scans.options, *case.checking, "--workers", 0)
    complaint = [line for line in done.stderr.splitlines() if line.startswith("sightline: ")]
    assert "Traceback" not in done.stderr and outside(tmp_path) == before
    if isinstance(case.told, str):
        assert done.exit_code == 2, done.output
        assert len(complaint) == 1 and f"1 of 2 failed. {scans.scan_id}: " in complaint[0], done.stderr
        assert re.search(case.told, complaint[0]), complaint[0]
        expect_whole(store, finished={scans.neighbour_id})
        return
    assert done.exit_code == 0 and not complaint, done.output
    skipped = sum(case.told.values())
    line = next(line for line in done.stdout.splitlines() if line.startswith(f"{scans.scan_id} "))
    assert f"{true.NUM_FRAMES - skipped} frames, {skipped} skipped" in line
    assert all(f"{reason} {count}" in line for reason, count in case.told.items())
    expect_whole(store, finished={scans.scan_id, scans.neighbour_id})


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path: Path, contents: dict[str, bytes], links: frozenset[str] = frozenset()) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = ((stat.S_IFLNK if name in links else stat.S_IFREG) | 0o644) << 16
            archive.writestr(entry, content)


def a_name_that_leads_out(path: Path) -> None:
    write_zip(path, {**members(path), "../../../escaped": b"out"})


def an_absolute_name(path: Path) -> None:
    write_zip(path, {**members(path), str(path.parent.parent / "escaped"): b"out"})


def a_link(path: Path) -> None:
    write_zip(path, {**members(path), "seq-01/link": b"../../../escaped"}, links=frozenset({"seq-01/link"}))


def a_member_that_inflates(path: Path) -> None:
    write_zip(path, {**members(path), "seq-01/zeros": bytes(64 << 20)})


def half_of_it(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def a_damaged_member(path: Path) -> None:
    content = bytearray(path.read_bytes())
    start = content.find(b"frame-000003.color.png") + 500
    content[start : start + 40] = bytes(40)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (a_name_that_leads_out, r"seq-01\.zip: member '\.\./\.\./\.\./escaped': expected a path inside the archive"),
        (an_absolute_name, r"seq-01\.zip: member '/.*escaped': expected a relative path, found an absolute one"),
        (a_link, r"seq-01\.zip: member 'seq-01/link': expected a file or a folder, found a link or a device"),
        (a_member_that_inflates, r"seq-01\.zip: member 'seq-01/zeros': expected at most 200 times its"),
        (half_of_it, r"seq-01\.zip: expected a zip archive, found none or a damaged one"),
        (a_damaged_member, r"seq-01\.zip: member 'seq-01/frame-000003\.color\.png': expected a whole member"),
    ],
    ids=lambda part: part.__name__ if callable(part) else "",
)
def test_b25_a_bad_archive_is_refused_and_nothing_leaves_it(tmp_path, spoil, told):
    scans = LAYOUTS["sevenscenes"](tmp_path / "source")
    layout_sevenscenes.zipped(scans.scan)
    spoil(scans.source / "seq-01.zip")
    before, store = outside(tmp_path), tmp_path / "store"
    done = sightline("import", scans.source, store, "--no-verify", "--workers", 0)
    complaint = [line for line in done.stderr.splitlines() if line.startswith("sightline: ")]
    assert done.exit_code == 2 and len(complaint) == 1 and re.search(told, complaint[0]), done.stderr
    assert outside(tmp_path) == before and not list(tmp_path.rglob("escaped"))
    expect_whole(store, finished={scans.neighbour_id})


@pytest.mark.parametrize("layout", ["folder", "redwood"])
def test_b27_a_scan_without_its_finished_marker_is_made_again(tmp_path, layout):
    scans, store = LAYOUTS[layout](tmp_path / "source"), tmp_path / "store"
    assert sightline("import", scans.source, store, "--no-verify", "--workers", 0).exit_code == 0
    whole = {path.relative_to(store): path.stat().st_size for path in (store / scans.scan_id).rglob("*") if path.is_file()}
    (store / scans.scan_id / "finished.json").unlink()
    for path in sorted((store / scans.scan_id).iterdir())[:2]:
        if path.is_file() and not path.is_symlink():
            path.write_bytes(b"half")
    done = sightline("import", scans.source, store, "--no-verify", "--workers", 0)
    assert done.exit_code == 0, done.output
    assert {path.relative_to(store): path.stat().st_size for path in (store / scans.scan_id).rglob("*") if path.is_file()} == whole
    expect_whole(store, finished={scans.scan_id, scans.neighbour_id})


@pytest.mark.parametrize("layout", ["folder", "redwood", "sevenscenes", "tum"])
def test_b28_a_source_that_changed_is_imported_again_and_one_that_did_not_is_left(tmp_path, layout):
    scans, store = LAYOUTS[layout](tmp_path / "source"), tmp_path / "store"
    first = sightline("import", scans.source, store, *scans.options, "--no-verify", "--workers", 0)
    made = (store / scans.scan_id / "finished.json").read_text()
    assert first.exit_code == 0 and sightline("import", scans.source, store, *scans.options, "--no-verify", "--workers", 0).exit_code == 0
    assert (store / scans.scan_id / "finished.json").read_text() == made
    infinite(1)(scans)
    again = sightline("import", scans.source, store, *scans.options, "--no-verify", "--workers", 0)
    line = next(line for line in again.stdout.splitlines() if line.startswith(f"{scans.scan_id} "))
    assert again.exit_code == 0 and "7 frames, 1 skipped (pose_not_finite 1)" in line


@pytest.mark.parametrize("layout", ["folder", "redwood"])
def test_b20_a_bit_of_a_jpeg_that_rots_after_the_import_is_found_by_its_hash(tmp_path, layout):
    """Most flipped bits of a JPEG decode without complaint, into other pixels: only the recorded hash can tell."""
    scans, store = LAYOUTS[layout](tmp_path / "source"), tmp_path / "store"
    for path in scans.color:
        Image.open(path).save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
    assert sightline("import", scans.source, store, "--copy-images", "--no-verify", "--workers", 0).exit_code == 0
    assert SceneStore(store).check_files(scans.scan_id) >= true.NUM_FRAMES
    path = next(path for path in sorted((store / scans.scan_id).rglob("*.jpg")) if "3" in path.stem)
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 0x04
    path.write_bytes(bytes(content))
    with pytest.raises(SceneError, match=r"\.jpg: expected the image that was imported, found another or a damaged one"):
        SceneStore(store).check_files(scans.scan_id)


def test_b23_no_image_is_opened_without_naming_the_formats():
    source = Path(sightline_package.__file__).parent
    opened = [
        f"{path.name}: {line.strip()}"
        for path in source.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"Image\.open\(|cv2\.imread\(|LOAD_TRUNCATED_IMAGES", line) and "formats=" not in line
    ]
    assert opened == []


def test_every_id_of_the_catalogue_has_its_line():
    mine = {case.id for case in CASES} | {"B25", "B27", "B28"}
    assert {f"B{number:02d}" for number in range(1, 29)} == mine | set(ELSEWHERE) | OF_OTHER_ROOMS
    assert all((Path(__file__).parent / path).is_file() for path in ELSEWHERE.values())
