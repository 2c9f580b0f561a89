"""Commands of units, and those inside a shell's -c; the shell of this machine says what it runs."""

import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.commands import expanded, program, separated


def test_a_semicolon_separates_commands() -> None:
    assert list(separated(("/bin/a", "1", ";", "/bin/b", ";"))) == [("/bin/a", "1"), ("/bin/b",)]


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        (("/bin/sh", "-c", "exec nft flush ruleset"), ("nft", "flush", "ruleset")),
        (("/bin/sh", "-ec", "true && A=1 nft -f 'a b' || false"), ("nft", "-f", "a b")),
        (("/usr/bin/env", "-i", "A=1", "nft", "list"), ("nft", "list")),
        (("/bin/busybox", "sh", "-c", "true; if nft list; then true; fi"), ("nft", "list")),
        (("nft", "list"), ("nft", "list")),
    ],
)
def test_what_a_shell_or_a_wrapper_runs_is_found(command: tuple[str, ...], runs: tuple[str, ...]) -> None:
    assert runs in list(expanded(command))


@pytest.mark.parametrize("script", ["exec nft list", "true && A=1 nft 'a b' || false", "true; if nft x; then true; fi", "(nft a) | nft b"])
def test_the_shell_runs_what_is_found(tmp_path: Path, script: str) -> None:
    nft, log = tmp_path / "nft", tmp_path / "log"
    nft.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> {log}\n")
    nft.chmod(0o755)
    subprocess.run(["/bin/sh", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True)
    found = [" ".join(command[1:]) for command in expanded(("/bin/sh", "-c", script)) if program(command) == "nft"]
    assert sorted(found) == sorted(log.read_text().splitlines())


@pytest.mark.parametrize("command", [("env",) * 2000, ("sh", "-c", "exec " * 2000 + "x")])
def test_commands_within_commands_without_end_are_refused(command: tuple[str, ...]) -> None:
    with pytest.raises(ArtefactError, match="taken for hostile"):
        list(expanded(command))
