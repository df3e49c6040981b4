"""Joining, scoring, baselines and comparison on hand-made samples whose every number is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sightline.answers.choice import Choice
from sightline.answers.number import Number
from sightline.errors import DataError
from sightline.evaluation.compare import compare, read_comparison, with_blind, write_comparison
from sightline.evaluation.results import Interval, read_evaluation, read_results, write_evaluation, write_results
from sightline.evaluation.run import evaluate, missing_replies, score_replies
from sightline.inference.replies import Reply
from sightline.samples.guesses import MAX_CANDIDATES, MAX_DRAWS, guess, score_texts
from sightline.samples.sample import Sample

DIRECTIONS = ("left", "right", "front", "back")


def sample(scan, task, index, answer_format, value, split="held_out"):
    return Sample(
        sample_id=f"{scan}/{task}/{index}",
        task=task,
        split=split,
        scan_id=scan,
        place_id=scan,
        frame_ids=("000000",),
        image_paths=(f"{scan}/color/000000.png",),
        marks=(),
        question="Where is it?",
        answer_kind=answer_format.kind,
        answer_options=answer_format.to_row(),
        answer_text=answer_format.render(value),
        answer_value=value,
        evidence={"gap_m": 1.0},
        template_id=f"{task}.0",
        seed=0,
        generator_version="0.1.0",
        source="rooms",
        licence="CC0-1.0",
    )


def choices(values, *, split="held_out", options=DIRECTIONS, scan="scan", task="direction"):
    return [sample(f"{scan}{index // 10}", task, index, Choice(options=options), value, split) for index, value in enumerate(values)]


def numbers(values, *, split="held_out", scan="scan", task="distance", decimals=1):
    return [
        sample(f"{scan}{index // 10}", task, index, Number(unit="m", decimals=decimals), value, split) for index, value in enumerate(values)
    ]


def say(samples, texts):
    return [Reply(sample_id=one.sample_id, text=text, tokens=1, seconds=0.1) for one, text in zip(samples, texts)]


def evaluate_plain(samples, replies, train, **more):
    return evaluate(samples, replies, train, model="sin3d", card={"seed": 1}, seed=0, **more)


def test_the_truth_as_reply_scores_one_hundred_and_a_wrong_letter_nothing():
    rows = choices("ABCD" * 5) + numbers([1.0, 2.0, 3.0, 4.0] * 5)
    train = choices("ABCD" * 5, split="train", scan="train") + numbers([1.0, 2.0] * 5, split="train", scan="train")
    evaluation, results = evaluate_plain(rows, say(rows, [one.answer_text for one in rows]), train)
    assert [task.score.mean for task in evaluation.tasks] == [1.0, 1.0] and evaluation.mean.score.mean == 1.0
    assert all(result.is_parsed for result in results)
    wrong, _ = evaluate_plain(rows, say(rows, ["B" if one.answer_value == "A" else "A" for one in rows]), train)
    assert wrong.task("direction").score.mean == 0.0


def test_replies_join_by_id_whatever_their_order():
    rows = choices("ABCD")
    replies = say(rows, "ABCA")
    assert score_replies(rows, replies[::-1], who="x") == score_replies(rows, replies, who="x")
    assert [result.score for result in score_replies(rows, replies, who="x")] == [1.0, 1.0, 1.0, 0.0]


def test_a_missing_reply_is_wrong_and_counted_apart_from_an_unparsable_one():
    rows = choices("ABCD")
    evaluation, results = evaluate_plain(rows, say(rows[:3], ["A", "dunno", "C"]), choices("AB", split="train", scan="train"))
    score = evaluation.task("direction")
    assert (score.n, score.unparsable, score.missing, score.score.mean) == (4, 1, 1, 0.5)
    assert missing_replies(results) == [rows[3].sample_id]
    assert evaluation.mean.unparsable == 1 and evaluation.mean.missing == 1


def test_extra_replies_and_ids_that_stand_twice_are_refused_by_name():
    rows = choices("AB")
    train = choices("AB", split="train", scan="train")
    with pytest.raises(DataError, match="'scan0/direction/0' is answered twice"):
        evaluate_plain(rows, say([rows[0], rows[0]], "AA"), train)
    with pytest.raises(DataError, match="'scan0/direction/2'"):
        evaluate_plain(rows, say(choices("ABC"), "ABC"), train)
    with pytest.raises(DataError, match="stands twice in the data set"):
        evaluate_plain([rows[0], rows[0]], say(rows, "AB"), train)
    with pytest.raises(DataError, match="at least one sample"):
        evaluate_plain([], [], train)
    with pytest.raises(DataError, match="blind model.*answered twice"):
        evaluate_plain(rows, say(rows, "AB"), train, blind_replies=say([rows[0], rows[0]], "AA"))


def test_chance_of_choices_is_one_over_the_options_of_each_row():
    four, two = choices("AB"), choices("AB", options=("near", "far"), scan="other")
    assert guess(four + two, choices("A", split="train", scan="t")).chance.tolist() == [0.25, 0.25, 0.5, 0.5]


def test_chance_of_numbers_is_the_expected_score_of_a_draw_from_the_training_answers():
    held_out = numbers([2.0])
    train = numbers([2.0, 2.0, 2.0, 8.0], split="train", scan="t")
    assert guess(held_out, train).chance[0] == pytest.approx(0.75)
    by_hand = np.mean([held_out[0].answer_format.score(one.answer_text, 2.0).score for one in numbers([1.5, 2.2, 3.0])])
    assert guess(held_out, numbers([1.5, 2.2, 3.0], split="train", scan="t")).chance[0] == pytest.approx(by_hand)


def test_many_distinct_training_answers_are_thinned_without_moving_chance():
    values = np.random.default_rng(0).uniform(0.5, 6.0, 3000).round(2).tolist()
    train, held_out = numbers(values, split="train", scan="t", decimals=2), numbers([1.0, 3.0], decimals=2)
    assert len({one.answer_text for one in train}) > 3 * MAX_DRAWS > MAX_CANDIDATES
    exact = score_texts(held_out, [one.answer_text for one in train]).mean(axis=1)
    assert guess(held_out, train).chance == pytest.approx(exact, abs=0.01)


def test_the_most_frequent_letter_comes_from_training_even_where_held_out_disagrees():
    guessed = guess(choices("DDDA"), choices("AAAB", split="train", scan="t"))
    assert guessed.most_frequent.tolist() == [0.0, 0.0, 0.0, 1.0]


def test_the_most_frequent_option_is_found_behind_shuffled_letters():
    turned = [("left", "right"), ("right", "left")] * 10
    train = [sample("t", "direction", i, Choice(options=o), "A" if o[0] == "left" else "B", "train") for i, o in enumerate(turned)]
    held_out = [sample("h", "direction", i, Choice(options=o), "A" if o[0] == "left" else "B") for i, o in enumerate(turned)]
    guessed = guess(held_out, train)
    assert guessed.most_frequent_answer == "left"
    assert guessed.most_frequent.mean() == 1.0


def test_the_constant_number_is_the_one_that_scores_best_on_training_rows():
    train = numbers([1.0] * 3 + [4.0, 4.2, 4.4, 4.6, 4.8], split="train", scan="t")
    guessed = guess(numbers([4.4]), train)
    assert guessed.most_frequent_answer == "4.4"
    texts = sorted({one.answer_text for one in train})
    best = texts[int(np.argmax(score_texts(train, texts).mean(axis=0)))]
    assert guessed.most_frequent_answer == best


def test_the_held_out_truths_do_not_move_the_constant():
    train = numbers([1.0, 2.0, 2.0, 3.0], split="train", scan="t")
    answers = {guess(numbers([value]), train).most_frequent_answer for value in (0.5, 1.0, 2.0, 9.0)}
    assert len(answers) == 1


def test_a_task_without_training_rows_says_what_to_pass():
    with pytest.raises(DataError, match="'direction' has no training row.*train split"):
        evaluate_plain(choices("AB"), say(choices("AB"), "AB"), numbers([1.0], split="train", scan="t"))


def test_another_task_in_the_data_set_leaves_the_intervals_of_a_task_as_they_were():
    rows, train = choices("ABCD" * 8), choices("ABCD", split="train", scan="t")
    alone, _ = evaluate_plain(rows, say(rows, "A" * 32), train)
    more = rows + numbers([1.0, 2.0])
    both, _ = evaluate_plain(more, say(more, ["A"] * 32 + ["1.0", "2.0"]), train + numbers([1.0], split="train", scan="t"))
    assert alone.task("direction") == both.task("direction")


def test_clustering_by_scan_is_written_on_the_card_and_widens_the_interval():
    rows = choices("A" * 10 + "B" * 10 + "A" * 10 + "B" * 10)
    train = choices("AB", split="train", scan="t")
    plain, _ = evaluate_plain(rows, say(rows, "A" * 40), train)
    clustered, _ = evaluate_plain(rows, say(rows, "A" * 40), train, cluster_by_scan=True)
    width = [one.mean.score.high - one.mean.score.low for one in (plain, clustered)]
    assert width[1] > 2 * width[0]
    assert "scans" in clustered.card["interval"] and "samples" in plain.card["interval"]


def two_models(tmp_path=None):
    rows = choices("ABCD" * 10) + numbers([1.0, 2.0, 3.0, 4.0] * 10)
    train = choices("ABCD" * 5, split="train", scan="t") + numbers([1.0, 2.0, 3.0, 4.0], split="train", scan="t")
    blind = say(rows, ["A"] * 40 + ["2.0"] * 40)
    truth = [one.answer_text for one in rows]
    good, good_results = evaluate(rows, say(rows, truth), train, model="sin3d", card={}, seed=0, blind_replies=blind)
    texts = ["A"] * 40 + truth[40:]
    poor, poor_results = evaluate(rows, say(rows, texts), train, model="none", card={}, seed=0, blind_replies=blind)
    return good, poor, {"sin3d": good_results, "none": poor_results}


def test_a_task_is_separated_only_where_the_intervals_do_not_touch():
    good, poor, results = two_models()
    verdict = compare(good, [poor], results=results)
    over = {comparison.rival: comparison for comparison in verdict.comparisons}
    assert set(over) == {"none", "chance", "most_frequent", "blind"}
    assert over["none"].above == ("direction", "mean") and over["none"].below == ()
    assert over["chance"].above == ("direction", "distance", "mean")
    assert verdict.above_all == ("direction", "mean")
    assert over["none"].differences.by_task["direction"].mean == pytest.approx(0.75)
    assert over["none"].differences.by_task["distance"] == Interval(mean=0.0, low=0.0, high=0.0)
    assert over["none"].differences.by_task["mean"].mean == pytest.approx(0.375)
    assert over["none"].differences.resampled == "samples"  # four scans are too few to resample
    assert compare(poor, [good]).comparisons[0].differences is None
    assert compare(poor, [good]).comparisons[0].below == ("direction", "mean")


def test_paired_differences_resample_scans_where_there_are_enough_of_them():
    rows = choices("ABCD" * 30)
    train = choices("ABCD", split="train", scan="t")
    good, good_results = evaluate(rows, say(rows, [one.answer_text for one in rows]), train, model="good", card={}, seed=0)
    poor, poor_results = evaluate(rows, say(rows, "A" * 120), train, model="poor", card={}, seed=0)
    differences = compare(good, [poor], results={"good": good_results, "poor": poor_results}).comparisons[0].differences
    assert differences.resampled == "scans"
    assert differences.by_task["mean"].mean == pytest.approx(0.75)


def test_touching_intervals_are_not_separated():
    good, poor, _ = two_models()
    edge = replace(poor.tasks[0], score=Interval(mean=0.9, low=0.8, high=good.tasks[0].score.low))
    verdict = compare(good, [replace(poor, tasks=(edge, poor.tasks[1]))])
    assert "direction" not in verdict.comparisons[0].above


def test_models_scored_on_other_tasks_or_samples_are_not_compared():
    good, poor, results = two_models()
    with pytest.raises(DataError, match="same tasks.*distance"):
        compare(good, [replace(poor, tasks=poor.tasks[:1])])
    with pytest.raises(DataError, match="different samples"):
        compare(good, [poor], results={**results, "none": results["none"][1:]})


def test_the_blind_model_becomes_a_baseline_of_the_others():
    good, poor, _ = two_models()
    blind = replace(poor, model="blind")
    filled = with_blind([replace(good, mean=replace(good.mean, blind=None)), blind])
    assert filled[0].task("direction").blind == blind.task("direction").score and filled[0].mean.blind == blind.mean.score
    assert with_blind([good, poor]) == [good, poor]
    verdict = compare(filled[0], [blind])
    assert [one.rival for one in verdict.comparisons] == ["blind", "chance", "most_frequent"]
    with pytest.raises(DataError, match="answered 40 questions of 'direction', 'blind' 0"):
        with_blind([good, replace(blind, tasks=blind.tasks[1:])])


def test_the_results_file_holds_every_model_and_reads_back_equal(tmp_path):
    good, poor, results = two_models()
    path = tmp_path / "results.json"
    verdict = write_comparison(path, [poor, good], headline="sin3d", results=results)
    assert read_comparison(path) == (poor, good)
    value = json.loads(path.read_text())
    assert value["verdict"]["tasks_above_all_rivals"] == ["direction"] and value["verdict"]["mean_above_all_rivals"] is True
    assert verdict.model == "sin3d"
    again = tmp_path / "again.json"
    write_comparison(again, [poor, good], headline="sin3d", results=results)
    assert again.read_bytes() == path.read_bytes()
    with pytest.raises(DataError, match="'mlp3d'"):
        write_comparison(path, [poor, good], headline="mlp3d")


def test_evaluations_and_results_survive_the_disk_and_damage_is_named(tmp_path):
    good, _, results = two_models()
    write_evaluation(tmp_path / "e.json", good)
    results["sin3d"][0] = replace(results["sin3d"][0], reply="half a character \ud83d, a whole one \u00b0")
    write_results(tmp_path / "r.jsonl", results["sin3d"])
    assert read_evaluation(tmp_path / "e.json") == good
    assert read_results(tmp_path / "r.jsonl") == results["sin3d"]
    broken = json.loads((tmp_path / "e.json").read_text())
    del broken["tasks"][0]["chance"]
    (tmp_path / "e.json").write_text(json.dumps(broken))
    with pytest.raises(DataError, match=r"e\.json.*tasks\.0\.chance"):
        read_evaluation(tmp_path / "e.json")
    (tmp_path / "r.jsonl").write_text('{"sample_id": "a"}\n')
    with pytest.raises(DataError, match=r"r\.jsonl:1.*task"):
        read_results(tmp_path / "r.jsonl")
    (tmp_path / "e.json").write_text('{"format_version": 99}')
    with pytest.raises(DataError, match="format_version 1, found 99"):
        read_evaluation(tmp_path / "e.json")
