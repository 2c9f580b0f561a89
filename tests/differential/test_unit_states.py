"""What systemctl says of a unit in each state that it knows, and what our reading says of the same unit."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.image.directory import open_directory
from everest_secure.parse.unit_graph import starts
from everest_secure.parse.units import Units
from support.reference import require

USR, ETC = "usr/lib/systemd/system", "etc/systemd/system"
SERVICE = "[Service]\nExecStart=/bin/true\n"
INSTALL = f"{SERVICE}[Install]\nWantedBy=multi-user.target\n"
FILES: Mapping[str, str] = {
    f"{USR}/default.target": "[Unit]\nWants=multi-user.target\n",
    f"{USR}/multi-user.target": "[Unit]\nDescription=x\n",
    f"{USR}/wanted.service": INSTALL,
    f"{USR}/required.service": INSTALL,
    f"{USR}/resting.service": INSTALL,
    f"{USR}/static.service": SERVICE,
    f"{USR}/static-wanted.service": SERVICE,
    f"{USR}/masked.service": INSTALL,
    f"{USR}/emptied.service": INSTALL,
    f"{USR}/masked-but-wanted.service": INSTALL,
    f"{ETC}/emptied.service": "",
    "opt/linked.service": SERVICE,
    "opt/linked-and-wanted.service": INSTALL,
    f"{USR}/indirect.service": f"{SERVICE}[Install]\nAlso=wanted.service\n",
    f"{USR}/real.service": f"{INSTALL}Alias=other.service\n",
    f"{USR}/statically-aliased.service": SERVICE,
    f"{USR}/each@.service": INSTALL,
    f"{USR}/usual@.service": f"{INSTALL}DefaultInstance=one\n",
    f"{USR}/single@own.service": INSTALL,
    "run/systemd/generator.late/generated.service": SERVICE,
    "run/systemd/transient/transient.service": SERVICE,
}
LINKS: Mapping[str, str] = {
    f"{ETC}/multi-user.target.wants/wanted.service": f"/{USR}/wanted.service",
    f"{ETC}/multi-user.target.requires/required.service": f"/{USR}/required.service",
    f"{USR}/multi-user.target.wants/static-wanted.service": "../static-wanted.service",
    f"{ETC}/masked.service": "/dev/null",
    f"{ETC}/masked-but-wanted.service": "/dev/null",
    f"{ETC}/multi-user.target.wants/masked-but-wanted.service": f"/{USR}/masked-but-wanted.service",
    f"{ETC}/linked.service": "/opt/linked.service",
    f"{ETC}/linked-and-wanted.service": "/opt/linked-and-wanted.service",
    f"{ETC}/multi-user.target.wants/linked-and-wanted.service": "/opt/linked-and-wanted.service",
    f"{ETC}/multi-user.target.wants/real.service": f"/{USR}/real.service",
    f"{ETC}/other.service": f"/{USR}/real.service",
    f"{USR}/fixed-name.service": "statically-aliased.service",
    f"{ETC}/multi-user.target.wants/each@first.service": f"/{USR}/each@.service",
    f"{ETC}/multi-user.target.wants/usual@one.service": f"/{USR}/usual@.service",
    f"{ETC}/each@barred.service": "/dev/null",
}


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A root that has had its first boot, with a unit in every state."""
    for name, text in {**FILES, "etc/machine-id": "0123456789abcdef0123456789abcdef\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name, target in LINKS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(target)
    return tmp_path


def said_of(root: Path, name: str) -> str:
    """Return systemctl's word; of a unit that is not there `not-found`, which older ones put into their error."""
    done = subprocess.run(["systemctl", f"--root={root}", "is-enabled", name], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "not-found"


@dataclass(frozen=True, slots=True)
class Reading:
    """What we say of a unit."""

    exists: bool
    masked: bool = False
    starts: bool = False
    alias: bool = False


RESTING, STARTING, MASKED, NOTHING = (
    Reading(exists=True),
    Reading(exists=True, starts=True),
    Reading(exists=False, masked=True),
    Reading(exists=False),
)
STATES: Mapping[str, tuple[str, Reading]] = {
    "wanted.service": ("enabled", STARTING),
    "required.service": ("enabled", STARTING),
    "real.service": ("enabled", STARTING),
    "other.service": ("alias", Reading(exists=True, starts=True, alias=True)),
    "fixed-name.service": ("alias", Reading(exists=True, alias=True)),
    "statically-aliased.service": ("static", RESTING),
    "static.service": ("static", RESTING),
    "static-wanted.service": ("static", STARTING),
    "resting.service": ("disabled", RESTING),
    "masked.service": ("masked", MASKED),
    "emptied.service": ("masked", MASKED),
    "masked-but-wanted.service": ("masked", MASKED),
    "linked.service": ("linked", RESTING),
    "linked-and-wanted.service": ("enabled", STARTING),
    "indirect.service": ("indirect", RESTING),
    "each@.service": ("indirect", RESTING),
    "each@first.service": ("enabled", STARTING),
    "each@none.service": ("disabled", RESTING),
    "each@barred.service": ("masked", MASKED),
    "usual@.service": ("enabled", RESTING),
    "usual@one.service": ("enabled", STARTING),
    "usual@other.service": ("disabled", RESTING),
    "single@own.service": ("disabled", RESTING),
    "generated.service": ("generated", NOTHING),
    "transient.service": ("transient", NOTHING),
    "absent.service": ("not-found", NOTHING),
}
"""systemctl's word and ours. What lies below /run of an image is not there on the target, where a file system in memory covers it."""


@pytest.mark.parametrize("name", STATES)
def test_a_unit_is_in_the_state_that_systemctl_names(system: Path, name: str) -> None:
    require("systemctl")
    word, reading = STATES[name]
    assert said_of(system, name) == word
    tree = open_directory(system).tree
    assert tree is not None
    units = Units(tree)
    unit, real = units.unit(name), units.real_name(name)
    assert Reading(unit.exists, unit.masked, real in starts(units), real != name) == reading
