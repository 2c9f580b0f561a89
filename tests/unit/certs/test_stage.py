"""What becomes of a store that is staged: what is in it, whose it is, and what happens when it cannot be made."""

import json
import os
import stat
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from support.vectors import Workshop

CHAIN = ("secc", "sub2", "sub1")
Printed = pytest.CaptureFixture[str]


@pytest.fixture
def given(workshop: Workshop, tmp_path: Path) -> Path:
    """A directory with files to stage."""
    place = tmp_path / "given"
    place.mkdir()
    (place / "root.pem").write_bytes(workshop.chain("v2g-root"))
    (place / "csms-root.pem").write_bytes(workshop.chain("csms-root"))
    (place / "secc.pem").write_bytes(workshop.chain(*CHAIN))
    (place / "secc.key").write_bytes(workshop.key_pem("secc"))
    (place / "charger.pem").write_bytes(workshop.chain("charger", "csms-sub2", "csms-sub1"))
    (place / "charger.key").write_bytes(workshop.key_pem("charger"))
    (place / "software.pem").write_bytes(workshop.chain("secc-in-software", "sub2", "sub1"))
    (place / "software.key").write_bytes(workshop.key_pem("secc-in-software"))
    return place


def stage(output: Path, given: Path, *more: str | Path) -> int:
    """Stage a store of all that a charger has, and `more`."""
    return main(
        [
            "certs",
            "stage",
            str(output),
            *("--ca", f"v2g={given}/root.pem", "--ca", f"csms={given}/csms-root.pem"),
            *("--secc", f"{given}/secc.pem", "--secc-key", f"{given}/secc.key"),
            *("--csms", f"{given}/charger.pem", "--csms-key", f"{given}/charger.key"),
            *map(str, more),
        ]
    )


def request(key: bytes) -> x509.CertificateSigningRequest:
    private = load_pem_private_key(key, None)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(private, hashes.SHA256())  # type: ignore[arg-type] # an EC key


def test_an_archive_holds_the_whole_store_with_the_owners_and_modes_of_the_charger(given: Path, tmp_path: Path) -> None:
    assert stage(tmp_path / "store.tar", given) == ExitCode.OK
    with tarfile.open(tmp_path / "store.tar") as archive:
        members = archive.getmembers()
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(1500, 1500, "everest", "everest")}
    assert {(member.isdir(), member.mode) for member in members} == {(True, 0o700), (False, 0o600)}
    assert [member.name for member in members if member.isfile()] == [
        "./ca/csms/CSMS_ROOT_CA.pem",
        "./ca/v2g/V2G_ROOT_CA.pem",
        "./client/csms/CSMS_LEAF.pem",
        "./client/csms/CSMS_LEAF.tkey",
        "./client/cso/SECC_LEAF.pem",
        "./client/cso/SECC_LEAF.tkey",
    ]
    assert {"./ca/mf", "./ca/mo"} < {member.name for member in members}
    assert stat.S_IMODE((tmp_path / "store.tar").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")
def test_what_root_stages_as_a_directory_belongs_to_the_service_user_and_holds(given: Path, tmp_path: Path) -> None:
    output = tmp_path / "store"
    assert stage(output, given) == ExitCode.OK
    found = [output, *output.rglob("*")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in found} == {(1500, 1500)}
    assert {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in found} == {(True, 0o700), (False, 0o600)}
    assert main(["certs", "check", str(output)]) == ExitCode.OK


@pytest.mark.skipif(os.geteuid() == 0, reason="root can give files away")
def test_whoever_is_not_root_is_told_that_the_files_are_his_own(given: Path, tmp_path: Path, capsys: Printed) -> None:
    assert stage(tmp_path / "store", given) == ExitCode.OK
    assert "The files belong to you: give them to 1500:1500" in capsys.readouterr().out


def test_the_same_files_make_the_same_archive(given: Path, tmp_path: Path) -> None:
    stage(tmp_path / "one.tar", given)
    stage(tmp_path / "two.tar", given)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


@pytest.mark.parametrize("name", ["store.tar", "store"])
def test_nothing_is_overwritten(given: Path, tmp_path: Path, capsys: Printed, name: str) -> None:
    (tmp_path / name).write_text("mine")
    assert stage(tmp_path / name, given) == ExitCode.FAILED
    assert (tmp_path / name).read_text() == "mine"
    assert "exists already and is never overwritten" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["store.tar", "store"])
def test_what_is_refused_leaves_nothing_behind(given: Path, tmp_path: Path, capsys: Printed, name: str) -> None:
    (given / "secc.key").write_bytes((given / "charger.key").read_bytes())
    assert stage(tmp_path / name, given) == ExitCode.FINDINGS
    assert [path.name for path in tmp_path.iterdir()] == ["given"]
    assert "the key is not that of 'CN=secc' [key-mismatch]" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["store.tar", "store"])
