"""Fixtures of all tests: which rauc they run."""

from collections.abc import Iterator

import pytest

from support import raucs
from support.raucs import LAYERS, ON_PATH, LayersRauc


@pytest.fixture(scope="session")
def layers_rauc(tmp_path_factory: pytest.TempPathFactory) -> LayersRauc:
    """RAUC as the layers build it, compiled of upstream's code; skips the test where that is out of reach."""
    return raucs.compiled(tmp_path_factory.mktemp("rauc"))


@pytest.fixture(scope="module")
def rauc_of_the_layers(layers_rauc: LayersRauc) -> Iterator[None]:
    """Programs find the layers' rauc in the place of this machine's."""
    with raucs.on_path(layers_rauc.program):
        yield


@pytest.fixture(scope="module", params=ON_PATH)
def each_rauc(request: pytest.FixtureRequest) -> str:
    """Which rauc programs find: this machine's, and once more, in tests on upstream's code (`yocto`), the layers'."""
    if request.param == LAYERS:
        request.getfixturevalue("rauc_of_the_layers")
    which: str = request.param
    return which
