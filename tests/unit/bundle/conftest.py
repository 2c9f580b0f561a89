import shutil
from pathlib import Path

import pytest

from everest_secure.bundle.create import create
from everest_secure.pki.store import Store
from support.bundle import Workshop, incompressible
from support.forgery import Case, authorities, good_bundle, take_apart
from support.raucs import RAUCS, tools_of


@pytest.fixture
def workshop(tmp_path: Path, shared_pki: Store) -> Workshop:
    """A workshop of its own for each test, with a copy of the shared PKI."""
    for program in ("rauc", "mksquashfs"):
        if shutil.which(program) is None:
            pytest.skip(f"needs the program {program}")
    shutil.copytree(shared_pki.directory, tmp_path / "pki")
    (tmp_path / "rootfs.squashfs").write_bytes(incompressible(160 * 1024))
    return Workshop(tmp_path, Store(tmp_path / "pki"))


@pytest.fixture
def bundle(workshop: Workshop) -> Path:
    """A good bundle."""
    create(workshop.description(), workshop.release(), workshop.signer())
    return workshop.output


@pytest.fixture(scope="session", params=RAUCS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    tools = tools_of(request.param, request)
    pki, other = authorities(tmp_path_factory.mktemp("pki")), authorities(tmp_path_factory.mktemp("other"))
    pki.keyring("own", pki.root.pem)
    first, second = good_bundle(pki, "first"), good_bundle(pki, "second", seed=20 * 1024)
    return Case(pki, other, take_apart(first), take_apart(second), tools)
