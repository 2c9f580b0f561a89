"""The CSMS manages the certificates of a hardened charger with libevse-security's own code, as the service user in the service's sandbox (CERT-07)."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from support.authority import issue
from support.everest_charger import USER, Charger, charger, install
from support.everest_code import Programs
from support.everest_store import (
    ABOVE,
    ROOT,
    STORE,
    Conditions,
    EvseStore,
    certificate_hash,
    certified,
    contents,
    evse_store,
    install_leaf,
    install_root,
    pem,
)
from support.layer import Bench
from support.rootfs import failing
from support.tpm import software_tpm
from support.tpm_provider import compiled, fetch, patch

pytestmark = [
    pytest.mark.yocto,
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is missing"),
]

ROOTS = {"CSMS": "ca/csms/CSMS_ROOT_CA.pem", "MF": "ca/mf/MF_ROOT_CA.pem", "MO": "ca/mo/MO_ROOT_CA.pem", "V2G": "ca/v2g/V2G_ROOT_CA.pem"}
LEAVES = {"CSMS": "client/csms", "V2G": "client/cso"}
PLACE = Path("/etc/everest/certs")
DROP_IN = "/usr/lib/systemd/system/everest.service.d/50-everest-secure.conf"
KINDS = pytest.mark.parametrize("kind", ROOTS)
ENDS = pytest.mark.parametrize("kind", LEAVES)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of OpenSSL's modules with the provider for TPMs that a charger has."""
    place = tmp_path_factory.mktemp("provider")
    code = fetch(place / "code")
    patch(code, place)
    return compiled(code, place / "modules")


def ids(store: EvseStore) -> list[tuple[str, dict[str, str]]]:
    """Return what GetInstalledCertificateIds tells, without what is below each."""
    return [(each["certificateType"], each["certificateHashData"]) for each in store.ask("GetInstalledCertificateIds")]


def alone_everest_s(machine: Charger) -> bool:
    """Whether everything in the store is the service user's and nobody else may look at it."""
    found = [path.stat() for path in (machine.place / STORE[1:]).rglob("*")]
    return bool(found) and all((each.st_uid, each.st_gid, each.st_mode & 0o077) == (USER.uid, USER.gid, 0) for each in found)


@KINDS
def test_a_root_is_installed_listed_and_deleted_and_the_last_one_can_be_replaced(
    evse_security: Programs, machine: Charger, kind: str
) -> None:
    known = certificate_hash(ROOT.certificate, ROOT.certificate)
    with evse_store(machine, evse_security.built) as store:
        assert ids(store) == []
        install_root(store, kind)
    assert contents(machine)[ROOTS[kind]] == ROOT.pem.encode()
    assert alone_everest_s(machine)
    with evse_store(machine, evse_security.built) as store:
        assert ids(store) == [(f"{kind}RootCertificate", known)]
        assert store.ask("verify file", type=kind) == str(PLACE / ROOTS[kind])
        assert store.ask("DeleteCertificate", hash=known) == "Accepted"
        assert ids(store) == []
        assert store.ask("DeleteCertificate", hash=known) == "NotFound"
        assert contents(machine)[ROOTS[kind]] == b""
        install_root(store, kind)
        assert ids(store) == [(f"{kind}RootCertificate", known)]


@KINDS
@pytest.mark.parametrize("directory", [False, True], ids=["file", "directory"])
def test_roots_lie_beside_each_other_each_once(evse_security: Programs, machine: Charger, kind: str, directory: bool) -> None:
    settings = {f"{kind.lower()}_ca_bundle": str(Path(ROOTS[kind]).parent)} if directory else {}
    other = issue("other", authority=True)
    with evse_store(machine, evse_security.built, Conditions(settings=settings)) as store:
        for each in (ROOT, other, ROOT):
            install_root(store, kind, each)
        assert len(ids(store)) == 2
        assert store.ask("DeleteCertificate", hash=certificate_hash(ROOT.certificate, ROOT.certificate)) == "Accepted"
        assert ids(store) == [(f"{kind}RootCertificate", certificate_hash(other.certificate, other.certificate))]
    left = [(Path(name).parent, text) for name, text in contents(machine).items() if text]
    assert left == [(Path(ROOTS[kind]).parent, other.pem.encode())]
    assert alone_everest_s(machine)


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        pytest.param("", "InvalidFormat", id="nothing"),
        pytest.param("certificate", "InvalidFormat", id="no certificate"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "InvalidFormat", id="damaged"),
        pytest.param(issue("a", authority=True).pem + issue("b", authority=True).pem, "InvalidFormat", id="two"),
        pytest.param(issue("ended", authority=True, age=20, days=10).pem, "Expired", id="expired"),
    ],
)
def test_what_is_no_root_is_refused_and_the_store_stays_as_it_was(
    evse_security: Programs, machine: Charger, offered: str, answer: str
) -> None:
    with evse_store(machine, evse_security.built) as store:
        install_root(store, "CSMS")
        before = contents(machine)
        assert store.ask("InstallCertificate", type="CSMS", certificate=offered) == answer
    assert contents(machine) == before


