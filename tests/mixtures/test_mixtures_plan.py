"""A mixture shows what its plan says: every row exactly once a pass, shares to the row, the same whoever reads it from wherever."""

import pickle
import time
from collections import Counter

import numpy as np
import pytest
from made_sources import write_source

from sightline.errors import ConfigError, DataError
from sightline.mixtures.mixture import MixtureRecipe, SourceRecipe
from sightline.mixtures.plan import of_tasks, planned
from sightline.mixtures.stream import MixtureStream


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    write_source(folder, "big", rows=90, sets=30)
    write_source(folder, "small", rows=20, sets=20)
    write_source(folder, "tasks", rows=300, sets=300, tasks={"count": 100, "size": 100, "where": 100})
    return folder


def recipe(*sources, **options) -> MixtureRecipe:
    return MixtureRecipe(sources=tuple(SourceRecipe(**one) for one in sources), **{"sets_per_step": 8, **options})


def ids(units) -> list[str]:
    return [one.sample_id for unit in units for one in unit.conversations]


def every_id(plan) -> Counter:
    return Counter(ids(MixtureStream(plan)))


@pytest.mark.parametrize("questions", [1, 2, 3, 8])
def test_one_pass_shows_every_row_exactly_once_with_questions_grouped_by_their_pictures(sources, questions):
    plan = planned(recipe({"data": "big"}, {"data": "small"}, questions_per_set=questions), root=sources)
    assert every_id(plan) == Counter([f"big/{number}" for number in range(90)] + [f"small/{number}" for number in range(20)])
    for unit in MixtureStream(plan):
        assert len({one.pictures for one in unit.conversations}) == 1 and len(unit.conversations) <= questions
    full = [len(unit.conversations) for unit in MixtureStream(plan) if unit.source == "big"]
    assert sorted(full, reverse=True)[0] == min(questions, 3) and sum(full) == 90


def test_weights_show_a_source_more_often_and_each_of_its_rows_alike(sources):
    plan = planned(recipe({"data": "big", "weight": 0.5}, {"data": "small", "weight": 3}, passes=1), root=sources)
    seen = every_id(plan)
    assert sum(count for name, count in seen.items() if name.startswith("big")) == 45
    assert all(seen[f"small/{number}"] == 3 for number in range(20)) and max(seen.values()) == 3


def test_a_temperature_makes_shares_alike_and_steps_fix_the_length(sources):
    def drawn(temperature):
        plan = planned(recipe({"data": "big"}, {"data": "small"}, steps=10, temperature=temperature), root=sources)
        return [source.draws for source in plan.sources]

    assert drawn(1.0) == [65, 15]  # 80 sets at 90 to 20
    assert drawn(2.0) == [54, 26]  # at 9.49 to 4.47
    assert drawn(1e6) == [40, 40]


def test_shares_of_what_is_shown_do_not_depend_on_sizes(sources):
    plan = planned(recipe({"data": "big", "share": 0.3}, {"data": "small", "share": 0.7}, steps=10), root=sources)
    assert [source.draws for source in plan.sources] == [24, 56]


def test_a_share_and_a_cap_keep_the_same_rows_every_time(sources):
    kept = [set(every_id(planned(recipe({"data": data, **more}), root=sources))) for data, more in (
        ("big%30", {}), ("big%30", {}), ("big", {"cap": 27}), ("big%60", {}))]  # fmt: skip
    assert kept[0] == kept[1] == kept[2] and len(kept[0]) == 27
    assert kept[0] < kept[3] and len(kept[3]) == 54


def test_tasks_are_taken_by_their_weights(sources):
    plan = planned(recipe({"data": "tasks", "tasks": {"count": 2.0, "size": 1.0}}), root=sources)
    found = of_tasks(plan)
    assert found["count"] == 100 and "where" not in found and 35 <= found["size"] <= 65  # a fair coin for each row
    with pytest.raises(
        DataError, match=r"source 'tasks': tasks: expected those of its split 'train', found \['colour'\]. Known: count, size"
    ):
        planned(recipe({"data": "tasks", "tasks": {"colour": 1.0}}), root=sources)


