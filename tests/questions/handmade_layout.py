"""Helpers of the tests of questions about objects and rooms: asking, boxes and views laid out by hand."""

from dataclasses import replace

import numpy as np
from handmade_facts import facts_of, ring_of_cameras
from handmade_walk import walk_facts

from sightline.captures.capture import SceneObject
from sightline.facts.fact import ObjectGlimpseFacts, ObjectViewFacts
from sightline.geometry.boxes import Box
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions

DIRECTIONS = ("relative_direction_easy", "relative_direction_medium", "relative_direction_hard")
VSI = ("appearance_order", "object_count", "object_distance", "object_size", *DIRECTIONS, "relative_distance", "room_size")
WALK = walk_facts()
VIDEO = TaskOptions(video_frames=12)


def questions(facts, task, *, seeds=range(1), options=None, **changes):
    options = options or TaskOptions(**changes)
    return [one for seed in seeds for one in ask_all(facts, [task], seed=seed, options=options).questions]


def skips(facts, task, **changes):
    return ask_all(facts, [task], seed=0, options=TaskOptions(**changes)).skip_counts.get(task, {})


def said(question):
    return question.answer.format.option_of(question.answer.value)


def box_object(object_id, category, centre, size=(0.4, 0.4, 0.4), yaw_deg=0.0):
    box = Box.upright(centre_world=np.array(centre, dtype=float), size_m=np.array(size, dtype=float), yaw_rad=np.radians(yaw_deg))
    return SceneObject(object_id=object_id, category=category, box=box)


def views_of(table):
    """Tables of views and glimpses from `{object_id: {frame: visible_share}}`, all in the middle of the image and whole."""
    rows = [(one, frame, share) for one, frames in table.items() for frame, share in frames.items()]
    object_id, frame, share = (np.array(column) for column in zip(*rows))
    views = ObjectViewFacts(
        object_id=object_id.astype(np.int32),
        frame=frame.astype(np.int32),
        visible_share=share.astype(float),
        inside_share=np.ones(len(rows)),
        hidden_share=1.0 - share,
        pixel_share=np.full(len(rows), 0.02),
        box_uv=np.tile([100.0, 80.0, 200.0, 160.0], (len(rows), 1)),
        anchor_uv=np.tile([150.0, 120.0], (len(rows), 1)),
        anchor_depth_m=np.full(len(rows), 3.0),
    )
    return {"object_views": views, "object_glimpses": ObjectGlimpseFacts(object_id=views.object_id, frame=views.frame)}


def laid_out(objects, *, frames=2):
    """Facts of objects anywhere, all clear in every frame."""
    facts = facts_of(ring_of_cameras(frames), tuple(objects))
    return replace(facts, **views_of({one.object_id: dict.fromkeys(range(frames), 0.9) for one in objects}))
