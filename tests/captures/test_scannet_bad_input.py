"""Each thing that is wrong with a ScanNet scan is one clear line that names file and place, or a counted skip."""

import io
import json
import re
import shutil
import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import layout_scannet as layout
import numpy as np
import pytest
import true_room as true
from PIL import Image
from plyfile import PlyData, PlyElement

from sightline.captures.capture import Capture
from sightline.captures.scannet.reader import ScanNetReader
from sightline.errors import CaptureError, SightlineError

SCAN = "scene0011_01"
SMALL = true.SMALL.resized(width=80, height=60)
NUM_FRAMES = 20
FLOOR = np.array([[x, y, 0.0] for x in (0.0, 4.0) for y in (0.0, 3.0)])
CHAIR = np.array([[x, y, z] for x in (1.0, 1.5) for y in (1.0, 1.4) for z in (0.0, 0.9)])
VERTICES = np.concatenate([FLOOR, CHAIR])
SEGMENTS = [5] * 4 + [9] * 4 + [12] * 4
GROUPS = [
    {"id": 0, "objectId": 0, "label": "floor", "segments": [5]},
    {"id": 1, "objectId": 1, "label": "office chair", "segments": [9, 12]},
]
HEADER_BYTES = 4 + 8 + 15 + 256 + 8 + 16 + 4 + 8


def pose(index: int) -> np.ndarray:
    return layout.rigid(layout.yaw_matrix(0.1 * index) @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), np.array([2.0, 1.0, 1.5]))


def parts() -> tuple[list[bytes], list[bytes]]:
    """JPEG and deflated depth of every frame."""
    rng = np.random.default_rng(0)
    colours = [layout.jpeg(rng.integers(0, 255, size=(60, 80, 3)).astype(np.uint8)) for _ in range(NUM_FRAMES)]
    depths = [zlib.compress(np.full((60, 80), 1000 + index, dtype="<u2").tobytes()) for index in range(NUM_FRAMES)]
    return colours, depths


def recording(*, poses=None, colours=None, depths=None, **header) -> bytes:
    given = parts()
    poses = [pose(index) for index in range(NUM_FRAMES)] if poses is None else poses
    start = layout.sens_header(**{"colour": SMALL, "depth": SMALL, "num_frames": NUM_FRAMES, **header})
    frames = zip(poses, colours or given[0], depths or given[1], strict=True)
    return start + b"".join(layout.sens_frame(*frame, time_us=1000 * index) for index, frame in enumerate(frames)) + layout.sens_tail(0)


def write_mesh(path: Path, vertices: np.ndarray) -> None:
    rows = np.zeros(len(vertices), dtype=[(axis, "<f4") for axis in "xyz"])
    for axis, values in zip("xyz", vertices.T, strict=True):
        rows[axis] = values
    PlyData([PlyElement.describe(rows, "vertex")], byte_order="<").write(str(path))


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("usual") / SCAN
    folder.mkdir()
    (folder / f"{SCAN}.sens").write_bytes(recording())
    layout.write_text(folder / f"{SCAN}.txt", aligned_from_stored=np.eye(4), colour=SMALL)
    write_mesh(folder / f"{SCAN}_vh_clean_2.ply", VERTICES)
    (folder / f"{SCAN}_vh_clean_2.0.010000.segs.json").write_text(json.dumps({"segIndices": SEGMENTS}))
    (folder / f"{SCAN}.aggregation.json").write_text(json.dumps({"sceneId": f"scannet.{SCAN}", "segGroups": GROUPS}))
    write_archive(folder, {f"instance-filt/{index}.png": layout.png(np.ones((60, 80), np.uint8)) for index in range(NUM_FRAMES)})
    return folder


@pytest.fixture
def folder(usual, tmp_path) -> Path:
    return Path(shutil.copytree(usual, tmp_path / SCAN))


def read(folder: Path, **options) -> Capture:
    workspace = folder.parent / "workspace"
    workspace.mkdir()
    return ScanNetReader(folder, options).read(SCAN, workspace=workspace)


def sens(folder: Path, content: bytes) -> None:
    (folder / f"{SCAN}.sens").write_bytes(content)


def patched(offset: int, content: bytes):
    """A recording with other bytes at one place."""

    def damage(folder: Path) -> None:
        whole = bytearray(recording())
        whole[offset : offset + len(content)] = content
        sens(folder, bytes(whole))

    return damage


def cut(share: float):
    return lambda folder: sens(folder, recording()[: int(share * len(recording()))])


