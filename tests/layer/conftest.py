"""Fixtures of the recipe tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Certified, certified
from support.layer import Bench, bench
from support.monitor import Monitor
from support.provisioning import put_programs
from support.shells import SHELLS, shell


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return bench(tmp_path_factory.mktemp("layer"))


@pytest.fixture(scope="session")
def certificate_program(layer: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("everest-cert")
    put_programs(layer, place)
    return place / "everest-cert"


@pytest.fixture
def monitor(layer: Bench, tmp_path: Path, certificate_program: Path) -> Monitor:
    return Monitor(layer.package("everest-security-monitor").files, tmp_path, certificate_program)


@pytest.fixture(scope="module", params=SHELLS)
def shop(layer: Bench, request: pytest.FixtureRequest) -> Iterator[Certified]:
    with certified(layer, tuple(shell(request.param))) as made:
        yield made
