"""Fixtures of the recipe tests."""

import pytest

from support.layer import Bench, bench


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return bench(tmp_path_factory.mktemp("layer"))
