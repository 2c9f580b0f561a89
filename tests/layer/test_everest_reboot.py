"""How EVerest restarts the machine without being able to do more (ACC-05)."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.layer import UNITS, Bench, contents

pytestmark = pytest.mark.layer

PIPE = "/run/everest-reboot"
SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(shutil.which(shell[0]) is None, reason=f"{shell[0]} is missing"))
    for shell in (["dash"], ["busybox", "sh"])
]


@pytest.fixture
def reboot(layer: Bench) -> Iterator[Path]:
    """The program, with its pipe in a directory that every user can enter, and a systemctl that says how it was called."""
    with TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        program = place / "reboot"
        program.write_text(
            (layer.package("everest-reboot").files / "usr/libexec/everest-reboot").read_text().replace(PIPE, f"{place}/pipe")
        )
        (place / "systemctl").write_text('#!/bin/sh\necho "systemctl $*"\n')
        (place / "systemctl").chmod(0o755)
        yield program


def call(program: Path, shell: list[str], *, user: int, arguments: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*shell, str(program), *arguments]
    if user != os.geteuid():
        if os.geteuid() != 0:
            pytest.skip("only root can become another user")
        command = ["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", *command]
    path = f"{program.parent}:/usr/bin:/bin"
    return subprocess.run(command, env={"PATH": path}, cwd="/", capture_output=True, text=True, check=False)


def unit(layer: Bench, name: str) -> ConfigParser:
    parser = ConfigParser(strict=False)
    parser.read_string((layer.package("everest-reboot").files / UNITS / name).read_text())
    return parser


def test_the_program_takes_the_place_of_the_one_that_everest_calls(layer: Bench) -> None:
    package = layer.package("everest-reboot")
    assert contents(package) == {
        f"/{UNITS}/everest-reboot.service": 0o644,
        f"/{UNITS}/everest-reboot.socket": 0o644,
        "/usr/libexec/everest-reboot": 0o755,
        "/usr/sbin/reboot": 0o777,
    }
    assert str((package.files / "usr/sbin/reboot").readlink()) == "/usr/libexec/everest-reboot"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_service_user_asks_through_its_pipe(reboot: Path, shell: list[str]) -> None:
    pipe = reboot.with_name("pipe")
    os.mkfifo(pipe, 0o600)
    os.chown(pipe, 1500 if os.geteuid() == 0 else os.geteuid(), -1)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    done = call(reboot, shell, user=1500 if os.geteuid() == 0 else os.geteuid())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.read(reader, 100) == b"reboot\n"
    os.close(reader)


@pytest.mark.parametrize("shell", SHELLS)
def test_another_user_is_told_that_the_pipe_is_not_his(reboot: Path, shell: list[str]) -> None:
    os.mkfifo(reboot.with_name("pipe"), 0o200)
    done = call(reboot, shell, user=65534)
    assert done.returncode == 1
    assert "is no pipe that user nobody may write to" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_without_the_socket_unit_nothing_is_made_in_its_place(reboot: Path, shell: list[str]) -> None:
    assert call(reboot, shell, user=65534).returncode == 1
    assert not reboot.with_name("pipe").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be root")
def test_root_reboots_by_systemd(reboot: Path) -> None:
    assert call(reboot, ["dash"], user=0, arguments=("--force",)).stdout == "systemctl reboot --force\n"


def test_the_pipe_belongs_to_the_service_user_alone(layer: Bench) -> None:
    socket = unit(layer, "everest-reboot.socket")["Socket"]
    assert {key: socket[key] for key in ("ListenFIFO", "SocketUser", "SocketMode")} == {
        "ListenFIFO": PIPE,
        "SocketUser": "everest",
        "SocketMode": "0200",
    }
    assert layer.package("everest-reboot").services == ("everest-reboot.socket",)


def test_one_request_is_one_reboot(layer: Bench) -> None:
    service = unit(layer, "everest-reboot.service")["Service"]
    assert service["RemainAfterExit"] == "yes"
    assert service["ExecStart"].split()[-1] == "reboot"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_read_only_run_does_not_keep_the_pipe_from_being_written(reboot: Path) -> None:
    os.mkfifo(reboot.with_name("pipe"), 0o600)
    os.chown(reboot.with_name("pipe"), 1500, -1)
    reader = os.open(reboot.with_name("pipe"), os.O_RDWR | os.O_NONBLOCK)
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && ! touch "$1/file" 2>&1 && exec setpriv --reuid=1500 --clear-groups dash "$1/reboot"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", str(reboot.parent)], capture_output=True, text=True, check=False)
    if "mount" in done.stderr and done.returncode == 32:
        pytest.skip("this machine allows no mounts")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Read-only" in done.stdout
    assert os.read(reader, 100) == b"reboot\n"
    os.close(reader)
