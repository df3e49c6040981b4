"""Pictures from folders, tar shards, videos and scene stores: the right pixels, the right camera, and a clear word where one is missing."""

import pickle
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_store import DEPTH_CAMERA, gradient, write_scan

from sightline.captures.images import write_rgb_png
from sightline.errors import CaptureError, DataError, SightlineError
from sightline.questions.question import Mark
from sightline.samples import videos
from sightline.samples.conversation import FOLDER, STORE, TAR, VIDEO, Conversation, Picture, Turn
from sightline.samples.frames import FrameCache, image_path_of
from sightline.samples.framing import Framing
from sightline.samples.media import Media
from sightline.scenes.store import SceneStore

NUM_FRAMES = 24


def value_of(frame: int) -> int:
    return 10 * frame


def write_video(path: Path, *, keys_every: int = 8, codec: str = "libx264", between: int = 2) -> Path:
    """Frames of one grey each, 64x48, the left upper quarter white: the grey tells the frame, the quarter which way is up."""
    import av

    with av.open(str(path), "w") as container:
        quality = {"crf": "1", "keyint_min": str(keys_every)} if codec == "libx264" else {"qscale": "1"}
        options = {**quality, "g": str(keys_every), "bf": str(between), "threads": "1"}
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(NUM_FRAMES):
            rgb = np.full((48, 64, 3), value_of(index), np.uint8)
            rgb[:24, :32] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def turned(path: Path) -> Path:
    """The same file with a display matrix that turns it by a quarter, clockwise, as a phone held upright writes it."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version and flags, times and ids, reserved, layer to volume
    assert struct.unpack(">9i", content[matrix : matrix + 36]) == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 48 * 65536, 0, 1 << 30)
    path.with_name("turned.mp4").write_bytes(content)
    return path.with_name("turned.mp4")


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    pytest.importorskip("av")
    return write_video(tmp_path_factory.mktemp("video") / "walk.mp4")


@pytest.fixture(params=["pyav", "opencv"])
def decoder(request, monkeypatch):
    if request.param == "opencv":
        monkeypatch.setattr(videos, "_pyav", lambda: None)
    return request.param


def greys(frames) -> list[int]:
    return [round(int(rgb[-1, -1, 0]) / 10) for rgb in frames]


def test_every_frame_of_a_video_is_found_by_its_index(video, decoder):
    assert greys(videos.read_frames(video, range(NUM_FRAMES))) == list(range(NUM_FRAMES))
    assert greys(videos.read_frames(video, [23, 0, 9, 8, 7, 9, 16])) == [23, 0, 9, 8, 7, 9, 16]
    for index in range(NUM_FRAMES):
        assert greys(videos.read_frames(video, [index])) == [index]


@pytest.mark.parametrize(
    ("suffix", "codec", "between"), [(".ts", "libx264", 2), (".avi", "mpeg4", 2), (".mkv", "libx264", 3), (".mov", "mpeg4", 0)]
)
def test_containers_that_say_no_times_or_seek_badly_give_the_same_frames(tmp_path, suffix, codec, between):
    import av

    path = write_video(tmp_path / f"walk{suffix}", codec=codec, between=between)
    with av.open(str(path)) as container:
        from_start = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert videos.video_facts(path).num_frames == len(from_start) == NUM_FRAMES
    for index in (0, 7, 8, 9, 15, 23):
        assert np.array_equal(videos.read_frames(path, [index])[0], from_start[index]), index
    assert all(np.array_equal(*pair) for pair in zip(videos.read_frames(path, range(NUM_FRAMES)), from_start, strict=True))


def test_facts_of_a_video_are_counted(video, decoder):
    facts = videos.video_facts(video)
    assert (facts.num_frames, facts.width, facts.height) == (NUM_FRAMES, 64, 48) and facts.duration_s == pytest.approx(2.4)
    assert facts.frames_per_s == pytest.approx(10.0)


def test_a_video_recorded_on_its_side_is_turned_upright(video, decoder):
    path = turned(video)
    facts, (rgb,) = videos.video_facts(path), videos.read_frames(path, [3])
    assert (facts.width, facts.height) == (48, 64) and rgb.shape == (64, 48, 3)
    assert rgb[0, -1, 0] > 220 and rgb[0, 0, 0] < 60 and rgb[-1, -1, 0] < 60  # the white quarter is now at the right, above


def test_frames_that_are_not_there_and_files_that_are_no_videos_are_named(video, tmp_path, decoder):
    with pytest.raises(DataError, match=f"expected frames of 0 to 23, found .*{NUM_FRAMES}"):
        videos.read_frames(video, [NUM_FRAMES])
    with pytest.raises(DataError, match="none.mp4: expected a video file, found none"):
        videos.read_frames(tmp_path / "none.mp4", [0])
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(DataError, match="text.mp4: expected a video"):
        videos.video_facts(tmp_path / "text.mp4")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A media root with one picture in a folder and in a shard, a video, and a scene store beside it."""
    root = tmp_path_factory.mktemp("media")
    write_rgb_png(root / "media" / "a" / "1.png", gradient(1))
    with tarfile.open(root / "media" / "shard.tar", "w") as shard:
        for seed in range(3):
            write_rgb_png(root / "one.png", gradient(seed))
            shard.add(root / "one.png", arcname=f"./x/{seed}.png")
    pytest.importorskip("av")
    write_video(root / "media" / "walk.mp4")
    write_scan(root, "scene0000_00", seed=3)
    return root