def test_a_root_that_the_service_user_may_only_read_can_be_replaced_and_in_a_directory_of_root_s_nothing_can(
    evse_security: Programs, machine: Charger
) -> None:
    seed = machine.place / STORE[1:] / ROOTS["CSMS"]
    seed.write_text(issue("seed", authority=True).pem)
    with evse_store(machine, evse_security.built) as store:
        install_root(store, "CSMS")
        assert len(ids(store)) == 2
        seed.parent.chmod(0o755)
        shutil.chown(seed.parent, 0, 0)
        before = contents(machine)
        assert store.ask("InstallCertificate", type="CSMS", certificate=issue("other", authority=True).pem) == "WriteError"
    assert contents(machine) == before


@ENDS
def test_a_requested_certificate_is_taken_after_a_restart_with_a_key_that_nobody_else_may_read(
    evse_security: Programs, machine: Charger, kind: str
) -> None:
    with evse_store(machine, evse_security.built) as store:
        install_root(store, kind)
        request = store.ask("SignCertificate", type=kind, tpm=False)
        assert store.ask("leaf", type=kind) is None
    leaf = certified(request)
    assert [each.value for each in leaf.subject] == ["DE", "Operator", "charger", "CPO"]
    with evse_store(machine, evse_security.built) as store:
        assert store.ask("CertificateSigned", type=kind, certificate=pem(leaf, ABOVE.certificate)) == "Accepted"
        used = store.ask("leaf", type=kind)
    assert used["key"].endswith(".key")
    assert {Path(path).parent for path in used.values()} == {PLACE / LEAVES[kind]}
    found = {what: machine.place / STORE[1:] / Path(path).relative_to(PLACE) for what, path in used.items()}
    assert found["chain"].read_text() == pem(leaf, ABOVE.certificate)
    assert found["leaf"].read_text() == pem(leaf)
    assert found["key"].stat().st_mode & 0o777 == 0o600
    assert alone_everest_s(machine)


@ENDS
def test_a_requested_certificate_has_its_key_in_the_tpm(
    evse_security: Programs, modules: Path, machine: Charger, tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    place = tmp_path_factory.mktemp("tpm")
    for each in (place, modules):
        each.chmod(0o755)
    with software_tpm(place) as tpm:
        for socket in (tpm.socket, Path(f"{tpm.socket}.ctrl")):
            socket.chmod(0o666)
        inside = replace(tpm, socket=Path("/tpm") / tpm.socket.name)
        options = ("--ro-bind", place, inside.socket.parent, "--ro-bind", modules, "/modules")
        environment = {**inside.environment(), "OPENSSL_MODULES": "/modules"}
        with evse_store(machine, evse_security.built, Conditions(options, environment=environment)) as store:
            leaf = install_leaf(store, kind, tpm=True)
            used = store.ask("leaf", type=kind)
    assert used["key"].endswith(".tkey")
    assert alone_everest_s(machine)
    keys = {name: text for name, text in contents(machine).items() if b"PRIVATE KEY" in text}
    assert list(keys) == [str(Path(used["key"]).relative_to(PLACE))]
    assert keys.popitem()[1].startswith(b"-----BEGIN TSS2 PRIVATE KEY-----")
    assert pem(leaf, ABOVE.certificate).encode() in contents(machine).values()


@ENDS
def test_without_a_tpm_there_is_no_request_and_no_key(evse_security: Programs, machine: Charger, kind: str) -> None:
    with evse_store(machine, evse_security.built) as store:
        assert store.ask("SignCertificate", type=kind, tpm=True) == ""
    assert not [name for name in contents(machine) if name.startswith("client/")]


@ENDS
@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("foreign key", "WriteError"),
        ("no root", "NoRootCertificateInstalled"),
        ("no chain", "NoRootCertificateInstalled"),
        ("expired", "Expired"),
        ("damaged", "InvalidFormat"),
    ],
)
def test_a_chain_that_does_not_fit_is_refused_and_the_one_in_use_stays(
    evse_security: Programs, machine: Charger, kind: str, fault: str, answer: str
) -> None:
    with evse_store(machine, evse_security.built) as store:
        install_leaf(store, kind)
        used = store.ask("leaf", type=kind)
        request = store.ask("SignCertificate", type=kind, tpm=False)
        stranger = issue("stranger", authority=True)
        chain = {
            "foreign key": pem(issue("foreign", by=ABOVE).certificate, ABOVE.certificate),
            "no root": pem(certified(request, by=stranger), stranger.certificate),
            "no chain": pem(certified(request)),
            "expired": pem(certified(request, age=20, days=10), ABOVE.certificate),
            "damaged": pem(certified(request))[:-80],
        }
        before = contents(machine)
        assert store.ask("CertificateSigned", type=kind, certificate=chain[fault]) == answer
        assert store.ask("leaf", type=kind) == used
    assert contents(machine) == before


