"""What the finder of readers says to a folder that is one too high, one too low, or no scan at all."""

import json
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from sightline.captures.capture import READERS
from sightline.captures.detect import find_reader
from sightline.errors import CaptureError

LAYOUTS = [("colmap", "depth_images"), ("nerfstudio", "usual"), ("polycam", "corrected"), ("tum", "own_camera"), ("strayscanner", "newer")]


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """One scan of several layouts, each two folders below its root: root/kept/scan."""
    made = {}
    for name, variant in LAYOUTS:
        variants = import_module(f"layout_{name}").VARIANTS
        root = tmp_path_factory.mktemp(name)
        wrote = variants[variant](tmp_path_factory.mktemp(f"written_{name}") / "source")
        made[name] = Path(shutil.copytree(wrote.source, root / "kept" / "scan"))
    return made


def refusal(source: Path) -> str:
    with pytest.raises(CaptureError) as caught:
        find_reader(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("colmap", "images"),
        ("colmap", "depth/cam0"),
        ("nerfstudio", "transforms.json"),
        ("nerfstudio", "images"),
        ("tum", "rgb"),
        ("tum", "rgb.txt"),
        ("strayscanner", "rgb.mp4"),
        ("strayscanner", "depth"),
    ],
)
def test_a_part_of_a_scan_is_answered_with_the_scan(scans, name, inside):
    assert refusal(scans[name] / inside).endswith(f"Fix: give {scans[name]}, a scan of the layout '{name}'")


@pytest.mark.parametrize("name", ["polycam", "tum", "strayscanner"])
def test_two_folders_too_high_is_answered_with_the_folder_of_scans(scans, name):
    kept = scans[name].parent
    assert find_reader(kept) == name
    assert refusal(kept.parent).endswith(f"Fix: give {kept}, which the reader '{name}' knows")


@pytest.mark.parametrize("name", ["colmap", "nerfstudio"])
def test_projects_that_are_given_one_at_a_time_are_not_taken_for_own_scans(scans, name):
    """Both have images beside depth, which a folder of own scans has too."""
    assert refusal(scans[name].parent).endswith(
        f"folders of the layout '{name}', which are imported one at a time. Fix: give {scans[name]}"
    )


def test_a_capture_yaml_keeps_a_scan_one_of_your_own(scans, tmp_path):
    scan = Path(shutil.copytree(scans["nerfstudio"], tmp_path / "scans" / "mine"))
    (scan / "capture.yaml").write_text("color: images\n")
    assert find_reader(scan.parent) == "folder"


def test_keyframes_of_polycam_are_those_of_the_export_around_them(scans):
    keyframes = scans["polycam"] / "keyframes"
    assert find_reader(keyframes) == "polycam"
    assert READERS["polycam"](keyframes, {}).scan_ids("all") == READERS["polycam"](scans["polycam"], {}).scan_ids("all")


def test_a_broken_scan_is_not_answered_with_the_good_ones_beside_it(scans, tmp_path):
    root = tmp_path / "scans"
    shutil.copytree(scans["tum"], root / "good")
    shutil.copytree(scans["tum"], root / "broken")
    (root / "broken" / "rgb.txt").unlink()
    (root / "broken" / "depth.txt").unlink()
    shutil.rmtree(root / "broken" / "rgb")
    assert "Fix" not in refusal(root / "broken")


def test_an_unknown_file_far_from_any_scan_says_what_to_give(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"a": 1}))
    assert refusal(tmp_path / "a.json").endswith("Fix: give the folder that holds the scan")
