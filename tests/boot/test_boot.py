"""The demonstration's image on a machine with secure boot and a software TPM (BOOT-01, FS-02, ACC-03, ACC-04). Software emulation: minutes.

Run by `make boot`, after `make demo`.
"""

import mmap
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from everest_secure.image.artefact import open_artefact
from everest_secure.parse.everest_config import Module, read_everest_config
from everest_secure.pki.keys import KeyType
from everest_secure.target.firmware import Firmware
from everest_secure.target.machine import PROGRAMS
from support import pki
from support.reference import REPOSITORY, require

pytestmark = pytest.mark.boot

DISK = REPOSITORY / "build/demo/everest-secure-image-development.raw"
KEYS = REPOSITORY / "build/keys/development"
EVEREST_SECURE = Path(sys.executable).parent / "everest-secure"
BOOT_SECONDS, FIRMWARE_SECONDS = 900, 300
CAP_NET_RAW = 1 << 13
"""linux/capability.h."""
REFUSED = "Access Denied"
"""What OVMF says of a program that no certificate in db has signed."""
SAYS = "everest-reference: "


def target_run(disk: Path, keys: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(part) for part in (EVEREST_SECURE, "target", "run", disk, "--keys", keys, *options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def disk() -> Path:
    """The demonstration's disk image; skips without it or without a machine to run it on."""
    require(*PROGRAMS)
    if not all(file.is_file() for file in (Firmware().code, Firmware().variables)):
        pytest.skip("ovmf is not installed")
    if not (DISK.is_file() and KEYS.is_dir()):
        pytest.skip("there is no demonstration; run 'make demo' first")
    return DISK


@pytest.fixture(scope="module")
def console(disk: Path) -> list[str]:
    """Lines on the console of a machine that trusts our keys, until the image says that it is ready."""
    done = target_run(disk, KEYS, "--seconds", str(BOOT_SECONDS))
    assert done.returncode == 0, done.stderr
    return [line.strip() for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def modules(disk: Path) -> tuple[Module, ...]:
    """Modules that the image's own configuration lists."""
    slot = next(artefact.tree for artefact in open_artefact(disk).walk() if artefact.tree and artefact.tree.kind == "squashfs")
    return read_everest_config(slot).modules


@pytest.fixture(scope="module")
def processes(console: list[str]) -> dict[str, dict[str, str]]:
    """What /proc says of each module's process by the module's id: uid, CapAmb, NoNewPrivs."""
    found = [line.removeprefix(f"{SAYS}module ").split() for line in console if line.startswith(f"{SAYS}module ")]
    return {module: dict(fact.split("=") for fact in facts) for module, *facts in found}


@pytest.fixture
def altered(disk: Path, tmp_path: Path) -> Iterator[Path]:
    """The disk with one bit of the signed command line turned, in every place where it stands."""
    copy = tmp_path / "altered.raw"
    subprocess.run(["cp", "--sparse=always", disk, copy], check=True)
    with copy.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        at, turned = content.find(b"lockdown=integrity"), 0
        while at >= 0:
            content[at] ^= 1
            turned += 1
            at = content.find(b"lockdown=integrity", at)
    assert turned
    yield copy
    copy.unlink()


def test_the_image_boots_with_our_keys_and_no_unit_fails(console: list[str]) -> None:
    assert f"{SAYS}ready" in console
    assert [line for line in console if "failed units" in line] == [f"{SAYS}failed units: none"]


def test_every_module_runs_as_the_service_user_and_can_gain_nothing(
    processes: dict[str, dict[str, str]], modules: tuple[Module, ...]
) -> None:
    facts = {module: (process["uid"], process["NoNewPrivs"]) for module, process in processes.items()}
    assert facts == {module.id: ("1500", "1") for module in modules}


def test_slac_alone_holds_a_capability_and_that_is_raw_packets(processes: dict[str, dict[str, str]]) -> None:
    held = {module: int(process["CapAmb"], 16) for module, process in processes.items()}
    assert {module: mask for module, mask in held.items() if mask} == {"slac": CAP_NET_RAW}


def test_the_machine_has_made_its_data_partition_and_has_its_id_from_there(console: list[str]) -> None:
    (said,) = [line.removeprefix(f"{SAYS}machine ").split() for line in console if line.startswith(f"{SAYS}machine ")]
    machine, _, partition, _, file_system, _, *journals = said
    assert machine == partition.replace("-", "")
    assert file_system == "ext4"
    assert journals == [machine]


def test_a_machine_with_the_keys_of_others_refuses_the_image(disk: Path, tmp_path: Path) -> None:
    others = pki.make(tmp_path / "keys", chosen=pki.small(key=KeyType.RSA_2048))
    done = target_run(disk, others.directory, "--until", REFUSED, "--seconds", str(FIRMWARE_SECONDS))
    assert done.returncode == 0, done.stderr
    assert SAYS not in done.stdout


def test_an_image_whose_signed_command_line_was_altered_is_refused(altered: Path) -> None:
    done = target_run(altered, KEYS, "--until", REFUSED, "--seconds", str(FIRMWARE_SECONDS))
    assert done.returncode == 0, done.stderr
    assert SAYS not in done.stdout
