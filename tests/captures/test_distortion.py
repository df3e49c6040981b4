"""Lens distortion: pixels and pictures of a distorted camera land where a pinhole camera would have them."""

import numpy as np
import pytest
from lens_pictures import distorted_uv, straightened
from PIL import Image

from sightline.captures.distortion import Lens, LensCamera, Undistorter, fisheye_lens, radial_lens, undistorter, write_like
from sightline.captures.images import read_rgb
from sightline.captures.lens_images import LensImages
from sightline.errors import CaptureError
from sightline.geometry.cameras import Intrinsics

CAMERA = Intrinsics(fx=412.0, fy=415.5, cx=331.0, cy=228.0, width=640, height=480)
LENSES = {
    "simple_radial": radial_lens(k1=-0.11),
    "pincushion": radial_lens(k1=0.09, k2=-0.01),
    "opencv": radial_lens(k1=-0.21, k2=0.06, p1=0.002, p2=-0.0015),
    "full_opencv": radial_lens(k1=0.35, k2=-0.12, p1=0.001, p2=0.002, k3=0.03, rational=(0.4, -0.1, 0.02)),
    "fisheye": fisheye_lens(-0.02, 0.004, -0.002, 0.0005),
    "equidistant": fisheye_lens(0.0, 0.0, 0.0, 0.0),
}


@pytest.mark.parametrize("name", LENSES)
def test_a_point_seen_through_the_lens_is_found_where_the_pinhole_has_it(name):
    """Project through the lens by our own formula, look up through the undistortion map, compare: less than a twentieth of a pixel."""
    lens = LENSES[name]
    worker = Undistorter(LensCamera(intrinsics=CAMERA, lens=lens))
    rows, columns = np.mgrid[3:480:17, 5:640:19]
    uv = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(float)
    points = CAMERA.unproject(uv, np.linspace(0.5, 6.0, len(uv)))
    expected = distorted_uv(CAMERA, lens.kind, lens.coefficients, points)
    found = worker.source_uv[rows.ravel(), columns.ravel()]
    filled = found[:, 0] > -1e3
    assert filled.mean() > 0.8
    assert np.abs(found - expected)[filled].max() < 0.05
    assert (~CAMERA.contains(expected[~filled])).all()  # empty only where the distorted picture does not reach


@pytest.mark.parametrize("name", ["opencv", "fisheye"])
def test_a_distorted_picture_becomes_the_pinhole_one(name):
    """A smooth pattern on a wall, drawn through the lens by its rays, resampled, equals the pattern drawn by the pinhole."""
    lens = LENSES[name]
    worker = undistorter(LensCamera(intrinsics=CAMERA, lens=lens))

    def pattern(xy: np.ndarray) -> np.ndarray:
        waves = [np.sin(9.0 * xy[..., 0]), np.sin(8.0 * xy[..., 1]), np.sin(6.0 * xy[..., 0] + 5.0 * xy[..., 1])]
        return np.rint(127.5 + 120.0 * np.stack(waves, axis=-1)).astype(np.uint8)

    u, v = np.meshgrid(np.arange(640), np.arange(480))
    plane = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy], axis=-1)
    bent_picture = pattern(straightened(lens.kind, lens.coefficients, plane))
    filled = worker.source_uv[..., 0] > -1e3
    off = np.abs(worker.colour(bent_picture).astype(int) - pattern(plane).astype(int))[filled]
    shifted = np.abs(np.roll(pattern(plane), 1, axis=1).astype(int) - pattern(plane).astype(int))[filled]
    assert off.max() <= 8 and off.mean() < 0.4 * shifted.mean()  # half a pixel off would show


def test_depth_takes_whole_readings_and_never_mixes_two():
    stored = np.where(np.arange(640) % 7 < 3, 1000, 4000).astype(np.uint16)[None].repeat(480, axis=0)
    worker = undistorter(LensCamera(intrinsics=CAMERA, lens=LENSES["pincushion"]))
    found = worker.depth(stored)
    assert set(np.unique(found).tolist()) == {0, 1000, 4000}
    assert ((found == 0) == (worker.source_uv[..., 0] < -1e3)).mean() > 0.99


