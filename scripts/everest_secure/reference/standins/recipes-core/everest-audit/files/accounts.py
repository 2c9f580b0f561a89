"""Accounts, processes and what they may do."""

import pwd
from collections.abc import Iterator
from pathlib import Path

from proof import SERVICE_USER, Fact, proves, refused, run

CAP_NET_RAW = 1 << 13
UNITS = "everest.service"
EXPOSED = {UNITS: 4.0, "everest-security-monitor.service": 2.0}
"""What of ours always runs, and the most that systemd may think it exposed."""


@proves("ACC-01")
def no_account_has_a_password() -> Iterator[Fact]:
    for line in Path("/etc/shadow").read_text().splitlines():
        name, field, *_ = line.split(":")
        if not field.startswith(("!", "*")):
            yield False, f"{name} is not locked"
    yield True, f"all {len(pwd.getpwall())} accounts are locked"


@proves("ACC-01")
def nothing_asks_for_a_login() -> Iterator[Fact]:
    processes = list(Path("/proc").glob("[0-9]*"))
    asking = {_read(process / "comm") for process in processes} & {"login", "agetty", "getty", "sulogin", "sshd", "dropbear", "telnetd"}
    yield not asking, f"programs that ask for a login: {', '.join(sorted(asking)) or 'none'}"
    reading = {_read(process / "comm") for process in processes if _input(process).startswith(("/dev/tty", "/dev/console", "/dev/hvc"))}
    yield not reading, f"programs that read a console: {', '.join(sorted(reading)) or 'none'}"


@proves("ACC-02")
def the_service_user_is_as_it_must_be() -> Iterator[Fact]:
    said = run("id", SERVICE_USER).stdout
    groups = {part.split("(")[1].rstrip(")") for part in said.split("groups=")[1].strip().split(",")}
    wanted = {"everest", "systemd-journal", "dialout", "tty", "gpio", "tss", "mosquitto"}
    yield "uid=1500(everest) gid=1500(everest)" in said and groups == wanted, f"id: {said}"
    entry = pwd.getpwnam(SERVICE_USER)
    yield (entry.pw_dir, entry.pw_shell) == ("/home/everest", "/bin/false"), f"home {entry.pw_dir}, shell {entry.pw_shell}"


@proves("ACC-05")
def the_service_is_up_and_bounded() -> Iterator[Fact]:
    state = run("systemctl", "is-active", UNITS).stdout.strip()
    yield state == "active", f"{UNITS} is {state}"
    said = run(
        "systemctl", "show", UNITS, "--property=MainPID,CapabilityBoundingSet,NoNewPrivileges,UMask,ProtectSystem", "--value"
    ).stdout.split("\n")
    yield True, f"{UNITS}: {' '.join(said)}"
    for unit, most in EXPOSED.items():
        score = run("systemd-analyze", "security", "--no-pager", unit).stdout.strip().splitlines()[-1]
        yield float(score.split(f"{unit}:")[1].split()[0]) <= most, f"{score.lstrip('→ ')} (at most {most})"


@proves("ACC-05")
def every_process_of_the_service_is_bounded() -> Iterator[Fact]:
    for process in _service():
        status = _status(process)
        bound, ambient, privileges = int(status["CapBnd"], 16), int(status["CapAmb"], 16), status["NoNewPrivs"]
        small = not ambient & ~CAP_NET_RAW and privileges == "1" and bound < 1 << 38
        yield small, f"{_name(process)} uid {status['Uid'].split()[0]} CapBnd {bound:x} CapAmb {ambient:x} NoNewPrivs {privileges}"


@proves("ACC-06")
def the_service_user_cannot_change_its_own_privileges() -> Iterator[Fact]:
    for target in (
        "/etc/everest/config.yaml",
        "/etc/everest/user-config",
        "/etc/everest/openssl.cnf",
        "/usr/lib/systemd/system/everest.service.d",
    ):
        if Path(target).exists():
            what = ("touch", f"{target}/x") if Path(target).is_dir() else ("tee", "-a", target)
            done = run(*what, user=SERVICE_USER)
            yield done.returncode != 0, f"{SERVICE_USER} may not write {target}: {done.stdout}"
    yield refused("busctl", "call", *MANAGER, "StopUnit", "ss", UNITS, "replace", user=SERVICE_USER, because="")


MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")


def _service() -> list[Path]:
    found = Path("/sys/fs/cgroup/system.slice/everest.service/cgroup.procs").read_text().split()
    return [Path("/proc") / number for number in found]


def _status(process: Path) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)


def _name(process: Path) -> str:
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    return next((word for word in words if word.startswith("everest-")), Path(words[0]).name)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _input(process: Path) -> str:
    try:
        return str((process / "fd/0").readlink())
    except OSError:
        return ""
