"""Frames as an mp4 file, one a second, for trainers that read walks as videos."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from sightline.errors import MissingExtraError
from sightline.files import replacing

FRAMES_PER_S = 1  # loaders that sample one frame a second or more then see every frame
QUALITY = 18  # of H.264's constant rate factor: differences that an eye does not see


def write_video(path: Path, frames: Iterable[np.ndarray]) -> None:
    """Write frames `(H, W, 3)` uint8 of one size as H.264, atomically; equal frames give equal bytes.

    The format wants even sides: an odd one gets its last row or column twice. Raises MissingExtraError without PyAV.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise MissingExtraError("av", "video") from error
    with replacing(path) as beside, av.open(str(beside), "w", format="mp4", options={"fflags": "bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_S, options={"crf": str(QUALITY), "threads": "1"})
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FRAMES_PER_S)
        for index, rgb in enumerate(frames):
            rgb = np.pad(rgb, ((0, rgb.shape[0] % 2), (0, rgb.shape[1] % 2), (0, 0)), mode="edge")
            if index == 0:
                stream.height, stream.width = rgb.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame.pts, frame.time_base = index, stream.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