def test_a_pinhole_has_no_lens_and_a_fisheye_always_has_one():
    assert radial_lens() is None
    assert fisheye_lens(0.0, 0.0, 0.0, 0.0) is not None


def test_corners_that_fold_back_into_the_picture_are_left_black():
    """With k1 = -0.6 the map turns round before the corners: what is seen there is not what the pinhole would see."""
    worker = Undistorter(LensCamera(intrinsics=CAMERA, lens=radial_lens(k1=-0.6)))
    assert worker.source_uv[0, 0, 0] < -1e3 and worker.source_uv[228, 331, 0] == pytest.approx(331.0)
    assert 0.02 < worker.empty_share < 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: radial_lens(k1=float("nan")), "expected finite coefficients"),
        (lambda: Lens(kind="fisheye", coefficients=(0.1,)), "coefficients, found fisheye with 1"),
        (lambda: Undistorter(LensCamera(intrinsics=CAMERA, lens=radial_lens(k1=-30.0))), "belong to another model or camera"),
    ],
)
def test_coefficients_that_are_no_lens_are_refused(make, message):
    with pytest.raises(CaptureError, match=message):
        make()


def test_files_of_a_pinhole_stay_where_they_are(tmp_path):
    Image.fromarray(np.zeros((480, 640, 3), dtype=np.uint8)).save(tmp_path / "a.jpg")
    Image.fromarray(np.zeros((240, 320), dtype=np.uint16)).save(tmp_path / "a.png")
    camera = LensCamera(intrinsics=CAMERA, lens=None)
    with LensImages(tmp_path / "workspace", pack_depth=False) as worker:
        assert worker.colour(tmp_path / "a.jpg", camera, "a") == tmp_path / "a.jpg"
        assert worker.depth(tmp_path / "a.png", camera) == (tmp_path / "a.png", None)
    assert worker.notes() == {} and not (tmp_path / "workspace").exists()


def test_what_is_made_anew_is_said(tmp_path):
    (tmp_path / "workspace").mkdir()
    Image.fromarray(np.full((480, 640, 3), 90, dtype=np.uint8)).save(tmp_path / "a.jpg")
    Image.fromarray(np.full((240, 320), 1500, dtype=np.uint16)).save(tmp_path / "a.png")
    camera = LensCamera(intrinsics=CAMERA, lens=LENSES["opencv"])
    with LensImages(tmp_path / "workspace", pack_depth=True) as worker:
        path = worker.colour(tmp_path / "a.jpg", camera, "a")
        pack, index = worker.depth(tmp_path / "a.png", camera)
    assert path == tmp_path / "workspace/color/a.jpg" and pack.is_file() and index == 0
    assert worker.notes()["reencoded"] == "colour: undistorted, JPEG quality 95; depth: undistorted, nearest pixel"


def test_a_picture_of_another_size_or_shape_is_refused(tmp_path):
    Image.fromarray(np.zeros((240, 320, 3), dtype=np.uint8)).save(tmp_path / "a.jpg")
    Image.fromarray(np.zeros((480, 480), dtype=np.uint16)).save(tmp_path / "a.png")
    camera = LensCamera(intrinsics=CAMERA, lens=LENSES["opencv"])
    worker = LensImages(tmp_path, pack_depth=True)
    with pytest.raises(CaptureError, match="expected a colour image of 640x480, found 320x240"):
        worker.colour(tmp_path / "a.jpg", camera, "a")
    with pytest.raises(CaptureError, match="of the shape of its 640x480 colour image, found 480x480"):
        worker.depth(tmp_path / "a.png", camera)


def test_lossless_pictures_stay_lossless(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, size=(9, 11, 3), dtype=np.uint8)
    assert (read_rgb(write_like(tmp_path / "source.png", rgb, tmp_path / "frame.01")) == rgb).all()
    assert write_like(tmp_path / "source.JPG", rgb, tmp_path / "frame.01").name == "frame.01.jpg"
