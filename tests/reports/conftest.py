"""The fixture that every report test shares."""

import pytest
from made_reports import make_everything


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Inputs in which every section of the report has something to show."""
    return make_everything(tmp_path_factory.mktemp("reports"))
