"""The other readings of a capture's files: which fits its depth best, and the words and options that lead there."""

from dataclasses import replace
from itertools import product

import numpy as np

from sightline.captures.capture import Capture
from sightline.captures.options import mend
from sightline.captures.poses import Convention, convention_of_notes
from sightline.errors import CaptureError
from sightline.scenes.depth_maps import DepthMaps
from sightline.scenes.reprojection import FINE_POINTS, MIDDLE_POINTS, Hypothesis, Pair, Reprojector, Score, following_pairs

MIN_AGREEMENT = 0.8  # right conventions reach 0.95 to 1 on recorded and rendered scans, wrong ones stay below 0.7
CLEARLY_BETTER = 0.1  # in share of overlapping readings: another reading of the files must win by this to be believed
CONVINCING = 0.6  # and fit this well itself
SATISFYING = 0.85  # below it, two mistakes at once are looked for
GOOD = 0.93  # as given; below it, camera matrices of other image sizes and poses out of step are tried
MIN_PAIRS, MIN_READINGS = 3, 500  # fewer say nothing
MIN_COVERAGE = 0.02
UNIT_SHOWS = 0.05  # in share of overlapping readings
PLAUSIBLE_M = (0.1, 30.0)  # median depth of anything indoors, from a table top to a hall
FACTORS = (0.001, 0.01, 0.1, 0.2, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 4.0, 5.0, 10.0, 100.0, 1000.0)
REFINED = np.exp(np.linspace(np.log(0.75), np.log(1.35), 31))
IMAGE_FACTORS = (0.5, 0.6, 0.67, 0.75, 0.8, 0.85, 0.9, 0.95, 1.05, 1.11, 1.18, 1.25, 1.33, 1.5, 1.67, 2.0)
LAGS = (-3, -2, -1, 1, 2, 3)
IMAGE_REFINED = np.linspace(0.95, 1.05, 11)
KNOWN_UNITS_M = (1.0, 0.1, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.00025, 0.0002, 0.0001, 1.0 / 256.0)
SAME_UNIT = 0.06  # a factor this close to a known unit is that unit
KNOWN_WIDTHS = (256, 320, 424, 480, 512, 640, 720, 848, 960, 1024, 1080, 1280, 1296, 1440, 1920, 2048, 3840, 4032)
SAME_WIDTH = 0.02
MIN_OVERLAP_SHARE = 0.2  # of the best overlap: a factor under which hardly anything meets is no candidate


