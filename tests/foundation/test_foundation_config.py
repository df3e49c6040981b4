"""Recipes: typed, frozen, and every mistake is one line that names the key."""

import pytest

from sightline.config import as_mapping, build, config, parse_yaml, recipe_path, save, with_overrides
from sightline.errors import ConfigError, UnknownNameError


@config
class Inner:
    learning_rate: float = 1e-3
    steps: int = 10


@config
class Outer:
    name: str
    optimiser: Inner = Inner()


def test_a_recipe_becomes_a_frozen_record():
    made = build(Outer, {"name": "a", "optimiser": {"steps": 3}}, where="a.yaml")
    assert made.optimiser.steps == 3 and made.optimiser.learning_rate == 1e-3
    with pytest.raises(Exception, match="cannot assign|frozen"):
        made.name = "b"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a", "optimizer": {}}, r"a.yaml: unknown key 'optimizer'. Did you mean 'optimiser'\?"),
        ({"name": "a", "optimiser": {"step": 1}}, r"a.yaml: unknown key 'optimiser.step'. Did you mean 'steps'\?"),
        ({"optimiser": {}}, "a.yaml: key 'name' is missing"),
        ({"name": "a", "optimiser": {"steps": "many"}}, "a.yaml: key 'optimiser.steps'.*found 'many'"),
    ],
)
def test_a_wrong_key_or_value_is_named(values, message):
    with pytest.raises(ConfigError, match=message):
        build(Outer, values, where="a.yaml")


def test_overrides_reach_into_groups_and_leave_the_original_alone():
    values = {"optimiser": {"steps": 1}}
    assert with_overrides(values, ["optimiser.steps=5", "name=x"]) == {"optimiser": {"steps": 5}, "name": "x"}
    assert values == {"optimiser": {"steps": 1}}
    for wrong, message in (("steps", "expected a.b=value"), ("optimiser.steps.x=1", "'steps' is a value"), ("a={", "not a YAML value")):
        with pytest.raises(ConfigError, match=message):
            with_overrides(values, [wrong])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "r.yaml:2: key 'a' stands twice"),
        ("- 1\n", "expected a mapping of keys, found list"),
        ("a: [\n", "r.yaml:2: expected YAML"),
        ("a: !!python/object/apply:os.system [echo]\n", "could not determine a constructor|expected YAML"),
    ],
)
def test_bad_yaml_is_refused_with_its_line(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_yaml(text, "r.yaml")


def test_an_unknown_recipe_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="no recipe called 'rooms/dem'. Did you mean 'rooms/demo'"):
        recipe_path("rooms/dem")
    with pytest.raises(ConfigError, match="expected a recipe file, found none"):
        recipe_path(str(tmp_path / "mine.yaml"))


def test_a_saved_config_reads_back_equal(tmp_path):
    made = build(Outer, {"name": "ä", "optimiser": {"steps": 3}}, where="a")
    save(made, tmp_path / "c.yaml")
    assert build(Outer, parse_yaml((tmp_path / "c.yaml").read_text(), "c"), where="c") == made
    assert as_mapping(made)["optimiser"] == {"learning_rate": 1e-3, "steps": 3}
