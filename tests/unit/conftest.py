from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from everest_secure.pki.store import Store
from support import pki as support
from support import softhsm
from support.softhsm import SoftHsm

settings.register_profile("busy", deadline=None)  # a machine that does other things is no fault of a parser
settings.load_profile("busy")


@pytest.fixture(scope="session")
def shared_pki(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A PKI that tests only read."""
    return support.make(tmp_path_factory.mktemp("shared") / "pki")


@pytest.fixture
def pki(tmp_path: Path) -> Store:
    """A PKI that a test may change."""
    return support.make(tmp_path / "pki")


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[SoftHsm]:
    """Tokens that this process and its children see."""
    with softhsm.softhsm(tmp_path / "hsm") as made:
        yield made
