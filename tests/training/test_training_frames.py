"""Rows about a whole scan are shown frames as the recipe says, and at each showing without some of them, by position alone."""

from dataclasses import replace

import pytest
from small_run import small_sample, write_small_set
from test_training_mixture import recipe_of

from sightline.errors import ConfigError
from sightline.mixtures.mixture import SourceRecipe
from sightline.samples.conversation import conversation_of
from sightline.samples.conversation_files import write_conversations
from sightline.scenes.store import SceneStore
from sightline.training.mixture_data import planned_mixture, streamed, words_of
from sightline.training.trainer import start


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Questions about whole scans, which name no picture, beside another set."""
    root = tmp_path_factory.mktemp("frames")
    write_small_set(root)
    rows = [replace(conversation_of(small_sample(index), source="single"), pictures=(), marks=()) for index in range(6)]
    write_conversations(root / "single", rows)
    write_conversations(root / "talk", rows)
    return root


def views_of(root, **source) -> list[list[int]]:
    """How many views the sets of each step show."""
    recipe = recipe_of(root, mixture={"questions_per_set": 1}, **source)
    plan = planned_mixture(recipe)
    data = streamed(recipe, plan, start(recipe, (), words=words_of(plan)).processor)
    return [[int(count) for one in data[step].portions for count in one.packed.inputs.views_per_sample] for step in range(len(data))]


def test_the_recipe_says_which_frames_of_a_scan_are_shown(root):
    frames = {len(SceneStore(root / "store").read(scan_id).frames) for scan_id in SceneStore(root / "store").scan_ids()}
    count = min(frames)
    shown = views_of(root, frames={"how": "uniform", "count": count})
    assert {views for step in shown for views in step} == {count} and count > 1


def test_views_are_left_out_at_each_showing_by_the_position_alone(root):
    whole = views_of(root, frames={"how": "uniform", "count": 16})
    fewer = views_of(root, frames={"how": "uniform", "count": 16}, view_dropout=0.5, least_views=1)
    assert fewer == views_of(root, frames={"how": "uniform", "count": 16}, view_dropout=0.5, least_views=1)
    counts = [views for step in fewer for views in step]
    assert min(counts) >= 1 and sum(counts) < sum(views for step in whole for views in step)


def test_a_dropout_that_leaves_nothing_is_refused():
    with pytest.raises(ConfigError, match="view_dropout, least_views: expected a share of 0 to below 1 and at least 1 view, found 1.0"):
        SourceRecipe(data="x", view_dropout=1.0)