def test_the_certificate_towards_the_csms_cannot_be_deleted(evse_security: Programs, machine: Charger) -> None:
    with evse_store(machine, evse_security.built) as store:
        leaf = install_leaf(store, "CSMS")
        before = contents(machine)
        assert store.ask("DeleteCertificate", hash=certificate_hash(leaf, ABOVE.certificate)) == "Failed"
    assert contents(machine) == before


def test_with_the_certificate_towards_vehicles_its_key_chain_and_ocsp_response_go(evse_security: Programs, machine: Charger) -> None:
    with evse_store(machine, evse_security.built) as store:
        install_root(store, "V2G")
        before = contents(machine)
        leaf = install_leaf(store, "V2G")
        known = certificate_hash(leaf, ABOVE.certificate)
        kept = store.ask("keep OCSP", hash=known, response="response")
        assert Path(kept).parent == PLACE / "client/cso/ocsp"
        assert alone_everest_s(machine)
        (chain,) = (each for each in store.ask("GetInstalledCertificateIds") if each["certificateType"] == "V2GCertificateChain")
        assert (chain["certificateHashData"], chain["childCertificateHashData"]) == (
            known,
            [certificate_hash(ABOVE.certificate, ROOT.certificate)],
        )
        assert store.ask("DeleteCertificate", hash=known) == "Accepted"
        assert store.ask("leaf", type="V2G") is None
    assert contents(machine) == before


def test_a_key_that_cannot_be_loaded_is_not_written_to_the_log(evse_security: Programs, machine: Charger) -> None:
    key = ROOT.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    file = machine.place / STORE[1:] / "client/csms/encrypted.key"
    file.write_bytes(key)
    shutil.chown(file, USER.uid, USER.gid)
    logs = []
    for program in (evse_security.upstream, evse_security.built):
        with evse_store(machine, program) as store:
            install_root(store, "CSMS")
            chain = pem(issue("foreign", by=ABOVE).certificate, ABOVE.certificate)
            assert store.ask("CertificateSigned", type="CSMS", certificate=chain) == "WriteError"
        logs.append(store.log.read_text())
    secret = key.decode().splitlines()[1]
    assert [secret in log for log in logs] == [True, False]
    assert all("Password configured correctly?" in log for log in logs)


def test_the_checker_refuses_a_sandbox_in_which_everest_keeps_no_root(
    evse_security: Programs, layer: Bench, everest: Path, tmp_path: Path
) -> None:
    fs = charger(layer, everest).replace(DROP_IN, "^ReadWritePaths=.*$", "ReadWritePaths=/var/lib/everest /var/log/everest")
    machine = install(fs, tmp_path, everest)
    with evse_store(machine, evse_security.built) as store:
        assert store.ask("InstallCertificate", type="CSMS", certificate=ROOT.pem) != "Accepted"
    assert contents(machine) == {}
    assert "CERT-07" in failing(fs)
