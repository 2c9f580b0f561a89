"""A Debian package from a package that a recipe built, so that the reference image gets it the way a package manager installs it."""

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from everest_secure.reference.recipes.harness import BuiltPackage
from everest_secure.run import Tools

MAINTAINER = "everest-secure <everest-secure@example.org>"


@dataclass(frozen=True, slots=True)
class Deb:
    """What goes into a Debian package besides its files (deb-control(5))."""

    name: str
    version: str
    summary: str
    architecture: str = "all"
    depends: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    preinst: str = ""

    def control(self) -> str:
        """Return the text of the control file."""
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": MAINTAINER,
            "Section": "admin",
            "Priority": "optional",
            "Depends": ", ".join(self.depends),
            "Provides": ", ".join(self.provides),
            "Description": self.summary or self.name,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def from_recipe(package: BuiltPackage, *, version: str, siblings: frozenset[str]) -> Deb:
    """Describe a recipe's package for Debian.

    Only dependencies on `siblings`, the other packages of this layer, are kept: what other layers bring under OE's names is in the base
    tree under Debian's.
    """
    depends = tuple(name for entry in package.depends if (name := entry.split()[0]) in siblings)
    return Deb(package.name, version, package.summary, depends=depends, provides=package.provides, preinst=account_script(package))


def account_script(package: BuiltPackage) -> str:
    """Return the preinst that makes a package's groups and users as OE-Core's useradd class does: what exists already is kept."""
    lines = [f"getent group {_last(group)} >/dev/null || groupadd {group}" for group in package.groups]
    lines += [f"getent passwd {_last(user)} >/dev/null || useradd {user}" for user in package.users]
    lines += [
        f"id -nG {_option(words, '-a', '--add')} | tr ' ' '\\n' | grep -qxF {_option(words, '-g', '--group')} || groupmems {words}"
        for words in package.memberships
    ]
    return "\n".join(["#!/bin/sh", "set -eu", *lines, ""]) if lines else ""


def _last(arguments: str) -> str:
    """Return the name in the arguments of groupadd(8) or useradd(8): the last word."""
    return shlex.quote(shlex.split(arguments)[-1])


def _option(arguments: str, *names: str) -> str:
    """Return the value of an option in the arguments of groupmems(8)."""
    words = shlex.split(arguments)
    return shlex.quote(next(value for name, value in pairwise(words) if name in names))


def build_deb(deb: Deb, files: Path | None, *, into: Path, work: Path, tools: Tools) -> Path:
    """Pack `files` (all owned by root) as a Debian package below `into` and return its path; raises ToolError."""
    staging = work / deb.name
    shutil.rmtree(staging, ignore_errors=True)
    if files is None:
        staging.mkdir(parents=True)
    else:
        shutil.copytree(files, staging, symlinks=True)
    staging.chmod(0o755)
    control = staging / "DEBIAN"
    control.mkdir(mode=0o755)
    (control / "control").write_text(deb.control())
    if deb.preinst:
        (control / "preinst").write_text(deb.preinst)
        (control / "preinst").chmod(0o755)
    into.mkdir(parents=True, exist_ok=True)
    result = into / f"{deb.name}_{deb.version}_{deb.architecture}.deb"
    command: Sequence[str | Path] = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", staging, result]
    tools.run(command, paths=[work, into])
    return result
