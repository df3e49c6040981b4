"""Samples of a scene store as encoded model inputs; what many samples share of a frame is computed once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sightline.geometry.cameras import Intrinsics
from sightline.models.encoded import Encoded, ShownView
from sightline.models.processor import SpatialVLProcessor
from sightline.models.processor_options import HOST
from sightline.questions.question import MARK_COLOURS, Mark
from sightline.samples.frames import View, load_framed, place_in, shared_cache
from sightline.samples.sample import Sample

Points = tuple[np.ndarray, np.ndarray]


class SampleEncoder:
    """Encodes samples one by one. World points are kept per frame: an average commutes with the change of coordinate frame."""

    def __init__(self, processor: SpatialVLProcessor, *, store: Path):
        self.processor = processor
        self.store = store
        self._points: dict[tuple[str, str], list[Points]] = {}

    def encode(self, sample: Sample, *, with_answer: bool) -> Encoded:
        """Raises DataError or ModelError naming the sample: a typed placeholder, too many tokens, a missing frame."""
        answer = sample.answer_text if with_answer else None
        if self.processor.is_blind:
            return self.processor.encode(sample.prompt, (), answer=answer, where=sample.sample_id)
        is_known = all((sample.scan_id, frame_id) in self._points for frame_id in sample.frame_ids)
        with_depth = self.processor.sends_cameras or (self.processor.geometry_on == HOST and not is_known)
        images = load_framed(sample, store=self.store, framings=self.processor.framings, with_depth=with_depth)
        shown = [self._shown(sample, views) for views in images]
        return self.processor.encode_shown(sample.prompt, shown, answer=answer, where=sample.sample_id)

    def _shown(self, sample: Sample, views: tuple[View, ...]) -> list[ShownView]:
        """The views of one image with their points and dots."""
        dots = self._dots(sample, views)
        if self.processor.geometry_on != HOST:
            return [self.processor.shown(view, dots=of_view) for view, of_view in zip(views, dots, strict=True)]
        key = (sample.scan_id, views[0].frame_id)
        if key not in self._points:
            self._points[key] = [self.processor.view_points(view) for view in views]
        return [
            self.processor.shown(view, points=points, dots=of_view)
            for view, points, of_view in zip(views, self._points[key], dots, strict=True)
        ]

    def _dots(self, sample: Sample, views: tuple[View, ...]) -> list[np.ndarray]:
        stored = shared_cache().frame(self.store, sample.scan_id, views[0].frame_id).intrinsics
        marks = [mark for mark in sample.marks if mark.frame_id == views[0].frame_id]
        return token_dots(self.processor, views, marks, width=stored.width, height=stored.height)


def token_dots(processor: SpatialVLProcessor, views: Sequence[View], marks: Sequence[Mark], *, width: int, height: int) -> list[np.ndarray]:
    """Which token of each view of an image of that stored size holds the centre of which dot, `(n,)`; see `Encoded.dots`."""
    stored = Intrinsics(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=width, height=height)  # of a camera, the size alone counts here
    places = [(framing, window) for framing in processor.framings(width, height) for window in framing.windows]
    found = []
    for view, (framing, window) in zip(views, places, strict=True):
        rows, columns = processor.grid_of(view)
        dots = np.zeros((rows, columns), np.int8)
        for mark in marks:
            across, down = place_in(mark, framing, window, stored=stored)
            if 0 <= across <= 1 and 0 <= down <= 1:
                row, column = min(int(down * rows), rows - 1), min(int(across * columns), columns - 1)
                dots[row, column] = 1 + tuple(MARK_COLOURS).index(mark.colour)
        found.append(dots.reshape(-1))
    return found
