"""Reads COLMAP's `cameras` and `images` files, text and binary; 2D points are stepped over, 3D points only counted."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sightline.captures.colmap.model import (
    MODEL_NAMES,
    PARAMETERS,
    ColmapCamera,
    ColmapImage,
    ColmapModel,
    camera_from_world,
    checked_camera,
)
from sightline.captures.colmap.model import model_suffix as suffix_of
from sightline.captures.texts import decoded
from sightline.errors import CaptureError

MAX_LINE_BYTES = 64_000_000  # the points of one image, 40 bytes each
MAX_NAME_BYTES = 4096
MAX_CAMERAS = 1_000_000
_COUNT = struct.Struct("<Q")
_CAMERA = struct.Struct("<IiQQ")  # id, model, width, height
_IMAGE = struct.Struct("<I7dI")  # id, quat_wxyz, translation, camera id
_POINT_BYTES = 24  # x, y, id of the 3D point
_IMAGE_FIELDS = 10


def read_model(folder: Path) -> ColmapModel:
    """The model in a folder. Raises CaptureError naming file and line or byte: truncated, an id twice, an unknown camera or model."""
    suffix = suffix_of(folder)
    if suffix is None:
        raise CaptureError(f"{folder}: expected cameras and images as .bin or .txt files, found neither pair")
    cameras_path, images_path = folder / f"cameras{suffix}", folder / f"images{suffix}"
    as_text = suffix == ".txt"
    cameras: dict[int, ColmapCamera] = {}
    for camera in (_text_cameras if as_text else _binary_cameras)(cameras_path):
        if camera.camera_id in cameras:
            raise CaptureError(f"{camera.where}: expected every camera once, found camera {camera.camera_id} again")
        cameras[camera.camera_id] = camera
    images, seen = [], set()
    for image in (_text_images if as_text else _binary_images)(images_path):
        if image.name in seen:
            raise CaptureError(f"{image.where}: expected every image once, found '{image.name}' again")
        if image.camera_id not in cameras:
            raise CaptureError(f"{image.where}: expected a camera that {cameras_path.name} holds, found camera {image.camera_id}")
        seen.add(image.name)
        images.append(image)
    if not images:
        raise CaptureError(f"{images_path}: expected registered images, found none")
    return ColmapModel(cameras=cameras, images=tuple(images))


def count_points(folder: Path) -> int | None:
    """How many 3D points the model says it has, from the head of their file; None where nothing says it."""
    binary, text = folder / "points3D.bin", folder / "points3D.txt"
    if binary.is_file():
        with binary.open("rb") as stream:
            head = stream.read(_COUNT.size)
        return _COUNT.unpack(head)[0] if len(head) == _COUNT.size else None
    if text.is_file():
        with text.open("rb") as stream:
            for line in (stream.readline(MAX_NAME_BYTES) for _ in range(8)):
                _, found, rest = line.partition(b"Number of points:")
                digits = rest.strip().partition(b",")[0]
                if found and digits.isdigit():
                    return int(digits)
    return None


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise CaptureError(f"{path}: expected a COLMAP file, found one that cannot be read ({error})") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, stripped text) of every line; one in memory."""
    with _opened(path) as stream:
        number = 0
        while line := stream.readline(MAX_LINE_BYTES):
            number += 1
            if len(line) == MAX_LINE_BYTES:
                raise CaptureError(f"{path}:{number}: expected a line of less than {MAX_LINE_BYTES} bytes, found a longer one")
            yield number, decoded(line, f"{path}:{number}").strip()


def _whole(word: str, where: str, what: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 20):
        raise CaptureError(f"{where}: expected {what}, found {word[:40]!r}")
    return int(word)


