"""Finds the scenes of ScanNet++ below a folder, and the splits that its lists name."""

import re
from pathlib import Path

from sightline.captures.texts import read_text
from sightline.errors import CaptureError

SCENE_ID = r"[0-9a-f]{10}"
_SCENE_ID = re.compile(SCENE_ID)
_SIGNS = (  # any of these makes a folder of such a name a scene
    "iphone/pose_intrinsic_imu.json",
    "dslr/nerfstudio/transforms_undistorted.json",
    "dslr/nerfstudio/transforms.json",
    "dslr/colmap/cameras.txt",
    "scans/segments_anno.json",
    "scans/mesh_aligned_0.05.ply",
)
MAX_LIST_BYTES = 1_000_000


def is_scene(folder: Path) -> bool:
    """Whether a folder is a ScanNet++ scene: ten hexadecimal digits for a name, and a file that only this layout has."""
    return _SCENE_ID.fullmatch(folder.resolve().name) is not None and any((folder / sign).is_file() for sign in _SIGNS)


def scenes_below(root: Path) -> dict[str, Path]:
    """Scene id -> folder, of a scene itself, of the `data/` folder, or of the folder that holds `data/`; in order of their ids."""
    if not root.is_dir():
        return {}
    if is_scene(root):
        return {root.resolve().name: root}
    data = root / "data" if (root / "data").is_dir() else root
    return {child.name: child for child in sorted(data.iterdir()) if child.is_dir() and is_scene(child)}


def split_lists(root: Path) -> dict[str, Path]:
    """Split name -> its list, of the `splits/` folder beside `data/`."""
    folder = next((place / "splits" for place in (root, root.parent) if (place / "splits").is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*.txt"))}


def read_list(path: Path) -> list[str]:
    """The scene ids of a list, one per line. Raises CaptureError naming file and line."""
    lines = read_text(path, max_bytes=MAX_LIST_BYTES).splitlines()
    ids = []
    for number, line in enumerate(lines, start=1):
        word = line.strip()
        if not word:
            continue
        if not _SCENE_ID.fullmatch(word):
            raise CaptureError(f"{path}:{number}: expected a scene id of ten hexadecimal digits, found {word[:40]!r}")
        if word in ids:
            raise CaptureError(f"{path}:{number}: expected every scene once, found {word} again")
        ids.append(word)
    return ids
