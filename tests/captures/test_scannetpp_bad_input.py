"""Each thing that is wrong with a ScanNet++ scene is one clear line that names the file and place, or a counted skip."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import layout_scannetpp
import numpy as np
import pytest
import true_room as true
from PIL import Image

from sightline.captures.scannetpp.reader import ScanNetPPReader
from sightline.errors import SightlineError

SMALL_MESH = (  # a triangle of two objects' vertices
    b"ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    b"element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    + np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4").tobytes()
    + b"\x03"
    + np.array([0, 1, 2], dtype="<i4").tobytes()
)
SMALL_SCAN = {"sceneId": "test", "segIndices": [5, 5, 9]}
BOX = {"centroid": [0.5, 0.5, 0.0], "axesLengths": [1.0, 1.0, 0.1], "normalizedAxes": [1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0]}
GROUPS = [{"id": n, "objectId": n, "label": label, "segments": [s], "obb": BOX} for n, label, s in ((1, "chair", 5), (2, "table", 9))]


def small_scan(scene: Path) -> None:
    """A laser scan that is quick to copy and read."""
    shutil.rmtree(scene / "scans", ignore_errors=True)
    (scene / "scans").mkdir()
    (scene / "scans/mesh_aligned_0.05.ply").write_bytes(SMALL_MESH)
    (scene / "scans/segments.json").write_text(json.dumps(SMALL_SCAN))
    (scene / "scans/segments_anno.json").write_text(json.dumps({"segGroups": GROUPS}))


_MADE: dict[str, Path] = {}  # once for the session, whichever module asks


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> dict[str, Path]:
    """`stream` and `lz4` are phone recordings, `dslr` has undistorted pictures, `fisheye` others."""
    if _MADE:
        return _MADE
    folder, made = tmp_path_factory.mktemp("scannetpp"), _MADE
    for name, every, video, fourcc, encode in (
        ("stream", 1, "rgb.mkv", "FFV1", layout_scannetpp.as_stream),
        ("lz4", 1, None, "", layout_scannetpp.as_lz4),
        ("deflate", 1, None, "", layout_scannetpp.as_deflated_maps),
    ):
        made[name] = folder / name / "aaaaaaaaaa"
        layout_scannetpp.iphone(made[name], every=every, video=video, fourcc=fourcc, encode=encode)
    made["fisheye"] = folder / "fisheye/aaaaaaaaaa"
    names = [f"DSC{10 + index:05d}.JPG" for index in range(true.NUM_FRAMES)]
    (made["fisheye"] / "dslr/resized_images").mkdir(parents=True)
    for picture, pose in zip(names, true.poses()):  # not bent: nobody looks at what is refused
        Image.fromarray(true.shoot(true.SMALL, pose).rgb).save(made["fisheye"] / "dslr/resized_images" / picture, format="JPEG")
    lens = {f"k{number + 1}": value for number, value in enumerate(layout_scannetpp.FISHEYE_LENS)}
    layout_scannetpp.transforms(made["fisheye"] / "dslr/nerfstudio/transforms.json", names, {**lens, "camera_model": "OPENCV_FISHEYE"})
    made["dslr"] = folder / "dslr/aaaaaaaaaa"
    shutil.copytree(made["fisheye"] / "dslr/resized_images", made["dslr"] / "dslr/resized_undistorted_images")
    layout_scannetpp.transforms(made["dslr"] / "dslr/nerfstudio/transforms_undistorted.json", names, {"camera_model": "PINHOLE"})
    for scene in made.values():
        small_scan(scene)
    return made


def read(scene: Path, **options):
    workspace = scene.parent / f"workspace_{len(list(scene.parent.iterdir()))}"
    workspace.mkdir()
    reader = ScanNetPPReader(scene, options)
    return reader.read(scene.name, workspace=workspace)


def edited(name: str, change: Callable[[dict], object]) -> Callable[[Path], None]:
    def damage(scene: Path) -> None:
        value = json.loads((scene / name).read_text())
        change(value)
        (scene / name).write_text(json.dumps(value).replace('"-INF"', "-1e999"))

    return damage


def phone(number: int, **keys) -> Callable[[Path], None]:
    return edited("iphone/pose_intrinsic_imu.json", lambda value: value[f"frame_{number:06d}"].update(keys))


def phone_poses(count: int, value) -> Callable[[Path], None]:
    """Writes `value` in the place of the first poses."""
    return edited(
        "iphone/pose_intrinsic_imu.json", lambda frames: [one.update(aligned_pose=value) for one in list(frames.values())[:count]]
    )


def boxes(number: int, **keys) -> Callable[[Path], None]:
    return edited("scans/segments_anno.json", lambda value: value["segGroups"][number].update(keys))


def box(**keys) -> Callable[[Path], None]:
    return boxes(0, obb={**BOX, **keys})


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def damage(scene: Path) -> None:
        whole = (scene / name).read_bytes()
        (scene / name).write_bytes(whole[: int(keep * len(whole))])

    return damage


def gone(name: str) -> Callable[[Path], None]:
    def damage(scene: Path) -> None:
        shutil.rmtree(scene / name) if (scene / name).is_dir() else (scene / name).unlink()

    return damage


def written(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda scene: (scene / name).write_bytes(data) and None


def maps_of(size: tuple[int, int], encode) -> Callable[[Path], None]:
    return written_by(lambda: encode([np.full(size, 2.0)] * 8))


def written_by(make: Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda scene: (scene / "iphone/depth.bin").write_bytes(make()) and None


def bomb() -> bytes:
    """Two maps that say little and swell to a hundred times a map each."""
    payload = layout_scannetpp.deflated(b"\0" * (100 * 4 * 256 * 192))
    return (struct.pack("<I", len(payload)) + payload) * 2


def other_photo(scene: Path) -> None:
    Image.fromarray(np.zeros((60, 80, 3), dtype=np.uint8)).save(scene / "iphone/rgb/frame_000001.jpg")


def linked_outside(scene: Path) -> None:
    path = scene / "iphone/rgb/frame_000001.jpg"
    shutil.move(path, scene.parent / "outside.jpg")
    path.symlink_to(scene.parent / "outside.jpg")


def pictures_gone(scene: Path) -> None:
    for path in sorted((scene / "dslr/resized_undistorted_images").iterdir())[:4]:
        path.unlink()


POSES, DEPTH, ANNO = "iphone/pose_intrinsic_imu.json", "iphone/depth.bin", "scans/segments_anno.json"
TRANSFORMS = "dslr/nerfstudio/transforms_undistorted.json"
INFINITE = [["-INF"] * 4] * 4
REFUSED = [  # (catalogue, scene, damage, options, message)
    ("B29", "lz4", gone("iphone"), {}, r"expected iphone/pose_intrinsic_imu.json or dslr/, found neither"),
    ("B29", "lz4", gone(DEPTH), {}, r"depth.bin: expected a depth file, found none"),
    ("B29", "stream", gone("iphone/rgb.mkv"), {}, r"expected the recording rgb.mkv or rgb.mp4, found neither"),
    ("B29", "lz4", gone("iphone/rgb/frame_000003.jpg"), {}, r"rgb: expected frame_000003.jpg, found none, and no rgb.mkv"),
    ("B29", "lz4", lambda s: None, {"sensor": "dslr"}, r"expected a folder dslr/ for sensor=dslr, found none"),
    ("B29", "dslr", gone("dslr/resized_undistorted_images"), {}, r"expected poses with their pictures .* found no such pair"),
    ("B29", "dslr", gone("scans/mesh_aligned_0.05.ply"), {"depth": "mesh"}, r"expected the mesh that depth=mesh renders, found none"),
    ("B21", "lz4", cut(DEPTH, 0.7), {}, r"found 6 whole maps and at byte \d+ a size of \d+ bytes where \d+ are left"),
    ("B21", "lz4", written(DEPTH, b""), {}, r"at byte 0 an empty file"),
    ("B21", "lz4", written(DEPTH, b"\x00\x01"), {}, r"at byte 0 2 bytes instead of a size"),
    (
        "B21",
        "lz4",
        written(DEPTH, struct.pack("<I", 9) + b"123456789"),
        {},
        r"map 0 at byte 0: expected lz4 or deflated depth, found neither",
    ),
    ("B21", "stream", cut(DEPTH, 0.7), {}, r"byte \d+: expected more of the stream .* map \d; it is truncated"),
    ("B22", "lz4", written_by(bomb), {}, r"map 0 at byte 0: expected 196608 bytes .* found more than 196608"),
    ("size", "lz4", maps_of((96, 128), layout_scannetpp.as_lz4), {}, r"map 0 at byte 0: expected"),
    ("size", "deflate", maps_of((96, 128), layout_scannetpp.as_deflated_maps), {}, r"found 49152; depth of another size"),
    ("size", "stream", written_by(lambda: layout_scannetpp.as_stream([np.full((192, 256), 2.0)] * 3)[:-9]), {}, r"it is truncated"),
    ("size", "stream", maps_of((193, 256), layout_scannetpp.as_stream), {}, r"map 8: expected 196608 bytes .* found 8192; another size"),
    ("B05", "lz4", written_by(lambda: layout_scannetpp.as_lz4([np.ones((192, 256))] * 4)), {}, r"found 4 of 8 .*depth_missing: 4"),
    ("B21", "stream", cut("iphone/rgb.mkv", 0.5), {}, r"rgb.mkv: expected"),
    ("video", "stream", written("iphone/rgb.mkv", b"#EXTM3U\nhttp://example.org/a.ts\n"), {}, r"expected an MP4 or Matroska video"),
    ("B29", "lz4", written(POSES, b"{"), {}, r"pose_intrinsic_imu.json: expected JSON"),
    ("B32", "lz4", written(POSES, b'{"\xff": 1}'), {}, r"expected UTF-8, found byte 0xff"),
    ("B33", "lz4", written(POSES, b'{"frame_000001": {}, "frame_000001": {}}'), {}, r"key 'frame_000001' stands twice"),
    ("B33", "lz4", edited(POSES, lambda v: v.update(frame_1=v["frame_000001"])), {}, r"every frame number once, found 1 again"),
    ("B34", "lz4", lambda s: (s / POSES).write_text((s / POSES).read_text().replace("100.0", "NaN")), {}, r"NaN is not JSON"),
    ("B46", "lz4", written(POSES, b"{}"), {}, r"expected an object with one entry per frame, found none"),
    ("B46", "lz4", edited(POSES, lambda v: v.update(note="x")), {}, r"note: expected an object called frame_<number>"),
    ("B01", "lz4", phone_poses(4, INFINITE), {}, r"found 4 of 8 that are not \(pose_not_finite: 4; first: .*frame_000000"),
    ("B05", "lz4", phone_poses(4, None), {}, r"found 4 of 8 that are not \(pose_missing: 4; first: frame_000000"),
    ("B03", "lz4", phone(2, aligned_pose=[[1, 0], [0, 1]]), {}, r"frame_000002: key 'aligned_pose': expected 4 rows of 4 numbers"),
    ("B07", "lz4", phone(2, intrinsic=[[-5, 0, 1], [0, 5, 1], [0, 0, 1]]), {}, r"frame_000002: key 'intrinsic': .*fx=-5"),
    ("B07", "lz4", phone(2, intrinsic=[[1500, 0, 960], [0, 1500, 720], [0, 0, 1]]), {}, r"intrinsics do not fit images of 160x120"),
    ("B07", "lz4", phone(2, intrinsic=[[1500, 40, 960], [0, 1500, 720], [0, 0, 1]]), {}, r"expected rows `fx 0 cx`"),
    ("B05", "lz4", phone(2, timestamp="late"), {}, r"frame_000002: key 'timestamp': expected seconds, found 'late'"),
    ("B07", "lz4", other_photo, {}, r"intrinsics do not fit images of 80x60|expected colour images of"),
    ("B26", "lz4", linked_outside, {}, r"leads outside"),
    ("B26", "dslr", edited(TRANSFORMS, lambda v: v["frames"][1].update(file_path="../../a.JPG")), {}, r"leads outside"),
    (
        "B01",
        "dslr",
        edited(TRANSFORMS, lambda v: [f.update(transform_matrix=INFINITE) for f in v["frames"][:3]]),
        {},
        r"pose_not_finite: 3",
    ),
    ("B11", "dslr", pictures_gone, {}, r"found 4 of 9 that are not \(image_missing: 4"),
    ("lens", "fisheye", lambda s: None, {}, r"transforms.json: frames\[0\]: .*found a fisheye one. Fix: undistort=true"),
    ("B33", "lz4", boxes(1, objectId=1), {}, r"segments_anno.json: segGroups\[1\]: expected every objectId once, found 1 twice"),
    (
        "B35",
        "lz4",
        edited(ANNO, lambda v: v.update(sceneId="scannetpp.bbbbbbbbbb")),
        {},
        r"segments_anno.json: key 'sceneId': expected aaaaaaaaaa, found 'scannetpp.bbbbbbbbbb'; the file belongs to another scan",
    ),
    ("B44", "lz4", box(axesLengths=[1.0, 1.0]), {}, r"segGroups\[0\]: obb: key 'axesLengths': expected 3 numbers"),
    (
        "B47",
        "lz4",
        edited("scans/segments.json", lambda v: v["segIndices"].pop()),
        {},
        r"one segment for each of the 3 vertices .* found 2",
    ),
    ("B47", "lz4", boxes(0, segments=[77]), {}, r"segmentation and groups belong to different meshes"),
    ("B29", "lz4", written("scans/mesh_aligned_0.05.ply", SMALL_MESH[:-9]), {}, r"mesh_aligned_0.05.ply: .*truncated"),
    ("B32", "lz4", written(ANNO, b'{"a": "\xff"}'), {}, r"segments_anno.json: expected UTF-8"),
    ("options", "lz4", lambda s: None, {"sensor": "panocam"}, r"sensor.*'iphone' or 'dslr'"),
]


@pytest.mark.parametrize(("catalogue", "name", "damage", "options", "message"), REFUSED)
def test_what_is_wrong_is_named_in_one_line(scenes, tmp_path, catalogue, name, damage, options, message):
    scene = Path(shutil.copytree(scenes[name], tmp_path / "aaaaaaaaaa", symlinks=True))
    damage(scene)
    with pytest.raises(SightlineError, match=message) as caught:
        read(scene, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


SKIPPED = [
    ("B01", "lz4", phone_poses(1, INFINITE), "pose_not_finite"),
    ("B05", "lz4", phone_poses(1, None), "pose_missing"),
    ("B05", "lz4", written_by(lambda: layout_scannetpp.as_lz4([np.ones((192, 256))] * 7)), "depth_missing"),
    ("B01", "dslr", edited(TRANSFORMS, lambda v: v["frames"][0].update(transform_matrix=INFINITE)), "pose_not_finite"),
    ("B11", "dslr", gone("dslr/resized_undistorted_images/DSC00011.JPG"), "image_missing"),
]


@pytest.mark.parametrize(("catalogue", "name", "damage", "reason"), SKIPPED)
def test_a_frame_that_cannot_be_used_is_left_out_and_counted(scenes, tmp_path, catalogue, name, damage, reason):
    scene = Path(shutil.copytree(scenes[name], tmp_path / "aaaaaaaaaa"))
    damage(scene)
    capture = read(scene, depth="none")
    assert [one.reason for one in capture.skipped if one.reason != "marked_bad"] == [reason] and len(capture.frames) == 7


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"axesLengths": [1.0, 0.0, 1.0]}, "box_no_extent"),
        ({"axesLengths": [1.0, -1.0, 1.0]}, "box_no_extent"),
        ({"centroid": [None, 0.0, 0.0]}, "box_not_finite"),
        ({"normalizedAxes": [1.0, 0, 0, 1.0, 0, 0, 0, 0, 1.0]}, "box_not_orthogonal"),
    ],
)
def test_a_box_that_is_none_is_left_out_and_counted(scenes, tmp_path, keys, reason):
    scene = Path(shutil.copytree(scenes["lz4"], tmp_path / "aaaaaaaaaa"))
    box(**keys)(scene)
    capture = read(scene)
    assert capture.notes["objects_skipped"] == {reason: 1} and [one.object_id for one in capture.objects] == [2]


def test_annotations_that_name_the_day_of_the_scan_are_taken(scenes, tmp_path):
    """Real files say `scannetpp.2022-11-25_19-24`, which contradicts no scene's id."""
    scene = Path(shutil.copytree(scenes["lz4"], tmp_path / "aaaaaaaaaa"))
    edited(ANNO, lambda v: v.update(sceneId="scannetpp.2022-11-25_19-24"))(scene)
    assert read(scene).objects
