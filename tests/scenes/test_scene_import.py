"""Importing a scan: what is stored reads back, what is wrong leaves nothing behind."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from box_room import BOXES, CAMERA, walk, write_scan
from PIL import Image

from sightline.captures.capture import SceneObject
from sightline.captures.folder import FolderReader
from sightline.captures.frame_images import stored_depth
from sightline.captures.images import read_uint16
from sightline.captures.records import objects_as_json
from sightline.errors import CaptureError, ConfigError, SceneError, SightlineError
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import rigid
from sightline.scenes.build import import_scan, verdict_lines
from sightline.scenes.store import SceneStore, verification_from_json

POSES = walk(12)
NAMES = ("table", "Cabinet", "step")


def known_objects() -> list[SceneObject]:
    return [
        SceneObject(object_id=index, category=name, box=Box(size_m=high - low, world_from_object=rigid(np.eye(3), (low + high) / 2.0)))
        for index, (name, (low, high)) in enumerate(zip(NAMES, BOXES))
    ]


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> Path:
    folder = write_scan(tmp_path_factory.mktemp("own") / "my_room", POSES, instances=True)
    (folder / "objects.json").write_text(json.dumps(objects_as_json(known_objects())))
    return folder


@pytest.fixture
def folder(usual, tmp_path) -> Path:
    return Path(shutil.copytree(usual, tmp_path / "my_room"))


def bring(folder: Path, store: Path, *, copy_images: bool = False, verify: bool = True, **options):
    return import_scan(
        folder.name, source=str(folder), reader="folder", options=options, store=str(store), copy_images=copy_images, verify=verify
    )


def files_under(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def test_a_stored_scene_reads_back_as_it_was_captured(usual, tmp_path):
    result = bring(usual, tmp_path / "store")
    scene = SceneStore(tmp_path / "store").read("my_room")
    capture = FolderReader(usual, {}).read("my_room", workspace=Path())
    assert (scene.scan_id, scene.place_id, scene.source, scene.licence) == ("my_room", "my_room", "folder", "unknown")
    assert scene.root == (tmp_path / "store" / "my_room").resolve() and len(scene.frames) == 12
    for stored, read in zip(scene.frames, capture.frames):
        assert np.array_equal(stored.world_from_camera, read.world_from_camera) and stored.world_from_camera.dtype == np.float64
        assert (stored.frame_id, stored.time_s, stored.depth_scale_m) == (read.frame_id, read.time_s, read.depth_scale_m)
        assert stored.intrinsics == CAMERA and stored.depth_intrinsics == CAMERA
        for name in ("rgb_path", "instance_path"):
            assert getattr(stored, name).read_bytes() == (usual / getattr(read, name)).read_bytes()
        assert (scene.root / "depth" / read.depth_path.name).read_bytes() == read.depth_path.read_bytes()
        assert stored.depth_path.name == "depth.depthpack" and np.array_equal(stored_depth(stored), read_uint16(read.depth_path))
    assert [one.category for one in scene.objects] == ["table", "storage", "step"]
    assert scene.objects[1].attributes == {"category_as_given": "Cabinet"}
    assert np.allclose(scene.objects[2].box.corners_world(), known_objects()[2].box.corners_world())
    assert scene.points_world.shape == (result["points"], 3) and scene.point_object_ids.shape == (result["points"],)
    assert set(np.unique(scene.point_object_ids)) == {-1, 0, 1, 2}
    assert scene.verification.agreement == result["agreement"] > 0.98
    assert scene.notes["cloud"] == {"voxel_m": 0.04, "min_readings": 2} and scene.notes["convention"]["up_axis"] == "auto (+z)"


def test_arrays_of_a_scene_cannot_be_written_to(usual, tmp_path):
    bring(usual, tmp_path)
    scene = SceneStore(tmp_path).read("my_room")
    for array in (scene.points_world, scene.point_object_ids, scene.frames[0].world_from_camera):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert isinstance(scene.points_world, np.memmap)


def test_the_verdict_is_plain_json_and_short_lines(usual, tmp_path):
    result = bring(usual, tmp_path)
    assert json.loads(json.dumps(result)) == result
    lines = verdict_lines(result)
    assert lines[0].startswith(f"my_room (folder): 12 frames, 0 skipped, {result['points']} points, 3 objects, ")
    assert "agreement 0.99" in lines[1] and "cm over" in lines[1] and "depth on 100% of the pixels" in lines[1]
    assert lines[2] == "  up: auto (+z) of the source world; floor tilted 0.0 degrees against it"


def test_an_import_without_the_check_says_so(usual, tmp_path):
    result = bring(usual, tmp_path, verify=False)
    assert SceneStore(tmp_path).read("my_room").verification is None
    assert verdict_lines(result)[1] == "  conventions not checked (--no-verify)"


def test_the_same_import_twice_does_nothing_and_a_changed_one_replaces(folder, tmp_path):
    store = tmp_path / "store"
    assert bring(folder, store)["status"] == "imported"
    stamp = (store / "my_room" / "points.npy").stat().st_mtime_ns
    again = bring(folder, store)
    assert again["status"] == "unchanged" and (store / "my_room" / "points.npy").stat().st_mtime_ns == stamp
    assert verdict_lines(again)[0].endswith("(unchanged)")
    assert bring(folder, store, voxel_m=0.08)["points"] < again["points"]
    assert bring(folder, store, voxel_m=0.08, licence="CC0-1.0")["status"] == "imported"
    os.utime(folder / "color" / "0003.png", ns=(1, 1))
    assert bring(folder, store, voxel_m=0.08, licence="CC0-1.0")["status"] == "imported"
    assert SceneStore(store).scan_ids() == ["my_room"] and files_under(store)[0] == "my_room"


def test_the_same_scan_gives_the_same_bytes(usual, tmp_path):
    for name in ("one", "two"):
        bring(usual, tmp_path / name)
    one, two = (tmp_path / name / "my_room" for name in ("one", "two"))
    assert files_under(one) == files_under(two)
    for name in ("scene.json", "frames.parquet", "points.npy", "point_object_ids.npy", "finished.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert str(tmp_path) not in (one / "scene.json").read_text() and str(usual) not in (one / "scene.json").read_text()


def test_a_store_of_copies_may_be_moved_and_its_source_deleted(folder, tmp_path):
    bring(folder, tmp_path / "store", copy_images=True)
    shutil.rmtree(folder)
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    store = SceneStore(tmp_path / "elsewhere")
    assert store.check_files("my_room") == 37
    assert not any(path.is_symlink() for path in store.path("my_room").rglob("*"))
    paths = pq.read_table(tmp_path / "elsewhere" / "my_room" / "frames.parquet")["rgb_path"].to_pylist()
    assert paths[0] == "color/0000.png"


def test_images_are_linked_where_that_is_possible(folder, tmp_path):
    bring(folder, tmp_path / "store")
    stored = tmp_path / "store" / "my_room" / "color" / "0000.png"
    assert stored.samefile(folder / "color" / "0000.png")


def test_images_are_sym_linked_where_hard_links_are_not(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("cross-device link")))
    bring(folder, tmp_path / "store")
    store = SceneStore(tmp_path / "store")
    assert (store.path("my_room") / "color" / "0000.png").is_symlink()
    shutil.rmtree(folder)
    with pytest.raises(SceneError, match=r"color/0000\.png: expected the image that was imported, found a link to a file that is gone"):
        store.read("my_room")


@pytest.mark.parametrize("place", ["color", "depth", "instances"])
def test_a_truncated_image_anywhere_is_found_at_import(folder, tmp_path, place):
    path = folder / place / "0010.png"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CaptureError, match=rf"{place}/0010\.png: expected a whole image, found a truncated or damaged one"):
        bring(folder, tmp_path / "store")
    assert files_under(tmp_path / "store") == []


def test_a_truncated_jpeg_is_found_too(folder, tmp_path):
    for path in sorted((folder / "color").iterdir()):
        Image.open(path).save(path.with_suffix(".jpg"), quality=90)
        path.unlink()
    path = folder / "color" / "0007.jpg"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CaptureError, match=r"color/0007\.jpg: expected a whole image"):
        bring(folder, tmp_path / "store")
    assert files_under(tmp_path / "store") == []


def eight_bit_depth(folder: Path) -> None:
    Image.fromarray(np.full((120, 160), 99, dtype=np.uint8)).save(folder / "depth" / "0011.png")


def wrong_depth_unit(folder: Path) -> None:
    (folder / "capture.yaml").write_text("depth_unit_m: 0.002\n")


def small_instances(folder: Path) -> None:
    Image.fromarray(np.zeros((60, 80), dtype=np.uint16)).save(folder / "instances" / "0004.png")


def objects_with_a_hole(folder: Path) -> None:
    values = objects_as_json(known_objects())
    del values[1]["size_m"]
    (folder / "objects.json").write_text(json.dumps(values))


def sheared_box(folder: Path) -> None:
    values = objects_as_json(known_objects())
    values[2]["world_from_object"][1] = 0.3
    (folder / "objects.json").write_text(json.dumps(values))


def no_depth_at_all(folder: Path) -> None:
    for path in (folder / "depth").iterdir():
        Image.fromarray(np.zeros((120, 160), dtype=np.uint16)).save(path)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (eight_bit_depth, r"depth/0011\.png: expected a 16-bit single-channel PNG, found mode L"),
        (wrong_depth_unit, r"depth looks 2\S* times too large .* Fix: --depth-unit-m 0\.001"),
        (small_instances, r"instances/0004\.png: expected an instance image of the depth size 160x120, found 80x60"),
        (objects_with_a_hole, r"objects\.json: object 1: key 'size_m' is missing"),
        (sheared_box, r"objects\.json: object 2: box: expected a rigid world_from_object"),
        (no_depth_at_all, r"my_room: expected depth readings, found 12 of 12 depth images with hardly any"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_refused_scan_leaves_nothing_behind(folder, tmp_path, spoil, expected):
    spoil(folder)
    with pytest.raises(SightlineError, match=expected) as caught:
        bring(folder, tmp_path / "store")
    assert "\n" not in str(caught.value)
    assert files_under(tmp_path / "store") == []


def test_a_refused_scan_leaves_the_older_one_in_place(folder, tmp_path):
    bring(folder, tmp_path / "store")
    eight_bit_depth(folder)
    with pytest.raises(CaptureError):
        bring(folder, tmp_path / "store")
    assert SceneStore(tmp_path / "store").scan_ids() == ["my_room"]


def test_a_frame_without_depth_is_skipped_and_counted(folder, tmp_path):
    Image.fromarray(np.zeros((120, 160), dtype=np.uint16)).save(folder / "depth" / "0005.png")
    result = bring(folder, tmp_path)
    assert result["frames_used"] == 11 and result["frames_skipped"] == {"depth_empty": 1}
    assert "12 frames" not in verdict_lines(result)[0] and "11 frames, 1 skipped (depth_empty 1)" in verdict_lines(result)[0]
    assert "0005" not in [frame.frame_id for frame in SceneStore(tmp_path).read("my_room").frames]


def test_options_of_the_cloud_are_checked_too(usual, tmp_path):
    with pytest.raises(ConfigError, match="key 'voxel_m': .* found 0"):
        bring(usual, tmp_path, voxel_m=0)


def test_a_missing_store_scan_or_marker_is_answered_with_what_to_do(usual, tmp_path):
    with pytest.raises(SceneError, match="expected a scene store, found no folder. Fix: sightline import SOURCE"):
        SceneStore(tmp_path / "gone").scan_ids()
    bring(usual, tmp_path)
    store = SceneStore(tmp_path)
    with pytest.raises(SceneError, match=r"no scan called 'my_rom'\. Did you mean 'my_room'\?"):
        store.read("my_rom")
    (tmp_path / "my_room" / "finished.json").unlink()
    assert store.scan_ids() == []
    with pytest.raises(SceneError, match="expected finished.json, found none: the import did not end. Fix: sightline import"):
        store.read("my_room")


def damage_points(root: Path) -> None:
    (root / "points.npy").write_bytes((root / "points.npy").read_bytes()[:-100])


def fewer_points(root: Path) -> None:
    np.save(root / "points.npy", np.zeros((5, 3), dtype=np.float32))


def points_of_objects(root: Path) -> None:
    np.save(root / "points.npy", np.array([None]), allow_pickle=True)


def no_frames(root: Path) -> None:
    (root / "frames.parquet").unlink()


def cut_manifest(root: Path) -> None:
    (root / "scene.json").write_text((root / "scene.json").read_text()[:300])


def manifest_without_place(root: Path) -> None:
    value = json.loads((root / "scene.json").read_text())
    del value["place_id"]
    (root / "scene.json").write_text(json.dumps(value))


def other_format(root: Path) -> None:
    value = json.loads((root / "scene.json").read_text())
    (root / "scene.json").write_text(json.dumps(value | {"format": 99}))


def longer_image(root: Path) -> None:
    with (root / "depth" / "0002.png").open("ab") as stream:
        stream.write(b"more")


def paths_upwards(root: Path) -> None:
    table = pq.read_table(root / "frames.parquet").to_pydict()
    table["rgb_path"][0] = "../../secret.png"
    import pyarrow as pa

    pq.write_table(pa.table(table), root / "frames.parquet")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (damage_points, "this scan is damaged"),
        (fewer_points, r"expected \(\d+, 3\) points as the manifest says, found \(5, 3\)"),
        (points_of_objects, "this scan is damaged"),
        (no_frames, r"this scan is damaged: .*frames\.parquet"),
        (cut_manifest, "this scan is damaged: .*expected JSON"),
        (manifest_without_place, "found no 'place_id'"),
        (other_format, "expected format 2, found 99"),
        (longer_image, r"depth/0002\.png: expected \d+ bytes as imported, found \d+: it changed since"),
        (paths_upwards, r"expected paths inside the scan's folder, found '\.\./\.\./secret\.png'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_scan_is_named_and_can_be_imported_again(usual, tmp_path, damage, expected):
    bring(usual, tmp_path, copy_images=True)
    damage(tmp_path / "my_room")
    with pytest.raises(SceneError, match=expected):
        SceneStore(tmp_path).read("my_room")


def test_an_image_that_changed_without_changing_size_is_found_by_its_hash(usual, tmp_path):
    bring(usual, tmp_path, copy_images=True)
    path = tmp_path / "my_room" / "color" / "0001.png"
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(SceneError, match=r"color/0001\.png: expected the image that was imported, found another or a damaged one"):
        SceneStore(tmp_path).check_files("my_room")


def test_a_verification_survives_the_round_trip_with_its_missing_numbers(usual, tmp_path):
    bring(usual, tmp_path)
    stored = json.loads((tmp_path / "my_room" / "scene.json").read_text())["verification"]
    assert verification_from_json(stored) == SceneStore(tmp_path).read("my_room").verification
    assert np.isnan(verification_from_json(stored | {"gravity_tilt_deg": None}).gravity_tilt_deg)


def test_frames_of_a_scene_are_found_by_id(usual, tmp_path):
    bring(usual, tmp_path)
    scene = SceneStore(tmp_path).read("my_room")
    assert scene.frame("0004") is scene.frames[4]
    with pytest.raises(KeyError):
        scene.frame("none")
    assert replace(scene.frames[0], time_s=1.0).time_s == 1.0
