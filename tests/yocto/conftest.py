"""Fixtures of the tests on real layers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from everest_secure.build import upstream
from everest_secure.build.kas import Kas
from support.everest import fetch
from support.kas import TOP_FILES
from support.layer import Bench, bench
from support.ordinary import ordinary_user
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
def monitor(layer: Bench) -> Path:
    """Files of the package that watches for security events."""
    return layer.package("everest-security-monitor").files
