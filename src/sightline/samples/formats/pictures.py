"""The images of an export: which files each row shows, and how they come about: linked, copied, or drawn with their marks."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sightline.captures.images import read_rgb
from sightline.errors import DataError
from sightline.files import fingerprint, read_json, replacing
from sightline.geometry.cameras import Intrinsics
from sightline.questions.question import Mark
from sightline.samples.export import ExportedImage, ExportOptions, ExportRow
from sightline.samples.formats.video import write_video
from sightline.samples.frames import FrameCache, draw_mark, image_path_of, resized
from sightline.samples.sample import Sample
from sightline.scenes.store import SceneStore

IMAGES, VIDEOS = "images", "videos"
PLANS = ".plans"
JPEG_QUALITY = 95
LEAST_VIDEO_FRAMES = 8  # fewer are shown as images: questions about few frames speak of the first and the second image


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One image to be made. `how` is link, copy or draw; `width`, `height` are those of the file that is made."""

    source: str
    target: str  # from the export's folder
    how: str
    width: int
    height: int
    marks: tuple[Mark, ...] = ()
    where: str = ""  # the sample that first shows it, for messages


@dataclass(slots=True)
class ScanPlan:
    """The files that one scan's samples need, by their path in the export."""

    pictures: dict[str, Picture] = field(default_factory=dict)
    videos: dict[str, tuple[Picture, ...]] = field(default_factory=dict)


def is_walk(sample: Sample) -> bool:
    """Whether a format with videos shows this sample's images as one."""
    return len(sample.frame_ids) >= LEAST_VIDEO_FRAMES


class Planner:
    """Turns samples into rows and remembers, scan by scan, which files these rows need. Writes nothing."""

    def __init__(self, store: SceneStore, options: ExportOptions, *, out: Path, with_video: bool):
        self.store = store
        self.options = options
        self.out = out
        self.with_video = with_video
        self.plans: dict[str, ScanPlan] = {}
        self._cache = FrameCache()

    def row(self, sample: Sample) -> ExportRow:
        """The sample with the paths of its images. Raises DataError where it was made from another store, SceneError for a missing scan."""
        plan = self.plans.setdefault(sample.scan_id, ScanPlan())
        pictures = [
            self._picture(sample, frame_id, image_path) for frame_id, image_path in zip(sample.frame_ids, sample.image_paths, strict=True)
        ]
        images = tuple(ExportedImage(path=one.target, width=one.width, height=one.height) for one in pictures)
        if not (self.with_video and is_walk(sample)):
            plan.pictures |= {one.target: one for one in pictures if one.how != "path" and one.target not in plan.pictures}
            return ExportRow(sample=sample, images=images)
        if len({(one.width, one.height) for one in pictures}) > 1:
            sizes = ", ".join(sorted({f"{one.width}x{one.height}" for one in pictures}))
            raise DataError(f"sample {sample.sample_id}: expected images of one size for a video, found {sizes}. Fix: --width and --height")
        target = f"{VIDEOS}/{sample.scan_id}/{fingerprint([one.target for one in pictures])}.mp4"
        plan.videos.setdefault(target, tuple(pictures))
        return ExportRow(sample=sample, images=images, video=target)

    def _picture(self, sample: Sample, frame_id: str, image_path: str) -> Picture:
        frame = self._cache.frame(self.store.root, sample.scan_id, frame_id)
        if image_path != image_path_of(sample.scan_id, frame):
            raise DataError(
                f"sample {sample.sample_id}: expected image '{image_path_of(sample.scan_id, frame)}' for frame {frame_id}, "
                f"found '{image_path}': made from another scene store"
            )
        source = self.store.root / image_path
        own = frame.intrinsics.width, frame.intrinsics.height
        width, height = (self.options.width, self.options.height) if self.options.width and self.options.height else own
        marks = tuple(mark for mark in sample.marks if mark.frame_id == frame_id)
        if marks or (width, height) != own:
            return Picture(
                source=str(source),
                target=f"{IMAGES}/{_drawn_name(image_path, marks, width=width, height=height, kind=self.options.marked_as)}",
                how="draw",
                width=width,
                height=height,
                marks=marks,
                where=sample.sample_id,
            )
        if self.options.images == "path":
            return Picture(source=str(source), target=_path_from(self.out, source), how="path", width=width, height=height)
        return Picture(source=str(source), target=f"{IMAGES}/{image_path}", how=self.options.images, width=width, height=height)