def test_a_curriculum_shows_each_source_in_its_steps_alone(sources):
    plan = planned(recipe({"data": "big", "last_step": 3}, {"data": "small", "first_step": 2}, steps=6), root=sources)
    shown = [Counter(unit.source for unit in MixtureStream(plan).step(step)) for step in range(6)]
    assert set(shown[0]) == set(shown[1]) == {"big"} and set(shown[2]) == {"big", "small"}
    assert all(set(one) == {"small"} for one in shown[3:])
    with pytest.raises(DataError, match="expected a source at step 4, found none"):
        planned(recipe({"data": "big", "last_step": 4}, steps=6), root=sources)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_a_step_out_without_losing_or_repeating_a_row(sources, world):
    plan = planned(recipe({"data": "big"}, {"data": "small"}, steps=30), root=sources)
    stream = MixtureStream(plan)
    for step in (0, 7, 29):
        apart = [ids(stream.step(step, rank=rank, world=world)) for rank in range(world)]
        assert sorted(sum(apart, [])) == sorted(ids(stream.step(step)))


def test_any_step_is_found_without_the_steps_before_it_also_by_another_process(sources):
    plan = planned(recipe({"data": "big"}, {"data": "small", "first_step": 3}, steps=40), root=sources)
    whole = [ids(MixtureStream(plan).step(step)) for step in range(40)]
    copy = pickle.loads(pickle.dumps(MixtureStream(plan)))
    for step in (39, 3, 17, 0):
        assert ids(copy.step(step)) == whole[step]


def test_rows_come_in_another_order_each_pass_and_for_each_seed(sources):
    first = [ids(MixtureStream(planned(recipe({"data": "big"}, passes=2, seed=seed), root=sources))) for seed in (0, 0, 1)]
    assert first[0] == first[1] != first[2]
    assert first[0][:90] != first[0][90:] and sorted(first[0][:90]) == sorted(first[0][90:])


def test_what_cannot_be_met_is_refused_with_the_shortfall_and_two_fixes(sources):
    with pytest.raises(DataError) as refused:
        planned(recipe({"data": "small", "most_passes": 2}, steps=10), root=sources)
    assert str(refused.value) == (
        "source 'small': 80 sets of pictures are asked of 20, 4.0 passes, at most 2 are allowed: 40 are missing. "
        "Fix: most_passes: 4, or steps: 5"
    )
    with pytest.raises(DataError, match="source 'big': expected rows in .*big, found none of 90 to take: 90 not of split 'test'"):
        planned(recipe({"data": "big", "split": "test"}), root=sources)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ({"weight": 0.0}, {}, "source 'big': weight: expected more than 0, found 0.0"),
        ({"cap": 0}, {}, "source 'big': cap: expected 1 or more, found 0"),
        ({"data": "big%0"}, {}, "expected a share of 1 to 100 per cent after '%', found 0"),
        ({"first_step": 5, "last_step": 5}, {}, "expected 0 <= first_step < last_step, found 5 and 5"),
        ({"tasks": {"count": -1.0}}, {}, "tasks: expected weights of 0 or more"),
        ({}, {"steps": 3, "passes": 1.0}, r"expected steps or passes, found both \(3 and 1.0\)"),
        ({"share": 0.0}, {}, "source 'big': share: expected more than 0 and no weight beside it, found 0.0"),
        ({"share": 0.5, "weight": 2.0}, {}, "no weight beside it, found 0.5 and weight 2.0"),
        ({"share": 0.5}, {"temperature": 2.0}, "temperature: expected 1 where shares are given, found 2.0"),
        ({}, {"temperature": 0.0}, "temperature: expected more than 0, found 0.0"),
        ({}, {"sets_per_step": 0}, "sets_per_step: expected 1 or more, found 0"),
    ],
)
def test_a_recipe_that_means_nothing_is_refused_by_name(source, options, message):
    with pytest.raises(ConfigError, match=message):
        recipe({"data": "big", **source}, **options)


def test_a_share_for_some_sources_alone_is_refused():
    with pytest.raises(ConfigError, match="share: expected for every source or for none, found none for small"):
        recipe({"data": "big", "share": 0.5}, {"data": "small"})


def test_two_sources_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="found 'big' twice; give one of them a name"):
        recipe({"data": "a/big"}, {"data": "b/big"})


def test_a_step_far_out_takes_no_longer_than_the_first(sources):
    plan = planned(recipe({"data": "big", "most_passes": 1e9}, {"data": "small", "most_passes": 1e9}, steps=2_000_000), root=sources)
    started = time.process_time()
    source, unit = plan.at(np.array(plan.positions_of(1_000_000)))
    assert len(source) == 8 and time.process_time() - started < 1.0  # far from the 50 ms that bench/ measures, and from walking there
