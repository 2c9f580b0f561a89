"""Rules for the kernel's configuration, conf/policy/kernel.yml, and how a configuration is held to them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from everest_secure import datafile
from everest_secure.errors import PolicyError
from everest_secure.parse.kconfig import KernelConfig
from everest_secure.paths import data
from everest_secure.policy.schema import validate

Version = tuple[int, int]
_NUMBER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class KernelRule:
    """What one option must be, where the rule applies."""

    requirement: str
    option: str
    """Its name without `CONFIG_`, by which exceptions and waivers know the rule."""
    why: str
    ways: tuple[Mapping[str, str], ...]
    """Wanted value by option; the rule holds when every one of a mapping is as wanted. The first is that of `option`."""
    architectures: tuple[str, ...]
    """Empty for every architecture."""
    since: Version | None
    before: Version | None
    modules: tuple[str, ...]

    def applies(self, config: KernelConfig) -> bool:
        """Whether the rule is for a kernel of this architecture and version; one that does not say its version is taken for a new one."""
        if self.architectures and config.architecture not in self.architectures:
            return False
        if config.version is None:
            return self.before is None
        return (self.since is None or config.version >= self.since) and (self.before is None or config.version < self.before)

    def holds(self, config: KernelConfig) -> bool:
        """Whether a configuration satisfies the rule."""
        return any(all(_is(config.value(option), wanted) for option, wanted in way.items()) for way in self.ways)

    def wanted(self) -> str:
        """Return what would satisfy it, in words for a finding."""
        return ", or ".join(" and ".join(f"{option} {_words(value)}" for option, value in way.items()) for way in self.ways)


def _is(value: str, wanted: str) -> bool:
    if wanted.startswith("has "):
        return wanted[4:] in value.split(",")
    for sign, compare in ((">=", int.__ge__), ("!=", int.__ne__)):
        if wanted.startswith(sign):
            return _NUMBER.fullmatch(value) is not None and compare(int(value), int(wanted.removeprefix(sign)))
    return value in wanted.split("|")


def _words(wanted: str) -> str:
    return wanted if wanted.startswith(("has ", ">=", "!=")) else f"= {wanted.replace('|', ' or ')}"


def broken_rules(config: KernelConfig, requirement: str, exceptions: Mapping[str, str]) -> Iterator[KernelRule]:
    """Yield the rules of a requirement that a configuration breaks and no exception names."""
    for rule in kernel_rules():
        if rule.requirement == requirement and rule.option not in exceptions and rule.applies(config) and not rule.holds(config):
            yield rule


def rules_file() -> Path:
    """Return the path of the rules."""
    return data("conf") / "policy/kernel.yml"


@lru_cache(maxsize=1)
def kernel_rules() -> tuple[KernelRule, ...]:
    """Return the project's own rules, which the tests hold to their schema."""
    return load_kernel_rules(None)


def load_kernel_rules(file: Path | None) -> tuple[KernelRule, ...]:
    """Read rules, the project's own by default. Raises PolicyError with file, line and key when another file is wrong."""
    document = datafile.read(file or rules_file(), error=PolicyError)
    if file is not None:
        validate(document, "kernel.schema.json")
    blocks = cast(dict[str, Any], document.value)["blocks"]
    return tuple(_rule(block, entry) for block in blocks for entry in block["rules"])


def _rule(block: Mapping[str, Any], entry: Mapping[str, Any]) -> KernelRule:
    ways = [{entry["option"]: entry["is"]}, *entry.get("or", [])]
    return KernelRule(
        requirement=block["requirement"],
        option=entry["option"],
        why=block["why"],
        ways=tuple(MappingProxyType(way) for way in ways),
        architectures=tuple(entry.get("architectures", ())),
        since=_version(entry.get("since")),
        before=_version(entry.get("before")),
        modules=tuple(entry.get("modules", ())),
    )


def _version(text: str | None) -> Version | None:
    if text is None:
        return None
    major, _, minor = text.partition(".")
    return int(major), int(minor)
