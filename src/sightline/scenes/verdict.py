"""What an import says of a scan, as plain values and as lines for people."""

from collections.abc import Mapping
from typing import Any

from sightline.captures.capture import Capture
from sightline.captures.poses import convention_of_notes
from sightline.scenes.scene import Scene, Verification
from sightline.scenes.store import verification_as_json


def verdict_of_scene(scene: Scene, *, status: str, seconds: float) -> dict[str, Any]:
    """The verdict of a scan that is in the store."""
    return verdict(scene, scene.notes, scene.verification, num_points=len(scene.points_world), status=status, seconds=seconds)


def verdict(
    scan: Capture | Scene, notes: Mapping[str, Any], verification: Verification | None, *, num_points: int, status: str, seconds: float
) -> dict[str, Any]:
    """JSON-able values; None where something is not known or was not checked."""
    checked = None if verification is None else verification_as_json(verification)
    residual_m = None if checked is None else checked["residual_m"]
    structure = scan.structure
    return {
        "scan_id": scan.scan_id,
        "place_id": scan.place_id,
        "source": scan.source,
        "status": status,
        "frames_used": len(scan.frames),
        "frames_skipped": notes["frames_skipped"],
        "has_depth": any(frame.depth_path is not None for frame in scan.frames),
        "has_poses": scan.has_poses,
        "pairs_checked": None if checked is None else checked["pairs_checked"],
        "agreement": None if checked is None else checked["agreement"],
        "residual_cm": None if residual_m is None else 100.0 * residual_m,
        "depth_coverage": None if checked is None else checked["depth_coverage"],
        "median_depth_m": notes["median_depth_m"],
        "gravity_tilt_deg": None if checked is None else checked["gravity_tilt_deg"],
        "depth_unit_checked": None if checked is None else checked["depth_unit_checked"],
        "up_axis": convention_of_notes(notes).up_axis,
        "is_metric": bool(notes.get("metric", True)),
        "reencoded": _texts(notes.get("reencoded")),
        "points": num_points,
        "objects": None if scan.objects is None else len(scan.objects),
        "objects_skipped": dict(notes.get("objects_skipped", {})),
        "walls": None if structure is None else len(structure.walls),
        "tracks": None if scan.tracks is None else int(scan.tracks.points_camera.shape[1]),
        "seconds": round(seconds, 2),
    }


def _texts(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else [str(one) for one in value]


def verdict_lines(result: Mapping[str, Any]) -> list[str]:
    """The verdict for people: one line with the essentials, one for each thing worth knowing."""
    known = "objects not known" if result["objects"] is None else f"{result['objects']} objects{_counts(result['objects_skipped'])}"
    walls = f"{result['walls']} walls, " if result["walls"] else ""
    tracks = f"{result['tracks']} tracked points, " if result["tracks"] else ""
    frames_out = _counts(result["frames_skipped"]).removeprefix(", ") or "0 skipped"
    when = {"unchanged": " (unchanged)", "checked": " (not imported)"}.get(result["status"], "")
    lines = [
        f"{result['scan_id']} ({result['source']}): {result['frames_used']} frames, {frames_out}, "
        f"{result['points']} points, {known}, {walls}{tracks}{result['seconds']:.1f} s{when}"
    ]
    lines += [f"  re-encoded {text}" for text in result["reencoded"]]
    if not result["is_metric"]:
        fits = result["depth_unit_checked"]
        what = "metres are those of the depth images, which the poses fit" if fits else "metres not known"
        lines.append(f"  {what}: the layout itself has no unit{'' if fits else '; give world_unit_m=METRES where you know it'}")
    if result["pairs_checked"] is None:
        return [*lines, f"  conventions not checked ({_why_not(result)})"]
    lines.append(
        f"  conventions fit: agreement {result['agreement']:.3f}, residual {result['residual_cm']:.2f} cm "
        f"over {result['pairs_checked']} pairs; "
        f"depth on {result['depth_coverage']:.0%} of the pixels, median {result['median_depth_m']:.2f} m"
    )
    tilt = result["gravity_tilt_deg"]
    floor = "no floor seen" if tilt is None else f"floor tilted {tilt:.1f} degrees against it"
    if not result["depth_unit_checked"]:
        lines.append("  depth unit not checked: the camera turns but hardly moves")
    return [*lines, f"  up: {result['up_axis']} of the source world; {floor}"]


def _counts(reasons: Mapping[str, int]) -> str:
    """`, 3 skipped (pose_not_finite 3)`, or nothing."""
    if not reasons:
        return ""
    return f", {sum(reasons.values())} skipped ({', '.join(f'{reason} {count}' for reason, count in sorted(reasons.items()))})"


def _why_not(result: Mapping[str, Any]) -> str:
    if not result["frames_used"]:
        return "no frames: only what the layout says of the room"
    if not result["has_depth"]:
        return "no depth to check them with"
    return "--no-verify" if result["has_poses"] else "no poses are known"