def of_text(change):
    def damage(folder: Path) -> None:
        path = folder / f"{SCAN}.txt"
        path.write_bytes(change(path.read_bytes()))

    return damage


def with_groups(groups, **content):
    def damage(folder: Path) -> None:
        (folder / f"{SCAN}.aggregation.json").write_text(json.dumps({"segGroups": groups, **content}))

    return damage


def without(ending: str):
    return lambda folder: (folder / f"{SCAN}{ending}").unlink()


def of_file(ending: str, content: bytes):
    return lambda folder: (folder / f"{SCAN}{ending}").write_bytes(content)


def write_archive(folder: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(folder / f"{SCAN}_2d-instance-filt.zip", "w", compression=zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def archive(members: dict[str, bytes]):
    return lambda folder: write_archive(folder, members)


def linked_archive(folder: Path) -> None:
    member = zipfile.ZipInfo("instance-filt/0.png")
    member.external_attr = 0o120777 << 16
    with zipfile.ZipFile(folder / f"{SCAN}_2d-instance-filt.zip", "w") as made:
        made.writestr(member, "/etc/passwd")


def bomb(folder: Path) -> None:
    write_archive(folder, {"instance-filt/0.png": bytes(65_000_000)})


def huge_picture() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (9000, 9000)).save(stream, format="PNG")
    return stream.getvalue()


def bad_poses(count: int, value: float) -> bytes:
    poses = [np.full((4, 4), value) if index < count else pose(index) for index in range(NUM_FRAMES)]
    return recording(poses=poses)


def wider_header(folder: Path) -> None:
    patched(AT + 8, struct.pack("<II", 88, 60))(folder)
    without("_2d-instance-filt.zip")(folder)


def copied_camera(folder: Path) -> None:
    wide = SMALL.resized(width=160, height=120)
    colours = [layout.jpeg(np.zeros((120, 160, 3), np.uint8))] * NUM_FRAMES
    content = bytearray(recording(colours=colours, colour=wide))
    content[27:91] = layout.matrix_4x4(SMALL).astype("<f4").tobytes()
    sens(folder, bytes(content))


AT = 4 + 8 + 15 + 256  # of the compression codes
FIRST = HEADER_BYTES + 80  # of the first frame's sizes
NAN_ALIGNMENT = re.compile(rb"axisAlignment = \S+")

REFUSED = [
    ("an empty file (B21)", lambda f: sens(f, b""), r"\.sens: byte 0: expected the header .* found 0 bytes"),
    ("a header cut off (B21)", lambda f: sens(f, recording()[:200]), r"byte 27: expected \d+ bytes of header, found 173; .* truncated"),
    ("version 3", patched(0, struct.pack("<I", 3)), r"byte 0: expected \.sens version 4, found 3"),
    ("another file (B23)", lambda f: sens(f, b"PK\x03\x04" + bytes(500)), r"expected \.sens version 4, found 67324752"),
    ("a name without end (B21)", patched(4, struct.pack("<Q", 2**62)), r"byte 4: expected a sensor name of at most 4096 bytes"),
    (
        "unknown colour",
        patched(AT, struct.pack("<i", -1)),
        r"byte 283: expected colour compression 0 \(raw\) or 1 \(png\) or 2 \(jpeg\), found -1",
    ),
    ("unknown depth", patched(AT + 4, struct.pack("<i", -1)), r"byte 287: expected depth compression .* found -1"),
    ("occi depth", patched(AT + 4, struct.pack("<i", 2)), r"expected depth compression .* found 2 \(occi_ushort"),
    ("no width", patched(AT + 8, struct.pack("<I", 0)), r"byte 291: expected a colour size of 1 to \d+ pixels, found 0x60"),
    ("giant depth (B22)", patched(AT + 16, struct.pack("<II", 10**6, 10**6)), r"expected a depth size .* found 1000000x1000000"),
    ("depth shift of zero (B14)", patched(AT + 24, struct.pack("<f", 0.0)), r"byte 307: expected a positive depth shift"),
    ("depth shift not finite (B17)", patched(AT + 24, struct.pack("<f", np.nan)), r"expected a positive depth shift .* found nan"),
    ("zero frames (B46)", patched(AT + 28, struct.pack("<Q", 0)), r"byte 311: expected 1 to 200000 frames, found 0"),
    ("frames without end (B21)", patched(AT + 28, struct.pack("<Q", 2**63)), r"expected 1 to 200000 frames, found 9223372036854775808"),
    ("most of it cut off (B21)", cut(0.5), r"byte \d+: expected 20 frames, found \d+ of them cut off or damaged \(sens_truncated\)"),
    ("a giant image (B21)", patched(FIRST, struct.pack("<Q", 2**60)), r"found 20 of them cut off or damaged \(sens_damaged\)"),
    (
        "deflated bombs (B22)",
        lambda f: sens(f, recording(depths=[zlib.compress(bytes(10**7))] * 20)),
        r"frame 0 at byte 319: .*depth_damaged",
    ),
    (
        "depth of another size",
        lambda f: sens(f, recording(depths=[zlib.compress(bytes(5000))] * 20)),
        r"found 5 of them damaged or of another",
    ),
    ("no JPEG (B19)", lambda f: sens(f, recording(colours=[b"GIF89a"] * 20)), r"damaged or of another size \(colour_damaged\)"),
    ("JPEG of another size", wider_header, r"000000\.jpg: expected a colour image of 88x60, found 80x60"),
    ("camera of another size (B07)", patched(27 + 8, struct.pack("<f", 400.0)), r"colour camera: intrinsics do not fit images of 80x60"),
    ("colour camera of depth (B07)", copied_camera, r"do not fit images of 160x120.* Fix: colour_camera=from_depth"),
    ("poses at infinity (B01)", lambda f: sens(f, bad_poses(5, -np.inf)), r"found 5 of 20 that are not \(pose_not_finite: 5"),
    (
        "alignment not finite (B02)",
        of_text(lambda t: NAN_ALIGNMENT.sub(b"axisAlignment = nan", t)),
        r"'axisAlignment': .* not \(not_finite\)",
    ),
    (
        "alignment mirrored (B03)",
        of_text(lambda t: NAN_ALIGNMENT.sub(b"axisAlignment = -1.0", t)),
        r"'axisAlignment': .* not \(not_rigid\)",
    ),
    ("alignment of 15", of_text(lambda t: NAN_ALIGNMENT.sub(b"axisAlignment =", t)), r"'axisAlignment': expected 16 numbers, found 15"),
    (
        "alignment of words",
        of_text(lambda t: NAN_ALIGNMENT.sub(b"axisAlignment = up", t)),
        r"'axisAlignment': expected 16 numbers, found 'up",
    ),
    ("text not UTF-8 (B32)", of_text(lambda t: t + b"owner = \xff\n"), r"\.txt: expected UTF-8, found byte 0xff at offset \d+"),
    ("a key twice (B33)", of_text(lambda t: t + t.splitlines(True)[-1]), r"\.txt:8: expected every key once, found 'colorToDepthExtr"),
    ("a line of prose", of_text(lambda t: b"ScanNet\n" + t), r"\.txt:1: expected a line `key = value`, found 'ScanNet'"),
    ("no mesh", without("_vh_clean_2.ply"), rf"expected {SCAN}_vh_clean_2\.ply beside .* annotations=false"),
    ("no segments", without("_vh_clean_2.0.010000.segs.json"), r"segs\.json beside .* found none"),
    ("a truncated mesh", of_file("_vh_clean_2.ply", b"ply\nformat binary"), r"_vh_clean_2\.ply:2: expected a line of a PLY header"),
    (
        "segments of another mesh",
        of_file("_vh_clean_2.0.010000.segs.json", b'{"segIndices": [1, 2]}'),
        r"each of the 12 vertices .* found 2",
    ),
    ("segments cut off (B29)", of_file("_vh_clean_2.0.010000.segs.json", b'{"segIndices": [1, 2'), r"segs\.json: expected JSON"),
    ("groups with NaN (B34)", of_file(".aggregation.json", b'{"segGroups": [NaN]}'), r"aggregation\.json: expected JSON, found NaN"),
    ("groups not UTF-8 (B32)", of_file(".aggregation.json", b'{"a": "\xff"}'), r"expected UTF-8, found byte 0xff"),
    ("an object twice (B33)", with_groups([GROUPS[0], GROUPS[0]]), r"segGroups\[1\]: expected every objectId once, found 0 twice"),
    (
        "groups of another scan (B35)",
        with_groups(GROUPS, sceneId="scannet.scene0012_00"),
        r"'sceneId': expected scene0011_01, found 'scannet\.sc",
    ),
    ("segments not there (B43)", with_groups([{**GROUPS[0], "segments": [77]}]), r"found 1 of 1 that it has not"),
    (
        "archive cut off (B25)",
        of_file("_2d-instance-filt.zip", b"PK\x03\x04abc"),
        r"filt\.zip: expected a zip archive, found none or a damaged",
    ),
    ("archive leading out (B25)", archive({"../../0.png": b"x"}), r"member '\.\./\.\./0\.png': expected a path inside"),
    ("archive of links (B25)", linked_archive, r"expected a file or a folder, found a link"),
    ("archive bomb (B25)", bomb, r"instance-filt/0\.png': expected at most"),
    (
        "instance image of another size",
        archive({"instance-filt/0.png": layout.png(np.ones((6, 8), np.uint8))}),
        r"colour size 80x60, found L 8x6",
    ),
    ("giant instance image (B22)", archive({"instance-filt/0.png": huge_picture()}), r"colour size 80x60, found L 9000x9000"),
    ("no instance image", archive({"instance-filt/0.png": b"GIF89a"}), r"instance-filt/0\.png': expected a whole PNG"),
    ("ids beyond 8 bits", with_groups([{**GROUPS[0], "objectId": 300}]), r"object ids of at most 254, .* found 300\. Fix: instances=false"),
]


@pytest.mark.parametrize(("damage", "message"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_a_scan_that_cannot_be_read_is_refused_in_one_line(folder, damage, message):
    damage(folder)
    with pytest.raises(SightlineError, match=message) as caught:
        read(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def one_bad(kind: str, content: bytes) -> bytes:
    given = dict(zip(("colours", "depths"), parts(), strict=True))
    given[kind][3] = content
    return recording(**given)


COUNTED = [
    ("poses at infinity (B01)", lambda f: sens(f, bad_poses(4, -np.inf)), {"pose_not_finite": 4}),
    ("poses that are no numbers (B02)", lambda f: sens(f, bad_poses(1, np.nan)), {"pose_not_finite": 1}),
    ("poses of zeros (B03)", lambda f: sens(f, bad_poses(2, 0.0)), {"pose_not_rigid": 2}),
    ("the end cut off (B21)", cut(0.93), {"sens_truncated": 2}),
    ("one depth map damaged (B20)", lambda f: sens(f, one_bad("depths", b"\x78\x9cdamaged")), {"depth_damaged": 1}),
    ("one depth map of another size", lambda f: sens(f, one_bad("depths", zlib.compress(bytes(100)))), {"depth_damaged": 1}),
    ("one depth map too large (B22)", lambda f: sens(f, one_bad("depths", zlib.compress(bytes(10**7)))), {"depth_damaged": 1}),
    ("one depth map cut off (B21)", lambda f: sens(f, one_bad("depths", parts()[1][3][:-6])), {"depth_damaged": 1}),
    ("one picture missing (B11)", lambda f: sens(f, one_bad("colours", b"")), {"colour_damaged": 1}),
]


@pytest.mark.parametrize(("damage", "counts"), [pytest.param(*row[1:], id=row[0]) for row in COUNTED])
def test_a_few_bad_frames_are_left_out_and_counted(folder, damage, counts):
    damage(folder)
    capture = read(folder)
    assert Counter(one.reason for one in capture.skipped) == counts
    assert len(capture.frames) == NUM_FRAMES - sum(counts.values())
    for frame in capture.frames:
        with Image.open(frame.rgb_path) as image:
            assert image.size == (80, 60)


def test_a_recording_cut_at_any_byte_keeps_whole_frames_or_is_refused(usual, tmp_path):
    """B21: never a crash, never a frame that is not whole."""
    whole, reader = recording(), None
    path = tmp_path / "cut.sens"
    for place in np.random.default_rng(1).integers(0, len(whole), size=60):
        path.write_bytes(whole[:place])
        workspace = tmp_path / f"work{place}"
        workspace.mkdir(exist_ok=True)
        shutil.rmtree(workspace)
        workspace.mkdir()
        reader = ScanNetReader(path, {})
        try:
            capture = reader.read("cut", workspace=workspace)
        except CaptureError as error:
            assert "byte" in str(error)
            continue
        kept = len(capture.frames)
        assert kept >= 0.8 * NUM_FRAMES and [frame.frame_id for frame in capture.frames] == [str(index) for index in range(kept)]


def test_objects_without_vertices_or_extent_are_counted(folder):
    """B44."""
    write_mesh(folder / f"{SCAN}_vh_clean_2.ply", np.concatenate([VERTICES, np.zeros((3, 3))]))
    (folder / f"{SCAN}_vh_clean_2.0.010000.segs.json").write_text(json.dumps({"segIndices": [*SEGMENTS, 20, 20, 20]}))
    point, nothing = {"objectId": 2, "label": "pin", "segments": [20]}, {"objectId": 3, "label": "ghost", "segments": []}
    with_groups([*GROUPS, point, nothing])(folder)
    capture = read(folder)
    assert capture.notes["objects_skipped"] == {"box_no_extent": 1, "no_vertices": 1}
    assert [one.object_id for one in capture.objects] == [0, 1]
    assert set(np.unique(capture.surface.object_ids)) == {-1, 0, 1}


def test_a_vertex_that_is_not_finite_is_named(folder):
    vertices = VERTICES.copy()
    vertices[5, 1] = np.inf
    write_mesh(folder / f"{SCAN}_vh_clean_2.ply", vertices)
    with pytest.raises(CaptureError, match="expected finite vertices, found .* at vertex 5"):
        read(folder)


def test_instance_images_that_number_objects_otherwise_are_refused(tmp_path):
    """B47: ids shifted by one between archive and mesh."""
    written = layout.recorded(tmp_path / "source")
    scan = written.source / "scans" / written.scan_id
    shifted = tuple(object_id for object_id in layout.SQUARE_FOOTED)
    with zipfile.ZipFile(scan / f"{written.scan_id}_2d-instance-filt.zip", "w") as made:
        for index, world_from_camera in enumerate(true.poses()):
            seen = true.shoot(layout.WIDE, world_from_camera).object_ids
            after = {one: shifted[(place + 1) % len(shifted)] for place, one in enumerate(shifted)}
            image = np.zeros(seen.shape, np.uint8)
            for object_id, other in after.items():
                image[seen == object_id] = other + 1
            made.writestr(f"instance-filt/{index}.png", layout.png(image))
    (tmp_path / "work").mkdir()
    with pytest.raises(CaptureError, match=r"filt.zip: expected instance images that number objects as the mesh does, found \d of"):
        ScanNetReader(written.source, {}).read(written.scan_id, workspace=tmp_path / "work")


EXPORTED = "scene0800_00"


@pytest.fixture
def exported(tmp_path) -> Path:
    layout.exported(tmp_path / "source")
    return tmp_path / "source" / "scans_test" / EXPORTED


def remove(name: str):
    return lambda folder: (folder / name).unlink()


def pose_of(text: str):
    return lambda folder: (folder / "pose" / "10.txt").write_text(text)


def small_images(folder: Path) -> None:
    for path in (folder / "color").iterdir():
        Image.new("RGB", (240, 180)).save(path)


def no_poses(folder: Path) -> None:
    for path in list((folder / "pose").iterdir())[:2]:
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(remove("depth/10.png"), r"expected a depth image for every colour image, found none for 10\.jpg", id="no depth (B11)"),
        pytest.param(remove("intrinsic/intrinsic_depth.txt"), r"camera of the depth images .* found neither", id="no camera"),
        pytest.param(pose_of("1 0 0 zero"), r"10\.txt:1: expected a number, found 'zero'", id="a word in a pose"),
        pytest.param(pose_of("1 0 0 0\n"), r"10\.txt: expected a pose of 16 or 12 numbers", id="a pose cut off"),
        pytest.param(no_poses, r"pose: expected 8 frames, found 2 of them without a pose file", id="poses missing (B05)"),
        pytest.param(small_images, r"colour camera: intrinsics do not fit .* image_size=WIDTHxHEIGHT", id="images resized (B07)"),
        pytest.param(
            lambda f: Image.new("RGB", (8, 6)).save(f / "color" / "10.jpg"), r"10\.jpg: expected a colour image of 480x360", id="a size"
        ),
        pytest.param(
            lambda f: Image.new("RGB", (8, 6)).save(f / "color" / "a10.jpg"), r"a10\.jpg: expected every frame number once", id="twice"
        ),
        pytest.param(lambda f: Image.new("RGB", (8, 6)).save(f / "color" / "b.jpg"), r"b\.jpg: expected a frame's number", id="no number"),
    ],
)
def test_exported_frames_that_do_not_fit_together_are_refused(exported, damage, message):
    damage(exported)
    with pytest.raises(CaptureError, match=message) as caught:
        ScanNetReader(exported, {}).read(EXPORTED, workspace=exported)
    assert "\n" not in str(caught.value)


def test_an_exported_pose_at_infinity_or_missing_is_counted(exported):
    np.savetxt(exported / "pose" / "10.txt", np.full((4, 4), -np.inf), fmt="%f")
    assert Counter(one.reason for one in ScanNetReader(exported, {}).read(EXPORTED, workspace=exported).skipped) == {"pose_not_finite": 1}
    (exported / "pose" / "10.txt").unlink()
    assert Counter(one.reason for one in ScanNetReader(exported, {}).read(EXPORTED, workspace=exported).skipped) == {"pose_missing": 1}
