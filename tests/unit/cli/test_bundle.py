import json
import shutil
from pathlib import Path

import pytest

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from everest_secure.pki.keys import KeyType
from everest_secure.pki.store import Store
from support import pki as support
from support.bundle import incompressible

pytestmark = pytest.mark.skipif(shutil.which("rauc") is None, reason="needs the program rauc")


@pytest.fixture
def pki(tmp_path: Path) -> Store:
    return support.make(tmp_path / "pki", chosen=support.small(key=KeyType.ECDSA_P384))


def create(directory: Path, pki: Store) -> int:
    (directory / "rootfs.img").write_bytes(incompressible(64 * 1024))
    (directory / "update.yml").write_text("compatible: charger\nversion: 1.2.3\nimages:\n  rootfs: {file: rootfs.img}\n")
    files = [
        "--key",
        pki.key("signer"),
        "--cert",
        pki.certificate("signer"),
        "--intermediate",
        pki.chain("signer"),
        "--keyring",
        pki.keyring,
    ]
    return main(["bundle", "create", str(directory / "update.yml"), str(directory / "update.raucb"), *map(str, files)])


def test_create_verify_and_info_agree(tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(tmp_path, pki) == ExitCode.OK
    assert "charger 1.2.3, signed and verified" in capsys.readouterr().out
    bundle = str(tmp_path / "update.raucb")
    assert main(["bundle", "verify", bundle, "--keyring", str(pki.keyring), "--json"]) == ExitCode.OK
    verified = json.loads(capsys.readouterr().out)
    assert main(["bundle", "info", bundle, "--json"]) == ExitCode.OK
    said = json.loads(capsys.readouterr().out)
    assert verified == {**said, "verified": True}
    assert said["images"][0]["name"] == "rootfs.img"
    assert not said["verified"]


def test_a_person_reads_whether_the_signature_was_verified(tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str]) -> None:
    create(tmp_path, pki)
    capsys.readouterr()
    main(["bundle", "info", str(tmp_path / "update.raucb")])
    assert "not verified" in capsys.readouterr().out


def test_a_bundle_of_another_authority_is_one_sentence_and_exit_code_2(
    tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    create(tmp_path, pki)
    other = support.make(tmp_path / "other")
    capsys.readouterr()
    assert main(["bundle", "verify", str(tmp_path / "update.raucb"), "--keyring", str(other.keyring)]) == ExitCode.FAILED
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.count("\n") == 1
    assert "unable to get local issuer certificate" in written.err


def test_an_existing_bundle_is_refused_with_exit_code_2(tmp_path: Path, pki: Store, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "update.raucb").write_text("mine")
    assert create(tmp_path, pki) == ExitCode.FAILED
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "update.raucb").read_text() == "mine"