def _number(word: str, where: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise CaptureError(f"{where}: expected a number, found {word[:40]!r}") from error


def _text_cameras(path: Path) -> Iterator[ColmapCamera]:
    for number, line in _lines(path):
        words = line.partition("#")[0].split()
        if not words:
            continue
        where = f"{path}:{number}"
        if len(words) < 5:
            raise CaptureError(f"{where}: expected `CAMERA_ID MODEL WIDTH HEIGHT PARAMETERS`, found {line[:60]!r}")
        yield checked_camera(
            camera_id=_whole(words[0], where, "a camera id"),
            model=words[1],
            width=_whole(words[2], where, "a width"),
            height=_whole(words[3], where, "a height"),
            parameters=tuple(_number(word, where) for word in words[4:]),
            where=where,
        )


def _text_images(path: Path) -> Iterator[ColmapImage]:
    """Each image takes two lines, of which the second (its 2D points) may be empty; files without second lines are read too."""
    points_may_follow, ids = False, set()
    for number, line in _lines(path):
        if line.startswith("#"):
            continue
        words = line.split(maxsplit=_IMAGE_FIELDS - 1)
        if points_may_follow and not _is_image(words):
            points_may_follow = False
            continue
        if not words:
            continue
        where = f"{path}:{number}"
        if len(words) < _IMAGE_FIELDS:
            raise CaptureError(f"{where}: expected `IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME`, found {line[:60]!r}")
        image_id = _whole(words[0], where, "an image id")
        if image_id in ids:
            raise CaptureError(f"{where}: expected every image once, found image {image_id} again")
        ids.add(image_id)
        values = [_number(word, where) for word in words[1:8]]
        yield ColmapImage(
            name=words[9],
            camera_id=_whole(words[8], where, "a camera id"),
            camera_from_world=camera_from_world(tuple(values[:4]), tuple(values[4:])),
            where=where,
        )
        points_may_follow = True


def _is_image(words: list[str]) -> bool:
    """Whether the words of a line after an image's are those of another image and not `X Y POINT3D_ID` triples."""
    if len(words) < _IMAGE_FIELDS or not words[0].isdigit() or not words[8].isdigit():
        return False
    try:
        float(words[9].split(maxsplit=1)[0])
    except ValueError:
        return True
    return False


class _Bytes:
    """A binary file that knows where it is and how much is left."""

    def __init__(self, path: Path, stream: BinaryIO):
        self.path, self.stream, self.total, self.offset = path, stream, os.fstat(stream.fileno()).st_size, 0

    @property
    def where(self) -> str:
        return f"{self.path}: byte {self.offset}"

    def unpack(self, form: struct.Struct, what: str) -> tuple:
        data = self.stream.read(form.size)
        if len(data) != form.size:
            raise CaptureError(f"{self.where}: expected {what} of {form.size} bytes, found {len(data)} left; the file is truncated")
        self.offset += form.size
        return form.unpack(data)

    def count(self, what: str, *, least_bytes: int) -> int:
        """A count that the rest of the file can hold."""
        start = self.where
        (count,) = self.unpack(_COUNT, f"the number of {what}")
        if count * least_bytes > self.total - self.offset:
            raise CaptureError(
                f"{start}: expected at most {(self.total - self.offset) // least_bytes} {what} in what is left, found {count}; "
                "the file is truncated or not of this format"
            )
        return count

    def name(self) -> str:
        start, name = self.where, bytearray()
        while (byte := self.stream.read(1)) not in (b"\0", b""):
            name += byte
            if len(name) > MAX_NAME_BYTES:
                break
        if byte != b"\0":
            raise CaptureError(f"{start}: expected an image name that ends with a zero byte, found none within {len(name)} bytes")
        self.offset += len(name) + 1
        try:
            return name.decode("utf-8")
        except UnicodeDecodeError as error:
            raise CaptureError(f"{start}: expected a UTF-8 name, found byte {name[error.start]:#x}") from error

    def skip(self, num_bytes: int) -> None:
        self.offset += num_bytes
        self.stream.seek(self.offset)

    def expect_end(self) -> None:
        if self.offset != self.total:
            raise CaptureError(f"{self.where}: expected the end of the file, found {self.total - self.offset} more bytes")


def _binary_cameras(path: Path) -> Iterator[ColmapCamera]:
    with _opened(path) as stream:
        data = _Bytes(path, stream)
        for _ in range(data.count("cameras", least_bytes=_CAMERA.size)):
            where = data.where
            camera_id, number, width, height = data.unpack(_CAMERA, "a camera")
            model = MODEL_NAMES[number] if 0 <= number < len(MODEL_NAMES) else f"model number {number}"
            count = len(PARAMETERS.get(model, ()))
            parameters = data.unpack(struct.Struct(f"<{count}d"), f"the parameters of {model}")
            yield checked_camera(camera_id=camera_id, model=model, width=width, height=height, parameters=parameters, where=where)
        data.expect_end()


def _binary_images(path: Path) -> Iterator[ColmapImage]:
    ids = set()
    with _opened(path) as stream:
        data = _Bytes(path, stream)
        for _ in range(data.count("images", least_bytes=_IMAGE.size + 1 + _COUNT.size)):
            where = data.where
            image_id, *values, camera_id = data.unpack(_IMAGE, "an image")
            if image_id in ids:
                raise CaptureError(f"{where}: expected every image once, found image {image_id} again")
            ids.add(image_id)
            name = data.name()
            data.skip(data.count("points of an image", least_bytes=_POINT_BYTES) * _POINT_BYTES)
            pose = camera_from_world(tuple(values[:4]), tuple(values[4:]))
            yield ColmapImage(name=name, camera_id=camera_id, camera_from_world=pose, where=where)
        data.expect_end()
