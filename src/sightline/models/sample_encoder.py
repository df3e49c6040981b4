"""Samples of a scene store as encoded model inputs; what many samples share of a frame is computed once."""

from pathlib import Path

import numpy as np

from sightline.models.processor import Encoded, SpatialVLProcessor
from sightline.questions.question import MARK_COLOURS
from sightline.samples.frames import View, load_views, shared_cache
from sightline.samples.sample import Sample


class SampleEncoder:
    """Encodes samples one by one. World points are kept per frame: an average commutes with the change of coordinate frame."""

    def __init__(self, processor: SpatialVLProcessor, *, store: Path):
        self.processor = processor
        self.store = store
        self._points: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}

    def encode(self, sample: Sample, *, with_answer: bool) -> Encoded:
        """Raises DataError or ModelError naming the sample: a typed placeholder, too many tokens, a missing frame."""
        answer = sample.answer_text if with_answer else None
        if self.processor.is_blind:
            return self.processor.encode(sample.prompt, (), answer=answer, where=sample.sample_id)
        is_known = all((sample.scan_id, frame_id) in self._points for frame_id in sample.frame_ids)
        width, height = self.processor.image_width, self.processor.image_height
        views = load_views(sample, store=self.store, width=width, height=height, with_depth=not is_known)
        points = [self._points_of(sample.scan_id, view) for view in views]
        patches = [self.processor.view_patches(view) for view in views]
        first = views[0].world_from_camera
        dots = np.concatenate([self._dots(sample, view) for view in views])
        return self.processor.encode_parts(sample.prompt, patches, points, first, answer=answer, where=sample.sample_id, dots=dots)

    def _dots(self, sample: Sample, view: View) -> np.ndarray:
        """Which token of a view holds the centre of which dot, `(n,)`; see `Encoded.dots`."""
        rows, columns = self.processor.rows, self.processor.columns
        stored = shared_cache().frame(self.store, sample.scan_id, view.frame_id).intrinsics
        dots = np.zeros((rows, columns), np.int8)
        for mark in sample.marks:
            if mark.frame_id == view.frame_id:
                row, column = int((mark.v_px + 0.5) / stored.height * rows), int((mark.u_px + 0.5) / stored.width * columns)
                dots[min(row, rows - 1), min(column, columns - 1)] = 1 + tuple(MARK_COLOURS).index(mark.colour)
        return dots.reshape(-1)

    def _points_of(self, scan_id: str, view: View) -> tuple[np.ndarray, np.ndarray]:
        key = (scan_id, view.frame_id)
        if key not in self._points:
            self._points[key] = self.processor.view_points(view)
        return self._points[key]
