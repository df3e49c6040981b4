"""When each object is seen: its first frame, its best frame, and in how many frames."""

from collections.abc import Sequence

import numpy as np

from sightline.captures.capture import SceneObject
from sightline.facts.fact import ObjectTimeFacts, ObjectViewFacts


def object_times(views: ObjectViewFacts, objects: Sequence[SceneObject], *, moving_ids: frozenset[int] = frozenset()) -> ObjectTimeFacts:
    """One row per object, by object id, from its rows in `views`; `moving_ids` are those whose points were seen to move.

    The best frame shows the largest share of the object's points, the first of equals; of an object without points it is the
    one where it covers the most of the image.
    """
    ids = np.unique(np.array([one.object_id for one in objects], dtype=np.int32))
    kept = np.isin(views.object_id, ids)
    place = np.searchsorted(ids, views.object_id[kept])
    frame = views.frame[kept]
    points, pixels = (np.where(np.isfinite(share), share, -1.0) for share in (views.visible_share[kept], views.pixel_share[kept]))
    first = np.full(len(ids), -1, dtype=np.int32)
    best = np.full(len(ids), -1, dtype=np.int32)
    by_time = np.lexsort((frame, place))[::-1]  # the last write stays: the earliest
    first[place[by_time]] = frame[by_time]
    by_share = np.lexsort((frame, np.where(points >= 0.0, 0.0, -pixels), -points, place))[::-1]
    best[place[by_share]] = frame[by_share]
    views_of = np.bincount(place, minlength=len(ids)).astype(np.int32)
    moves = np.isin(ids, np.array(sorted(moving_ids), dtype=np.int32))
    return ObjectTimeFacts(object_id=ids, first_frame=first, best_frame=best, views=views_of, moves=moves)
