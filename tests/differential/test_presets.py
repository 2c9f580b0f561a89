"""What presets, aliases, templates and drop-ins enable, by our reading and by systemctl."""

import ctypes
import subprocess
from pathlib import Path

import pytest

from everest_secure.image.directory import open_directory
from everest_secure.parse.patterns import matches
from everest_secure.parse.unit_graph import starts
from everest_secure.parse.units import Units
from support.reference import require

FNM_NOESCAPE = 2
INSTALL = "[Install]\nWantedBy=multi-user.target\n"
UNITS = {
    "wanted.service": INSTALL,
    "required.service": "[Install]\nRequiredBy=multi-user.target\n",
    "static.service": "",
    "aliased.service": f"{INSTALL}Alias=other-name.service\n",
    "refused.service": INSTALL,
    "masked.service": INSTALL,
    "local.service": INSTALL,
    "also.service": f"{INSTALL}Also=beside.socket\n",
    "beside.socket": "[Install]\nWantedBy=sockets.target\n",
    "dropped.service": "",
    "instance@.service": "[Install]\nWantedBy=multi-user.target\nDefaultInstance=a\n",
    "timed.timer": "[Install]\nWantedBy=timers.target\n",
    "by-name@.service": INSTALL,
    "by-default@.service": f"{INSTALL}DefaultInstance=z\n",
    "nameless@.service": INSTALL,
    "indirect.service": "[Install]\nAlso=brought.service\n",
    "brought.service": INSTALL,
    "c1.service": INSTALL,
    "cx.service": INSTALL,
    "d1.service": INSTALL,
    "dx.service": INSTALL,
    "commented.service": INSTALL,
}
INSTANCES = {
    "by-name@a.service",
    "by-name@b.service",
    "by-name@c.service",
    "by-default@z.service",
    "nameless@a.service",
    "instance@a.service",
}
PRESETS = {
    "usr/lib/systemd/system-preset/90-last.preset": "disable *\n",
    "usr/lib/systemd/system-preset/50-vendor.preset": (
        "# a comment\nenable wanted.service\nenable re*.service\nenable static.service\nenable aliased.service\nenable masked.service\n"
        "enable local.service\nenable beside.socket\nenable also.service\nenable dropped.service\nenable timed.timer\n"
        "enable by-name@.service a b\nenable by-default@.service\nenable nameless@.service\nenable indirect.service\n"
        "enable c[^[:digit:]].service\nenable d[!x].service\n; enable commented.service\n  disable  brought.service  \n"
    ),
    "etc/systemd/system-preset/10-local.preset": "disable refused.service\n",
    "usr/lib/systemd/system-preset/40-hidden.preset": "disable wanted.service\n",
    "etc/systemd/system-preset/40-hidden.preset": "",
}


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A root before its first boot."""
    for name, text in UNITS.items():
        section = {"socket": "Socket]\nListenStream=/run/x", "timer": "Timer]\nOnBootSec=1"}.get(
            name.rpartition(".")[2], "Service]\nExecStart=/bin/true"
        )
        _write(tmp_path / "usr/lib/systemd/system" / name, f"[{section}\n{text}")
    for name in ("default", "multi-user", "sysinit", "basic", "sockets", "timers"):
        wants = {"default": "multi-user.target", "multi-user": "basic.target", "basic": "sockets.target timers.target"}.get(name, "")
        _write(tmp_path / f"usr/lib/systemd/system/{name}.target", f"[Unit]\nDescription=x\n{f'Wants={wants}' if wants else ''}\n")
    _write(tmp_path / "usr/lib/systemd/system/dropped.service.d/x.conf", INSTALL)
    for path, text in PRESETS.items():
        _write(tmp_path / path, text)
    _write(tmp_path / "etc/machine-id", "uninitialized\n")
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/systemd/system/masked.service").symlink_to("/dev/null")
    return tmp_path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _started(root: Path) -> set[str]:
    tree = open_directory(root).tree
    assert tree is not None
    return set(starts(Units(tree))) & {*UNITS, *INSTANCES}


def test_what_presets_will_enable_at_first_boot_is_what_systemctl_enables(system: Path) -> None:
    require("systemctl")
    before = _started(system)
    subprocess.run(["systemctl", f"--root={system}", "preset-all"], capture_output=True, check=True)
    _write(system / "etc/machine-id", "")
    assert before == _started(system)
    said = {name: _is_enabled(system, name) for name in (*UNITS, *INSTANCES) if "@." not in name}
    assert before - {"beside.socket"} == {name for name, state in said.items() if state == "enabled"} - {"beside.socket"}
    assert before >= {"by-name@a.service", "by-name@b.service", "by-default@z.service", "brought.service", "cx.service", "d1.service"}
    assert said["masked.service"] == "masked"


def test_a_pattern_fits_what_it_fits_in_the_library_that_systemd_asks() -> None:
    names = [
        b"a.service",
        b"b.service",
        b"^.service",
        b"a1.service",
        b"A.service",
        b"x@one.service",
        b"x@.service",
        b"].service",
        b"\\a.service",
    ]
    patterns = [
        b"*",
        b"?.service",
        b"[a].service",
        b"[!a].service",
        b"[^a].service",
        b"[[:alpha:]].service",
        b"[^[:alpha:]]*",
        b"[]a].service",
    ]
    patterns += [
        b"[!]a].service",
        b"[a-b].service",
        b"\\a.service",
        b"[a.service",
        b"x@*.service",
        b"x@.service",
        b"",
        b"[z-a].service",
        b"*[\\a]*",
    ]
    fnmatch = ctypes.CDLL(None).fnmatch
    theirs = {(pattern, name) for pattern in patterns for name in names if fnmatch(pattern, name, FNM_NOESCAPE) == 0}
    ours = {(pattern, name) for pattern in patterns for name in names if matches(name.decode(), [pattern.decode()])}
    assert ours == theirs


def test_an_alias_that_systemctl_knows_is_ours(system: Path) -> None:
    require("systemctl")
    subprocess.run(["systemctl", f"--root={system}", "enable", "aliased.service"], capture_output=True, check=True)
    tree = open_directory(system).tree
    assert tree is not None
    assert Units(tree).real_name("other-name.service") == "aliased.service"
    assert _is_enabled(system, "other-name.service") in ("alias", "enabled")


def _is_enabled(root: Path, name: str) -> str:
    return subprocess.run(["systemctl", f"--root={root}", "is-enabled", name], capture_output=True, text=True, check=False).stdout.strip()