def place_files(scan_id: str, *, folder: str) -> dict[str, int]:
    """Make the planned files of one scan in the export's folder; a Job function. Returns how many of each kind.

    A file that is there already (of an export that was stopped) was finished: each is renamed into place when it is whole.
    """
    root = Path(folder)
    plan = plan_from_json(read_json(root / PLANS / f"{scan_id}.json"))
    made: Counter[str] = Counter()
    for picture in plan.pictures.values():
        target = root / picture.target
        if not target.exists():
            _place(picture, target)
        made[picture.how] += 1
    for path, pictures in plan.videos.items():
        if not (root / path).exists():
            write_video(root / path, (rgb_of(picture) for picture in pictures))
        made["video"] += 1
    return dict(sorted(made.items()))


def rgb_of(picture: Picture) -> np.ndarray:
    """The pixels `(H, W, 3)` uint8, resized, then marked. Raises CaptureError for a damaged image, DataError for a mark outside it."""
    stored = read_rgb(Path(picture.source))
    rgb = resized(stored, width=picture.width, height=picture.height)
    size = Intrinsics(fx=1.0, fy=1.0, cx=0.0, cy=0.0, width=stored.shape[1], height=stored.shape[0])  # marks need the size alone
    for mark in picture.marks:
        draw_mark(rgb, mark, stored=size, where=picture.where)
    return rgb


def _place(picture: Picture, target: Path) -> None:
    source = Path(picture.source).resolve()  # images in a store may be symbolic links
    with replacing(target) as beside:
        if picture.how == "draw":
            image = Image.fromarray(rgb_of(picture))
            if target.suffix == ".jpg":
                image.save(beside, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
            else:
                image.save(beside, format="PNG", compress_level=3)
        elif picture.how == "link" and _can_link(source, beside):
            pass
        else:
            shutil.copyfile(source, beside)


def _can_link(source: Path, beside: Path) -> bool:
    """Hard-link where the file system can; False where it cannot, such as across two of them."""
    try:
        os.link(source, beside)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    return True


def plan_as_json(plan: ScanPlan) -> dict[str, Any]:
    return {
        "pictures": [asdict(one) for one in plan.pictures.values()],
        "videos": [{"target": target, "pictures": [asdict(one) for one in pictures]} for target, pictures in plan.videos.items()],
    }


def plan_from_json(value: Mapping[str, Any]) -> ScanPlan:
    pictures = {one["target"]: _picture_from_json(one) for one in value["pictures"]}
    videos = {one["target"]: tuple(map(_picture_from_json, one["pictures"])) for one in value["videos"]}
    return ScanPlan(pictures=pictures, videos=videos)


def _picture_from_json(value: Mapping[str, Any]) -> Picture:
    return Picture(**{**value, "marks": tuple(Mark(**mark) for mark in value["marks"])})


def _drawn_name(image_path: str, marks: Sequence[Mark], *, width: int, height: int, kind: str) -> str:
    """`scan/marked/frame_<what was drawn>.jpg`; without marks `scan/resized/frame_WxH.jpg`. One name for one picture."""
    scan, _, name = image_path.split("/")
    stem = re.sub(r"[^\w.-]", "_", Path(name).stem)
    if not marks:
        return f"{scan}/resized/{stem}_{width}x{height}.{kind}"
    drawn = fingerprint([image_path, [asdict(mark) for mark in marks], width, height])
    return f"{scan}/marked/{stem}_{drawn}.{kind}"


def _path_from(out: Path, source: Path) -> str:
    """The path of an image of the store from the export's folder, so that both may move together."""
    there, here = source.parent.resolve() / source.name, out.parent.resolve() / out.name  # `..` leads up from where links lead
    try:
        return Path(os.path.relpath(there, here)).as_posix()
    except ValueError:  # another drive
        return there.as_posix()
