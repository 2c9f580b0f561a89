"""Fixtures of the tests on real layers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from everest_secure.build import upstream
from everest_secure.build.kas import Kas
from support.everest import fetch, patched
from support.everest_charger import Charger, charger, install
from support.everest_code import Programs
from support.everest_logs import ocpp_programs
from support.everest_store import OTHER_LIMITS, store_programs
from support.kas import TOP_FILES
from support.layer import Bench, bench
from support.ordinary import ordinary_user
from support.rootfs import RootFs
from support.yocto import PROJECT, Checkout, prepare


@pytest.fixture(scope="session")
def checkout() -> Iterator[Checkout]:
    """The project and its layers, checked out once; mirrors named by GITCONFIG_FILE or KAS_PREMIRRORS serve as well."""
    repositories = [repository for top in TOP_FILES for repository in Kas((top,), PROJECT).configuration().repositories]
    away = upstream.unreachable(repositories, environment=os.environ)
    if away:
        pytest.skip(f"upstream is out of reach: {upstream.hosts(away)}")
    with ordinary_user() as user:
        yield prepare(user, user.python())


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The layer's recipes, without BitBake."""
    return bench(tmp_path_factory.mktemp("layer"))


@pytest.fixture(scope="session")
def everest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EVerest's code at the commit that its layer builds."""
    return fetch(tmp_path_factory.mktemp("everest"))


@pytest.fixture(scope="session")
def built(layer: Bench, everest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What of EVerest's code the recipe's own task reads and changes, changed."""
    return patched(layer, tmp_path_factory.mktemp("patched"), everest)


@pytest.fixture(scope="session")
def ocpp(everest: Path, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """libocpp's code for logs and for what it takes of a CSMS, with a charger's configuration."""
    return Programs(*ocpp_programs(tmp_path_factory.mktemp("ocpp"), everest, everest, built))


@pytest.fixture(scope="session")
def evse_securities(layer: Bench, everest: Path, built: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """EVerest's class for its certificate store, as programs that are asked what a CSMS asks: upstream's, ours, and ours with other limits."""
    other = patched(layer, tmp_path_factory.mktemp("limits"), everest, **OTHER_LIMITS)
    return store_programs(tmp_path_factory.mktemp("evse_security"), everest, everest, built, other)


@pytest.fixture
def evse_security(evse_securities: list[Path]) -> Programs:
    """The certificate store of a charger, and what it would be upstream."""
    return Programs(*evse_securities[:2])


@pytest.fixture(scope="session")
def hardened(layer: Bench, everest: Path) -> RootFs:
    """A root with our configuration of EVerest."""
    return charger(layer, everest)


@pytest.fixture
def machine(hardened: RootFs, everest: Path, tmp_path: Path) -> Charger:
    """A charger as it is installed: nothing is in its certificate store."""
    return install(hardened, tmp_path, everest)


@pytest.fixture(scope="session")
def monitor(layer: Bench) -> Path:
    """Files of the package that watches for security events."""
    return layer.package("everest-security-monitor").files
