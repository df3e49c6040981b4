"""Verbs that choose what is shown of a scan: frames, birdseye."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.errors import ConfigError, DataError
from sightline.verbs.common import Limit, Overrides, Store

if TYPE_CHECKING:
    from sightline.mixtures.sampling import FrameIndex, FrameSampling

DEFAULT_COUNT = 16

Out = Annotated[Path, typer.Option(help="The index, JSON; with --conversations the folder of the rebuilt rows.")]
How = Annotated[str, typer.Option(help="uniform, fps, coverage or space-aware.")]
Count = Annotated[int | None, typer.Option("--count", "--views", min=1, help=f"Frames of a scan. Default: {DEFAULT_COUNT}.")]
Points = Annotated[Path | None, typer.Option(help="space-aware: folder of <scan>.npz with an encoder's points. Default: depth.")]
Index = Annotated[Path | None, typer.Option(help="Show the frames of this index, instead of choosing.")]
Conversations = Annotated[Path | None, typer.Option(help="Rows that name scans (sightline data import), to be shown with pictures.")]
BirdsEyeWanted = Annotated[bool, typer.Option("--birdseye", help="One picture from above; with --count, before the views.")]
Agent = Annotated[bool, typer.Option("--agent", help="SQA3D: an arrow where one stands and looks, one picture per place.")]
Scans = Annotated[Path | None, typer.Option(help='JSON of the rows\' scan ids and the store\'s: {"scene0000_00": "my_scan"}.')]
Centres = Annotated[Path | None, typer.Option(help="JSON of scan ids and the middle [x, y, z] of their raw mesh's bounds, for --agent.")]
MissingShare = Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of rows without a scene from which all is refused.")]


def frames(
    store: Store,
    out: Out,
    overrides: Overrides = None,
    how: How = "uniform",
    count: Count = None,
    points: Points = None,
    index: Index = None,
    conversations: Conversations = None,
    birdseye: BirdsEyeWanted = False,
    agent: Agent = False,
    scans: Scans = None,
    centres: Centres = None,
    max_missing_share: MissingShare = 0.0,
    limit: Limit = None,
) -> None:
    """Choose frames of scans and write them down; with --conversations, rebuild rows that name scans with these frames or from above.

    KEY=VALUE are further options of the sampling (voxel_m=0.2, bounds=published), with birdseye. before them those of the picture.
    """
    mine = {key: value for key, value in _values(overrides).items() if key != "birdseye"}
    sampling = _sampling(how, count, mine)
    if conversations is None:
        if birdseye or agent or scans or centres or index:
            raise ConfigError("--birdseye, --agent, --scans, --centres, --index: expected --conversations FOLDER beside them")
        _write(_index(store, sampling, points, limit), out)
        return
    if points is not None or limit is not None:
        raise ConfigError("--points, --limit: expected them without --conversations: write an index first, and show it with --index")
    from sightline.config import build
    from sightline.mixtures.sampling import read_index
    from sightline.mixtures.scene_pictures import SceneFrames
    from sightline.mixtures.scene_views import SceneViews, rebuild
    from sightline.samples.birdseye import BirdsEyeOptions

    if agent and not birdseye:
        raise ConfigError("--agent: expected --birdseye beside it, the picture that the arrow stands in")
    known = read_index(index) if index is not None else None
    rebuilt = rebuild(
        conversations,
        out,
        SceneViews(
            frames=SceneFrames(store, sampling=sampling, index=known, scans=_ids(scans)),
            with_views=not birdseye or count is not None or index is not None,
            birdseye=build(BirdsEyeOptions, _values(overrides).get("birdseye", {}), where="birdseye") if birdseye else None,
            with_agent=agent,
            centres_raw=_centres(centres),
            max_missing_share=max_missing_share,
        ),
    )
    for reason, rows in sorted(rebuilt.left_out.items()):
        typer.echo(f"left out: {rows} rows {reason}")
    done = f"{rebuilt.rows} conversations about {rebuilt.scans} scans in {out}, {rebuilt.pictures} pictures from above"
    typer.echo(done + ("" if rebuilt.is_new else ", finished before"))


def birdseye(
    store: Store,
    out: Annotated[Path, typer.Argument(help="Folder of <scan>.png and <scan>.json.")],
    overrides: Overrides = None,
    limit: Limit = None,
) -> None:
    """Draw scans from above, to scale and without ceiling. KEY=VALUE: size_px=2048, cut_above_floor_m=1.8, scale_bar=false, ..."""
    from sightline.captures.images import write_rgb_png
    from sightline.config import build
    from sightline.files import write_json
    from sightline.samples.birdseye import BirdsEyeOptions, birdseye_of_scene
    from sightline.scenes.store import SceneStore
    from sightline.verbs.common import some_scans, writable_folder

    options = build(BirdsEyeOptions, _values(overrides), where="birdseye")
    chosen = some_scans(store, limit)
    writable_folder(out)
    for scan_id in chosen:
        made = birdseye_of_scene(SceneStore(store).read(scan_id), options)
        write_rgb_png(out / f"{scan_id}.png", made.rgb)
        write_json(
            out / f"{scan_id}.json",
            {
                "scan_id": scan_id,
                "camera": "orthographic, along -z, +y up in the picture",
                "metres_per_pixel": made.metres_per_pixel,
                "pixel_from_world": made.pixel_from_world.tolist(),
                "floor_m": made.floor_m,
                "cut_m": made.cut_m,
                "strip_px": made.strip_px,
            },
        )
        size = f"{made.rgb.shape[1]}x{made.rgb.shape[0]}"
        typer.echo(f"{out / scan_id}.png  {size}, {1000 * made.metres_per_pixel:.1f} mm a pixel, {made.is_drawn.mean():.0%} seen")


def _sampling(how: str, count: int | None, values: Mapping[str, Any]) -> "FrameSampling":
    from sightline.config import build
    from sightline.mixtures.sampling import FrameSampling

    return build(FrameSampling, {**values, "how": how, "count": count or DEFAULT_COUNT}, where="frames")


def _index(store: Path, sampling: "FrameSampling", points: Path | None, limit: int | None) -> "FrameIndex":
    from sightline.mixtures.sampling import FrameIndex, PointMaps, choose_frames
    from sightline.scenes.store import SceneStore
    from sightline.verbs.common import some_scans

    if points is not None and sampling.how != "space-aware":
        raise ConfigError(f"--points: expected --how space-aware beside it, found --how {sampling.how}")
    choices = {}
    for scan_id in some_scans(store, limit):
        maps = None if points is None else PointMaps.read(points / f"{scan_id}.npz")
        choices[scan_id] = choose_frames(SceneStore(store).read(scan_id), sampling, point_maps=maps)
    return FrameIndex(sampling=sampling, choices=choices)


def _write(index: "FrameIndex", out: Path) -> None:
    from sightline.mixtures.sampling import write_index

    write_index(out, index)
    picks = [choice.picks for choice in index.choices.values() if choice.picks is not None]
    seen = f", {sum(pick.covered for pick in picks) / len(picks):.0%} of the voxels seen on average" if picks else ""
    total = sum(len(choice.indices) for choice in index.choices.values())
    typer.echo(f"{out}: {total} frames of {len(index.choices)} scans{seen}")


def _values(overrides: list[str] | None) -> dict[str, Any]:
    from sightline.config import with_overrides

    return with_overrides({}, overrides or [])


def _ids(path: Path | None) -> dict[str, str]:
    from sightline.files import read_json

    value = {} if path is None else read_json(path)
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise DataError(f"{path}: expected a JSON object of scan ids of the rows and of the store, found another")
    return value


def _centres(path: Path | None) -> dict[str, tuple[float, float, float]]:
    from sightline.files import read_json

    value = {} if path is None else read_json(path)
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object of scan ids and [x, y, z] in metres, found another")
    centres = {}
    for scan_id, centre in value.items():
        if not isinstance(centre, list) or len(centre) != 3 or not all(isinstance(one, int | float) for one in centre):
            raise DataError(f"{path}: {scan_id}: expected [x, y, z] in metres, found {centre}")
        centres[scan_id] = (float(centre[0]), float(centre[1]), float(centre[2]))
    return centres
