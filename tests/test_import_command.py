"""`sightline import` over the formats: finds the layout, gives the verdict without writing, resumes, and lets no scan spoil another."""

import json
import shutil
from pathlib import Path

import layout_folder
import layout_rooms
import layout_scannet
import layout_tum
import pytest
from typer.testing import CliRunner

from sightline.captures.capture import READERS
from sightline.cli import app
from sightline.scenes.store import SceneStore

NAMES = (
    "rooms folder scannet scannetpp arkitscenes embodiedscan threerscan matterport3d tapvid3d strayscanner record3d polycam nerfstudio "
    "colmap tum sevenscenes redwood roomplan"
).split()


def sightline(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def files_under(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return next(iter(layout_tum.VARIANTS.values()))(tmp_path_factory.mktemp("tum") / "source")


def test_the_catalog_holds_every_promised_format():
    assert set(READERS) == set(NAMES)


def test_a_dry_run_prints_the_verdict_and_writes_nothing(recording, tmp_path):
    before = files_under(recording.source)
    done = sightline("import", recording.source, tmp_path / "store", "--dry-run")
    assert done.exit_code == 0, done.output
    assert (
        "1 scans would be read as 'tum'" in done.output and "conventions fit: agreement" in done.output and "(not imported)" in done.output
    )
    assert list(tmp_path.iterdir()) == [] and files_under(recording.source) == before


def test_the_layout_is_found_and_the_source_is_left_as_it_was(recording, tmp_path):
    before = files_under(recording.source)
    done = sightline("import", recording.source, tmp_path / "store", "--workers", 0)
    assert done.exit_code == 0, done.output
    assert "1 scan of the layout 'tum'" in done.output
    assert SceneStore(tmp_path / "store").scan_ids() == [recording.scan_id] and files_under(recording.source) == before


def test_a_misspelt_format_is_answered_with_the_nearest(recording, tmp_path):
    done = sightline("import", recording.source, tmp_path / "store", "--format", "tumm")
    assert done.exit_code == 2 and "Did you mean 'tum'" in done.output and not (tmp_path / "store").exists()


def test_an_unknown_option_of_a_format_is_answered_with_the_nearest(recording, tmp_path):
    done = sightline("import", recording.source, tmp_path / "store", "frame_stop=2")
    assert done.exit_code == 2 and "Did you mean 'frame_step'" in done.output and not (tmp_path / "store").exists()


def test_a_folder_of_two_layouts_names_both_and_takes_the_one_that_is_asked_for(recording, tmp_path):
    both = tmp_path / "both"
    shutil.copytree(recording.source, both)
    scannet = next(iter(layout_scannet.VARIANTS.values()))(tmp_path / "other")
    for path in sorted(scannet.source.iterdir()) if scannet.source.is_dir() else [scannet.source]:
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, both / path.name)
    done = sightline("import", both, tmp_path / "store")
    assert done.exit_code == 2 and "scannet or tum" in done.output and "Fix: --format" in done.output
    forced = sightline("import", both, tmp_path / "store", "--format", "tum", "--workers", 0)
    assert forced.exit_code == 0 and "layout 'tum'" in forced.output


@pytest.fixture(scope="module")
def flats(tmp_path_factory):
    """Three procedural scans, the middle one with a damaged image."""
    folder = tmp_path_factory.mktemp("flats")
    layout_rooms.VARIANTS["usual"](folder)
    for number in (1, 2):
        shutil.copytree(folder / "rooms_0000", folder / f"rooms_000{number}")
        described = folder / f"rooms_000{number}" / "capture.yaml"
        described.write_text(described.read_text().replace("rooms_0000", f"rooms_000{number}"))
    damaged = folder / "rooms_0001" / "color" / "000003.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    return folder


def test_one_damaged_scan_is_named_and_its_neighbours_are_imported_whatever_the_number_of_workers(flats, tmp_path):
    stores = {}
    for workers in (0, 2):
        done = sightline("import", flats, tmp_path / str(workers), "--workers", workers)
        assert done.exit_code == 2 and "1 of 3 failed" in done.output and "000003.png: expected a whole image" in done.output
        store = SceneStore(tmp_path / str(workers))
        assert store.scan_ids() == ["rooms_0000", "rooms_0002"] and not (store.root / "rooms_0001").exists()
        stores[workers] = {name: content for name, content in files_under(store.root).items() if not name.startswith(".records")}
    assert stores[0] == stores[2]


def test_a_dry_run_gives_the_verdict_of_every_scan_and_names_those_that_would_be_refused(flats, tmp_path):
    done = sightline("import", flats, tmp_path / "store", "--dry-run")
    assert done.exit_code == 2 and "1 of 3 scans would be refused: rooms_0001" in done.output
    assert "rooms_0001: would be refused: " in done.output and "000003.png: expected a whole image" in done.output
    assert done.output.count("conventions fit: agreement") == 2 and list(tmp_path.iterdir()) == []


def test_a_shard_without_a_scan_has_nothing_to_do_and_a_split_without_one_is_refused(flats, tmp_path):
    assert sightline("import", flats, tmp_path / "store", "--shard", "7/8", "--workers", 0).exit_code == 0
    scannet = layout_scannet.VARIANTS[next(iter(layout_scannet.VARIANTS))](tmp_path / "scannet")
    lists = scannet.source if scannet.source.is_dir() else scannet.source.parent
    (lists / "scannetv2_val.txt").write_text("scene9999_00\n")
    done = sightline("import", scannet.source, tmp_path / "other", "--split", "val")
    assert done.exit_code == 2 and "expected at least one scan of split 'val', found none" in done.output


def test_a_rerun_does_only_what_is_missing_or_changed(flats, tmp_path):
    source = shutil.copytree(flats, tmp_path / "source")
    shutil.rmtree(source / "rooms_0001")
    arguments = ("import", source, tmp_path / "store", "--workers", 0)
    assert sightline(*arguments).exit_code == 0
    stamps = {name: (tmp_path / "store" / name / "scene.json").stat().st_mtime_ns for name in ("rooms_0000", "rooms_0002")}
    shutil.rmtree(tmp_path / "store" / "rooms_0002")
    assert sightline(*arguments).exit_code == 0
    again = {name: (tmp_path / "store" / name / "scene.json").stat().st_mtime_ns for name in stamps}
    assert again["rooms_0000"] == stamps["rooms_0000"] and again["rooms_0002"] != stamps["rooms_0002"]
    (source / "rooms_0000" / "poses.txt").touch()
    assert sightline(*arguments).exit_code == 0
    assert (tmp_path / "store" / "rooms_0000" / "scene.json").stat().st_mtime_ns != stamps["rooms_0000"]


def test_some_frames_of_a_scan_are_taken_when_asked(tmp_path):
    scan = layout_scannet.VARIANTS[next(iter(layout_scannet.VARIANTS))](tmp_path / "scannet")
    done = sightline("import", scan.source, tmp_path / "store", "frame_step=2", "max_frames=2", "--workers", 0, "--no-verify")
    assert done.exit_code == 0, done.output
    taken = [frame.frame_id for frame in SceneStore(tmp_path / "store").read(scan.scan_id).frames]
    assert taken == [scan.frames[place].frame_id for place in (0, 6)]  # the ends of every second of eight


def test_the_manifest_keeps_the_options_that_made_the_scene(tmp_path):
    written = layout_folder.VARIANTS["opengl"](tmp_path / "gl")
    given = [f"{key}={value}" for key, value in written.options.items()]
    done = sightline("import", written.source, tmp_path / "store", *given, "--workers", 0)
    assert done.exit_code == 0, done.output
    manifest = json.loads((tmp_path / "store" / written.scan_id / "scene.json").read_text())
    assert manifest["notes"]["import"]["options"] == written.options and str(tmp_path) not in json.dumps(manifest)