def media(root: Path, **how) -> Media:
    return Media(root=root / "media", store=root / "store", **how)


def shown(root: Path, *pictures: Picture, marks=(), width: int = 80, height: int = 60, with_depth: bool = True, reader=None):
    conversation = Conversation(
        sample_id="s",
        source="own",
        task="",
        split="train",
        scan_id="",
        place_id="",
        pictures=pictures,
        turns=(Turn(question="What?", answer="x"),),
        marks=marks,
    )
    whole = (Framing.whole(width, height),)
    found = (reader or media(root)).views(conversation, framings=lambda *_: whole, with_depth=with_depth)
    return [view for views in found for view in views]


def in_folder(**more) -> Picture:
    return Picture(place=FOLDER, path="a/1.png", **more)


def in_store(root: Path, number: int = 0) -> Picture:
    frame = SceneStore(root / "store").read("scene0000_00").frames[number]
    return Picture(place=STORE, path=image_path_of("scene0000_00", frame), scan_id="scene0000_00", frame_id=frame.frame_id)


def test_the_same_picture_comes_from_a_folder_a_shard_and_a_store(root):
    pictures = (in_folder(), Picture(place=TAR, path="shard.tar/x/1.png"), in_store(root))
    folder, shard, store = shown(root, *pictures)
    assert np.array_equal(folder.rgb, shard.rgb) and folder.rgb.shape == (60, 80, 3) and folder.intrinsics is None
    assert store.intrinsics.width == 80 and store.depth_m.shape == (DEPTH_CAMERA.height, DEPTH_CAMERA.width)
    assert store.world_from_camera.shape == (4, 4) and folder.depth_m is None and folder.world_from_camera is None


def test_a_foreign_picture_of_a_known_frame_gets_the_frames_camera_and_depth(root):
    frame = SceneStore(root / "store").read("scene0000_00").frames[2]
    known = in_folder(scan_id="scene0000_00", frame_id=frame.frame_id)
    zeros = in_folder(scan_id="scene0000_00", frame_id=f"000{int(frame.frame_id)}")
    for view in shown(root, known, zeros):
        assert view.world_from_camera == pytest.approx(frame.world_from_camera)
        assert view.intrinsics == frame.intrinsics.resized(width=80, height=60)
        assert view.depth_m[5, 5] == pytest.approx(1.002)


def test_a_picture_of_another_shape_than_its_frame_is_refused(root):
    write_rgb_png(root / "media" / "a" / "wide.png", gradient(1)[:-20])
    wide = Picture(place=FOLDER, path="a/wide.png", scan_id="scene0000_00", frame_id=in_store(root).frame_id)
    with pytest.raises(DataError, match="cropped or turned"):
        shown(root, wide)


def test_frames_of_a_video_are_decoded_once(root, monkeypatch):
    calls, read = [], videos.read_frames
    monkeypatch.setattr("sightline.samples.media.read_frames", lambda path, frames: calls.append(list(frames)) or read(path, frames))
    pictures = [Picture(place=VIDEO, path="walk.mp4", frame=frame) for frame in (3, 9, 3, 20)]
    reader = media(root)
    views = shown(root, *pictures, width=32, height=24, reader=reader)
    assert greys(view.rgb for view in views) == [3, 9, 3, 20] and calls == [[3, 9, 20]]
    shown(root, *pictures, reader=reader)
    assert calls == [[3, 9, 20]]
    assert reader.video(pictures[0]).num_frames == NUM_FRAMES


