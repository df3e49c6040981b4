"""Runs transformers' own common model tests on every preset, where a checkout of transformers is at hand."""

import pytest
from common_model_tests import VARIABLE, checkout, tests_of
from preset_cases import REAL

pytestmark = pytest.mark.slow

if checkout() is not None:
    for _name in REAL:
        _tests = tests_of(_name)
        globals()[_tests.__name__] = _tests
    del _tests


@pytest.mark.skipif(checkout() is not None, reason="they run above")
def test_the_common_tests_run():
    pytest.skip(f"set {VARIABLE} to a checkout of transformers of the installed version to run its common model tests on every preset")
