"""Root, state, journal and what runs from where."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from proof import Fact, proves, run

STARTS = Path("/var/lib/everest-audit/starts")


@proves("FS-01")
def nothing_can_be_written_to_the_root() -> Iterator[Fact]:
    for directory in ("/", "/usr/bin", "/etc", "/usr/lib/systemd/system"):
        try:
            os.close(os.open(f"{directory}/audit", os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError as error:
            yield error.errno == errno.EROFS, f"root may not write to {directory}: {error.strerror}"
        else:
            yield False, f"root can write to {directory}"
    done = run("mount", "-o", "remount,rw", "/")
    yield done.returncode != 0, f"remount of / for writing: {done.stdout}"


@proves("FS-02")
def the_root_is_verified() -> Iterator[Fact]:
    said = run("findmnt", "--noheadings", "--output", "SOURCE,FSTYPE,OPTIONS", "--mountpoint", "/").stdout
    yield "/dev/mapper/" in said and any(kind in said for kind in ("squashfs", "erofs")), f"root: {said}"
    table = run("dmsetup", "table", "root").stdout
    yield " verity " in table and _word("roothash") in table, f"verity: {table}"
    status = run("dmsetup", "status", "root").stdout.strip()
    yield status.endswith(" V"), f"verity status: {status}"


@proves("FS-03")
def state_lies_on_the_data_partition_and_outlasts_starts() -> Iterator[Fact]:
    options = run("findmnt", "--noheadings", "--raw", "--output", "OPTIONS", "--mountpoint", "/var").stdout.strip().split(",")
    yield {"nodev", "nosuid", "noexec"} <= set(options), f"/var: {','.join(options)}"
    STARTS.parent.mkdir(exist_ok=True)
    earlier = STARTS.read_text().splitlines() if STARTS.exists() else []
    machine = Path("/etc/machine-id").read_text().strip()
    yield set(earlier) <= {machine}, f"start {len(earlier) + 1} of this machine"
    with STARTS.open("a") as file:
        file.write(f"{machine}\n")
        os.fsync(file.fileno())
    program = Path("/var/lib/everest-audit/true")
    program.write_bytes(Path("/usr/bin/true").read_bytes())
    program.chmod(0o755)
    try:
        done = run(str(program))
        yield False, f"a program on the data partition runs: {done.returncode}"
    except PermissionError as error:
        yield True, f"no program on the data partition runs: {error.strerror}"


@proves("LOG-02")
def the_journal_of_the_start_before_can_be_read() -> Iterator[Fact]:
    starts = len(STARTS.read_text().splitlines())
    listed = len(run("journalctl", "--list-boots", "--quiet").stdout.splitlines())
    yield listed >= starts, f"the journal has {listed} starts, the audit saw {starts}"
    if starts > 1:
        before = run("journalctl", "--boot=-1", "--unit=everest.service", "--output=cat", "--lines=1").stdout.strip()
        yield bool(before) and "No entries" not in before, f"last of the start before: {before}"


@proves("LOG-04")
def the_version_is_known() -> Iterator[Fact]:
    text = Path("/etc/everest/everest_release.json").read_text()
    yield "version" in text, f"release: {text}"
    said = run("rauc", "status", "--output-format=shell").stdout
    booted = [line for line in said.splitlines() if line.startswith(("RAUC_SYSTEM_BOOTED_BOOTNAME", "RAUC_BOOT_PRIMARY"))]
    yield len(booted) > 0, f"rauc: {' '.join(booted) or said}"


@proves("BOOT-03")
def the_command_line_is_the_signed_one() -> Iterator[Fact]:
    line = Path("/proc/cmdline").read_text().strip()
    forbidden = [
        word
        for word in line.split()
        if word.startswith(("init=", "rd.", "console=", "systemd.debug", "systemd.unit", "single", "emergency"))
    ]
    yield not forbidden and "lockdown=integrity" in line, f"cmdline: {line}"
    lockdown = Path("/sys/kernel/security/lockdown").read_text().strip()
    yield "[none]" not in lockdown, f"lockdown: {lockdown}"


@proves("BOOT-01")
def secure_boot_is_on() -> Iterator[Fact]:
    variables = Path("/sys/firmware/efi/efivars")
    for name, wanted in (("SecureBoot", 1), ("SetupMode", 0)):
        value = (variables / f"{name}-8be4df61-93ca-11d2-aa0d-00e098032b8c").read_bytes()[4]
        yield value == wanted, f"{name}={value}"


@proves("BOOT-05")
def the_watchdog_is_fed_by_systemd() -> Iterator[Fact]:
    said = run("systemctl", "show", "--property=RuntimeWatchdogUSec,WatchdogDevice").stdout
    identity = Path("/sys/class/watchdog/watchdog0/identity").read_text().strip()
    state = Path("/sys/class/watchdog/watchdog0/state").read_text().strip()
    yield state == "active", f"{identity}: {state}; {said}"


def _word(name: str) -> str:
    words = Path("/proc/cmdline").read_text().split()
    return next(word.partition("=")[2] for word in words if word.startswith(f"{name}="))
