"""Frames of a video: the wanted ones, as they were stored, and a clear word where there are fewer."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from sightline.captures.containers.videos import extract_frames, video_frames, video_size
from sightline.errors import CaptureError

COUNT = 12


def picture(index: int) -> np.ndarray:
    """(96, 128, 3) a bar that tells the frame and a bright corner that tells the orientation."""
    rgb = np.full((96, 128, 3), 40, dtype=np.uint8)
    rgb[:, 10 * index : 10 * index + 10] = (200, 60, 60)
    rgb[:20, :20] = (230, 230, 230)
    return rgb


def written(path: Path, code: str = "mp4v") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 30.0, (128, 96))
    assert writer.isOpened()
    for index in range(COUNT):
        writer.write(picture(index)[:, :, ::-1])
    writer.release()
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return written(tmp_path_factory.mktemp("video") / "rgb.mp4")


def same_picture(found: np.ndarray, index: int) -> bool:
    return np.abs(found.astype(int) - picture(index)).mean() < 8.0


def test_the_wanted_frames_come_in_order_and_no_others(video):
    found = dict(video_frames(video, [7, 0, 3, 11]))
    assert list(found) == [0, 3, 7, 11]
    assert all(rgb.shape == (96, 128, 3) and same_picture(rgb, index) for index, rgb in found.items())
    assert not same_picture(found[3], 4)
    assert list(video_frames(video, [])) == []


@pytest.mark.parametrize(("name", "code"), [("rgb.mkv", "mp4v"), ("rgb.mkv", "MJPG"), ("rgb.mp4", "mp4v")])
def test_containers_and_codecs_of_the_build_are_read(tmp_path, name, code):
    path = written(tmp_path / name, code)
    assert video_size(path) == (128, 96)
    assert [index for index, rgb in video_frames(path, range(COUNT)) if same_picture(rgb, index)] == list(range(COUNT))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_the_codecs_of_phones_are_read_with_reordered_frames(tmp_path, codec):
    av = pytest.importorskip("av")
    path = tmp_path / "rgb.mp4"
    with av.open(str(path), "w") as container:
        try:
            stream = container.add_stream(codec, rate=60)
        except ValueError:
            pytest.skip(f"no {codec} here")
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.options = {"bf": "2", "x265-params": "log-level=none"} if codec == "libx265" else {"bf": "2"}
        for index in range(COUNT):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="rgb24")))
        container.mux(stream.encode())
    assert [index for index, rgb in video_frames(path, range(COUNT)) if same_picture(rgb, index)] == list(range(COUNT))


def test_a_player_s_rotation_hint_turns_nothing(video, tmp_path):
    raw = bytearray(video.read_bytes())
    matrix = raw.index(b"tkhd") + 4 + 40  # of a version 0 track header: nine fixed-point numbers
    quarter = [0, 0x10000, 0, -0x10000, 0, 0, 96 << 16, 0, 0x40000000]
    raw[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in quarter)
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(raw)
    capture = cv2.VideoCapture(str(turned), cv2.CAP_FFMPEG)
    assert capture.get(cv2.CAP_PROP_ORIENTATION_META) in (90.0, 270.0)  # the hint is there
    assert capture.read()[1].shape == (128, 96, 3)  # and left to itself the decoder follows it
    assert video_size(turned) == (128, 96)
    assert all(same_picture(rgb, index) for index, rgb in video_frames(turned, range(COUNT)))


def test_extracted_frames_are_jpeg_files_of_the_wanted_frames(video, tmp_path):
    paths = extract_frames(video, [2, 9], tmp_path / "color", names=["2.jpg", "9.jpg"])
    assert paths == {2: tmp_path / "color" / "2.jpg", 9: tmp_path / "color" / "9.jpg"}
    assert sorted(path.name for path in (tmp_path / "color").iterdir()) == ["2.jpg", "9.jpg"]
    assert all(same_picture(cv2.imread(str(path))[:, :, ::-1], index) for index, path in paths.items())
    with pytest.raises(CaptureError, match="one plain file name for each of 1 frames"):
        extract_frames(video, [2], tmp_path, names=["../2.jpg"])


def test_fewer_frames_than_wanted_are_counted(video):
    with pytest.raises(CaptureError, match=rf"rgb.mp4: expected at least 21 frames, found {COUNT} that can be decoded"):
        list(video_frames(video, [3, 20]))


def test_a_truncated_video_is_named(video, tmp_path):
    cut = tmp_path / "rgb.mp4"
    for share in (0.3, 0.9):
        cut.write_bytes(video.read_bytes()[: int(share * video.stat().st_size)])
        with pytest.raises(CaptureError, match="truncated|that can be decoded"):
            list(video_frames(cut, range(COUNT)))
    mkv = written(tmp_path / "whole.mkv")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(mkv.read_bytes()[: mkv.stat().st_size // 2])
    with pytest.raises(CaptureError, match=rf"cut.mkv: expected at least {COUNT} frames, found \d+ that can be decoded"):
        list(video_frames(cut, range(COUNT)))


@pytest.mark.parametrize(
    "payload",
    [b"", b"not a video at all", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nrgb.mp4\n", b"ffconcat version 1.0\nfile rgb.mp4\n"],
    ids=["empty", "text", "playlist", "list of files"],
)
def test_what_is_no_video_is_refused_and_no_playlist_is_followed(video, tmp_path, payload):
    path = tmp_path / "rgb.mp4"
    path.write_bytes(payload)
    with pytest.raises(CaptureError, match="expected an MP4 or Matroska video, found a file that begins with"):
        video_size(path)
    with pytest.raises(CaptureError, match="no file that can be read"):
        video_size(tmp_path / "none.mp4")