class Hypotheses:
    """Readings of one capture and their scores on one common set of pairs."""

    def __init__(self, capture: Capture, depths: DepthMaps, poses: np.ndarray):
        self.capture = capture
        self.depths = depths
        self.convention = convention_of_notes(capture.notes)
        self.given = Hypothesis(pose_direction=self.convention.pose_direction, camera_axes=self.convention.camera_axes)
        self.stored = self.convention.stored(poses)
        self.reprojector = Reprojector(capture, depths)
        self.pairs = self._pairs()
        self.coarse = self.score(self.given)

    def verdict(self) -> Score:
        """The score of the capture as given, at full resolution. Raises CaptureError where another reading fits clearly better, or none."""
        given = self.reprojector.score(self.poses(self.given), self.pairs, hypothesis=self.given, points=FINE_POINTS, is_metric=True)
        rivals = {way: self.score(way) for way in self._rivals()}
        best = self._best(rivals)
        fits = self.is_plausible(1.0) and given.agreement >= MIN_AGREEMENT and given.overlapping >= MIN_READINGS
        if fits and not self._beats(rivals[best]):
            return given
        if rivals[best].share < SATISFYING or not self.is_plausible(best.depth_factor):
            for way in self.ways()[1:]:
                rivals |= {rival: self.score(rival) for rival in _with_factors(way)}
            best = self._best(rivals)
        if rivals[best].share >= CONVINCING and self._beats(rivals[best]):
            raise CaptureError(f"{self.capture.scan_id}: {self._advice(best)}")
        if not self.is_plausible(1.0):
            raise CaptureError(f"{self.capture.scan_id}: {self._unit_advice()}")
        raise CaptureError(
            f"{self.capture.scan_id}: expected depth of overlapping frames to agree ({MIN_AGREEMENT} or more), found agreement "
            f"{given.agreement:.2f} as given and at best {rivals[best].agreement:.2f} under any other pose direction, camera axes or depth "
            "unit. Look at whether poses, colour and depth belong to the same frames, depth is registered to colour, and the intrinsics fit"
        )

    def tells_depth_unit(self) -> bool:
        """Whether half and double the depth would fit visibly worse: not where the camera only turns."""
        factors = (replace(self.given, depth_factor=factor) for factor in (0.5, 2.0))
        return all(self.score(rival).share < self.coarse.share - UNIT_SHOWS for rival in factors)

    def poses(self, hypothesis: Hypothesis) -> np.ndarray:
        other: Convention = replace(self.convention, pose_direction=hypothesis.pose_direction, camera_axes=hypothesis.camera_axes)
        return np.roll(other.world_from_camera(self.stored), -hypothesis.lag, axis=0)

    def ways(self) -> list[Hypothesis]:
        """The four ways to read the pose files, the given one first."""
        pairs = product(("world_from_camera", "camera_from_world"), ("opencv", "opengl"))
        every = [Hypothesis(pose_direction=direction, camera_axes=axes) for direction, axes in pairs]
        return [self.given] + [way for way in every if way != self.given]

    def score(self, hypothesis: Hypothesis) -> Score:
        """At middle resolution, with the relative tolerance alone."""
        return self.reprojector.score(self.poses(hypothesis), self.pairs, hypothesis=hypothesis, points=MIDDLE_POINTS, is_metric=False)

    def is_plausible(self, factor: float) -> bool:
        return PLAUSIBLE_M[0] <= self.depths.coverage().median_m * factor <= PLAUSIBLE_M[1]

    def _pairs(self) -> list[Pair]:
        """Frames that follow each other; for pictures in no order, those that overlap under any reading of the poses."""
        pairs = following_pairs(self.poses(self.given), self.capture.frames[0].depth_intrinsics)
        if len(pairs) < MIN_PAIRS or self._readings(pairs) < MIN_READINGS:
            for way in self.ways():
                pairs += self.reprojector.overlapping_pairs(self.poses(way))
        coverage = self.depths.coverage()
        if pairs and coverage.share < MIN_COVERAGE:
            raise CaptureError(
                f"{self.capture.scan_id}: expected depth readings, found {coverage.share:.1%} of the pixels with one; "
                "stored 0 and 65535 count as none"
            )
        if len(pairs) < MIN_PAIRS:
            raise CaptureError(
                f"{self.capture.scan_id}: expected at least {MIN_PAIRS} pairs of frames that are apart (10 degrees or 20 cm) and overlap, "
                f"found {len(pairs)}: the conventions cannot be checked. Fix: import more of the recording, or --no-verify to trust it"
            )
        return pairs

    def _readings(self, pairs: list[Pair]) -> int:
        """Overlapping readings under whichever reading of the poses has the most."""
        scores = (
            self.reprojector.score(self.poses(way), pairs, hypothesis=way, points=MIDDLE_POINTS, is_metric=False) for way in self.ways()
        )
        return max(score.overlapping for score in scores)

    def _rivals(self) -> list[Hypothesis]:
        """Everything that is wrong in one respect."""
        rivals = [*self.ways()[1:], replace(self.given, is_range=True), *_with_factors(self.given)]
        if self.coarse.share < GOOD:
            rivals += [replace(self.given, image_factor=factor) for factor in IMAGE_FACTORS]
            rivals += [replace(self.given, lag=lag) for lag in LAGS]
        return rivals

    def _best(self, scores: dict[Hypothesis, Score]) -> Hypothesis:
        floor = MIN_OVERLAP_SHARE * max(score.overlap for score in scores.values())
        return max((rival for rival, score in scores.items() if score.overlap >= floor), key=lambda rival: scores[rival].share)

    def _beats(self, score: Score) -> bool:
        return score.share > self.coarse.share + CLEARLY_BETTER and score.overlap > MIN_OVERLAP_SHARE * self.coarse.overlap

    def _advice(self, best: Hypothesis) -> str:
        """What looks wrong, the two agreements, and the options that mend it."""
        best = self._refined(best)
        score = self.score(best)
        told = f"agreement {self.coarse.agreement:.2f} as given, {score.agreement:.2f}"
        if best.is_range:
            return (
                f"depth images look like lengths along the ray instead of z along the optical axis: {told} as ray lengths. "
                "Fix: divide each reading by sqrt(1 + ((u-cx)/fx)^2 + ((v-cy)/fy)^2) before the import"
            )
        if best.lag:
            late = f"{abs(best.lag)} frame{'s' if abs(best.lag) > 1 else ''} {'late' if best.lag > 0 else 'early'}"
            return f"poses look out of step with the images, {late}: {told} without that. Fix: drop or add lines at the start of the poses"
        if best.image_factor != 1.0:
            return self._image_advice(best.image_factor, told)
        wrong: list[str] = []
        options: dict[str, object] = {}
        if best.pose_direction != self.given.pose_direction:
            wrong.append("poses look inverted")
            options["pose_direction"] = best.pose_direction
        if best.camera_axes != self.given.camera_axes:
            wrong.append(f"camera axes look like {'OpenGL' if best.camera_axes == 'opengl' else 'OpenCV'}")
            options["camera_axes"] = best.camera_axes
        if best.depth_factor != 1.0:
            median_m = self.depths.coverage().median_m
            if self.is_plausible(best.depth_factor) or not self.is_plausible(1.0):
                wrong.append(f"depth looks {_times(best.depth_factor)} (median {median_m:.3g} m as given)")
                options["depth_unit_m"] = _known_unit(self.capture.frames[0].depth_scale_m * best.depth_factor)
            else:
                wrong.append(f"pose translations look {_times(1.0 / best.depth_factor)}")
                options["pose_unit_m"] = _known_unit(float(self.capture.notes.get("pose_unit_m", 1.0)) / best.depth_factor)
        names = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in options.values())
        return f"{' and '.join(wrong)}: {told} as {names}. {mend(self.capture.source, **options)}"

    def _refined(self, best: Hypothesis) -> Hypothesis:
        """The depth or image factor to about a percent: the middle of those that fit about equally well."""
        key, steps = ("depth_factor", REFINED) if best.depth_factor != 1.0 else ("image_factor", IMAGE_REFINED)
        centre = getattr(best, key)
        if centre == 1.0:
            return best
        shares = {value: self.score(replace(best, **{key: value})).share for value in (float(centre * step) for step in steps)}
        near = [value for value, share in shares.items() if share >= max(shares.values()) - 0.01]
        return replace(best, **{key: float(np.exp(np.mean(np.log(near))))})

    def _image_advice(self, image_factor: float, told: str) -> str:
        frame = self.capture.frames[0]
        color, depth = frame.intrinsics, frame.depth_intrinsics
        if color.resized(width=depth.width, height=depth.height) != depth:
            wide = _known_width(depth.width * image_factor)
            return f"depth intrinsics look like those of images about {wide} wide instead of {depth.width}: {told} so. Fix: mend them"
        stated_width, stated_height = self.capture.notes.get("image_size", (color.width, color.height))
        width = _known_width(stated_width * image_factor)
        size = (width, int(round(stated_height * width / stated_width)))
        instead = f"{size[0]}x{size[1]} instead of {stated_width}x{stated_height}"
        return f"intrinsics look like those of images of {instead}: {told} so. {mend(self.capture.source, image_size=size)}"

    def _unit_advice(self) -> str:
        """For scans without enough motion to measure the unit: the known unit that makes the depth that of a room."""
        median_m = self.depths.coverage().median_m
        given_m = self.capture.frames[0].depth_scale_m
        candidates = [unit for unit in (0.001, 1.0, 0.01, 0.0001) if 0.3 <= median_m / given_m * unit <= 15.0]
        advice = mend(self.capture.source, depth_unit_m=candidates[0]) if candidates else "Fix: --depth-unit-m METRES"
        return (
            f"expected a median depth of {PLAUSIBLE_M[0]:g} to {PLAUSIBLE_M[1]:g} m, found {median_m:.3g} m "
            f"with a depth unit of {given_m:g} m. {advice}"
        )


def _with_factors(way: Hypothesis) -> list[Hypothesis]:
    return [replace(way, depth_factor=factor) for factor in FACTORS]


def _known_unit(unit_m: float) -> float:
    known = min(KNOWN_UNITS_M, key=lambda value: abs(np.log(value / unit_m)))
    return known if abs(np.log(known / unit_m)) < SAME_UNIT else float(f"{unit_m:.2g}")


def _known_width(width: float) -> int:
    known = min(KNOWN_WIDTHS, key=lambda value: abs(value - width))
    return known if abs(known - width) < SAME_WIDTH * width else int(round(width))


def _times(factor: float) -> str:
    """`2 times too small` for a factor of 2."""
    return f"{factor:.3g} times too small" if factor > 1.0 else f"{1.0 / factor:.3g} times too large"
