import pytest

from everest_secure.pki.store import Store
from support import pki as support


@pytest.fixture(scope="session")
def shared_release(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A PKI of the release profile under `support.PASSPHRASE`, which tests only read; scrypt makes it slow."""
    return support.make(tmp_path_factory.mktemp("release") / "pki", chosen=support.small("release"), passphrase=support.PASSPHRASE)
