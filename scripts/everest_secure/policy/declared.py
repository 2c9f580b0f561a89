"""Checks that a user's policy file declares, each of a kind that is known here: requirements of the product's own, beside the catalogue's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from everest_secure.datafile import Document, Key, Value
from everest_secure.policy.requirement import Requirement, Severity

GROUP = "The product's own"
"""Group of declared requirements in reports."""
_REPEATED_REPEAT = re.compile(r"[*+}]\??\)[*+{]")
"""A repetition of what ends with a repetition: its time grows exponentially with the line."""


@dataclass(frozen=True, slots=True)
class FileIs:
    """A file or directory is there, with what is asked of it."""

    path: str
    mode: int | None
    """Exactly these permission bits; None for any."""
    owner: str
    """Name or number of the user; empty for any."""
    group: str

    def __str__(self) -> str:
        mode = "" if self.mode is None else f"{self.mode:04o}"
        wanted = {"mode": mode, "owner": self.owner, "group": self.group}
        return ", ".join([f"{self.path} is there", *(f"{name} {value}" for name, value in wanted.items() if value)])


@dataclass(frozen=True, slots=True)
class NoFile:
    """No path fits a pattern (fnmatch(3), in which a star also takes slashes)."""

    path: str

    def __str__(self) -> str:
        return f"nothing is called {self.path}"


@dataclass(frozen=True, slots=True)
class PackageIs:
    """A package is installed, in a version as asked."""

    name: str
    relation: str
    """`>=`, `=`, `<` ...; empty for any version."""
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.version} is installed" if self.relation else f"{self.name} is installed"


@dataclass(frozen=True, slots=True)
class NoPackage:
    """No installed package fits a pattern."""

    name: str

    def __str__(self) -> str:
        return f"no package is called {self.name}"


@dataclass(frozen=True, slots=True)
class UnitIs:
    """A systemd unit is `enabled` (it starts), `disabled` (it does not), `masked` or `absent`."""

    name: str
    state: str

    def __str__(self) -> str:
        return f"{self.name} is {self.state}"


@dataclass(frozen=True, slots=True)
class KernelIs:
    """Every kernel has an option in its configuration as asked."""

    option: str
    """Without `CONFIG_`."""
    value: str
    """`y`, `m`, `n`, a number, or a text without its quotes."""

    def __str__(self) -> str:
        return f"CONFIG_{self.option} is {self.value}"


@dataclass(frozen=True, slots=True)
class EverestIs:
    """A setting of EVerest's configuration, or a key of the modules of an ID or type, has a value."""

    module: str
    """Empty for `settings`."""
    key: str
    """`key`, or `IMPLEMENTATION.key` of a module's implementation."""
    value: Value

    def __str__(self) -> str:
        return f"{f'module {self.module}' if self.module else 'settings'}: {self.key} is {self.value!r}"


@dataclass(frozen=True, slots=True)
class TextIs:
    """A text file has a line in which an expression is found, or none."""

    path: str
    expression: re.Pattern[str]
    wanted: bool

    def __str__(self) -> str:
        return f"{self.path} {'contains' if self.wanted else 'lacks'} {self.expression.pattern}"


# Each says in words all that it asks for: reports and `explain` show it, and results in a cache are found by it.
Condition = FileIs | NoFile | PackageIs | NoPackage | UnitIs | KernelIs | EverestIs | TextIs


@dataclass(frozen=True, slots=True)
class Declared:
    """A requirement of a policy file and what has to hold for it."""

    requirement: Requirement
    conditions: tuple[Condition, ...]
    where: str
    """`FILE:LINE` of its entry."""


def parse_declared(document: Document, index: int, entry: Mapping[str, Any], prefixes: frozenset[str]) -> Declared:
    """Read an entry of `checks:` that holds to the schema; `prefixes` are those of the catalogue's IDs, which it must not use.

    Raises the document's error for such an ID and for an expression that cannot be used.
    """
    path: tuple[Key, ...] = ("checks", index)
    prefix = entry["id"].partition("-")[0]
    if prefix in prefixes:
        raise document.error(
            (*path, "id"), f"'{prefix}' is a family of the project's own catalogue; choose another, such as the product's name"
        )
    conditions = tuple(_condition(document, (*path, "expect", number), each) for number, each in enumerate(entry["expect"]))
    return Declared(_requirement(entry), conditions, document.where(path))


def _requirement(entry: Mapping[str, Any]) -> Requirement:
    standards = {name: tuple(clauses) for name, clauses in entry.get("standards", {}).items()}
    return Requirement(
        id=entry["id"],
        group=GROUP,
        title=entry["title"],
        requirement=entry.get("requirement", f"{entry['title']}."),
        why=entry["why"],
        built_in="-",
        on_artefact="What the product's policy file declares.",
        on_target="-",
        remedy=entry["remedy"],
        severity=Severity(entry["severity"]),
        evidence=False,
        source=("policy file",),
        standards=MappingProxyType(standards),
    )


def _condition(document: Document, path: tuple[Key, ...], entry: Mapping[str, Any]) -> Condition:
    match entry["kind"]:
        case "file":
            mode = entry.get("mode")
            return FileIs(entry["path"], int(mode, 8) if mode else None, entry.get("owner", ""), entry.get("group", ""))
        case "no-file":
            return NoFile(entry["path"])
        case "package":
            relation, _, version = entry.get("version", "").partition(" ")
            return PackageIs(entry["name"], relation, version)
        case "no-package":
            return NoPackage(entry["name"])
        case "unit":
            return UnitIs(entry["name"], entry["state"])
        case "kernel":
            return KernelIs(entry["option"].removeprefix("CONFIG_"), entry["value"])
        case "everest":
            return EverestIs(entry.get("module", ""), entry["key"], cast(Value, entry["value"]))
        case "text":
            if ("contains" in entry) == ("lacks" in entry):
                raise document.error(path, "needs one of 'contains' and 'lacks'; write the other as a condition of its own")
            key = "contains" if "contains" in entry else "lacks"
            return TextIs(entry["path"], _expression(document, (*path, key), entry[key]), wanted=key == "contains")
        case kind:
            raise ValueError(f"the schema lets the kind '{kind}' through, which nobody reads")


def _expression(document: Document, path: tuple[Key, ...], text: str) -> re.Pattern[str]:
    if _REPEATED_REPEAT.search(text):
        raise document.error(path, "repeats something that is repeated itself, which can take for ever; write it without")
    try:
        return re.compile(text)
    except re.error as problem:
        raise document.error(path, f"is no regular expression: {problem}; mend it") from None
