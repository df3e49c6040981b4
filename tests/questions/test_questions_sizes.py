"""Sizes of objects along their own axes: known boxes, both sides of every margin, images that cover, and planted errors."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from handmade_facts import facts_of, handmade_facts, ring_of_cameras

from sightline.answers.answer import Answer
from sightline.captures.capture import SceneObject
from sightline.geometry.boxes import Box
from sightline.geometry.transforms import look_at, rigid
from sightline.questions.check import check_all
from sightline.questions.engine import ask_all
from sightline.questions.object_dimension import HEIGHTS, SIDES, ObjectHeight
from sightline.questions.question import TaskOptions

TASKS = ("object_height", "object_width", "object_length")
AXIS_OF = {"object_height": 0, "object_width": 1, "object_length": 2}
LOOKING_NORTH = look_at(np.array([0.0, 0.0, 1.5]), np.array([0.0, 5.0, 1.5]))
FACTS = handmade_facts()


def box_object(object_id, category, centre, size, yaw_deg=0.0):
    box = Box.upright(centre_world=np.array(centre, dtype=float), size_m=np.array(size, dtype=float), yaw_rad=np.radians(yaw_deg))
    return SceneObject(object_id=object_id, category=category, box=box)


def asked(facts, task, *, seed=0, views=None, **options):
    margins = options.pop("margins", {}) | ({} if views is None else {"views": views})
    return ask_all(facts, [task], seed=seed, options=TaskOptions(extra={task: margins}, **options))


def answers(facts, *, seeds=range(3), **options):
    return {task: {one.answer.text for seed in seeds for one in asked(facts, task, seed=seed, **options).questions} for task in TASKS}


def seen_once(*objects):
    """One camera that sees the objects from end to end."""
    return facts_of(LOOKING_NORTH[None], objects)


def only_reason(facts, task, **options):
    """Why nothing is asked."""
    result = asked(facts, task, **options)
    assert result.questions == () and len(result.skip_counts[task]) == 1
    return next(iter(result.skip_counts[task]))


def with_views(facts, **columns):
    return replace(facts, object_views=replace(facts.object_views, **columns))


def with_sets(facts, **columns):
    return replace(facts, coverage=replace(facts.coverage, **columns))


@pytest.mark.parametrize("yaw_deg", [0.0, 30.0, 45.0, 90.0, -200.0])
@pytest.mark.parametrize("sides_m", [(1.8, 0.6), (0.6, 1.8)])
def test_a_box_is_measured_along_its_own_axes_however_it_is_turned(yaw_deg, sides_m):
    facts = seen_once(box_object(0, "sofa", [0, 5, 1.5], [*sides_m, 0.9], yaw_deg))
    assert answers(facts) == {"object_height": {"90"}, "object_width": {"60"}, "object_length": {"180"}}


def test_a_world_twice_as_large_has_sizes_twice_as_large():
    for scale, wanted in ((1.0, "180"), (2.0, "360")):
        pose = LOOKING_NORTH.copy()
        pose[:3, 3] *= scale
        sofa = box_object(0, "sofa", np.array([0, 5, 1.5]) * scale, np.array([1.8, 0.6, 0.9]) * scale)
        assert answers(facts_of(pose[None], (sofa,)))["object_length"] == {wanted}


def test_the_unit_is_centimetres_unless_millimetres_are_wanted():
    facts = seen_once(box_object(0, "sofa", [0, 5, 1.5], [1.8, 0.6, 0.904]))
    for unit, wanted in (("m", "90"), ("cm", "90"), ("mm", "904")):
        (one,) = asked(facts, "object_height", length_unit=unit).questions
        assert one.answer.text == wanted
        assert one.answer.format.instruction() == f"Answer with a number in {'millimetres' if unit == 'mm' else 'centimetres'}."


def test_a_tolerance_that_is_wanted_is_that_of_the_answer():
    (one,) = asked(seen_once(box_object(0, "sofa", [0, 5, 1.5], [1.8, 0.6, 0.9])), "object_height", tolerance_share=0.2).questions
    assert [one.answer.format.score(said, one.answer.value).score for said in ("90", "107", "109", "73", "71")] == [1.0, 1.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize(("long_m", "is_asked"), [(0.68, False), (0.70, True)])
def test_which_side_is_the_longer_one_must_be_plain(long_m, is_asked):
    facts = seen_once(box_object(0, "table", [0, 5, 1.5], [0.6, long_m, 0.9]))
    assert len(asked(facts, "object_height").questions) == 1
    for task in ("object_width", "object_length"):
        assert len(asked(facts, task).questions) == is_asked
        if not is_asked:
            assert only_reason(facts, task) == "width_and_length_alike"


@pytest.mark.parametrize(
    ("height_m", "centre", "reason"),
    [(0.099, [0, 1.5, 1.5], "too_small"), (0.101, [0, 1.5, 1.5], None), (9.9, [0, 20, 1.5], None), (10.1, [0, 20, 1.5], "too_large")],
)
def test_what_is_tiny_or_huge_is_not_asked(height_m, centre, reason):
    facts = seen_once(box_object(0, "box", centre, [1.6, 1.2, height_m]))
    if reason:
        assert only_reason(facts, "object_height") == reason
    else:
        assert len(asked(facts, "object_height").questions) == 1


@pytest.mark.parametrize(("share", "is_asked"), [(0.29, False), (0.31, True), (np.nan, False)])
def test_a_half_hidden_object_is_not_asked_for_its_size(share, is_asked):
    facts = with_views(seen_once(box_object(0, "sofa", [0, 5, 1.5], [1.8, 0.6, 0.9])), visible_share=np.array([share]))
    for task in TASKS:
        assert len(asked(facts, task).questions) == is_asked
    if share == 0.29:
        assert only_reason(facts, "object_height") == "half_hidden"


@pytest.mark.parametrize(
    ("share", "reason"), [(0.89, "not_shown_from_end_to_end"), (0.91, None), (1.09, None), (1.11, "points_reach_beyond_the_box")]
)
def test_the_images_must_span_the_size_that_is_asked(share, reason):
    facts = seen_once(box_object(0, "sofa", [0, 5, 1.5], [1.8, 0.6, 0.9]))
    facts = with_sets(facts, span_m=facts.coverage.span_m * share)
    if reason:
        assert only_reason(facts, "object_length") == reason
    else:
        assert len(asked(facts, "object_length").questions) == 1


@pytest.mark.parametrize(("tilt_deg", "is_asked"), [(4.0, True), (6.0, False)])
def test_the_height_of_what_leans_is_not_asked(tilt_deg, is_asked):
    turn = np.radians(tilt_deg)
    lean = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    box = Box(size_m=np.array([1.8, 0.6, 0.9]), world_from_object=rigid(lean, np.array([0.0, 5.0, 1.5])))
    facts = seen_once(SceneObject(object_id=0, category="mirror", box=box))
    if is_asked:
        assert {one.answer.text for one in asked(facts, "object_height").questions} == {"90"}
        assert check_all(asked(facts, "object_height").questions, facts) == ()
    else:
        assert only_reason(facts, "object_height") == "box_is_tilted"


def test_an_object_that_is_seen_elsewhere_than_its_box_is_not_asked_about():
    """It was carried away while the scan went on: the pixel that shows it lies 30 cm before its box."""
    facts = seen_once(box_object(0, "chair", [0, 5, 1.5], [0.6, 0.8, 0.9]))
    facts = with_views(facts, anchor_depth_m=facts.object_views.anchor_depth_m - 0.4 - 0.3)
    assert only_reason(facts, "object_height") == "hardly_shown_in_an_image"


def test_a_dot_does_not_stand_at_the_border():
    facts = seen_once(box_object(0, "chair", [0, 5, 1.5], [0.6, 0.8, 0.9]))
    facts = with_views(facts, anchor_uv=np.array([[3.0, 120.0]]), anchor_depth_m=np.array([5.0]))
    boxes = tuple(box_object(0, "chair", [-3.75, 5, 1.5], [0.6, 0.8, 0.9]) for _ in facts.objects)
    facts = replace(facts, objects=boxes)
    assert only_reason(facts, "object_height") == "dot_at_image_border"
    assert len(asked(facts, "object_height", mark_objects=False).questions) == 1


def test_only_sets_that_cover_are_shown_and_the_number_of_images_is_as_wanted():
    sets = FACTS.coverage
    for task in TASKS:
        mine = sets.axis == AXIS_OF[task]
        covering = {
            (int(one), frozenset({int(first), int(second)} - {-1}))
            for one, first, second in zip(sets.object_id[mine], sets.first[mine], sets.second[mine])
        }
        for views in (0, 1, 2, 3, 5):
            questions = [one for seed in range(3) for one in asked(FACTS, task, seed=seed, views=views, max_per_frame=40).questions]
            shown = [(one.object_ids[0], frozenset(int(frame) for frame in one.frame_ids)) for one in questions]
            assert questions and check_all(questions, FACTS) == ()
            assert {len(one.frame_ids) for one in questions} == ({1, 2} if views == 0 else {views})
            assert all(len(frames) == len(one.frame_ids) for (_, frames), one in zip(shown, questions)), "no image twice"
            if views <= 2:
                assert covering.issuperset(shown)
            else:
                assert all(any(whose == one and frames <= more for whose, frames in covering) for one, more in shown)


def test_further_images_change_no_size():
    """A subset of the images that still covers the object gives the same answer."""
    said = {}
    for views in (1, 2, 4):
        for one in asked(FACTS, "object_length", views=views, max_per_frame=40).questions:
            assert said.setdefault(one.object_ids[0], one.answer.text) == one.answer.text
    assert len(said) >= 6


def test_sets_of_one_image_and_of_two_are_evened_out():
    found = [one for seed in range(6) for one in asked(FACTS, "object_height", seed=seed, max_per_frame=40).questions]
    counts = Counter(len(one.frame_ids) for one in found)
    assert min(counts[1], counts[2]) > 0.35 * counts.total()


def test_two_images_that_share_nothing_are_not_shown_together():
    apart = facts_of(ring_of_cameras(8), FACTS.objects, overlap=0.1)
    found = asked(apart, "object_height")
    assert {len(one.frame_ids) for one in found.questions} == {1} and found.skip_counts["object_height"]["overlap_outside_band"] > 0


def test_the_dot_stands_in_the_image_that_shows_most_of_the_object_and_that_one_comes_first():
    views = FACTS.object_views
    rng = np.random.default_rng(0)
    facts = with_views(FACTS, visible_share=rng.uniform(0.3, 0.6, len(views.frame)))
    share_of = {(int(one), int(frame)): share for one, frame, share in zip(views.object_id, views.frame, facts.object_views.visible_share)}
    questions = asked(facts, "object_height", views=2).questions
    for one in questions:
        first, second = (share_of[one.object_ids[0], int(frame)] for frame in one.frame_ids)
        assert first >= second and one.marks[0].frame_id == one.frame_ids[0] and f"({one.marks[0].colour} dot in image 1)" in one.text
    assert len(questions) >= 10


def test_without_dots_only_what_is_one_of_its_kind_is_asked_about():
    found = asked(FACTS, "object_height", mark_objects=False)
    assert found.questions and not any(one.marks or "dot" in one.text or "chair" in one.text for one in found.questions)
    assert found.skip_counts["object_height"]["category_not_unique"] > 0


def test_no_object_dominates():
    for seed in range(3):
        counts = Counter(one.object_ids[0] for one in asked(FACTS, "object_height", seed=seed, max_per_frame=40).questions)
        assert counts.total() == 40 and max(counts.values()) <= 6
    few = Counter(
        one.object_ids[0] for one in asked(FACTS, "object_height", margins={"max_object_share": 0.05}, max_per_frame=40).questions
    )
    assert set(few.values()) == {2} and len(few) == 10
    free = asked(FACTS, "object_height", margins={"max_object_share": 1.0}, max_per_frame=40)
    assert "object_asked_often_enough" not in free.skip_counts.get("object_height", {}) and len(free.questions) == 40


def test_another_object_that_no_image_shows_changes_nothing():
    """It is behind all cameras, and no set of images covers it."""
    more = replace(FACTS, objects=(*FACTS.objects, box_object(99, "piano", [0, 0, -50], [1.5, 0.6, 1.2])))
    for task in TASKS:
        assert asked(FACTS, task) == asked(more, task)


def test_walls_and_unnamed_things_are_not_asked_about():
    facts = seen_once(box_object(0, "wall", [0, 5, 1.5], [1.8, 0.6, 0.9]))
    assert only_reason(facts, "object_height") == "not_asked_about"


def test_a_thing_whose_name_is_plural_is_spoken_of_as_one_set():
    """So that every sentence can say `is` and `its`."""
    assert len(set(HEIGHTS)) >= 8 and len(set(SIDES)) >= 8
    assert all(one.count("{a}") == 1 for one in (*HEIGHTS, *SIDES))
    for task, size_m in (("object_height", [1.8, 0.6, 0.9]), ("object_width", [1.8, 0.6, 0.9]), ("object_length", [1.8, 0.6, 0.9])):
        facts = seen_once(box_object(0, "stairs", [0, 5, 1.5], size_m))
        assert all("the set of stairs (" in one.text for seed in range(8) for one in asked(facts, task, seed=seed).questions)
        assert asked(facts, task).questions


@pytest.mark.parametrize("task", TASKS)
def test_planted_errors_are_found(task):
    questions = asked(FACTS, task, views=2).questions
    other_task = "object_width" if task != "object_width" else "object_length"
    for one in questions:
        size = one.answer.value
        wrong = [
            replace(one, answer=Answer(format=one.answer.format, value=size * 1.2)),
            replace(one, answer=Answer(format=one.answer.format, value=size * 0.8)),
            replace(one, answer=Answer(format=one.answer.format, value=size + 1.1)),
            replace(one, task=other_task),
            replace(one, frame_ids=one.frame_ids[:1]),
            replace(one, frame_ids=one.frame_ids[::-1]),
            replace(one, frame_ids=(one.frame_ids[0], one.frame_ids[0])),
            replace(one, object_ids=((one.object_ids[0] + 1) % 10,)),
            replace(one, marks=(replace(one.marks[0], u_px=one.marks[0].u_px + 100.0),)),
            replace(one, text="How large is the thing?"),
        ]
        assert len(check_all(wrong, FACTS)) == len(wrong), one.text
        assert check_all([one], FACTS) == ()


def test_ids_that_do_not_fit_a_row_are_refused_by_name():
    facts = seen_once(box_object(70_000, "sofa", [0, 5, 1.5], [1.8, 0.6, 0.9]))
    assert only_reason(facts, "object_height") == "object_id_out_of_range"
    assert ObjectHeight.PAYLOAD.itemsize == 16
