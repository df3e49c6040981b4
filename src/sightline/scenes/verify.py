"""Checks a capture's conventions against its own depth, and refuses a wrong one with the option that mends it."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np

from sightline.captures.capture import Capture
from sightline.captures.gravity import Up, angle_deg, measure_up, nearest_axis, normals_camera
from sightline.captures.options import fix
from sightline.captures.poses import Convention, convention_of_notes
from sightline.errors import CaptureError
from sightline.scenes.depth_maps import DepthMaps
from sightline.scenes.reprojection import (
    FINE_POINTS,
    MIDDLE_POINTS,
    Hypothesis,
    Pair,
    Reprojector,
    Score,
    following_pairs,
)
from sightline.scenes.scene import Verification

MIN_AGREEMENT = 0.8  # right conventions reach 0.95 to 1 on recorded and rendered scans, wrong ones stay below 0.7
CLEARLY_BETTER = 0.1  # in share of overlapping readings: another reading of the files must win by this to be believed
CONVINCING = 0.6  # and fit this well itself
SATISFYING = 0.85  # below it, two mistakes at once are looked for
UNIT_SHOWS = 0.05  # in share of overlapping readings
MIN_PAIRS, MIN_READINGS = 3, 500  # fewer say nothing
MIN_COVERAGE = 0.02
PLAUSIBLE_M = (0.1, 30.0)  # median depth of anything indoors, from a table top to a hall
FACTORS = (0.001, 0.01, 0.1, 0.2, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 4.0, 5.0, 10.0, 100.0, 1000.0)
REFINED = np.exp(np.linspace(np.log(0.75), np.log(1.35), 31))
KNOWN_UNITS_M = (1.0, 0.1, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.00025, 0.0002, 0.0001, 1.0 / 256.0)
SAME_UNIT = 0.06  # a factor this close to a known unit is that unit
MIN_OVERLAP_SHARE = 0.2  # of the best overlap: a factor under which hardly anything meets is no candidate
WRONG_UP_DEG = 45.0  # from the way the cameras are held alone
TILTED_DEG = 10.0  # with a floor: beyond the tilt of any tracker, and "above" and "level" would be wrong
MIN_STEADINESS = 0.6  # cameras held less steadily than this do not tell up
UP_FRAMES = 24


def verify_capture(capture: Capture, *, depths: DepthMaps | None = None) -> Verification:
    """What reprojecting depth between well separated overlapping frames says.

    Raises CaptureError, naming the option that mends it, for inverted poses, OpenGL axes read as OpenCV, a wrong depth or pose
    unit, ray lengths read as depth, a wrong up axis, and frames that fit together in no way that was tried.
    """
    depths = depths or DepthMaps(capture)
    poses = np.stack([frame.world_from_camera for frame in capture.frames])
    check = _Check(capture, depths, poses)
    pairs = check.pairs
    given = check.reprojector.score(poses, pairs, hypothesis=check.given, points=FINE_POINTS, is_metric=True)
    check.refuse_wrong_convention(given)
    up = _up(capture, depths, poses)
    _refuse_wrong_up(capture, up, check.convention)
    coverage = depths.coverage()
    return Verification(
        pairs_checked=len(pairs),
        agreement=given.agreement,
        residual_m=given.residual_m,
        depth_coverage=coverage.share,
        gravity_tilt_deg=angle_deg(up.up_world, np.array([0.0, 0.0, 1.0])) if up.has_floor else float("nan"),
        frames_used=len(capture.frames),
        frames_skipped=dict(sorted(Counter(skipped.reason for skipped in capture.skipped).items())),
        depth_unit_checked=check.tells_depth_unit(),
    )


class _Check:
    """The hypotheses about one capture and their scores on one common set of pairs."""

    def __init__(self, capture: Capture, depths: DepthMaps, poses: np.ndarray):
        self.capture = capture
        self.depths = depths
        self.convention = convention_of_notes(capture.notes)
        self.given = Hypothesis(pose_direction=self.convention.pose_direction, camera_axes=self.convention.camera_axes)
        self.stored = self.convention.stored(poses)
        self.reprojector = Reprojector(capture, depths)
        self.pairs = self._pairs()

    def poses(self, hypothesis: Hypothesis) -> np.ndarray:
        other: Convention = replace(self.convention, pose_direction=hypothesis.pose_direction, camera_axes=hypothesis.camera_axes)
        return other.world_from_camera(self.stored)

    def readings_of_the_poses(self) -> list[Hypothesis]:
        """The four ways to read the pose files, the given one first."""
        ways = product(("world_from_camera", "camera_from_world"), ("opencv", "opengl"))
        all_ways = [Hypothesis(pose_direction=direction, camera_axes=axes) for direction, axes in ways]
        return [self.given] + [way for way in all_ways if way != self.given]

    def score(self, hypothesis: Hypothesis) -> Score:
        return self.reprojector.score(self.poses(hypothesis), self.pairs, hypothesis=hypothesis, points=MIDDLE_POINTS, is_metric=False)

    def _pairs(self) -> list[Pair]:
        """Frames that follow each other; for pictures in no order, those that overlap under any reading of the poses."""
        pairs = following_pairs(self.poses(self.given), self.capture.frames[0].depth_intrinsics)
        if len(pairs) < MIN_PAIRS or self._readings(pairs) < MIN_READINGS:
            for way in self.readings_of_the_poses():
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
            self.reprojector.score(self.poses(way), pairs, hypothesis=way, points=MIDDLE_POINTS, is_metric=False)
            for way in self.readings_of_the_poses()
        )
        return max(score.overlapping for score in scores)

    def refuse_wrong_convention(self, given: Score) -> None:
        """Raise CaptureError where another reading of the files fits clearly better, or where none fits."""
        coarse = self.score(self.given)
        rivals = {way: self.score(way) for way in self.readings_of_the_poses()[1:]}
        rivals[replace(self.given, is_range=True)] = self.score(replace(self.given, is_range=True))
        rivals.update(self._factors(self.given))
        best, score = self._best(rivals)
        fits = self._is_plausible(1.0) and given.agreement >= MIN_AGREEMENT and given.overlapping >= MIN_READINGS
        if fits and not (score.share > coarse.share + CLEARLY_BETTER and score.overlap > MIN_OVERLAP_SHARE * coarse.overlap):
            return
        if score.share < SATISFYING or not self._is_plausible(best.depth_factor):
            for way in self.readings_of_the_poses()[1:]:
                rivals.update(self._factors(way))
            best, score = self._best(rivals)
        if score.share >= CONVINCING and score.share > coarse.share + CLEARLY_BETTER:
            raise CaptureError(self._advice(best, as_given=coarse))
        if not self._is_plausible(1.0):
            raise CaptureError(self._unit_advice())
        raise CaptureError(
            f"{self.capture.scan_id}: expected depth of overlapping frames to agree ({MIN_AGREEMENT} or more), found agreement "
            f"{given.agreement:.2f} as given and at best {score.agreement:.2f} under any other pose direction, camera axes or depth unit. "
            "Look at whether poses, colour and depth belong to the same frames, depth is registered to colour, and the intrinsics fit"
        )

    def tells_depth_unit(self) -> bool:
        """Whether half and double the depth would fit visibly worse."""
        share = self.score(self.given).share
        return all(self.score(replace(self.given, depth_factor=factor)).share < share - UNIT_SHOWS for factor in (0.5, 2.0))

    def _factors(self, way: Hypothesis) -> dict[Hypothesis, Score]:
        hypotheses = [replace(way, depth_factor=factor) for factor in FACTORS if factor != 1.0]
        return {hypothesis: self.score(hypothesis) for hypothesis in hypotheses}

    @staticmethod
    def _best(scores: dict[Hypothesis, Score]) -> tuple[Hypothesis, Score]:
        floor = MIN_OVERLAP_SHARE * max(score.overlap for score in scores.values())
        return max(((h, s) for h, s in scores.items() if s.overlap >= floor), key=lambda pair: pair[1].share)

    def _is_plausible(self, factor: float) -> bool:
        return PLAUSIBLE_M[0] <= self.depths.coverage().median_m * factor <= PLAUSIBLE_M[1]

    def _advice(self, best: Hypothesis, *, as_given: Score) -> str:
        """What looks wrong, the two agreements, and the options that mend it."""
        if best.depth_factor != 1.0:
            best = self._refined(best)
        score = self.score(best)
        wrong: list[str] = []
        options: dict[str, object] = {}
        if best.pose_direction != self.given.pose_direction:
            wrong.append("poses look inverted")
            options["pose_direction"] = best.pose_direction
        if best.camera_axes != self.given.camera_axes:
            wrong.append(f"camera axes look like {'OpenGL' if best.camera_axes == 'opengl' else 'OpenCV'}")
            options["camera_axes"] = best.camera_axes
        if best.depth_factor != 1.0:
            key, value, words = self._unit_of(best.depth_factor)
            wrong.append(words)
            options[key] = value
        names = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in options.values())
        if best.is_range:
            return (
                f"{self.capture.scan_id}: depth images look like lengths along the ray instead of z along the optical axis: agreement "
                f"{as_given.agreement:.2f} as given, {score.agreement:.2f} as ray lengths. Fix: divide each reading by "
                "sqrt(1 + ((u-cx)/fx)^2 + ((v-cy)/fy)^2) before the import"
            )
        told = f"agreement {as_given.agreement:.2f} as given, {score.agreement:.2f} as {names}"
        return f"{self.capture.scan_id}: {' and '.join(wrong)}: {told}. {fix(**options)}"

    def _refined(self, best: Hypothesis) -> Hypothesis:
        """The depth factor to about a percent."""
        finer = {replace(best, depth_factor=float(best.depth_factor * step)): 0.0 for step in REFINED}
        shares = {hypothesis: self.score(hypothesis).share for hypothesis in finer}
        top = max(shares.values())
        near = [hypothesis.depth_factor for hypothesis, share in shares.items() if share >= top - 0.01]
        return replace(best, depth_factor=float(np.exp(np.mean(np.log(near)))))

    def _unit_of(self, factor: float) -> tuple[str, float, str]:
        """Option, value and words for depth that is wrong by `factor`; the pose unit where depth is plausible as it is."""
        given_m = self.capture.frames[0].depth_scale_m
        wanted_m = _known_unit(given_m * factor)
        median_m = self.depths.coverage().median_m
        if self._is_plausible(factor) or not self._is_plausible(1.0):
            words = f"depth looks {_times(factor)} (median {median_m:.3g} m as given)"
            return "depth_unit_m", wanted_m, words
        pose_unit_m = _known_unit(float(self.capture.notes.get("pose_unit_m", 1.0)) / factor)
        return "pose_unit_m", pose_unit_m, f"pose translations look {_times(1.0 / factor)}"

    def _unit_advice(self) -> str:
        """For scans without enough motion to measure the unit: the known unit that makes the depth that of a room."""
        median_m = self.depths.coverage().median_m
        given_m = self.capture.frames[0].depth_scale_m
        candidates = [unit for unit in (0.001, 1.0, 0.01, 0.0001) if 0.3 <= median_m / given_m * unit <= 15.0]
        advice = fix(depth_unit_m=candidates[0]) if candidates else "Fix: --depth-unit-m METRES"
        return (
            f"{self.capture.scan_id}: expected a median depth of {PLAUSIBLE_M[0]:g} to {PLAUSIBLE_M[1]:g} m, found {median_m:.3g} m "
            f"with a depth unit of {given_m:g} m. {advice}"
        )


def _known_unit(unit_m: float) -> float:
    known = min(KNOWN_UNITS_M, key=lambda value: abs(np.log(value / unit_m)))
    return known if abs(np.log(known / unit_m)) < SAME_UNIT else float(f"{unit_m:.2g}")


def _times(factor: float) -> str:
    """`2 times too small` for a factor of 2."""
    return f"{factor:.3g} times too small" if factor > 1.0 else f"{1.0 / factor:.3g} times too large"


def _up(capture: Capture, depths: DepthMaps, poses: np.ndarray) -> Up:
    chosen = np.unique(np.linspace(0, len(poses) - 1, min(UP_FRAMES, len(poses))).astype(int))
    areas = [normals_camera(depths[index], capture.frames[index].depth_intrinsics) for index in chosen]
    return measure_up(poses, areas, list(chosen))


def _refuse_wrong_up(capture: Capture, up: Up, convention: Convention) -> None:
    z = np.array([0.0, 0.0, 1.0])
    off_deg = angle_deg(up.up_world, z)
    if off_deg <= (TILTED_DEG if up.has_floor else WRONG_UP_DEG) or up.held < MIN_STEADINESS:
        return
    axis, axis_off_deg = nearest_axis(convention.world_from_stored[:3, :3].T @ up.up_world)
    looks, mended = (f"like {axis}", axis) if axis_off_deg <= TILTED_DEG else ("tilted against every axis", "auto")
    raise CaptureError(
        f"{capture.scan_id}: the world's up looks {looks} instead of {convention.up_axis}: the cameras and the floor show an up that is "
        f"{off_deg:.0f} degrees from it. {fix(up_axis=mended)}"
    )
