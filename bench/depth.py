"""What reading a depth map costs: a depth pack beside 16-bit PNGs through OpenCV, size and CPU. `bench/depth.py [FOLDER OF PNGs]`."""

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from sens import structured_light
from sightline.captures.depth_packs import DepthPack, write_depth_pack
from sightline.captures.procedural import RoomsOptions, SensorOptions, build_room, render, walk
from sightline.captures.procedural.sensor import sensed_depth_m
from sightline.geometry.cameras import Intrinsics

from timing import interleaved, ratio, row

ROUNDS = 7
NUM_FRAMES = 60


def sensed_maps() -> list[np.ndarray]:
    """Depth of a furnished flat with noise in every pixel on its own, 640x480, millimetres: the hardest to compress."""
    room = build_room(5, RoomsOptions(antialias=False, shadows=False))
    camera = Intrinsics.from_field_of_view(horizontal_deg=70.0, width=640, height=480)
    maps = []
    for index, pose in enumerate(walk(room, np.random.default_rng(0), num_frames=NUM_FRAMES)):
        sensed_m = sensed_depth_m(render(room, camera, pose), camera, pose, SensorOptions(enabled=True), np.random.default_rng(index))
        maps.append(np.rint(np.nan_to_num(sensed_m, nan=0.0) * 1000.0).astype(np.uint16))
    return maps


def structured_light_maps() -> list[np.ndarray]:
    """The same flat as a structured-light sensor stores it."""
    room, rng = build_room(5, RoomsOptions(antialias=False, shadows=False)), np.random.default_rng(0)
    return [structured_light(room, pose, rng) for pose in walk(room, np.random.default_rng(0), num_frames=NUM_FRAMES)]


def read_png(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def one_by_one(read, places) -> None:
    """As an import or a training reads: each map is let go before the next."""
    for place in places:
        read(place)


def bench_depth(name: str, maps: list[np.ndarray], say) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for index, stored in enumerate(maps):
            cv2.imwrite(str(folder / f"{index:04d}.png"), stored)
        pngs = sorted(folder.glob("*.png"))
        write_depth_pack(folder / "depth.depthpack", maps)
        pack = DepthPack(folder / "depth.depthpack")
        assert all(np.array_equal(pack.read(index), stored) for index, stored in enumerate(maps))
        timed = interleaved(
            {
                f"{name}: 16-bit PNG through OpenCV": (
                    lambda: one_by_one(read_png, pngs),
                    len(maps),
                ),
                f"{name}: depth pack, checksum verified": (lambda: one_by_one(pack.read, range(len(pack))), len(maps)),
                f"{name}: writing into a depth pack": (lambda: write_depth_pack(folder / "again.depthpack", maps), len(maps)),
            },
            rounds=ROUNDS,
        )
        png, packed, _ = timed.values()
        for one in timed.values():
            say(row(one, "map"))
        say(ratio(png, packed))
        sizes = (folder / "depth.depthpack").stat().st_size / sum(path.stat().st_size for path in pngs)
        say(f"{name}: the pack takes {sizes:.2f} of the PNGs' bytes ({len(maps)} maps of {maps[0].shape[1]}x{maps[0].shape[0]})")


def main() -> None:
    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    bench_depth("structured light", structured_light_maps(), say)
    bench_depth("noise of every millimetre", sensed_maps(), say)
    if len(sys.argv) > 1:
        paths = sorted(Path(sys.argv[1]).glob("*.png"))
        bench_depth("recorded", [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths], say)


if __name__ == "__main__":
    main()
