"""Train and held-out places: drawn by a hash, and a proof that no scan, place or image is in both."""

import hashlib
from collections.abc import Iterable, Sequence

from sightline.errors import DataError
from sightline.files import read_json
from sightline.samples.sample import Sample
from sightline.scenes.store import MANIFEST, SceneStore

TRAIN, HELD_OUT = "train", "held_out"


def split_places(place_ids: Iterable[str], *, held_out_share: float, seed: int) -> dict[str, str]:
    """`train` or `held_out` for every place, by the order of a seeded hash of its id; scans follow their place.

    The share is rounded to whole places; where it is neither 0 nor 1 and there are two places or more, each split gets at least one.
    Raises DataError for a share outside 0 to 1.
    """
    if not 0.0 <= held_out_share <= 1.0:
        raise DataError(f"held_out_share: expected 0 to 1, found {held_out_share}")
    places = sorted(set(place_ids), key=lambda place_id: hashlib.sha256(f"{seed}\0{place_id}".encode()).digest())
    held_out = round(held_out_share * len(places))
    if 0.0 < held_out_share < 1.0 and len(places) >= 2:
        held_out = min(max(held_out, 1), len(places) - 1)
    elif 0.0 < held_out_share < 1.0:
        held_out = 0  # one place cannot be split
    return {place_id: HELD_OUT if index < held_out else TRAIN for index, place_id in enumerate(places)}


def check_no_leak(samples: Sequence[Sample], store: SceneStore) -> None:
    """Prove that no two splits share a scan, a place, or an image by content. Raises DataError naming the first that they share.

    Images are compared by the SHA-256 that the scene store recorded on import, over all images of every scan that is asked about,
    so a copy under another name is found too. A sample whose image is not in the store is an error.
    """
    for what, key_of in (("scan", lambda sample: sample.scan_id), ("place", lambda sample: sample.place_id)):
        _refuse_shared(what, ((key_of(sample), sample.split, sample.sample_id) for sample in samples))
    split_of = {sample.scan_id: sample.split for sample in samples}
    hashes = {scan_id: image_hashes(store, scan_id) for scan_id in sorted(split_of)}
    for sample in samples:
        for path in sample.image_paths:
            if path not in hashes[sample.scan_id]:
                raise DataError(f"sample {sample.sample_id}: expected image '{path}' in the store {store.root}, found none of that name")
    _refuse_shared("image", ((digest, split_of[scan_id], path) for scan_id in hashes for path, digest in sorted(hashes[scan_id].items())))


def image_hashes(store: SceneStore, scan_id: str) -> dict[str, str]:
    """SHA-256 of a scan's colour images by their path relative to the store. Raises DataError for a store without the scan."""
    files = read_json(store.path(scan_id) / MANIFEST)["files"]
    return {f"{scan_id}/{name}": stored["sha256"] for name, stored in files.items() if name.startswith("color/")}


def _refuse_shared(what: str, seen: Iterable[tuple[str, str, str]]) -> None:
    """Raise DataError for the first key that stands in two splits; `seen` are key, split, and who says so."""
    first: dict[str, tuple[str, str]] = {}
    for key, split, who in seen:
        known_split, known_who = first.setdefault(key, (split, who))
        if known_split != split:
            raise DataError(
                f"{what} '{key}' is in two splits: {known_split} ({known_who}) and {split} ({who}). "
                "Fix: split by place (scans of one room share a place_id) and generate again"
            )
