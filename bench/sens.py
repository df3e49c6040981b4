"""Prints what a frame of a `.sens` recording costs to take in: ours beside decoding and writing every image again; and peak memory."""

import importlib.util
import logging
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np

from sightline.captures.procedural import RoomsOptions, build_room, render
from sightline.captures.procedural.walk import walk
from sightline.captures.scannet.frames import read_recording
from sightline.captures.scannet.options import ScanNetOptions
from sightline.captures.scannet.sens import SensFile
from sightline.geometry.cameras import Intrinsics

from timing import interleaved, ratio, row

ROUNDS = 9
NUM_FRAMES = 24
NUM_VIEWS = 8
COLOUR = Intrinsics(fx=1170.2, fy=1170.2, cx=647.7, cy=483.7, width=1296, height=968)
DEPTH = Intrinsics(fx=577.9, fy=577.9, cx=319.5, cy=239.5, width=640, height=480)
DEPTH_NOISE_PX = 6  # neighbours agree over about this many pixels
BYTES_COLOUR = 190_000  # what a JPEG of these recordings usually takes
MEMORY_FRAMES = (50, 400)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], *, cell_px: int, channels: int) -> np.ndarray:
    """Noise of about unit size that is alike over `cell_px` pixels, as sensors filter it."""
    coarse = rng.normal(size=(size[1] // cell_px, size[0] // cell_px, channels)).astype(np.float32)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def structured_light(room, pose: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Depth as such a sensor stores it, millimetres: filtered noise, steps that grow with the square of the distance, holes."""
    depth_m = np.nan_to_num(render(room, DEPTH, pose).depth_m, nan=0.0)
    noise = smooth_noise(rng, (DEPTH.width, DEPTH.height), cell_px=DEPTH_NOISE_PX, channels=1)
    step_m = np.maximum(0.001, 0.00285 * depth_m**2)  # of structured light: Khoshelham and Elberink 2012
    stepped = np.rint(np.rint((depth_m + 0.0015 * depth_m**2 * noise) / step_m) * step_m * 1000.0)
    hole = cv2.resize(rng.uniform(size=(60, 80)).astype(np.float32), (DEPTH.width, DEPTH.height)) > 0.9
    stepped[hole | (depth_m <= 0)] = 0
    return np.clip(stepped, 0, 65534).astype(np.uint16)


def one_frame(room, pose: np.ndarray, rng: np.random.Generator) -> tuple[bytes, bytes]:
    """A rendered view with sensor noise: JPEG bytes of the usual size, deflated depth with holes and steps that grow with distance."""
    rgb = render(room, COLOUR, pose).rgb.astype(np.float32)
    grain = smooth_noise(rng, (COLOUR.width, COLOUR.height), cell_px=2, channels=3)
    picture = np.clip(rgb + 9.0 * grain + rng.normal(scale=3.0, size=rgb.shape), 0, 255).astype(np.uint8)
    best = b""
    for quality in range(60, 96, 5):
        _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        best = encoded.tobytes() if len(encoded) <= BYTES_COLOUR or not best else best
    return best, zlib.compress(structured_light(room, pose, rng).astype("<u2").tobytes())


def write_sens(path: Path, frames: list[tuple[bytes, bytes, np.ndarray]], *, count: int) -> None:
    """A version 4 recording of `count` frames that go round through `frames`."""
    with path.open("wb") as stream:
        stream.write(struct.pack("<IQ", 4, 15) + b"StructureSensor")
        for camera in (COLOUR, DEPTH):
            K = np.eye(4, dtype="<f4")
            K[:3, :3] = camera.K
            stream.write(K.tobytes() + np.eye(4, dtype="<f4").tobytes())
        stream.write(struct.pack("<iiIIIIfQ", 2, 1, COLOUR.width, COLOUR.height, DEPTH.width, DEPTH.height, 1000.0, count))
        for index in range(count):
            colour, depth, pose = frames[index % len(frames)]
            stream.write(pose.astype("<f4").tobytes() + struct.pack("<4Q", index * 33_333, index * 33_333, len(colour), len(depth)))
            stream.write(colour + depth)
        stream.write(struct.pack("<Q", 0))


def ours(path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder:
        read_recording(path, ScanNetOptions(), workspace=Path(folder))


def neighbours_way(path: Path) -> None:
    """As the exporter that most projects carry does it: bytes unpacked one by one, every image decoded, and written again with imageio."""
    import imageio.v2 as iio

    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder, SensFile(path) as sens:
        for index in range(len(sens)):
            colour, deflated = (b"".join(struct.unpack(f"{len(part)}c", part)) for part in (sens.colour(index), sens.depth_bytes(index)))
            iio.imwrite(f"{folder}/{index}.jpg", iio.imread(colour))
            iio.imwrite(f"{folder}/{index}.png", np.frombuffer(zlib.decompress(deflated), dtype="<u2").reshape(DEPTH.height, DEPTH.width))
            np.savetxt(f"{folder}/{index}.txt", sens.pose(index), fmt="%f")


def plain_opencv(path: Path) -> None:
    """The same with the fastest codecs at hand."""
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder, SensFile(path) as sens:
        for index in range(len(sens)):
            cv2.imwrite(f"{folder}/{index}.jpg", cv2.imdecode(np.frombuffer(sens.colour(index), np.uint8), cv2.IMREAD_COLOR))
            cv2.imwrite(f"{folder}/{index}.png", sens.depth(index))
            np.savetxt(f"{folder}/{index}.txt", sens.pose(index), fmt="%f")


def same_bytes(path: Path) -> bool:
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder, SensFile(path) as sens:
        frames = read_recording(path, ScanNetOptions(), workspace=Path(folder)).frames
        return all(frame.rgb_path.read_bytes() == sens.colour(index) for index, frame in enumerate(frames))


def peak_mb(path: Path) -> float:
    """Peak resident memory of a process of its own that takes the recording in."""
    code = (
        "import sys, tempfile; from pathlib import Path\n"
        "from sightline.captures.scannet.frames import read_recording; from sightline.captures.scannet.options import ScanNetOptions\n"
        "with tempfile.TemporaryDirectory() as folder: read_recording(Path(sys.argv[1]), ScanNetOptions(), workspace=Path(folder))\n"
        "sys.stdout.write([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1])"
    )
    return float(subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True).stdout) / 1024.0


def bench_sens(folder: Path) -> None:
    room = build_room(5, RoomsOptions(antialias=False))
    rng = np.random.default_rng(0)
    poses = walk(room, rng, num_frames=NUM_VIEWS)
    frames = [(*one_frame(room, pose, rng), pose) for pose in poses]
    path = folder / "bench.sens"
    write_sens(path, frames, count=NUM_FRAMES)
    kilobytes = [np.mean([len(frame[part]) for frame in frames]) / 1000 for part in (0, 1)]
    maps = [np.frombuffer(zlib.decompress(depth), dtype="<u2").reshape(DEPTH.height, DEPTH.width) for _, depth, _ in frames]
    png_kb = np.mean([len(cv2.imencode(".png", one)[1]) for one in maps]) / 1000
    say(f".sens of {NUM_FRAMES} frames: JPEG {kilobytes[0]:.0f} kB, depth {kilobytes[1]:.0f} kB (as PNG {png_kb:.0f} kB)")
    say(f"JPEG bytes unchanged: {same_bytes(path)}")
    cases = {
        ".sens: JPEG bytes to files, depth to a pack": ours,
        ".sens: decode and write again, imageio": neighbours_way,
        ".sens: decode and write again, OpenCV": plain_opencv,
    }
    if importlib.util.find_spec("imageio") is None:
        say("imageio is not installed (pip install imageio), so the neighbour's own way is left out")
        del cases[".sens: decode and write again, imageio"]
    times = interleaved({name: (lambda f=function: f(path), NUM_FRAMES) for name, function in cases.items()}, rounds=ROUNDS)
    fast, *slow = times.values()
    for timed in times.values():
        say(row(timed, "frame"))
    for timed in slow:
        say(ratio(timed, fast))
    for count in MEMORY_FRAMES:
        write_sens(path, frames, count=count)
        say(f"peak memory, {count} frames: {peak_mb(path):.1f} MB")


def main() -> None:
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder:
        bench_sens(Path(folder))


if __name__ == "__main__":
    main()
