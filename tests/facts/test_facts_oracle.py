"""Every oracle check holds: closed forms and closed-form rays against what the library measures."""

import oracle_geometry
import oracle_scenes
import pytest

ORACLE = {**oracle_geometry.CHECKS, **oracle_scenes.CHECKS}


@pytest.mark.parametrize("name", ORACLE)
def test_the_oracle_agrees_that(name):
    ORACLE[name]()
