"""`sightline frames` and `sightline birdseye`: frames chosen and written down, SQA3D's rows rebuilt over a procedural store."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from sightline.captures.images import read_rgb
from sightline.captures.rooms import write_room_scan
from sightline.cli import app
from sightline.mixtures.sampling import read_index, uniform_indices
from sightline.mixtures.scene_views import AGENT_WORDS, Agent, agent_in_world
from sightline.samples.birdseye import BirdsEyeOptions, birdseye_of_scene
from sightline.samples.conversation_files import ConversationTable
from sightline.samples.frames import FrameCache
from sightline.samples.framing import Framing, Window
from sightline.samples.media import Media
from sightline.scenes.build import import_scan
from sightline.scenes.store import SceneStore

ROOM = {"width": 96, "height": 72, "num_frames": 10, "max_rooms": 1, "antialias": False, "shadows": False}
SCANS = ("rooms_0000", "rooms_0001")


def sightline(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def whole(width, height):
    return (Framing(width=width, height=height, windows=(Window(left=0, top=0, width=width, height=height),)),)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A store of two rooms, and SQA3D's rows about two ScanNet scans, imported."""
    root = tmp_path_factory.mktemp("frames")
    for scan_id in SCANS:
        write_room_scan(scan_id, out=str(root / "scans"), seed=7, options=ROOM)
        known = {"source": str(root / "scans"), "reader": "rooms", "options": {}, "store": str(root / "store")}
        import_scan(scan_id, **known, copy_images=False, verify=False)
    questions, annotations = [], []
    for number in range(6):
        key = {"scene_id": f"scene000{number % 2}_00", "question_id": 220602000000 + number}
        questions.append({**key, "situation": "I stand at the bed.", "alternative_situation": [], "question": "What is behind me?"})
        place = {"position": {"x": 0.1 * (number // 2), "y": -0.2, "z": 0}, "rotation": {"_x": 0, "_y": 0, "_z": 0.0, "_w": 1.0}}
        annotations.append({**key, **place, "question_type": "N/A", "answers": [{"answer": "door", "answer_id": 1}]})
    (root / "sqa3d").mkdir()
    (root / "sqa3d" / "v1_balanced_questions_train_scannetv2.json").write_text(json.dumps({"questions": questions}))
    (root / "sqa3d" / "v1_balanced_sqa_annotations_train_scannetv2.json").write_text(json.dumps({"annotations": annotations}))
    (root / "map.json").write_text(json.dumps({f"scene000{number}_00": scan_id for number, scan_id in enumerate(SCANS)}))
    done = sightline("data", "import", "sqa3d", root / "sqa3d", root / "rows", "--split", "train")
    assert done.exit_code == 0, done.output
    return root


def test_frames_of_every_scan_are_written_down_with_how_they_were_chosen(root, tmp_path):
    for how in ("uniform", "coverage", "space-aware"):
        done = sightline("frames", root / "store", "--how", how, "--count", 4, "--out", tmp_path / f"{how}.json", "voxel_m=0.2")
        assert done.exit_code == 0, done.output
        index = read_index(tmp_path / f"{how}.json")
        assert sorted(index.choices) == list(SCANS) and index.sampling.voxel_m == 0.2
        assert all(len(choice.indices) == 4 for choice in index.choices.values())
        assert "8 frames of 2 scans" in done.output and ("voxels seen" in done.output) == (how != "uniform")
    assert index.choices["rooms_0000"].picks.new_voxels[0] > 0
    assert read_index(tmp_path / "uniform.json").choices["rooms_0001"].indices == uniform_indices(10, 4)
    before = (tmp_path / "coverage.json").read_bytes()
    sightline("frames", root / "store", "--how", "coverage", "--count", 4, "--out", tmp_path / "coverage.json", "voxel_m=0.2")
    assert (tmp_path / "coverage.json").read_bytes() == before


def test_points_of_an_encoder_choose_frames_too(root, tmp_path):
    rng = np.random.default_rng(0)
    for scan_id in SCANS:
        ids = [frame.frame_id for frame in SceneStore(root / "store").read(scan_id).frames][:5]
        points = rng.normal(size=(5, 6, 8, 3)).astype(np.float32)
        np.savez(tmp_path / f"{scan_id}.npz", frame_ids=ids, world_points=points, world_points_conf=np.ones((5, 6, 8), np.float32))
    done = sightline("frames", root / "store", "--how", "space-aware", "--count", 3, "--points", tmp_path, "--out", tmp_path / "i.json")
    assert done.exit_code == 0, done.output
    assert max(read_index(tmp_path / "i.json").choices["rooms_0000"].indices) < 5
    (tmp_path / "rooms_0001.npz").unlink()
    done = sightline("frames", root / "store", "--how", "space-aware", "--points", tmp_path, "--out", tmp_path / "i.json")
    assert done.exit_code == 2 and "rooms_0001.npz: expected a file of point maps" in done.output


def test_sqa3d_is_rebuilt_with_one_picture_from_above_per_scene(root):
    done = sightline(
        "frames", root / "store", "--conversations", root / "rows", "--scans", root / "map.json", "--birdseye", "--out", root / "a"
    )
    assert done.exit_code == 0, done.output
    assert "6 conversations about 2 scans" in done.output and "2 pictures from above" in done.output
    table = ConversationTable(root / "a")
    for number, one in enumerate(table):
        scan_id = SCANS[number % 2]
        assert [picture.path for picture in one.pictures] == [f"birdseye/{scan_id}.png"] and not one.is_video
        assert one.scan_id == scan_id and one.place_id == "scannet_scene000" + str(number % 2)
        assert one.extra["source_scan_id"] == f"scene000{number % 2}_00" and "I stand at the bed." in one.turns[0].question
    shown = read_rgb(root / "a" / "birdseye" / "rooms_0000.png")
    assert (shown == birdseye_of_scene(SceneStore(root / "store").read("rooms_0000"), BirdsEyeOptions()).rgb).all()
    checked = sightline("data", "check", root / "a", "--media", root / "a", "--store", root / "store")
    assert checked.exit_code == 0, checked.output


def test_posed_views_come_with_their_depth_and_cameras(root):
    options = ("--conversations", root / "rows", "--scans", root / "map.json", "--views", 3, "--birdseye")
    done = sightline("frames", root / "store", *options, "--out", root / "b")
    assert done.exit_code == 0, done.output
    row = ConversationTable(root / "b")[1]
    assert [picture.place for picture in row.pictures] == ["folder", "store", "store", "store"]
    media = Media(root=root / "b", store=root / "store", cache=FrameCache())
    above, *views = media.views(row, framings=whole, with_depth=True)
    assert above[0].depth_m is None and above[0].world_from_camera is None
    frames = SceneStore(root / "store").read("rooms_0001").frames
    for view, index in zip(views, uniform_indices(10, 3), strict=True):
        assert (view[0].world_from_camera == frames[index].world_from_camera).all() and view[0].depth_m.shape == (72, 96)
    assert "finished before" in sightline("frames", root / "store", *options, "--out", root / "b").output
    done = sightline("frames", root / "store", *options, "--how", "coverage", "--out", root / "b")
    assert done.exit_code == 0 and "finished before" not in done.output


def test_frames_of_an_index_are_shown(root, tmp_path):
    sightline("frames", root / "store", "--how", "coverage", "--count", 2, "--out", tmp_path / "i.json")
    options = ("--conversations", root / "rows", "--scans", root / "map.json", "--index", tmp_path / "i.json")
    done = sightline("frames", root / "store", *options, "--out", tmp_path / "rows")
    assert done.exit_code == 0, done.output
    row = ConversationTable(tmp_path / "rows")[0]
    assert tuple(one.frame_id for one in row.pictures) == read_index(tmp_path / "i.json").choices["rooms_0000"].frame_ids
    assert row.is_video


def test_an_arrow_marks_each_place_once(root, tmp_path):
    options = ("--conversations", root / "rows", "--scans", root / "map.json", "--birdseye", "--agent")
    (tmp_path / "centres.json").write_text(json.dumps({scan_id: [2.0, 2.0, 1.0] for scan_id in SCANS}))
    done = sightline("frames", root / "store", *options, "--centres", tmp_path / "centres.json", "--out", tmp_path / "rows")
    assert done.exit_code == 0, done.output
    table = ConversationTable(tmp_path / "rows")
    rows = list(table)
    assert len({row.pictures[0].path for row in rows}) == 6 and rows[0].turns[0].question.startswith(AGENT_WORDS)
    scene = SceneStore(root / "store").read("rooms_0000")
    made = birdseye_of_scene(scene)
    expected = made.with_agent(np.array([2.1, 1.8, 1.0]), np.pi)  # the third row of the scan: 0.1 m further along x
    assert (read_rgb(tmp_path / "rows" / rows[2].pictures[0].path) == expected).all()


def test_an_agent_moves_and_turns_with_the_world(root):
    """SQA3D counts from the middle of the raw mesh's bounds, in the axes it was stored in."""
    from dataclasses import replace

    scene = SceneStore(root / "store").read("rooms_0000")
    quarter = np.array([[0.0, -1, 0, 5], [1, 0, 0, 0], [0, 0, 1, 2], [0, 0, 0, 1]])
    turned = replace(scene, notes={**scene.notes, "convention": {"world_from_stored": quarter.ravel().tolist()}})
    position, heading_rad = agent_in_world(Agent(position=(1.0, 2.0, 0.0), heading_rad=0.25), turned, (10.0, 20.0, 30.0))
    assert position == pytest.approx([5 - 22, 11, 32]) and heading_rad == pytest.approx(0.25 + np.pi / 2)
    own, _ = agent_in_world(Agent(position=(0.0, 0.0, 0.0), heading_rad=0.0), scene)
    points = np.asarray(scene.points_world, np.float64)
    assert own == pytest.approx((points.min(axis=0) + points.max(axis=0)) / 2)


def test_rows_of_scans_that_are_not_there_are_refused_or_counted(root, tmp_path):
    (tmp_path / "one.json").write_text(json.dumps({"scene0000_00": "rooms_0000"}))
    options = ("--conversations", root / "rows", "--scans", tmp_path / "one.json", "--views", 2, "--out", tmp_path / "rows")
    done = sightline("frames", root / "store", *options)
    assert done.exit_code == 2 and "3 rows of scan scene0001_00, which the store lacks" in done.output
    assert not (tmp_path / "rows").exists()
    done = sightline("frames", root / "store", *options, "--max-missing-share", 0.5)
    assert done.exit_code == 0 and "left out: 3 rows of scan scene0001_00" in done.output
    assert len(ConversationTable(tmp_path / "rows")) == 3
    assert json.loads((tmp_path / "rows" / "conversations.json").read_text())["source"] == "sqa3d"


def test_a_folder_of_something_else_is_never_replaced(root, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for out in (tmp_path, root / "rows"):
        options = ("--conversations", root / "rows", "--scans", root / "map.json", "--birdseye", "--out", out)
        done = sightline("frames", root / "store", *options)
        assert done.exit_code == 2 and "expected a new folder" in done.output
    assert (tmp_path / "notes.txt").read_text() == "mine" and len(ConversationTable(root / "rows")) == 6


def test_options_that_do_not_go_together_are_refused(root, tmp_path):
    out = ("--out", tmp_path / "x")
    for wrong, message in (
        (("--birdseye",), "expected --conversations FOLDER beside them"),
        (("--conversations", root / "rows", "--agent"), "expected --birdseye beside it"),
        (("--conversations", root / "rows", "--limit", 1), "without --conversations"),
        (("--how", "coverage", "--points", tmp_path), "expected --how space-aware beside it"),
        (("--how", "corners"), "corners"),
        (("voxel=3",), "voxel"),
    ):
        done = sightline("frames", root / "store", *wrong, *out)
        assert done.exit_code == 2 and message in done.output, done.output


def test_pictures_from_above_are_written_with_where_things_lie_in_them(root, tmp_path):
    done = sightline("birdseye", root / "store", tmp_path / "above", "size_px=300", "--limit", 1)
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "above" / "rooms_0000.json").read_text())
    shown = read_rgb(tmp_path / "above" / "rooms_0000.png")
    assert max(shown.shape) == 300 and np.array(told["pixel_from_world"]).shape == (2, 4)
    assert told["pixel_from_world"][0][0] == pytest.approx(1 / told["metres_per_pixel"])
    assert not (tmp_path / "above" / "rooms_0001.png").exists()
    assert sightline("birdseye", root / "store", tmp_path / "above", "size=300").exit_code == 2