def test_marks_are_drawn_into_copies(root):
    mark = Mark(frame_id=in_store(root).frame_id, u_px=20.0, v_px=20.0, colour="red")
    reader = media(root)
    (plain,), (marked,), (again,) = (shown(root, in_store(root), marks=marks, reader=reader) for marks in ((), (mark,), ()))
    assert not np.array_equal(plain.rgb, marked.rgb) and np.array_equal(plain.rgb, again.rgb)


def test_the_least_recently_used_pictures_are_forgotten_first(root):
    reader = media(root, cache=FrameCache(max_bytes=2 * 80 * 60 * 3))
    for number in range(3):
        shown(root, Picture(place=TAR, path=f"shard.tar/x/{number}.png"), reader=reader)
    assert reader.cache.num_bytes == 2 * 80 * 60 * 3


def test_sizes_come_from_headers(root):
    height, width = gradient(1).shape[:2]
    reader = media(root)
    for picture in (in_folder(), Picture(place=TAR, path="shard.tar/x/1.png"), in_store(root)):
        assert reader.size(picture) == (width, height)
    assert reader.size(Picture(place=VIDEO, path="walk.mp4")) == (64, 48)


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        (Picture(place=FOLDER, path="a/2.png"), CaptureError, "a/2.png: expected an image, found no file"),
        (Picture(place=TAR, path="shard.tar/x/9.png"), DataError, "expected member 'x/9.png', found 3 members without it"),
        (Picture(place=TAR, path="none.tar/x/9.png"), DataError, "none.tar: expected a tar shard, found none"),
        (Picture(place=FOLDER, path="../one.png"), DataError, "expected a path inside"),
        (Picture(place=VIDEO, path="walk.mp4"), DataError, "expected a frame of the video"),
        (Picture(place=VIDEO, path="walk.mp4", frame=99), DataError, "expected frames of 0 to 23"),
        (Picture(place=STORE, path="x", scan_id="scene0000_00", frame_id="99999"), DataError, "expected frame '99999'"),
        (Picture(place=STORE, path="x", scan_id="scene0009_00", frame_id="0"), SightlineError, "scene0009_00"),
        (in_folder(scan_id="scene0000_00", frame_id="77"), DataError, "expected frame '77'"),
    ],
)
def test_what_is_missing_is_named(root, picture, error, message):
    with pytest.raises(error, match=message):
        shown(root, picture)
    if picture.place in (FOLDER, TAR) and "one.png" not in picture.path and not picture.scan_id:
        assert not media(root).is_there(picture) if "none" not in picture.path else True


def test_whether_a_picture_is_there_is_known_without_reading_it(root):
    reader = media(root)
    there = [in_folder(), Picture(place=TAR, path="shard.tar/x/1.png"), Picture(place=VIDEO, path="walk.mp4"), in_store(root)]
    assert all(map(reader.is_there, there))
    assert not reader.is_there(replace(in_store(root), frame_id="999")) and not reader.is_there(Picture(place=VIDEO, path="none.mp4"))
    assert not reader.is_there(Picture(place=TAR, path="none.tar/a.png")) and not reader.is_there(Picture(place=FOLDER, path="b/1.png"))


def test_a_shard_that_breaks_off_is_named(root):
    content = (root / "media" / "shard.tar").read_bytes()
    (root / "media" / "cut.tar").write_bytes(content[:900])
    with pytest.raises(DataError, match="cut.tar: "):
        shown(root, Picture(place=TAR, path="cut.tar/x/0.png"))


def test_a_reader_is_handed_to_other_processes_as_its_folders(root):
    reader = pickle.loads(pickle.dumps(media(root, cache=FrameCache(max_bytes=12345))))
    assert (reader.root, reader.store, reader.cache.max_bytes) == (root / "media", root / "store", 12345)
    assert reader.size(in_folder()) == media(root).size(in_folder())


def test_a_picture_without_a_media_root_is_refused():
    with pytest.raises(DataError, match="expected a media root to find it in"):
        Media().is_there(in_folder())
