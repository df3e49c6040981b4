"""Quickly made records are dataclasses in every respect but the time that making them takes."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, replace

import pytest

from sightline.quick import quickly_made


@quickly_made
@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    u_px: float
    v_px: float
    label: str = ""
    right_px: float | None = None


MAKERS = pytest.mark.parametrize("make", [Spot, Spot.made])


@MAKERS
def test_fields_defaults_equality_and_hash_are_those_of_the_dataclass(make):
    spot = make(u_px=1.0, v_px=2.0)
    assert type(spot) is Spot
    assert (spot.u_px, spot.v_px, spot.label, spot.right_px) == (1.0, 2.0, "", None)
    assert spot == Spot(v_px=2.0, u_px=1.0) != Spot(u_px=1.0, v_px=2.5) and hash(spot) == hash(Spot(u_px=1.0, v_px=2.0))
    assert repr(spot).endswith("Spot(u_px=1.0, v_px=2.0, label='', right_px=None)")
    assert asdict(replace(spot, label="A")) == {"u_px": 1.0, "v_px": 2.0, "label": "A", "right_px": None}
    assert pickle.loads(pickle.dumps(spot)) == copy.copy(spot) == spot


@MAKERS
def test_a_field_cannot_be_set_forgotten_or_given_by_place(make):
    with pytest.raises(FrozenInstanceError):
        make(u_px=1.0, v_px=2.0).u_px = 3.0
    with pytest.raises(TypeError, match="v_px"):
        make(u_px=1.0)
    with pytest.raises(TypeError):
        make(1.0, 2.0)
    with pytest.raises(TypeError, match="colour"):
        make(u_px=1.0, v_px=2.0, colour="red")


def test_what_the_constructor_would_leave_out_is_refused():
    @dataclass(frozen=True, kw_only=True, slots=True)
    class WithFactory:
        names: list = field(default_factory=list)

    @dataclass(frozen=True, kw_only=True, slots=True)
    class WithCheck:
        name: str

        def __post_init__(self):
            raise AssertionError

    for record in (WithFactory, WithCheck):
        with pytest.raises(TypeError, match="expected no default factory"):
            quickly_made(record)
