"""Every catalog entry loads, and a wrong name is answered with the nearest right one."""

import importlib

import pytest

from sightline.catalog import Catalog
from sightline.errors import UnknownNameError

CATALOGS = {
    "READERS": "sightline.captures",
    "TASKS": "sightline.questions",
    "ANSWER_FORMATS": "sightline.answers",
    "EXPORTS": "sightline.samples",
    "EXECUTORS": "sightline.execution",
    "ENCODERS": "sightline.models",
    "FUSIONS": "sightline.models",
    "PRESETS": "sightline.models",
    "SOURCES": "sightline.mixtures",
}


def catalog(name: str) -> Catalog:
    return getattr(importlib.import_module(CATALOGS[name]), name)


@pytest.mark.parametrize("name", CATALOGS)
def test_every_entry_of_the_catalog_loads(name):
    table = catalog(name)
    assert len(table) > 0
    for entry in table:
        assert table[entry] is not None


@pytest.mark.parametrize("name", CATALOGS)
def test_a_misspelt_name_is_answered_with_the_nearest_known_one(name):
    table = catalog(name)
    known = next(iter(table))
    with pytest.raises(UnknownNameError, match=f"Did you mean '{known}'"):
        table[known + "x"]


def test_a_dangling_entry_is_named():
    table = Catalog("part", {"gone": "sightline.captures.capture:Missing", "lost": "sightline.no_such_module:Part"})
    with pytest.raises(UnknownNameError, match="part 'gone': module 'sightline.captures.capture' has no attribute 'Missing'"):
        table["gone"]
    with pytest.raises(UnknownNameError, match="part 'lost': no module called 'sightline.no_such_module'"):
        table["lost"]


def test_third_parties_need_no_registration():
    assert Catalog("part", {})["sightline.catalog:Catalog"] is Catalog


def test_the_documented_parts_are_the_ones_that_exist():
    assert set(catalog("READERS")) >= {"rooms", "folder"}
    assert set(catalog("FUSIONS")) >= {"none", "sin3d", "mlp3d"}
