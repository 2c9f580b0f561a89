import pytest

from support.vectors import Workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Certificates and keys of the table, each made once."""
    return Workshop(tmp_path_factory.mktemp("vectors"))
