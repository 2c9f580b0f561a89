"""Keys made in a TPM by the command of the target, with a TPM in software, as the users that call it (TPM-04, TPM-06)."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.layer import UNITS, Bench, contents
from support.provisioning import Charger, charger, library_of, manual_of, owner_and_mode, program_of
from support.shells import SHELLS, shell
from support.tpm import SoftwareTpm, resource_manager, software_tpm

pytestmark = pytest.mark.layer

HEADER = "-----BEGIN TSS2 PRIVATE KEY-----"
PARENT, LEGACY = "0x81000001", "0x81010001"
COMMANDS = [("provision",), ("csr", "csms", "--common-name", "CP1"), ("verify",), ("random",)]
COMMAND_IDS = [words[0] for words in COMMANDS]


@pytest.fixture(params=SHELLS)
def box(layer: Bench, request: pytest.FixtureRequest) -> Iterator[Charger]:
    with charger(layer, tuple(shell(request.param))) as made:
        yield made


@pytest.fixture
def tpm(box: Charger) -> Iterator[SoftwareTpm]:
    with software_tpm(box.place) as running:
        yield running


def test_the_recipe_installs_the_command_its_unit_and_its_manual(layer: Bench) -> None:
    assert contents(layer.package("everest-tpm")) == {
        "/usr/lib/everest-secure/certificate-store.sh": 0o644,
        f"/{UNITS}/everest-tpm-provision.service": 0o644,
        "/usr/sbin/everest-tpm": 0o755,
    }
    assert manual_of(layer).is_file()
    assert "everest-tpm" in layer.package("packagegroup-everest-secure").depends


@pytest.mark.parametrize("user", ["root", "everest"])
def test_both_keys_are_made_in_the_tpm_for_the_service_user_alone(box: Charger, tpm: SoftwareTpm, user: str) -> None:
    box.done("provision", tpm=tpm, user=user)
    assert set(box.files()) == {str(key.relative_to(box.store)) for key in box.keys}
    for key in box.keys:
        assert key.read_text().startswith(HEADER)
        assert owner_and_mode(key) == (1500 if os.geteuid() == 0 else os.geteuid(), 0o600)
    assert box.done("verify", tpm=tpm, user=user).count("in the TPM, signs") == 2


@pytest.mark.parametrize("user", ["root", "everest"])
def test_keys_that_are_there_are_left_as_they_are(box: Charger, tpm: SoftwareTpm, user: str) -> None:
    box.done("provision", tpm=tpm)
    before = box.files()
    box.done("provision", tpm=tpm, user=user)
    assert box.files() == before


def test_one_key_can_be_made_alone(box: Charger, tpm: SoftwareTpm) -> None:
    box.done("provision", "secc", tpm=tpm)
    assert set(box.files()) == {"client/cso/SECC_LEAF.tkey"}


def test_a_key_that_is_replaced_stays_beside_the_new_one(box: Charger, tpm: SoftwareTpm) -> None:
    box.done("provision", "csms", tpm=tpm)
    (before,) = box.files().values()
    box.done("provision", "--replace", "csms", tpm=tpm)
    after = box.files()
    assert len(after) == 2
    assert before in after.values()
    assert after["client/csms/CSMS_LEAF.tkey"] != before
    assert box.done("verify", tpm=tpm).count("in the TPM, signs") == 2


@pytest.mark.parametrize("words", COMMANDS[:3], ids=COMMAND_IDS[:3])
def test_another_user_is_told_whose_keys_they_are(box: Charger, tpm: SoftwareTpm, words: tuple[str, ...]) -> None:
    done = box.call(*words, tpm=tpm, user="nobody")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "everest-tpm: the keys belong to the user 'everest'; call it as that user or as root\n"
    assert box.files() == {}


def test_whoever_is_not_in_the_group_gets_nothing_from_the_tpm(box: Charger, tpm: SoftwareTpm) -> None:
    assert box.call("random", tpm=tpm, user="nobody").returncode == 3
    assert box.call("status", tpm=tpm, user="nobody").returncode == 1


@pytest.mark.parametrize("words", COMMANDS, ids=COMMAND_IDS)
@pytest.mark.parametrize("user", ["root", "everest"])
def test_without_a_tpm_nothing_is_made_and_everything_says_so(box: Charger, words: tuple[str, ...], user: str) -> None:
    done = box.call(*words, tpm=None, user=user)
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(r"everest-tpm: OpenSSL's provider tpm2 cannot use the TPM [^\n]*\n", done.stderr)
    assert box.files() == {}


def test_a_device_that_is_missing_is_named(box: Charger) -> None:
    done = box.call("provision", tpm=None, EVEREST_TPM_TCTI="device:/dev/nothing")
    assert done.returncode == 3
    assert done.stderr == "everest-tpm: there is no TPM at /dev/nothing; enable it in the firmware, and the kernel's driver for it\n"


def test_the_status_without_a_tpm_is_not_right(box: Charger) -> None:
    done = box.call("status", tpm=None)
    assert done.returncode == 1
    assert done.stdout.count("NOT RIGHT") == 3


@pytest.mark.parametrize("user", ["root", "everest"])
def test_the_status_is_right_when_the_resource_manager_answers_too(box: Charger, tpm: SoftwareTpm, user: str) -> None:
    with resource_manager(tpm, box.place, accounts=box.accounts) as environment:
        found = {"EVEREST_TPM_BROKER": environment["TPM2OPENSSL_TCTI"], "DBUS_SESSION_BUS_ADDRESS": environment["DBUS_SESSION_BUS_ADDRESS"]}
        said = box.call("status", tpm=tpm, tcti=environment["TPM2OPENSSL_TCTI"], user=user, **found)
    assert (said.returncode, said.stderr) == (0, ""), said.stdout
    assert "NOT RIGHT" not in said.stdout
    assert re.search(r"^resource manager  tpm2-abrmd answers$", said.stdout, re.MULTILINE)


def test_the_directories_are_those_of_everests_configuration(box: Charger, tpm: SoftwareTpm) -> None:
    configuration = box.place / "config.yaml"
    own = f"    config_module:\n      secc_leaf_key_directory: {box.store}/client/csms\n      csms_leaf_key_directory: 'client/cso' # own\n"
    configuration.write_text(configuration.read_text().replace("    module: EvseSecurity\n", f"{own}    module: EvseSecurity\n"))
    box.done("provision", tpm=tpm)
    assert set(box.files()) == {"client/cso/CSMS_LEAF.tkey", "client/csms/SECC_LEAF.tkey"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("module: EvseSecurity", "module: Other"),
        ("    module: EvseSecurity\n", "    module: EvseSecurity\n    config_module:\n      csms_leaf_key_directory: ../../run\n"),
        ("    module: EvseSecurity\n", "    module: EvseSecurity\n    config_module:\n      csms_leaf_key_directory: a$(b)\n"),
        ("    module: EvseSecurity\n", "    module: EvseSecurity\n    config_module:\n      csms_leaf_key_directory: not/there\n"),
    ],
)
def test_a_configuration_that_names_no_directory_of_keys_ends_it(box: Charger, tpm: SoftwareTpm, old: str, new: str) -> None:
    configuration = box.place / "config.yaml"
    configuration.write_text(configuration.read_text().replace(old, new))
    done = box.call("provision", tpm=tpm)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert box.files() == {}


def test_a_parent_key_that_is_there_is_used(box: Charger, tpm: SoftwareTpm) -> None:
    box.done("provision", tpm=tpm)
    before = tpm.run("tpm2_readpublic", "-c", PARENT).stdout
    for key in box.keys:
        key.unlink()
    box.done("provision", tpm=tpm)
    assert tpm.run("tpm2_readpublic", "-c", PARENT).stdout == before


def test_what_is_no_storage_key_is_not_taken_as_a_parent(box: Charger, tpm: SoftwareTpm) -> None:
    context = box.place / "context"
    for command in (
        [
            "tpm2_createprimary",
            "-Q",
            "-C",
            "o",
            "-G",
            "ecc:ecdsa-sha256",
            "-a",
            "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign",
        ],
        ["tpm2_evictcontrol", "-Q", "-C", "o", PARENT],
    ):
        assert tpm.run(*command, "-c", context).returncode == 0
    assert tpm.run("tpm2_flushcontext", "-t").returncode == 0
    done = box.call("provision", tpm=tpm)
    assert done.returncode == 2
    assert f"object at {PARENT} is no storage key" in done.stderr
    assert box.files() == {}


def test_the_handle_of_the_guide_gets_an_rsa_key_that_is_not_destroyed_unasked(box: Charger, tpm: SoftwareTpm) -> None:
    box.done("provision", "--legacy-rsa-handle", tpm=tpm)
    made = tpm.run("tpm2_readpublic", "-c", LEGACY).stdout
    assert "value: rsa" in made
    again = box.call("provision", "--legacy-rsa-handle", tpm=tpm)
    assert (again.returncode, tpm.run("tpm2_readpublic", "-c", LEGACY).stdout) == (2, made)
    box.done("provision", "--legacy-rsa-handle", "--replace", tpm=tpm)
    assert box.files() == {}


def test_random_bytes_come_from_the_tpm(box: Charger, tpm: SoftwareTpm) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}\n", box.done("random", tpm=tpm))
    assert re.fullmatch(r"[0-9a-f]{2048}\n", box.done("random", "1024", tpm=tpm, user="root"))


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("make",),
        ("provision", "mo"),
        ("provision", "--legacy-rsa-handle", "csms"),
        ("random", "0"),
        ("random", "1025"),
        ("random", "1", "2"),
        ("random", "-1"),
        ("status", "now"),
        ("csr",),
        ("csr", "csms", "--dns"),
        ("csr", "csms"),
        ("csr", "csms", "--common-name", "$HOME"),
        ("csr", "csms", "--common-name", "a\n[b]"),
        ("csr", "csms", "--common-name", "x" * 65),
        ("csr", "csms", "--country", "Germany"),
        ("csr", "csms", "--dns", "a_b"),
        ("csr", "csms", "--dns", "a,DNS:b"),
        ("csr", "csms", "--ip", "10.0.0.256"),
        ("csr", "csms", "--ip", "10.0.0"),
        ("csr", "csms", "--ip", "10.0.0.1,DNS:b"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_sentence(box: Charger, words: tuple[str, ...]) -> None:
    done = box.call(*words, tpm=None)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("everest-tpm: ")
    assert done.stderr.endswith("; everest-tpm --help shows what there is\n")


def test_help_names_every_command_and_every_exit_code(box: Charger, layer: Bench) -> None:
    done = box.call("--help", tpm=None, user="nobody" if os.geteuid() == 0 else "everest")
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in ("status", "provision", "csr", "verify", "random"))
    codes = re.search(
        r"^UNSOUND=(\d+) FAILED=(\d+) NO_TPM=(\d+) NOT_ALLOWED=(\d+) USAGE=(\d+)$",
        (library_of(layer) / "certificate-store.sh").read_text(),
        re.MULTILINE,
    )
    assert codes is not None
    assert re.findall(r"(?:: |; )(\d+) ", done.stdout) == ["0", *codes.groups()]


def test_each_entry_of_the_journal_has_its_id_and_the_key(box: Charger, tpm: SoftwareTpm) -> None:
    if shutil.which("systemd-notify") is None:
        pytest.skip("systemd-notify is not installed")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(box.place / "journal"))
        (box.place / "journal").chmod(0o666)
        box.done("provision", "csms", tpm=tpm)
        box.keys[0].chmod(0o644)
        assert box.call("verify", box.keys[0], tpm=tpm).returncode == 1
        assert box.call("random", tpm=None).returncode == 3
        journal.setblocking(False)
        # journald drops a line that no newline ends (server_process_entry in journald-native.c).
        taken = [journal.recv(9999).decode().rpartition("\n")[0] for _ in range(4)]
    entries = [dict(line.split("=", 1) for line in text.splitlines()) for text in taken]
    assert all(entry["MESSAGE"] for entry in entries)
    assert [entry["PRIORITY"] for entry in entries] == ["5", "5", "2", "3"]
    assert len({entry["MESSAGE_ID"] for entry in entries}) == 4
    assert [entry.get("EVEREST_KEY") for entry in entries] == [None, str(box.keys[0]), str(box.keys[0]), None]
    assert {entry["SYSLOG_IDENTIFIER"] for entry in entries} == {"everest-tpm"}


def test_the_manual_has_every_id_of_the_journal_and_no_other(layer: Bench) -> None:
    manual = manual_of(layer).read_text()
    identifiers = re.findall(r"^ID_\w+=([0-9a-f]{32})$", program_of(layer).read_text(), re.MULTILINE)
    assert len(identifiers) == 5
    assert re.findall(r"\b[0-9a-f]{32}\b", manual) == identifiers


def test_the_manual_is_read_without_a_warning(layer: Bench) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", manual_of(layer)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_the_unit_of_the_first_start_is_hardly_exposed_and_is_the_service_users(layer: Bench, tmp_path: Path) -> None:
    unit = layer.package("everest-tpm").files / UNITS / "everest-tpm-provision.service"
    said = subprocess.run(["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True, check=True).stdout
    score = re.search(r"exposure level for everest-tpm-provision.service: ([0-9.]+)", said)
    assert score is not None
    assert float(score[1]) <= 2.0
    assert "\nUser=everest\n" in unit.read_text()
    known = tmp_path / unit.name
    known.write_text(unit.read_text().replace("ExecStart=/usr/sbin/everest-tpm", "ExecStart=/bin/true").replace("=everest\n", "=root\n"))
    assert subprocess.run(["systemd-analyze", "verify", "--man=no", known], capture_output=True, text=True, check=False).stderr == ""
