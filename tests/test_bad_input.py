"""Bad input by command: one clear line, exit code 2, and nothing half-written."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from box_room import walk, write_scan
from PIL import Image
from typer.testing import CliRunner

from sightline.cli import app

POSES = walk(12)


def sightline(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> Path:
    return write_scan(tmp_path_factory.mktemp("own") / "my_room", POSES)


@pytest.fixture
def scan(usual, tmp_path) -> Path:
    return Path(shutil.copytree(usual, tmp_path / "my_room"))


def poses(folder: Path) -> list[str]:
    return (folder / "poses.txt").read_text().splitlines()


def with_bad_poses(folder: Path, count: int, word: str) -> None:
    lines = [" ".join([word] * 16) if number < count else line for number, line in enumerate(poses(folder))]
    (folder / "poses.txt").write_text("\n".join(lines) + "\n")


def mostly_infinite_poses(folder: Path) -> None:
    with_bad_poses(folder, 8, "-inf")


def mostly_not_a_number(folder: Path) -> None:
    with_bad_poses(folder, 8, "nan")


def poses_that_do_not_rotate(folder: Path) -> None:
    matrices = [np.array(line.split(), dtype=float).reshape(4, 4) for line in poses(folder)]
    for matrix in matrices:
        matrix[:3, :3] *= 1.7
    (folder / "poses.txt").write_text("\n".join(" ".join(map(str, matrix.ravel())) for matrix in matrices) + "\n")


def inverted_poses(folder: Path) -> None:
    matrices = [np.linalg.inv(np.array(line.split(), dtype=float).reshape(4, 4)) for line in poses(folder)]
    (folder / "poses.txt").write_text("\n".join(" ".join(f"{value:.12g}" for value in matrix.ravel()) for matrix in matrices) + "\n")


def no_depth(folder: Path) -> None:
    shutil.rmtree(folder / "depth")


def one_depth_less(folder: Path) -> None:
    sorted((folder / "depth").iterdir())[3].unlink()


def truncated_colour(folder: Path) -> None:
    path = sorted((folder / "color").iterdir())[5]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncated_depth(folder: Path) -> None:
    path = sorted((folder / "depth").iterdir())[5]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def intrinsics_of_another_size(folder: Path) -> None:
    K = np.loadtxt(folder / "K.txt")
    K[:2] *= 3.0
    np.savetxt(folder / "K.txt", K)


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def eight_bit_depth(folder: Path) -> None:
    for path in (folder / "depth").iterdir():
        Image.fromarray((np.asarray(Image.open(path)) // 256).astype(np.uint8)).save(path)


def depth_twice_too_far(folder: Path) -> None:
    for path in (folder / "depth").iterdir():
        Image.fromarray(np.minimum(np.asarray(Image.open(path)).astype(np.uint32) * 2, 65534).astype(np.uint16)).save(path)


def unknown_key(folder: Path) -> None:
    with (folder / "capture.yaml").open("a") as stream:
        stream.write("depth_units_m: 0.001\n")


BAD_SCANS = [
    (no_depth, "depth"),
    (one_depth_less, "depth"),
    (mostly_infinite_poses, "pose"),
    (mostly_not_a_number, "pose"),
    (poses_that_do_not_rotate, "pose"),
    (inverted_poses, "camera_from_world"),
    (truncated_colour, "truncated|damaged"),
    (truncated_depth, "truncated|damaged"),
    (intrinsics_of_another_size, "intrinsics|principal|K.txt"),
    (empty, "expected"),
    (eight_bit_depth, "16-bit"),
    (depth_twice_too_far, "depth"),
    (unknown_key, "Did you mean 'depth_unit_m'"),
]


@pytest.mark.parametrize(("spoil", "told"), BAD_SCANS, ids=lambda case: getattr(case, "__name__", ""))
def test_a_bad_scan_is_refused_in_one_line_and_leaves_nothing(scan, tmp_path, spoil, told):
    import re

    spoil(scan)
    store = tmp_path / "store"
    done = sightline("import", scan, store, "--workers", 0)
    assert done.exit_code == 2, done.output
    complaint = [line for line in done.stderr.splitlines() if line.startswith("sightline: ")]
    assert len(complaint) == 1 and re.search(told, complaint[0]), done.stderr
    assert "Traceback" not in done.stderr
    left = [path for path in store.rglob("*") if path.is_file() and ".records" not in path.parts] if store.exists() else []
    assert left == []


def test_the_good_scan_beside_it_imports_and_a_few_bad_poses_are_skipped_and_counted(scan, tmp_path):
    with_bad_poses(scan, 1, "-inf")
    done = sightline("import", scan, tmp_path / "store", "--workers", 0)
    assert done.exit_code == 0, done.output
    assert "11 frames, 1 skipped" in done.stdout and "pose_not_finite" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("import", "no/such/folder", "{out}"), "no/such/folder"),
        (("measure", "{out}/none"), "expected a scene store"),
        (("generate", "{out}/none", "{out}/d"), "expected a scene store"),
        (("generate", "{out}/none", "{out}/d", "--tasks", "depth_comparisn"), "Did you mean 'depth_comparison'"),
        (("rooms", "{out}/r", "--num-scans", "0"), "expected at least 1"),
        (("rooms", "{out}/r", "num_frame=3"), "Did you mean 'num_frames'"),
        (("rooms", "{out}/r", "num_frames"), "expected a.b=value"),
        (("train", "rooms/dem"), "Did you mean 'rooms/demo'"),
        (("train", "rooms/demo", "optimiser.learning_rat=1"), "Did you mean 'learning_rate'"),
        (("train", "rooms/demo", "--out", "{out}/run", "data.samples={out}/none", "data.scenes={out}/none"), "expected"),
        (("evaluate", "{out}/run", "{out}/none", "{out}/none", "--out", "{out}/e"), "expected"),
        (("compare", "{out}/none", "--out", "{out}/r.json"), "expected a file, found none"),
        (("report", "{out}/none"), "expected"),
        (("view", "{out}/none"), "expected a scene store"),
        (("ask", "How far?", "--run", "{out}/none"), "either --scan STORE/SCAN or --images"),
        (("ask", "How far?", "--run", "{out}/none", "--scan", "{out}/s"), "expected"),
        (("demo", "{out}", "--recipe", "demo/standrd"), "Did you mean 'demo/standard'"),
    ],
    ids=lambda case: " ".join(case[:2]) if isinstance(case, tuple) else "",
)
def test_a_mistake_on_the_command_line_is_one_line(tmp_path, arguments, told):
    out = tmp_path / "out"
    done = sightline(*(argument.replace("{out}", str(out)) for argument in arguments))
    assert done.exit_code == 2, done.output
    complaint = done.stderr.strip().splitlines()
    assert len(complaint) == 1 and complaint[0].startswith("sightline: ") and told in complaint[0], done.stderr
    assert not [path for path in out.rglob("*") if path.is_file()] if out.exists() else True
