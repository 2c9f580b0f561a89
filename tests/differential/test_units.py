"""Units as our parser reads them, and as `systemd-analyze` does that looks for their programs and judges their settings."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.directory import open_directory
from everest_secure.parse.unit_file import boolean
from everest_secure.parse.units import Unit, Units
from support.reference import require

NAME = "x.service"
COMMANDS = {
    "plain": "ExecStart=/usr/bin/a b",
    "quotes": 'ExecStart="/usr/bin/with space" "b c"',
    "single quotes": "ExecStart='/usr/bin/with space' b",
    "quotes within": 'ExecStart=/usr/bin/"d"e',
    "an escaped letter": r"ExecStart=/usr/bin/\x61bc",
    "an escaped letter in octal": r"ExecStart=/usr/bin/\141bc",
    "an escaped letter in Unicode": r"ExecStart=/usr/bin/\u00e4",
    "an escaped space": r"ExecStart=/usr/bin/a\sb",
    "an escape in single quotes": r"ExecStart='/usr/bin/\x61'",
    "an unknown escape": r"ExecStart=/usr/bin/a\d",
    "an escape that is cut": r"ExecStart=/usr/bin/a\x6",
    "a letter that ends texts": r"ExecStart=/usr/bin/a\x00b",
    "prefixes": "ExecStart=+/usr/bin/a",
    "prefixes with at": "ExecStart=@/usr/bin/a b c",
    "a reset": "ExecStart=/usr/bin/a\nExecStart=\nExecStart=/usr/bin/b",
    "a continued line": "ExecStart=/usr/bin/a\\\n  b\nExecReload=/usr/bin/c",
    "a comment in a continued line": "ExecStart=\\\n# x\n  /usr/bin/a",
    "a continued comment": "# x \\\nExecStart=/usr/bin/a",
    "spaces around": "  ExecStart  =  /usr/bin/a  ",
    "another section": "[Other]\nExecStart=/usr/bin/a\n[Service]\nExecStart=/usr/bin/b",
    "a key in another case": "execstart=/usr/bin/a\nExecStart=/usr/bin/b",
    "several keys": "ExecStartPre=/usr/bin/a\nExecStart=/usr/bin/b\nExecStartPost=/usr/bin/c\nExecStop=/usr/bin/d\nExecReload=/usr/bin/e",
    "lines of a comment": "; ExecStart=/usr/bin/a\nExecStart=/usr/bin/b",
    "a carriage return": "ExecStart=/usr/bin/a\r",
    "a tab": "ExecStart=/usr/bin/a\tb",
}
REFUSED = {"an open quote": 'ExecStart=/usr/bin/a "b', "an open single quote": "ExecStart='/usr/bin/a"}
DROP_INS: dict[str, dict[str, str]] = {
    "a drop-in resets": {"usr/lib/systemd/system/x.service.d/a.conf": "ExecStart=\nExecStart=/usr/bin/d"},
    "the name of the file orders": {
        "usr/lib/systemd/system/x.service.d/b.conf": "ExecStart=\nExecStart=/usr/bin/b",
        "etc/systemd/system/x.service.d/a.conf": "ExecStart=\nExecStart=/usr/bin/a",
    },
    "etc hides the same name": {
        "usr/lib/systemd/system/x.service.d/a.conf": "ExecStart=\nExecStart=/usr/bin/b",
        "etc/systemd/system/x.service.d/a.conf": "ExecStart=\nExecStart=/usr/bin/a",
    },
    "an empty file hides": {
        "usr/lib/systemd/system/x.service.d/a.conf": "ExecStart=\nExecStart=/usr/bin/b",
        "etc/systemd/system/x.service.d/a.conf": "",
    },
    "drop-ins of the type": {
        "etc/systemd/system/service.d/a.conf": "ExecStart=\nExecStart=/usr/bin/t",
        "usr/lib/systemd/system/x.service.d/b.conf": "ExecStart=\nExecStart=/usr/bin/b",
    },
    "a file that is no drop-in": {"usr/lib/systemd/system/x.service.d/a.txt": "ExecStart=\nExecStart=/usr/bin/d"},
    "a unit in etc": {"etc/systemd/system/x.service": "ExecStart=/usr/bin/e"},
}
SETTINGS = {
    "NoNewPrivileges": ("NoNewPrivileges", "yes no on off 1 0 true false y n t f YES oN"),
    "PrivateDevices": ("PrivateDevices", "yes no 1 off True"),
    "ProtectKernelModules": ("ProtectKernelModules", "yes no t F"),
    "RestrictRealtime": ("RestrictRealtime", "yes no 1 0"),
}


def unit_of(root: Path, text: str, more: dict[str, str] | None = None) -> Unit:
    files = {f"usr/lib/systemd/system/{NAME}": text} | (more or {})
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"[Service]\n{content}\n" if content else "", newline="")
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    tree = open_directory(root).tree
    assert tree is not None
    return Units(tree).unit(NAME)


def verified(root: Path) -> str:
    """Return what systemd-analyze says of the unit: of each list of commands the first program that is not there, and more."""
    require("systemd-analyze")
    command = ["systemd-analyze", "verify", "--man=no", f"--root={root}", NAME]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def missing(said: str) -> set[str]:
    return set(
        re.findall(r"(?:service: Command (?=.* is not exec)|special characters: )(.*?)(?: is not executable.*)?$", said, re.MULTILINE)
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_systemd_looks_for_the_programs_that_we_read(name: str, tmp_path: Path) -> None:
    programs = {command[0] for command in unit_of(tmp_path, COMMANDS[name]).every_command}
    assert programs
    assert missing(verified(tmp_path)) == programs


@pytest.mark.parametrize("name", REFUSED)
def test_a_command_that_systemd_ignores_is_an_error_here(name: str, tmp_path: Path) -> None:
    unit = unit_of(tmp_path, REFUSED[name])
    with pytest.raises(ArtefactError, match="never closed"):
        assert unit.commands
    assert "Unbalanced quoting, ignoring" in verified(tmp_path)


@pytest.mark.parametrize("name", DROP_INS)
def test_systemd_takes_the_drop_ins_that_we_take(name: str, tmp_path: Path) -> None:
    unit = unit_of(tmp_path, "ExecStart=/usr/bin/own", DROP_INS[name])
    assert missing(verified(tmp_path)) == {command[0] for command in unit.every_command}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (_, values) in SETTINGS.items() for value in values.split()])
def test_systemd_and_we_take_the_same_words_for_true(name: str, value: str, tmp_path: Path) -> None:
    require("systemd-analyze")
    unit = unit_of(tmp_path, f"ExecStart=/usr/bin/a\n{name}=maybe\n{name}={value}")
    command = ["systemd-analyze", "security", "--offline=true", f"--root={tmp_path}", "--json=short", NAME]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (said,) = [each["set"] for each in json.loads(done.stdout) if each["json_field"] == name]
    assert said is boolean(unit.value("Service", name))
