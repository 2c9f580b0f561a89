"""EVerest's YAML configuration (lib/everest/framework/schemas/config.yaml): settings and modules, with lines."""

from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.parse.everest_yaml import EverestYaml, Value, parse_everest_yaml

CONFIG = "/etc/everest/config.yaml"


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
    connections: dict[str, tuple[tuple[str, str], ...]]
    """Requirement to the modules and their implementations that fulfil it; entries that are none are left to the schema."""
    line: int
    capabilities_line: int
    """Line of `capabilities:`, or of the module when it has none."""

    def value(self, key: str) -> Value:
        """Return a key of `config_module`, or `IMPLEMENTATION.key` of `config_implementation`; None when it is not set."""
        implementation, dot, name = key.partition(".")
        if not dot:
            return self.config.get(key)
        values = self.implementations.get(implementation)
        return values.get(name) if isinstance(values, dict) else None


@dataclass(frozen=True, slots=True)
class EverestConfig:
    """A configuration file."""

    path: str
    document: EverestYaml
    """The whole of it, with what this project has no use for."""
    settings: dict[str, Value]
    modules: tuple[Module, ...]

    def setting(self, name: str) -> Value:
        """Return a setting; None when it is not set."""
        return self.settings.get(name)

    def line(self, name: str) -> int:
        """Return the line of a setting, 0 when it is not set."""
        return self.document.line("settings", name) if name in self.settings else 0

    def line_of(self, module: Module, key: str) -> int:
        """Return the line of a key of a module's `config_module`, or of the module when the key is not set."""
        return self.document.line("active_modules", module.id, "config_module", key) if key in module.config else module.line

    def of_type(self, *types: str) -> tuple[Module, ...]:
        """Return the modules of some types."""
        return tuple(module for module in self.modules if module.type in types)


def parse_everest_config(text: str, path: str) -> EverestConfig:
    """Parse a configuration; raises ArtefactError for what is no configuration, and as `parse_everest_yaml`."""
    document = parse_everest_yaml(text, path)
    if document.value is None:
        raise ArtefactError(f"{path} is empty; EVerest does not start with it")
    top = _mapping(document.value, document, ())
    settings = _mapping(top.get("settings"), document, ("settings",))
    modules = _mapping(top.get("active_modules"), document, ("active_modules",))
    return EverestConfig(path, document, settings, tuple(_module(name, entry, document) for name, entry in modules.items()))


def _mapping(value: Value, document: EverestYaml, place: tuple[str, ...]) -> dict[str, Value]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ArtefactError(f"{document.path}:{document.line(*place) or 1} is not a mapping; see EVerest's schema of the configuration")
    return value


def _module(name: str, entry: Value, document: EverestYaml) -> Module:
    place = ("active_modules", name)
    line = document.line(*place)
    where = f"{document.path}:{line}"
    content = _mapping(entry, document, place)
    kind, capabilities = content.get("module"), content.get("capabilities") or []
    config, implementations = content.get("config_module") or {}, content.get("config_implementation") or {}
    if not isinstance(kind, str):
        raise ArtefactError(f"{where} is the module '{name}' without a type; name it with 'module:'")
    if not isinstance(capabilities, list) or not all(isinstance(item, str) for item in capabilities):
        raise ArtefactError(f"{where} is the module '{name}' whose capabilities are no list of names; write a list")
    if not isinstance(config, dict) or not isinstance(implementations, dict):
        raise ArtefactError(f"{where} is the module '{name}' whose configuration is no mapping; see EVerest's schema")
    names = tuple(capability(item) for item in capabilities if isinstance(item, str))
    connections = _connections(content.get("connections"))
    return Module(name, kind, names, config, implementations, connections, line, document.line(*place, "capabilities"))


def _connections(value: Value) -> dict[str, tuple[tuple[str, str], ...]]:
    listed = {need: ends for need, ends in value.items() if isinstance(ends, list)} if isinstance(value, dict) else {}
    return {
        need: tuple((str(end.get("module_id")), str(end.get("implementation_id"))) for end in ends if isinstance(end, dict))
        for need, ends in listed.items()
    }


def capability(name: str) -> str:
    """Return a capability in the one spelling `CAP_NET_RAW`; cap_from_name(3) takes any case."""
    return name.strip().upper()


def read_everest_config(tree: Tree, path: str = CONFIG) -> EverestConfig:
    """Read the configuration of a root file system; raises ArtefactError when it is missing."""
    return parse_everest_config(tree.text(path), path)
