import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from everest_secure.errors import ToolError, UserError
from everest_secure.target.machine import PROGRAMS
from everest_secure.target.session import run_until
from support.machine import RESET, machine, running
from support.reference import require

SECONDS = 60


@pytest.fixture
def real() -> None:
    require(*PROGRAMS)


def access_modes(file: Path) -> set[int]:
    """Return how processes have opened `file` (proc_pid_fdinfo(5)); processes and descriptors that end meanwhile have not."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if descriptor.readlink() == file:
                        flags = (process / "fdinfo" / descriptor.name).read_text().split("flags:")[1].split()[0]
                        found.add(int(flags, 8) & os.O_ACCMODE)
    return found


@pytest.mark.usefixtures("real")
def test_the_console_is_returned_once_it_shows_the_text(tmp_path: Path) -> None:
    assert run_until(machine(tmp_path, says="firmware\nready\n"), "ready", seconds=SECONDS).rstrip() == "firmware\nready"
    assert running(tmp_path) == []


@pytest.mark.usefixtures("real")
def test_a_machine_that_stops_right_after_the_text_has_shown_it(tmp_path: Path) -> None:
    assert run_until(machine(tmp_path, says="ready\n", then=RESET), "ready", seconds=SECONDS).strip() == "ready"


@pytest.mark.usefixtures("real")
def test_a_machine_that_stops_before_is_one_sentence_with_its_last_line(tmp_path: Path) -> None:
    expected = "^the machine stopped before it showed 'ready'; its console ends with: Kernel panic$"
    with pytest.raises(UserError, match=expected):
        run_until(machine(tmp_path, says="start\nKernel panic\n\n", then=RESET), "ready", seconds=SECONDS)
    assert running(tmp_path) == []


@pytest.mark.usefixtures("real")
def test_a_machine_that_takes_too_long_is_stopped_and_its_last_line_said(tmp_path: Path) -> None:
    expected = "^5 seconds passed before it showed 'ready'; the machine's console ends with: waiting$"
    with pytest.raises(UserError, match=expected):
        run_until(machine(tmp_path, says="start\nwaiting"), "ready", seconds=5)
    assert running(tmp_path) == []


@pytest.mark.usefixtures("real")
def test_a_machine_that_says_nothing_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"its console ends with: nothing$"):
        run_until(machine(tmp_path, then=RESET), "ready", seconds=SECONDS)


@pytest.mark.usefixtures("real")
def test_a_missing_disk_is_said_before_anything_runs(tmp_path: Path) -> None:
    built = machine(tmp_path)
    built.disk.unlink()
    with pytest.raises(
        UserError, match=r"^the disk image .*/disk,1\.raw is missing or no file; give the raw disk image that the build made$"
    ):
        run_until(built, "ready", seconds=SECONDS)
    assert not (tmp_path / "state").exists()


@pytest.mark.usefixtures("real")
def test_the_disk_has_room_behind_the_image_for_the_data_partition(tmp_path: Path) -> None:
    built = machine(tmp_path, says="ready")
    run_until(built, "ready", seconds=SECONDS)
    seen = json.loads(subprocess.run(["qemu-img", "info", "--output=json", built.written], capture_output=True, check=True).stdout)
    assert seen["virtual-size"] == built.disk.stat().st_size + 512 * 1024 * 1024
    assert str(built.disk) in seen["full-backing-filename"]


@pytest.mark.usefixtures("real")
def test_the_disk_is_opened_for_reading_alone(tmp_path: Path) -> None:
    built = machine(tmp_path, says="waiting")
    with ThreadPoolExecutor() as pool:
        ends = pool.submit(run_until, built, "ready", seconds=5)
        seen: set[int] = set()
        while not ends.done():
            seen |= access_modes(built.disk)
    assert isinstance(ends.exception(), UserError)
    assert seen == {os.O_RDONLY}


@pytest.mark.parametrize("missing", PROGRAMS)
def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    directory = tmp_path / "bin"
    directory.mkdir()
    for program in PROGRAMS:
        if program != missing:
            (directory / program).symlink_to(shutil.which(program) or "/bin/true")
    monkeypatch.setenv("PATH", str(directory))
    with pytest.raises(
        ToolError, match=f"^the program '{missing}' is not installed; install the Debian package {PROGRAMS[missing]} and try again$"
    ):
        run_until(machine(tmp_path), "ready", seconds=SECONDS)
    assert not (tmp_path / "state").exists()


@pytest.mark.usefixtures("real")
def test_missing_firmware_is_said_before_anything_runs(tmp_path: Path) -> None:
    built = machine(tmp_path)
    built.firmware.code.unlink()
    with pytest.raises(
        ToolError, match=rf"^the firmware file {re.escape(str(tmp_path))}/code\.fd is missing; install the Debian package ovmf"
    ):
        run_until(built, "ready", seconds=SECONDS)
