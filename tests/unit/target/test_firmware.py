import json
import re
import struct
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography import x509

from everest_secure.errors import ToolError
from everest_secure.pki.certificates import load_one
from everest_secure.pki.errors import PkiError
from everest_secure.pki.store import Store
from everest_secure.run import run
from everest_secure.target.firmware import OWNER, Firmware, enroll
from support import pki

X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
"""EFI_CERT_X509_GUID (UEFI specification, 32.4.1.2)."""
ENROLLED = {"PK": "secure-boot-pk", "KEK": "secure-boot-kek", "db": "secure-boot-db"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return pki.make(tmp_path_factory.mktemp("keys") / "pki")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, keys: Store) -> Path:
    """A variable store with the keys enrolled."""
    firmware = Firmware()
    if not (firmware.code.is_file() and firmware.variables.is_file()):
        pytest.skip("ovmf is not installed")
    return enroll(tmp_path_factory.mktemp("store") / "variables.fd", firmware=firmware, keys=keys)


@pytest.fixture(scope="module")
def variables(store: Path) -> Mapping[str, bytes]:
    """Content of each variable by name."""
    listed = store.with_suffix(".json")
    run([Path(sys.executable).parent / "virt-fw-vars", "--input", store, "--output-json", listed])
    return {entry["name"]: bytes.fromhex(entry["data"]) for entry in json.loads(listed.read_text())["variables"]}


def signatures(raw: bytes) -> list[tuple[uuid.UUID, uuid.UUID, bytes]]:
    """Return (type, owner, data) of everything in a chain of EFI_SIGNATURE_LIST (UEFI specification, 32.4.1.1)."""
    found: list[tuple[uuid.UUID, uuid.UUID, bytes]] = []
    while raw:
        kind, (length, header, each) = uuid.UUID(bytes_le=raw[:16]), struct.unpack_from("<III", raw, 16)
        entries = [raw[at : at + each] for at in range(28 + header, length, each)]
        found += [(kind, uuid.UUID(bytes_le=entry[:16]), entry[16:]) for entry in entries]
        raw = raw[length:]
    return found


@pytest.mark.parametrize(("variable", "name"), ENROLLED.items())
def test_a_variable_trusts_the_one_certificate_of_ours_and_nobody_else(
    variables: Mapping[str, bytes], keys: Store, variable: str, name: str
) -> None:
    ((kind, owner, data),) = signatures(variables[variable])
    assert kind == X509
    assert owner == uuid.UUID(OWNER)
    assert x509.load_der_x509_certificate(data) == load_one(keys.certificate(name))


def test_secure_boot_is_on_and_no_other_variable_holds_a_certificate(variables: Mapping[str, bytes]) -> None:
    assert variables["SecureBootEnable"] == b"\1"
    assert {name for name, content in variables.items() if X509.bytes_le in content} == set(ENROLLED)


def test_the_store_has_the_size_that_the_firmware_expects(store: Path) -> None:
    assert store.stat().st_size == Firmware().variables.stat().st_size


def test_a_missing_firmware_is_named_with_its_package(tmp_path: Path, keys: Store) -> None:
    firmware = Firmware(code=tmp_path / "code.fd", variables=tmp_path / "vars.fd")
    expected = f"^the firmware file {re.escape(str(tmp_path))}/code.fd is missing; install the Debian package ovmf and try again$"
    with pytest.raises(ToolError, match=expected):
        enroll(tmp_path / "variables.fd", firmware=firmware, keys=keys)
    assert list(tmp_path.iterdir()) == []


def test_keys_that_are_not_there_are_one_sentence_and_no_store(tmp_path: Path) -> None:
    for file in ("code.fd", "vars.fd"):
        (tmp_path / file).write_bytes(b"")
    firmware = Firmware(code=tmp_path / "code.fd", variables=tmp_path / "vars.fd")
    with pytest.raises(PkiError, match="secure-boot-pk"):
        enroll(tmp_path / "variables.fd", firmware=firmware, keys=Store(tmp_path / "none"))
    assert not (tmp_path / "variables.fd").exists()


def test_without_the_program_that_enrolls_it_says_how_to_get_it(keys: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Firmware().code.is_file():
        pytest.skip("ovmf is not installed")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    with pytest.raises(ToolError, match=r"'virt-fw-vars' is not installed; .*everest-secure\[target\]"):
        enroll(tmp_path / "variables.fd", firmware=Firmware(), keys=keys)
    assert not (tmp_path / "variables.fd").exists()
