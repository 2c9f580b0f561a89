import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest

from everest_secure.checks import digester
from everest_secure.checks.hashing import digests_of_files, hashing
from everest_secure.errors import ArtefactError, UserError
from support.processes import children, ignores
from support.waiting import eventually

CONTENT = {"a.raw": b"a" * 3_000_000, "b.raw": b"", "tar\udcff\n.tar": b"c"}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, content in CONTENT.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in CONTENT]


@dataclass
class Unended:
    """A file whose end nobody has written yet."""

    path: Path
    end: BinaryIO


@pytest.fixture
def unended() -> Iterator[Unended]:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as end:
        yield Unended(Path(f"/proc/self/fd/{reader}"), end)
    os.close(reader)


@pytest.mark.parametrize("processes", [None, 1, 2])
def test_digests_are_those_of_the_files_with_and_without_a_process_for_them(files: list[Path], processes: int | None) -> None:
    with hashing(files, processes=processes) as digests:
        assert len(children()) == (0 if processes == 1 else 1)
        assert digests() == DIGESTS
    assert children() == []


def test_a_file_without_a_name_of_its_own_is_the_same_for_both(files: list[Path]) -> None:
    """`/dev/stdin` and `/dev/fd/N` name something else in each process."""
    with files[0].open("rb") as file, hashing([Path(f"/dev/fd/{file.fileno()}")], processes=2) as digests:
        assert [*digests().values()] == [DIGESTS["a.raw"]]


def test_without_an_interpreter_to_start_files_are_hashed_all_the_same(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    with hashing(files, processes=2) as digests:
        assert children() == []
        assert digests() == DIGESTS


def test_without_a_file_of_the_program_files_are_hashed_all_the_same(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digester, "__file__", "/app.pyz/everest_secure/checks/digester.py")
    with hashing(files, processes=2) as digests:
        assert children() == []
        assert digests() == DIGESTS


@pytest.mark.parametrize("processes", [1, 2])
def test_a_file_that_is_missing_is_an_error_when_digests_are_asked_for(tmp_path: Path, processes: int) -> None:
    with (
        hashing([tmp_path / "none"], processes=processes) as digests,
        pytest.raises(ArtefactError, match="none cannot be read: No such file"),
    ):
        digests()


def test_a_file_that_cannot_be_read_is_an_error(files: list[Path]) -> None:
    """The memory of a process can be opened, and cannot be read from its first byte."""
    with (
        hashing([files[0], Path("/proc/self/mem")], processes=2) as digests,
        pytest.raises(ArtefactError, match="/proc/self/mem cannot be read: Input/output"),
    ):
        digests()
    with pytest.raises(ArtefactError, match="/proc/self/mem cannot be read: Input/output"):
        digests_of_files([Path("/proc/self/mem")])


def test_a_process_that_is_killed_is_an_error_and_not_a_digest(unended: Unended) -> None:
    with hashing([unended.path], processes=2) as digests:
        os.kill(children()[0], signal.SIGKILL)
        with pytest.raises(UserError, match="ended before its work was done"):
            digests()


def test_the_process_ends_with_the_block(unended: Unended) -> None:
    with hashing([unended.path], processes=2):
        process = children()[0]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_an_interrupt_at_the_terminal_is_for_the_check_alone(unended: Unended) -> None:
    with hashing([unended.path], processes=2) as digests:
        process = children()[0]
        eventually(lambda: ignores(process, signal.SIGINT))
        os.kill(process, signal.SIGINT)
        unended.end.write(b"rest")
        unended.end.close()
        assert [*digests().values()] == [hashlib.sha256(b"rest").hexdigest()]


def test_the_program_needs_nothing_of_this_package() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", "-X", "importtime", digester.__file__], capture_output=True, text=True, check=True)
    assert "everest_secure" not in done.stderr
