"""Asking as a whole: balance, margins by name, the second opinion and its recall, wording helpers."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from handmade_facts import handmade_facts
from handmade_situations import wrong_answers
from scipy.stats import chisquare

from sightline.answers.answer import Answer
from sightline.answers.box import Box
from sightline.answers.box3d import Box3d
from sightline.answers.choice import Choice
from sightline.answers.image_set import ImageSet
from sightline.answers.point import Point
from sightline.answers.vector import Vector
from sightline.answers.word import Word
from sightline.config import build
from sightline.errors import ConfigError, UnknownNameError
from sightline.questions import TASKS
from sightline.questions.check import check_all
from sightline.questions.choosing import choose
from sightline.questions.engine import ask_all
from sightline.questions.question import Skip, TaskOptions
from sightline.questions.templates import plural, spoken

SCANS = [handmade_facts(seed=seed, scan_id=f"scan_{seed}") for seed in range(12)]
COUNTED = ["camera_direction", "depth_comparison", "object_distance", "object_size", "relative_direction_hard"]  # over all scans
WITH_EVERY_TASK = 3  # scans of which everything is asked: the others are there for counts
ASKED = [
    ask_all(facts, list(TASKS) if index < WITH_EVERY_TASK else COUNTED, seed=0, options=TaskOptions()) for index, facts in enumerate(SCANS)
]


def of_task(task):
    return [one for asked in ASKED for one in asked.questions if one.task == task]


@pytest.mark.parametrize("task", ["camera_direction", "depth_comparison", "relative_direction_hard"])
def test_right_letters_are_uniform_over_a_data_set(task):
    for count in {len(one.answer.format.options) for one in of_task(task)}:
        letters = Counter(one.answer.value for one in of_task(task) if len(one.answer.format.options) == count)
        if sum(letters.values()) >= 40:
            assert len(letters) == count
            assert chisquare(list(letters.values())).pvalue > 0.01


@pytest.mark.parametrize("task", ["camera_direction", "relative_direction_hard"])
def test_right_words_are_uniform_among_those_offered(task):
    by_options: dict[tuple, Counter] = {}
    for one in of_task(task):
        by_options.setdefault(tuple(sorted(one.answer.format.options)), Counter())[one.answer.format.option_of(one.answer.value)] += 1
    assert by_options
    for options, words in by_options.items():
        if sum(words.values()) >= 40:
            assert max(words.values()) <= 1.3 * sum(words.values()) / len(options)


def test_closer_and_farther_are_asked_equally_often_and_lower_in_the_image_says_nothing():
    asks_closer, near_is_lower = [], []
    for one in of_task("depth_comparison"):
        asks_closer.append(int(one.template_id.rpartition(".")[2]) % 2 == 0)
        v_of = {mark.colour: mark.v_px for mark in one.marks}
        near_is_lower.append(v_of[one.evidence["near"]] == max(v_of.values()))
    assert abs(np.mean(asks_closer) - 0.5) < 0.1
    assert abs(np.mean(near_is_lower) - 0.5) < 0.1


@pytest.mark.parametrize("task", ["camera_direction", "depth_comparison", "relative_direction_hard"])
def test_the_words_of_a_question_do_not_give_its_answer_away(task):
    """A guesser that learned from the words of all other scans (naive Bayes) does no better than fair, to within three standard errors."""
    right, fair = 0, []
    for facts in SCANS:
        others = [one for one in of_task(task) if one.scan_id != facts.scan_id]
        seen = Counter(map(right_word, others))
        together = Counter((right_word(one), token) for one in others for token in tokens_of(one))
        for one in of_task(task):
            if one.scan_id == facts.scan_id:
                options = one.answer.format.options
                scores = [
                    np.log(seen[option] + 1) + sum(np.log((together[option, token] + 1) / (seen[option] + 2)) for token in tokens_of(one))
                    for option in options
                ]
                right += options[int(np.argmax(scores))] == right_word(one)
                fair.append(1 / len(options))
    assert len(fair) >= 100
    assert right <= sum(fair) + 3 * np.sqrt(sum(share * (1 - share) for share in fair))


def right_word(question):
    return question.answer.format.option_of(question.answer.value)


def tokens_of(question):
    return {*question.text.lower().replace(".", " ").replace("?", " ").split(), question.template_id}


def test_without_shuffling_a_letter_means_the_same_word():
    options = TaskOptions(shuffle_options=False)
    asked = ask_all(SCANS[0], ["relative_direction_hard"], seed=0, options=options).questions
    assert len({one.answer.format.options for one in asked}) == 1
    assert len({one.answer.value for one in asked}) == 4


def test_a_balanced_choice_stops_rather_than_grow_lopsided():
    candidates = [("rare", index) for index in range(2)] + [("common", index) for index in range(100)]
    question = of_task("depth_estimation")[0]

    def pick(balance):
        chosen = choose(
            candidates,
            key=lambda one: one[0],
            build=lambda one: replace(question, text=one[0]),
            rng=np.random.default_rng(0),
            options=TaskOptions(max_per_scan=50, max_per_frame=1000, balance=balance),
            is_strict=True,
        )
        return Counter(one.text for one in chosen)

    assert pick(True) == {"rare": 2, "common": 4}
    assert sum(pick(False).values()) == 50


def test_an_answer_that_cannot_be_built_does_not_stop_the_others():
    question = of_task("depth_estimation")[0]
    skip = Skip(task="t", scan_id="s", reason="r")
    chosen = choose(
        [("bad", 0), ("good", 0), ("good", 1), ("good", 2)],
        key=lambda one: one[0],
        build=lambda one: question if one[0] == "good" else skip,
        rng=np.random.default_rng(0),
        options=TaskOptions(),
        is_strict=True,
    )
    assert Counter(isinstance(one, Skip) for one in chosen) == {False: 3, True: 1}


def test_planted_errors_are_all_found_and_nothing_else_is():
    """One answer in a hundred corrupted (another letter, or a number off by its last digit or more): recall and precision 100 %."""
    rng = np.random.default_rng(0)
    planted = found = total = wanted = 0
    for facts, asked in zip(SCANS, ASKED):
        questions = list(asked.questions)
        total += len(questions)
        chosen = set(rng.choice(len(questions), size=max(1, len(questions) // 100), replace=False).tolist())
        tasks = {one.task for one in questions}
        chosen |= {next(index for index, one in enumerate(questions) if one.task == task) for task in tasks}
        wanted += len(tasks)
        for index in chosen:
            questions[index] = corrupted(questions[index], rng)
        wrong = check_all(questions, facts)
        planted += len(chosen)
        assert {(one.text, one.answer) for one in wrong} == {(questions[index].text, questions[index].answer.text) for index in chosen}
        found += len(wrong)
    assert total > 2000 and found == planted >= wanted


def corrupted(question, rng):
    form, value = question.answer.format, question.answer.value
    if isinstance(form, Choice):
        wrong = [letter for letter in form.letters if letter != value]
        return replace(question, answer=Answer(format=form, value=wrong[rng.integers(len(wrong))]))
    if isinstance(form, Word):
        wrong = [word for word in form.words if word != value]
        return replace(question, answer=Answer(format=form, value=wrong[rng.integers(len(wrong))]))
    if isinstance(form, Point):
        x, y = form.to_px(value)
        return replace(question, answer=Answer(format=form, value=form.from_px((x + 0.2 * form.width) % form.width, y)))
    if isinstance(form, Box | Box3d | ImageSet):
        wrong = wrong_answers(question)
        return wrong[rng.integers(len(wrong))]
    step = 10.0**-form.decimals * rng.choice([-1, 1]) * rng.integers(1, 5)
    if isinstance(form, Vector):
        place, said = rng.integers(len(value)), form.parse(form.render(value))
        return replace(question, answer=Answer(format=form, value=(*said[:place], said[place] + 1.01 * step, *said[place + 1 :])))
    return replace(question, answer=Answer(format=form, value=float(form.render(value)) + 1.01 * step))


def test_dots_whose_colours_are_exchanged_are_found():
    for facts, asked in zip(SCANS[:3], ASKED):
        for one in asked.questions:
            if one.task == "depth_comparison":
                first, second = one.marks
                exchanged = (replace(first, colour=second.colour), replace(second, colour=first.colour))
                assert check_all([replace(one, marks=exchanged)], facts)


@pytest.mark.parametrize("task", ["object_distance", "relative_direction_hard", "object_size"])
def test_dots_that_stand_elsewhere_are_found(task):
    """A dot moved by a quarter of the image leaves its object, but for a few big ones."""
    found = total = 0
    for facts, asked in zip(SCANS, ASKED):
        for one in asked.questions:
            if one.task == task:
                elsewhere = replace(one.marks[0], u_px=(one.marks[0].u_px + 80) % 320)
                found += bool(check_all([replace(one, marks=(elsewhere, *one.marks[1:]))], facts))
                total += 1
    assert found >= 0.95 * total


def test_a_misspelt_margin_is_answered_with_the_nearest_one():
    with pytest.raises(UnknownNameError, match="extra.depth_comparison.min_gap: no such margin. Did you mean 'min_gap_m'"):
        ask_all(SCANS[0], ["depth_comparison"], seed=0, options=TaskOptions(extra={"depth_comparison": {"min_gap": 1.0}}))
    with pytest.raises(UnknownNameError, match="Did you mean 'object_size'"):
        ask_all(SCANS[0], ["depth_comparison"], seed=0, options=TaskOptions(extra={"objects_size": {}}))
    with pytest.raises(UnknownNameError, match="Did you mean 'object_size'"):
        ask_all(SCANS[0], ["object_sizes"], seed=0, options=TaskOptions())


def test_options_are_validated_by_name_and_kind():
    assert build(TaskOptions, {"max_per_scan": 3, "extra": {"camera_distance": {"decimals": 2}}}, where="x").max_per_scan == 3
    with pytest.raises(UnknownNameError, match="Did you mean 'max_per_scan'"):
        build(TaskOptions, {"max_per_scam": 3}, where="generate")
    for wrong in ({"max_per_scan": "many"}, {"max_per_scan": 0}, {"min_overlap": 1.5}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            build(TaskOptions, wrong, where="generate")


def test_categories_are_spoken():
    assert spoken("coffee_table") == "coffee table" and spoken("tv_stand") == "TV stand"
    assert [
        plural(one)
        for one in ("chair", "bookshelf", "coffee_table", "box", "vase", "tv", "stairs", "toy", "battery", "toy_blocks", "glass")
    ] == [
        "chairs",
        "bookshelves",
        "coffee tables",
        "boxes",
        "vases",
        "TVs",
        "stairs",
        "toys",
        "batteries",
        "toy blocks",
        "glasses",
    ]
