"""Every sentence that a task can say: plain, whole, unlike its siblings, and clear about what it is measured against."""

import inspect
import re
from difflib import SequenceMatcher
from itertools import combinations

import pytest
from handmade_facts import handmade_facts

from sightline.answers.choice import Choice
from sightline.questions import TASKS
from sightline.questions.engine import ask_all
from sightline.questions.question import TaskOptions

FIRST_VIEW = r"first|image 1|view 1"
BOTH_VIEWS = rf"{FIRST_VIEW}|two (images|tilts|places|camera)|these (two )?images"
CLOSEST = r"closest|shortest|narrowest|smallest|least|nearest"
MUST_SAY = {  # what makes an answer right or wrong must stand in every wording
    "appearance_order": r"\{here\}.*\{things\}|\{things\}.*\{here\}",
    "camera_direction": FIRST_VIEW,
    "camera_distance": BOTH_VIEWS,
    "camera_object_distance": r"camera.*(closest|nearest)|(closest|nearest).*camera",
    "camera_pitch_angle": r"tilt|horizon|raised or lowered",
    "camera_pitch_movement": r"tilt|horizon",
    "camera_vector": r"(?i)right.*down.*forward.*(first|image 1)|(first|image 1).*right.*down.*forward",
    "camera_x_movement": rf"(?i)(?=.*({FIRST_VIEW}))(?=.*(side|left))",
    "camera_y_movement": rf"(?i)(?=.*({FIRST_VIEW}))(?=.*\bup\b)(?=.*\bdown\b)",
    "camera_yaw_angle": r"turn|heading|from above|floor plan|to the side",
    "camera_yaw_movement": r"turn|face",
    "camera_z_movement": rf"(?i)(?=.*({FIRST_VIEW}))(?=.*forward)(?=.*backward)",
    "correspondence_choice": r"image 1.*image 2|[Ii]mage 2.*image 1",
    "correspondence_coordinate": r"(?i)image 1.*image 2|image 2.*image 1",
    "depth_estimation": r"along (the|its) viewing direction",
    "depth_estimation_coordinate": r"along (the|its) viewing direction",
    "object_count": r"\{here\}",
    "object_distance": CLOSEST,
    "object_height": r"height|tall|vertical|top|highest",
    "object_length": r"\blonger\b",
    "object_size": r"longest|largest",
    "object_width": r"\bshorter\b",
    "point_height": r"floor",
    "point_movement_distance": r"world|own motion|relative to the camera|Relative to the camera",
    "point_sideways": r"to the \{side\}",
    "relative_direction_easy": r"(?=.*\{a\})(?=.*\{b\})(?=.*\{c\})",
    "relative_distance": CLOSEST,
    "room_size": r"floor",
}
TOO_MUCH_ALIKE = 0.93  # share of letters in one order: "to the left or right" beside "to the right or left"
NOBODY_SAYS = re.compile(
    r"\b(yaw|pitch|azimuth|bearing|extrinsics?|intrinsics?|centroid|voxel|point cloud|ground truth|against the horizon)\b", re.I
)
EVERY_TASK = pytest.mark.parametrize("task", TASKS)


def sentences(thing):
    """All strings of nested tuples that end as sentences do."""
    if isinstance(thing, str):
        return [thing] if " " in thing and thing[-1] in "?." else []
    return [text for one in thing for text in sentences(one)] if isinstance(thing, tuple) else []


def lists_of(task):
    """The lists of templates of a task: its own, or those of its module."""
    own = sentences(getattr(TASKS[task], "TEMPLATES", ()))
    if own:
        return [own]
    named = [*vars(TASKS[task]).items(), *vars(inspect.getmodule(TASKS[task])).items()]
    return [found for name, thing in named if name.isupper() and len(found := sentences(thing)) >= 2]


def slots(text):
    return frozenset(re.findall(r"\{(\w+)\}", text))


@EVERY_TASK
def test_there_are_eight_wordings_or_more_and_no_two_are_copies(task):
    found = lists_of(task)
    assert found and sum(map(len, found)) >= 8
    for wordings in found:
        plain = [re.sub(r"[^a-z{} ]", "", one.lower()) for one in wordings]
        assert len(set(plain)) == len(plain)
        for one, other in combinations(plain, 2):
            asks_the_other_thing = {one.find(word) >= 0 for word in ("closer", "nearer", "smaller")} != {False}
            alike = SequenceMatcher(None, one, other, autojunk=False).ratio()
            assert alike < TOO_MUCH_ALIKE or asks_the_other_thing, (one, other, alike)


@EVERY_TASK
def test_a_template_is_plain_english_as_it_stands(task):
    for wordings in lists_of(task):
        for text in wordings:
            assert text == text.strip() and "  " not in text and " ?" not in text and " ." not in text and " ," not in text, text
            assert not re.search(r"\b([a-z]+) \1\b", text, re.I), text  # the the
            assert not re.search(r"\ba [aeio][a-z]|\ban [^aeiouh]|\b(a|an) \{", text, re.I), text  # a apple; a {thing} may be either
            assert text.count("(") == text.count(")") and not NOBODY_SAYS.search(text), text


@EVERY_TASK
def test_every_wording_says_what_its_answer_hangs_on(task):
    for wordings in lists_of(task):
        for text in wordings:
            assert re.search(MUST_SAY.get(task, ""), text), text


@pytest.mark.parametrize("task", [one for one in MUST_SAY if len(lists_of(one)) == 1])
def test_no_wording_forgets_a_slot(task):
    assert len({slots(text) for text in lists_of(task)[0]}) == 1


@EVERY_TASK
@pytest.mark.parametrize("options", [TaskOptions(), TaskOptions(mark_objects=False), TaskOptions(length_unit="mm", video_frames=6)])
def test_question_and_instruction_read_well_together(task, options):
    for one in ask_all(handmade_facts(), [task], seed=3, options=options).questions:
        instruction = one.answer.format.instruction()
        prompt = f"{one.text} {instruction}"
        assert "  " not in prompt and "??" not in prompt and ".." not in prompt, prompt
        assert not re.search(r"\b(the|a|an|of|in|is|to) \1\b|\ba [aeio][a-z]|\ban [bcdfgjklmnpqrstvwxyz]", one.text, re.I), prompt
        asked_in = re.search(r"\bin (degrees|metres|centimetres|millimetres|square metres)\.$", instruction)
        assert asked_in is None or asked_in.group(0).rstrip(".") not in one.text, prompt  # the unit is said once
        assert instruction.endswith("."), prompt
        if "one letter" in instruction or isinstance(one.answer.format, Choice):
            assert "A, B, C or D?" not in one.text and "one word" not in instruction, prompt  # the letters to choose from are said once
