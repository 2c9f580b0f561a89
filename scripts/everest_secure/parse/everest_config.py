"""EVerest's YAML configuration (lib/everest/framework/schemas/config.yaml): settings and modules, with lines."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree

CONFIG = "/etc/everest/config.yaml"
MAX_BYTES = 1 << 20
MAX_VALUES = 100_000
"""Values after aliases are followed; more is taken for an alias bomb."""
Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]


@dataclass(frozen=True, slots=True)
class Located:
    """A value and its line."""

    value: Value
    line: int


@dataclass(frozen=True, slots=True)
class Module:
    """An entry of `active_modules`."""

    id: str
    type: str
    capabilities: tuple[str, ...]
    config: dict[str, Value]
    """`config_module`."""
    implementations: dict[str, Value]
    """`config_implementation`: implementation to its configuration."""
    line: int
    capabilities_line: int
    """Line of `capabilities:`, or of the module when it has none."""


@dataclass(frozen=True, slots=True)
class EverestConfig:
    """A configuration file."""

    path: str
    settings: dict[str, Located]
    modules: tuple[Module, ...]

    def setting(self, name: str) -> Value:
        """Return a setting; None when it is not set."""
        found = self.settings.get(name)
        return found.value if found else None

    def line(self, name: str) -> int:
        """Return the line of a setting, 0 when it is not set."""
        found = self.settings.get(name)
        return found.line if found else 0


class _Budget:
    def __init__(self, where: str) -> None:
        self.where, self.left = where, MAX_VALUES

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise ArtefactError(f"{self.where} holds more than {MAX_VALUES} values once its aliases are followed; it is taken for hostile")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _entries(node: yaml.Node, where: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise ArtefactError(f"{where}:{_line(node)} is not a mapping; see EVerest's schema of the configuration")
    seen: set[str] = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value in seen:
            raise ArtefactError(f"{where}:{_line(key)} has a key that comes twice or is no word; EVerest and a reader may disagree on it")
        seen.add(key.value)
        yield key.value, key, value


def _value(node: yaml.Node, budget: _Budget) -> Value:
    budget.spend()
    if isinstance(node, yaml.MappingNode):
        return {name: _value(value, budget) for name, _, value in _entries(node, budget.where)}
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, budget) for item in node.value]
    if node.tag not in _SCALARS:
        return str(node.value)
    constructor = yaml.SafeLoader("")
    try:
        found: Value = constructor.construct_object(node, deep=True)
    except ValueError:
        raise ArtefactError(f"{budget.where}:{_line(node)} has a value that is not what its tag says; mend the file") from None
    return found


_SCALARS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null"))


def parse_everest_config(text: str, path: str) -> EverestConfig:
    """Parse a configuration; raises ArtefactError for what is no YAML, no configuration, larger than 1 MiB, or an alias bomb."""
    if len(text) > MAX_BYTES:
        raise ArtefactError(f"{path} is larger than {MAX_BYTES} bytes; no charger needs such a configuration")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_aliases(text, path)
        budget = _Budget(path)
        if root is None:
            raise ArtefactError(f"{path} is empty; EVerest does not start with it")
        top = {name: node for name, _, node in _entries(root, path)}
        settings = {
            name: Located(_value(value, budget), _line(key))
            for name, key, value in (_entries(top["settings"], path) if "settings" in top and not _null(top["settings"]) else ())
        }
        modules = tuple(
            _module(name, key, value, budget)
            for name, key, value in (
                _entries(top["active_modules"], path) if "active_modules" in top and not _null(top["active_modules"]) else ()
            )
        )
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        raise ArtefactError(f"{path}:{line} is not YAML that EVerest can read; mend the file") from None
    except RecursionError:
        raise ArtefactError(f"{path} is nested too deeply; it is taken for hostile and not read") from None
    return EverestConfig(path, settings, modules)


def _refuse_aliases(text: str, path: str) -> None:
    """EVerest takes `*name` and `<<` for plain text, as it never resolves the tree that it parsed (yaml_loader.cpp, load_yaml)."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise ArtefactError(
                f"{path}:{line} has an alias, which EVerest does not follow and a hostile file may hide behind; write it out"
            )


def _null(node: yaml.Node) -> bool:
    return node.tag == "tag:yaml.org,2002:null"


def _module(name: str, key: yaml.Node, node: yaml.Node, budget: _Budget) -> Module:
    where = f"{budget.where}:{_line(key)}"
    lines = {entry: _line(entry_key) for entry, entry_key, _ in _entries(node, budget.where)}
    content = _value(node, budget)
    assert isinstance(content, dict)  # noqa: S101 - _entries has refused anything else
    kind, capabilities = content.get("module"), content.get("capabilities") or []
    config, implementations = content.get("config_module") or {}, content.get("config_implementation") or {}
    if not isinstance(kind, str):
        raise ArtefactError(f"{where} is the module '{name}' without a type; name it with 'module:'")
    if not isinstance(capabilities, list) or not all(isinstance(item, str) for item in capabilities):
        raise ArtefactError(f"{where} is the module '{name}' whose capabilities are no list of names; write a list")
    if not isinstance(config, dict) or not isinstance(implementations, dict):
        raise ArtefactError(f"{where} is the module '{name}' whose configuration is no mapping; see EVerest's schema")
    names = tuple(capability(item) for item in capabilities if isinstance(item, str))
    return Module(name, kind, names, config, implementations, _line(key), lines.get("capabilities", _line(key)))


def capability(name: str) -> str:
    """Return a capability in the one spelling `CAP_NET_RAW`; cap_from_name(3) takes any case."""
    return name.strip().upper()


def read_everest_config(tree: Tree, path: str = CONFIG) -> EverestConfig:
    """Read the configuration of a root file system; raises ArtefactError when it is missing."""
    return parse_everest_config(tree.text(path), path)
