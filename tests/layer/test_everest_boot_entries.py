"""The script that makes boot entries, with the real efibootmgr over firmware variables in a directory and a disk of our own (RAUC-06)."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.layer import Bench
from support.reference import require
from support.shells import SHELLS, shell

pytestmark = pytest.mark.layer

GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""EFI_GLOBAL_VARIABLE (UEFI specification, 3.3)."""
NON_VOLATILE = b"\7\0\0\0"
PARTITIONS = {"efi-a": "11111111-1111-4111-8111-111111111111", "efi-b": "22222222-2222-4222-8222-222222222222"}


@dataclass(frozen=True)
class Board:
    """A machine with firmware variables, and a disk with both EFI partitions."""

    directory: Path
    disk: str
    script: Path
    sh: str

    @property
    def variables(self) -> Path:
        return self.directory / "efivars"

    def efibootmgr(self, *arguments: str) -> str:
        environment = {**os.environ, "EFIVARFS_PATH": f"{self.variables}/"}
        return subprocess.run(["efibootmgr", *arguments], env=environment, capture_output=True, text=True, check=True).stdout

    def set(self, name: str, content: bytes) -> None:
        (self.variables / f"{name}-{GLOBAL}").write_bytes(NON_VOLATILE + content)

    def add(self, label: str, part: int, program: str) -> None:
        self.efibootmgr("-q", "-C", "-d", self.disk, "-p", str(part), "-L", label, "-l", program)

    def run(self, slot: str = "A") -> subprocess.CompletedProcess[str]:
        (self.directory / "cmdline").write_text(f"ro rauc.slot={slot} quiet\n")
        environment = {
            **os.environ,
            "EFIVARFS_PATH": f"{self.variables}/",
            "EVEREST_PARTITIONS": str(self.directory / "by-partlabel"),
            "EVEREST_PARTITION_IDS": str(self.directory / "by-partuuid"),
            "EVEREST_SYSFS": str(self.directory / "sys"),
            "EVEREST_COMMAND_LINE": str(self.directory / "cmdline"),
        }
        return subprocess.run([*shell(self.sh), self.script], env=environment, capture_output=True, text=True, check=False)

    def entries(self) -> dict[str, tuple[str, str]]:
        """Return partition GUID and program of each entry by its label."""
        found = re.findall(
            r"^Boot[0-9A-F]{4}\*? (\w+)\tHD\(\d+,GPT,([0-9a-f-]+),[^)]*\)/(?:File\()?(\S+?)\)?$", self.efibootmgr("-v"), re.M
        )
        assert len({label for label, _, _ in found}) == len(found)
        return {label: (guid, program) for label, guid, program in found}

    def order(self) -> list[str]:
        """Return the labels in the boot order."""
        said = self.efibootmgr()
        labels = dict(re.findall(r"^Boot([0-9A-F]{4})\*? (\w+)", said, re.M))
        (numbers,) = re.findall(r"^BootOrder: (\S+)", said, re.M)
        return [labels[number] for number in numbers.split(",")]


RIGHT = {
    "A": (PARTITIONS["efi-a"], r"\EFI\Linux\everest-a.efi"),
    "B": (PARTITIONS["efi-b"], r"\EFI\Linux\everest-b.efi"),
}


