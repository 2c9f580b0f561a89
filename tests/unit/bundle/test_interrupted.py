"""Bundles made, signed again and unpacked by commands that are killed at any time or run out of disk: nothing half-done has a name."""

import json
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.bundle import judge
from everest_secure.bundle.create import create
from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from everest_secure.run import HostTools
from support import pki as support
from support.bundle import Workshop, incompressible
from support.interrupting import delays, duration, ended, fill, killed, small_disk

COMMANDS = ("create", "resign", "extract")
LOG = "release-log.jsonl"
SIZE = 8 * 1024 * 1024
"""Bytes of the image: enough that a command is found at its work."""


@dataclass(frozen=True)
class Desk:
    """A bundle of the build, and whoever signs it again."""

    build: Workshop
    release: Workshop

    def argv(self, what: str, output: Path) -> list[str]:
        """Return a command line that makes `output`, a bundle or a directory of images."""
        keyring: list[str | Path] = ["--keyring", self.build.pki.keyring]
        match what:
            case "create":
                words = [self.build.directory / "update.yml", output, *keyring, *self._signer(self.build)]
            case "resign":
                words = [self.build.output, output, *keyring, "--signing-keyring", self.release.pki.keyring, *self._signer(self.release)]
            case _:
                words = [self.build.output, output, *keyring]
        return ["bundle", what, *map(str, words)]

    def _signer(self, workshop: Workshop) -> list[str | Path]:
        pki = workshop.pki
        return ["--key", pki.key("signer"), "--cert", pki.certificate("signer"), "--intermediate", pki.chain("signer")]

    def require_whole(self, what: str, output: Path) -> None:
        """What has its name is all of it: an image that is the one that was signed, or a bundle that verifies and stands in the log."""
        if what == "extract":
            assert all(each.read_bytes() == self.image for each in output.glob("[!.]*"))
        elif output.exists():
            device = (self.build if what == "create" else self.release).device()
            assert judge.judge(output, device=device, now=support.now(), tools=HostTools()).accepted
            assert self.logged(output.parent)[output.name] == HostTools().run(["sha256sum", output]).split()[0].decode()

    def logged(self, directory: Path) -> Mapping[str, str]:
        """Return digests by bundle; every line of the log is a whole one."""
        log = directory / LOG
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return {line["bundle"]: line["sha256"] for line in lines}

    @property
    def image(self) -> bytes:
        return incompressible(SIZE)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands make their temporary files."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


@pytest.fixture
def desk(workshop: Workshop, tmp_path: Path) -> Desk:
    (workshop.directory / "rootfs.squashfs").write_bytes(incompressible(SIZE))
    create(workshop.description(), workshop.release(), workshop.signer())
    description = "compatible: charger\nversion: 1.2.3\nimages:\n  rootfs: {file: rootfs.squashfs, name: rootfs.img}\n"
    (workshop.directory / "update.yml").write_text(description)
    (tmp_path / "release").mkdir()
    return Desk(workshop, Workshop(tmp_path / "release", support.make(tmp_path / "release" / "pki")))


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("what", COMMANDS)
def test_a_command_that_is_killed_at_any_time_leaves_nothing_half_done_under_a_name(desk: Desk, tmp_path: Path, what: str) -> None:
    place = tmp_path / "made"
    place.mkdir()
    takes, unfinished = duration(*desk.argv(what, place / "measured")), 0
    for attempt, delay in enumerate(delays(takes, what, rounds=8)):
        unfinished += killed(delay, *desk.argv(what, place / f"{attempt}"))
        desk.require_whole(what, place / f"{attempt}")
    assert unfinished
    duration(*desk.argv(what, place / "again"))
    desk.require_whole(what, place / "again")


@pytest.mark.parametrize("what", COMMANDS)
def test_a_command_that_is_told_to_end_says_so_and_leaves_nothing_half_done(desk: Desk, tmp_path: Path, scratch: Path, what: str) -> None:
    """As CI ends a job that was cancelled."""
    place = tmp_path / "made"
    place.mkdir()
    takes, said = duration(*desk.argv(what, place / "measured")), []
    for attempt, delay in enumerate(delays(takes, what, rounds=8)):
        before, output = set(place.iterdir()), place / f"{attempt}"
        done = ended(delay, signal.SIGTERM, *desk.argv(what, output))
        said.append(done.stderr)
        assert done.returncode in (ExitCode.OK, ExitCode.FAILED, -signal.SIGTERM), done.stderr
        assert set(place.iterdir()) - before <= {output}, "only what is finished stays"
        desk.require_whole(what, output)
        assert list(scratch.iterdir()) == []
    assert "everest-secure: told to end by SIGTERM\n" in said
    assert set(said) <= {"", "everest-secure: told to end by SIGTERM\n"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", mib=40) as made:
        yield made


def files(disk: Path) -> list[str]:
    return sorted(each.name for each in disk.rglob("*") if each.is_file())


@pytest.mark.parametrize("what", COMMANDS)
def test_a_disk_that_is_full_from_the_start_is_named(desk: Desk, disk: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    fill(disk, free=64 * 1024)
    assert main(desk.argv(what, disk / "out")) == ExitCode.FAILED
    assert "MB are free; free some space" in " ".join(capsys.readouterr().err.split())
    assert files(disk) == ["filler"]


@pytest.mark.parametrize(
    ("what", "free"),
    [("create", 64 * 1024), ("create", SIZE + 64 * 1024), ("resign", 64 * 1024), ("resign", SIZE), ("extract", SIZE - 4096)],
)
def test_a_disk_that_fills_up_meanwhile_leaves_nothing(
    desk: Desk, disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str, free: int
) -> None:
    """At the first bytes, and where one copy of the image fits and what comes after it does not."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 0, 1 << 40))
    fill(disk, free=free)
    assert main(desk.argv(what, disk / "out")) == ExitCode.FAILED
    said = capsys.readouterr().err.strip()
    assert "No space left on device" in said or "'rauc' failed with exit code 1" in said
    assert files(disk) == ["filler"]


@pytest.mark.parametrize("what", ["create", "resign"])
def test_a_bundle_whose_line_does_not_fit_into_the_log_gets_no_name(
    desk: Desk, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    log, page = disk / LOG, b'{"bundle": "earlier", "sha256": ""}'
    log.write_bytes(page.ljust(4095) + b"\n")
    before = log.read_bytes()
    fill(disk, free=0)
    assert main([*desk.argv(what, tmp_path / "out.raucb"), "--log", str(log)]) == ExitCode.FAILED
    assert "cannot be written to: No space left on device; the bundle was not published" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out.raucb").exists()
    assert log.read_bytes() == before