def test_a_directory_that_cannot_be_written_to_is_one_sentence(given: Path, capsys: Printed, name: str) -> None:
    assert stage(Path("/proc/self") / name, given) == ExitCode.FAILED
    assert capsys.readouterr().err.count("\n") == 1


def test_a_key_that_never_leaves_the_charger_is_shown_by_its_request(given: Path, workshop: Workshop, tmp_path: Path) -> None:
    """Its request is what the charger gave away; the key is not in the store that is staged."""
    key = workshop.key_pem("secc-in-software")
    (given / "secc.csr").write_bytes(request(key).public_bytes(Encoding.PEM))
    typed = ["--secc", str(given / "software.pem"), "--secc-request", str(given / "secc.csr"), "--ca", f"v2g={given}/root.pem"]
    assert main(["certs", "stage", str(tmp_path / "store.tar"), *typed]) == ExitCode.OK
    with tarfile.open(tmp_path / "store.tar") as archive:
        assert [name for name in archive.getnames() if "key" in name] == []


def test_a_request_of_another_key_is_refused(given: Path, workshop: Workshop, tmp_path: Path, capsys: Printed) -> None:
    (given / "secc.csr").write_bytes(request(workshop.key_pem("sub1")).public_bytes(Encoding.DER))
    typed = ["--secc", str(given / "software.pem"), "--secc-request", str(given / "secc.csr")]
    assert main(["certs", "stage", str(tmp_path / "store.tar"), *typed]) == ExitCode.FINDINGS
    assert "made with another key than that of 'CN=secc-in-software' [key-mismatch]" in capsys.readouterr().out


def forged(key: bytes) -> bytes:
    """A request whose signature does not hold."""
    der = bytearray(request(key).public_bytes(Encoding.DER))
    der[-1] ^= 1
    return bytes(der)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x30\x03\x02\x01\x00"])
def test_a_request_that_cannot_be_read_is_one_sentence(given: Path, tmp_path: Path, capsys: Printed, content: bytes) -> None:
    (given / "secc.csr").write_bytes(content)
    typed = ["--secc", str(given / "software.pem"), "--secc-request", str(given / "secc.csr")]
    assert main(["certs", "stage", str(tmp_path / "store.tar"), *typed]) == ExitCode.FAILED
    assert "secc.csr is no certificate signing request that can be read" in capsys.readouterr().out


def test_a_request_that_its_own_key_did_not_sign_shows_nothing(given: Path, workshop: Workshop, tmp_path: Path, capsys: Printed) -> None:
    (given / "secc.csr").write_bytes(forged(workshop.key_pem("secc-in-software")))
    typed = ["--secc", str(given / "software.pem"), "--secc-request", str(given / "secc.csr")]
    assert main(["certs", "stage", str(tmp_path / "store.tar"), *typed]) == ExitCode.FAILED
    assert "is not signed by the key in it" in capsys.readouterr().out


WAIVED = """\
extends: production
waivers:
  - {id: TPM-04, reason: This charger has no TPM., owner: me, expires: %s, match: private key in PEM}
"""


def test_software_keys_are_staged_when_the_policy_waives_them(given: Path, tmp_path: Path, capsys: Printed) -> None:
    (tmp_path / "my.yml").write_text(WAIVED % (datetime.now(UTC) + timedelta(days=9)).date())
    typed = ["--secc", f"{given}/software.pem", "--secc-key", f"{given}/software.key", "--ca", f"v2g={given}/root.pem"]
    assert main(["certs", "stage", str(tmp_path / "store.tar"), *typed]) == ExitCode.FINDINGS
    capsys.readouterr()
    assert main(["certs", "stage", str(tmp_path / "store.tar"), *typed, "--policy", str(tmp_path / "my.yml")]) == ExitCode.OK
    assert "waived: TPM-04" in capsys.readouterr().out
    with tarfile.open(tmp_path / "store.tar") as archive:
        assert "./client/cso/SECC_LEAF.key" in archive.getnames()
    assert main(["certs", "check", str(tmp_path / "store.tar"), "--policy", str(tmp_path / "my.yml")]) == ExitCode.OK


