"""One fault in a good root file system, and the requirement that it breaks."""

from collections.abc import Callable
from dataclasses import dataclass

from support.rootfs import LOCAL, UNITS, RootFs, failing, good_root


@dataclass(frozen=True)
class Mutation:
    """What is done to the good root, and what must fail."""

    name: str
    requirement: str
    apply: Callable[[RootFs], object]
    also: tuple[str, ...] = ()
    """Requirements that the same fault breaks unavoidably."""


def sentence(mutation: Mutation) -> str:
    """Name of the test."""
    return mutation.name


def check_mutation(mutation: Mutation) -> None:
    """Apply the fault and compare what fails; a finding is meant, not an error."""
    fs = good_root()
    mutation.apply(fs)
    found = failing(fs)
    assert set(found) == {mutation.requirement, *mutation.also}, found
    assert not found[mutation.requirement][0].startswith("error: "), found


def move_behind(fs: RootFs, path: str) -> None:
    """Put a file on what will be mounted on /var, and a link in its place."""
    content = fs.nodes[path][1]
    fs.remove(path).file("/var/lib/elsewhere", content).link(path, "/var/lib/elsewhere")


def add_unit(fs: RootFs, name: str, text: str, *, wanted_by: str = "multi-user.target") -> None:
    """Add a unit that a target wants."""
    fs.file(f"{UNITS}/{name}", text)
    fs.link(f"{LOCAL}/{wanted_by}.wants/{name}", f"{UNITS}/{name}")


def script(fs: RootFs, text: str) -> None:
    """Let a unit run a script of the shell."""
    fs.file("/usr/bin/uplink", f"#!/bin/sh\n{text}\n", mode=0o755)
    fs.file(f"{LOCAL}/dbus.service.d/x.conf", "[Service]\nExecStartPost=/usr/bin/uplink\n")