@pytest.fixture(params=SHELLS)
def board(request: pytest.FixtureRequest, layer: Bench, tmp_path: Path) -> Iterator[Board]:
    require("efibootmgr", "losetup", "sfdisk")
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    lines = [f"size=16M, type=uefi, name={name}, uuid={guid}" for name, guid in PARTITIONS.items()]
    subprocess.run(["sfdisk", "--quiet", image], input="label: gpt\n" + "\n".join(lines), text=True, check=True)
    attached = subprocess.run(["losetup", "--find", "--show", "--read-only", image], capture_output=True, text=True, check=False)
    if attached.returncode:
        pytest.skip(f"no loop device can be had here: {attached.stderr.strip()}")
    disk = attached.stdout.strip()
    for directory in ("efivars", "by-partlabel", "by-partuuid", "dev", f"sys/{Path(disk).name}"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "dev" / Path(disk).name).symlink_to(disk)
    for number, (name, guid) in enumerate(PARTITIONS.items(), start=1):
        partition = f"{Path(disk).name}p{number}"
        (tmp_path / "dev" / partition).touch()
        (tmp_path / "by-partlabel" / name).symlink_to(tmp_path / "dev" / partition)
        (tmp_path / "by-partuuid" / guid).symlink_to(tmp_path / "dev" / partition)
        kernel = tmp_path / "sys" / Path(disk).name / partition
        kernel.mkdir()
        (kernel / "partition").write_text(f"{number}\n")
        (tmp_path / "sys" / partition).symlink_to(kernel)
    script = layer.package("everest-boot-entries").files / "usr/libexec/everest-secure/everest-boot-entries"
    yield Board(tmp_path, disk, script, request.param)
    subprocess.run(["losetup", "--detach", disk], check=True)


def test_a_new_machine_gets_both_entries_and_starts_the_slot_that_runs(board: Board) -> None:
    done = board.run()
    assert done.returncode == 0, done.stderr
    assert board.entries() == RIGHT
    assert board.order() == ["A"]
    assert "Timeout: 0 seconds" in board.efibootmgr()


def test_what_is_right_is_not_written_again(board: Board) -> None:
    board.run()
    before = {file.name: file.stat().st_mtime_ns for file in board.variables.iterdir()}
    done = board.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert {file.name: file.stat().st_mtime_ns for file in board.variables.iterdir()} == before


def test_a_slot_on_trial_is_not_put_into_the_order(board: Board) -> None:
    board.run("A")
    assert board.run("B").returncode == 0
    assert board.order() == ["A"]


def test_the_order_of_both_slots_stays_and_everything_else_leaves_it(board: Board) -> None:
    board.run()
    board.add("Network", 1, r"\EFI\BOOT\BOOTX64.EFI")
    numbers = {label: number for number, label in re.findall(r"^Boot([0-9A-F]{4})\*? (\w+)", board.efibootmgr(), re.M)}
    board.efibootmgr("-q", "-o", ",".join(numbers[label] for label in ("Network", "B", "A")))
    done = board.run()
    assert done.returncode == 0
    assert f"boot order {numbers['B']},{numbers['A']}, before" in done.stderr
    # A file keeps the end of what was longer before; the firmware's variables do not (tests/boot).
    assert board.order()[:2] == ["B", "A"]
    assert set(board.entries()) == {"A", "B", "Network"}


@pytest.mark.parametrize(
    ("part", "program"),
    [(2, r"\EFI\Linux\everest-a.efi"), (1, r"\EFI\Linux\everest-b.efi"), (1, r"\EFI\BOOT\BOOTX64.EFI")],
    ids=["another partition", "the other slot's program", "the fallback"],
)
def test_an_entry_that_leads_elsewhere_is_replaced(board: Board, part: int, program: str) -> None:
    board.add("A", part, program)
    assert board.run().returncode == 0
    assert board.entries() == RIGHT


def test_an_entry_that_stands_twice_is_left_once(board: Board) -> None:
    board.run()
    board.add("A", 1, r"\EFI\Linux\everest-a.efi")
    assert board.run().returncode == 0
    assert board.entries() == RIGHT


def test_when_the_firmware_has_forgotten_all_the_running_slot_is_what_starts(board: Board) -> None:
    assert board.run("B").returncode == 0
    assert board.order() == ["B"]


def test_a_disk_without_the_partition_is_one_sentence(board: Board) -> None:
    (board.directory / "by-partlabel/efi-b").unlink()
    done = board.run()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "everest-boot-entries: there is no partition efi-b"
    shutil.rmtree(board.directory / "by-partlabel")
    done = board.run()
    assert (done.returncode, done.stderr) == (1, "everest-boot-entries: there is no partition efi-a\n")
