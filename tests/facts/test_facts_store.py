"""Facts on disk: the round trip is exact to the bit, and damage is named."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import oracle_scenes
import pytest

from sightline.captures.capture import Opening, Room, Structure, Wall
from sightline.errors import DataError
from sightline.facts.store import read_facts, write_facts

STRUCTURE = Structure(
    rooms=(
        Room(room_index=0, label="kitchen", outline_world=np.array([[0, 0], [1 / 3, 0], [0.1, np.pi]]), floor_z_m=-0.0, ceiling_z_m=2.5),
    ),
    walls=(Wall(wall_id=3, a_world=np.array([0.1, 0.2, 0.3]), b_world=np.ones(3) / 7, height_m=2.4, thickness_m=0.12),),
    openings=(Opening(kind="door", wall_id=3, centre_world=np.zeros(3), width_m=0.9, height_m=2.0, rooms=(0, 1)),),
)


def same_bits(one: object, two: object, where: str = "table") -> None:
    """Raise unless two records are equal in type, dtype, shape and every bit."""
    if is_dataclass(one):
        assert type(one) is type(two), where
        for field in fields(one):
            same_bits(getattr(one, field.name), getattr(two, field.name), f"{where}.{field.name}")
    elif isinstance(one, np.ndarray):
        assert one.dtype == two.dtype and one.shape == two.shape, f"{where}: {one.dtype}{one.shape} {two.dtype}{two.shape}"
        assert one.tobytes() == two.tobytes(), where
    elif isinstance(one, tuple):
        assert len(one) == len(two), where
        for index, (a, b) in enumerate(zip(one, two)):
            same_bits(a, b, f"{where}[{index}]")
    elif hasattr(one, "items"):
        assert dict(one) == dict(two), where
    else:
        assert type(one) is type(two) and one == two and str(one) == str(two), where


@pytest.mark.parametrize("kind", ["same", "other", "cloud", "bare"])
def test_facts_come_back_bit_for_bit(kind, tmp_path):
    table = replace(oracle_scenes.measured(kind), structure=STRUCTURE if kind == "same" else None)
    write_facts(table, tmp_path)
    same_bits(table, read_facts(tmp_path))


def test_unknown_numbers_minus_zero_and_subnormals_survive(tmp_path):
    table = oracle_scenes.measured("same")
    strange = np.resize([np.nan, -0.0, 5e-324, 1 / 3, np.inf, -np.inf], len(table.pairs.overlap))
    table = replace(table, pairs=replace(table.pairs, overlap=strange))
    write_facts(table, tmp_path)
    assert read_facts(tmp_path).pairs.overlap.tobytes() == strange.tobytes()


def test_empty_tables_keep_their_shapes(tmp_path):
    table = oracle_scenes.measured("same")
    empty = {}
    for part in ("pairs", "points", "object_views", "object_pairs"):
        rows = getattr(table, part)
        empty[part] = replace(rows, **{field.name: getattr(rows, field.name)[:0] for field in fields(rows)})
    table = replace(table, objects=(), **empty)
    write_facts(table, tmp_path)
    same_bits(table, read_facts(tmp_path))


def test_writing_a_scan_without_objects_over_one_with_them_removes_their_tables(tmp_path):
    write_facts(oracle_scenes.measured("same"), tmp_path)
    write_facts(oracle_scenes.measured("bare"), tmp_path)
    assert not (tmp_path / "object_views.parquet").exists() and read_facts(tmp_path).object_views is None


@pytest.mark.parametrize("name", ["facts.json", "frames.parquet", "pairs.parquet", "points.parquet", "object_views.parquet"])
def test_a_missing_or_cut_file_is_named(name, tmp_path):
    write_facts(oracle_scenes.measured("same"), tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=name):
        read_facts(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=name):
        read_facts(tmp_path)


def test_a_table_of_another_version_is_refused(tmp_path):
    write_facts(oracle_scenes.measured("same"), tmp_path)
    (tmp_path / "pairs.parquet").write_bytes((tmp_path / "points.parquet").read_bytes())
    with pytest.raises(DataError, match="measure the scan again"):
        read_facts(tmp_path)