def test_a_report_tells_what_was_staged_and_what_was_refused(given: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert stage(tmp_path / "store.tar", given, "--json", report) == ExitCode.OK
    assert {result["id"]: result["outcome"] for result in json.loads(report.read_text())["results"]} == dict.fromkeys(
        ("TPM-04", "CERT-01", "CERT-02", "CERT-03", "CERT-04", "CERT-08"), "pass"
    )
    (given / "secc.pem").write_bytes((given / "root.pem").read_bytes())
    assert stage(tmp_path / "refused.tar", given, "--json", report) == ExitCode.FINDINGS
    assert "[leaf-is-a-ca]" in report.read_text()


def test_a_report_takes_the_place_of_nothing_that_was_given(given: Path, tmp_path: Path, capsys: Printed) -> None:
    for file in (given / "secc.pem", given / "root.pem", tmp_path / "store.tar"):
        assert stage(tmp_path / "store.tar", given, "--json", file) == ExitCode.FAILED
        assert "is one of the inputs" in capsys.readouterr().err
    assert (given / "secc.pem").exists()


def test_a_waiver_of_something_else_is_not_called_useless(given: Path, tmp_path: Path) -> None:
    day, report = (datetime.now(UTC) + timedelta(days=9)).date(), tmp_path / "report.json"
    policy = f"extends: production\nwaivers:\n  - {{id: TPM-04, reason: Old board, owner: me, expires: {day}, match: UseTPM}}\n"
    (tmp_path / "my.yml").write_text(policy)
    assert stage(tmp_path / "store.tar", given, "--json", report, "--policy", tmp_path / "my.yml") == ExitCode.OK
    assert json.loads(report.read_text())["notices"] == []


def test_no_waiver_makes_a_key_of_a_stranger_acceptable(given: Path, tmp_path: Path) -> None:
    day = (datetime.now(UTC) + timedelta(days=9)).date()
    (tmp_path / "my.yml").write_text(
        f"extends: production\nwaivers: [{{id: CERT-08, reason: No command yet, owner: me, expires: {day}}}]\n"
    )
    (given / "secc.key").write_bytes((given / "charger.key").read_bytes())
    assert stage(tmp_path / "store.tar", given, "--policy", tmp_path / "my.yml") == ExitCode.FINDINGS


CONFIG = """\
active_modules:
  evse_security:
    module: EvseSecurity
    config_module:
      csms_leaf_cert_directory: client
      csms_leaf_key_directory: client
      secc_leaf_cert_directory: %s
      secc_leaf_key_directory: secc/keys
      v2g_ca_bundle: roots/v2g
      csms_ca_bundle: roots/all.pem
      mf_ca_bundle: roots/all.pem
      mo_ca_bundle: roots/all.pem
"""


def test_a_store_is_laid_out_as_everest_is_configured(given: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG % "secc")
    output, config = tmp_path / "store.tar", ("--config", tmp_path / "config.yaml")
    assert stage(output, given, "--ca", f"mo={given}/root.pem", *config) == ExitCode.OK
    with tarfile.open(output) as archive:
        names = set(archive.getnames())
    assert {"./secc/SECC_LEAF.pem", "./secc/keys/SECC_LEAF.tkey", "./client/CSMS_LEAF.tkey", "./roots/v2g/V2G_ROOT_CA.pem"} <= names
    assert main(["certs", "check", str(output), *map(str, config)]) == ExitCode.OK
    assert main(["certs", "check", str(output)]) == ExitCode.FINDINGS


def test_paths_of_any_length_come_through(given: Path, tmp_path: Path) -> None:
    place = "/".join(["a-long-name-of-a-directory"] * 12)
    (tmp_path / "config.yaml").write_text(CONFIG % place)
    assert stage(tmp_path / "store.tar", given, "--config", tmp_path / "config.yaml") == ExitCode.OK
    assert main(["certs", "check", str(tmp_path / "store.tar"), "--config", str(tmp_path / "config.yaml")]) == ExitCode.OK
    listed = subprocess.run(["tar", "-tf", tmp_path / "store.tar"], capture_output=True, text=True, check=True).stdout
    assert f"./{place}/SECC_LEAF.pem\n" in listed


@pytest.mark.parametrize("place", ["/var/lib/secc", "../secc", r'"secc\0"', r'"secc\e[2J"'])
def test_a_configuration_that_leads_out_of_the_store_is_refused(given: Path, tmp_path: Path, capsys: Printed, place: str) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG % place)
    assert stage(tmp_path / "store.tar", given, "--config", tmp_path / "config.yaml") == ExitCode.FAILED
    assert "not below /etc/everest/certs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "nothing was given to stage"),
        (["--secc-key", "secc.key"], "secc.key belongs to a chain that is not given; name it with --secc"),
        (["--ca", "v2g=missing.pem"], "missing.pem cannot be read: No such file or directory"),
        (["--ca", "v2g=."], ". is no regular file"),
        (["--ca", "v2g=/dev/zero"], "/dev/zero is no regular file"),
    ],
)
def test_what_cannot_be_staged_is_one_sentence(tmp_path: Path, capsys: Printed, typed: list[str], said: str) -> None:
    assert main(["certs", "stage", str(tmp_path / "store.tar"), *typed]) == ExitCode.FAILED
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("typed", [["--ca", "root.pem"], ["--ca", "oem=root.pem"], ["--secc-key", "a", "--secc-request", "b"], []])
def test_a_wrong_command_line_is_known_as_one(capsys: Printed, typed: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["certs", "stage", *typed, *(["out.tar"] if typed else [])])
    assert ended.value.code == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_larger_than_any_chain_is_refused_without_reading_it(given: Path, tmp_path: Path, capsys: Printed) -> None:
    with (given / "root.pem").open("r+b") as file:
        file.truncate(1 << 40)
    assert stage(tmp_path / "store.tar", given) == ExitCode.FAILED
    assert "has more than 1048576 bytes" in capsys.readouterr().err
