"""The schema of the configuration and the manifests of modules that an image holds, and what in a configuration does not hold to them.

The rules are those of EVerest's manager (lib/everest/framework/lib/config.cpp), but for one: a key that a manifest does not know the manager only
logs and ignores, so that a typing error leaves a default in place. Here it is a fault.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.parse.everest_config import EverestConfig, Module
from everest_secure.parse.everest_yaml import Place, Value, read_everest_yaml
from everest_secure.parse.json_schema import Fault, faults

SCHEMAS, MODULES = "/usr/share/everest/schemas", "/usr/libexec/everest/modules"
"""The manager's defaults of `schemas_dir` and `modules_dir` (runtime.hpp)."""
MAX_BYTES = 4 << 20
"""Size of all manifests that one configuration needs; those of all modules of EVerest have half a MiB."""

Items = Mapping[str, Mapping[str, Value]]
"""Key of a configuration to what its manifest says of it."""


class Manifests:
    """The schema and the manifests that the manager of an image reads for a configuration."""

    def __init__(self, tree: Tree, config: EverestConfig) -> None:
        """`config` may move both directories by its settings."""
        self._tree = tree
        self._known: dict[str, dict[str, Value] | None] = {}
        self._left = MAX_BYTES
        self.schemas = str(config.setting("schemas_dir") or SCHEMAS)
        self.modules = str(config.setting("modules_dir") or MODULES)

    def schema(self) -> tuple[dict[str, Value], str]:
        """Return the schema of the configuration and its path; raises ArtefactError when the image has none."""
        path = f"{self.schemas}/config.yaml"
        return _mapping(read_everest_yaml(self._tree, path).value, path), path

    def path(self, kind: str) -> str:
        """Return the path of a module type's manifest, whether it is there or not."""
        return f"{self.modules}/{kind}/manifest.yaml"

    def manifest(self, kind: str) -> dict[str, Value] | None:
        """Return the manifest of a module type; None when the image does not have the module.

        Raises ArtefactError when manifests are damaged, or larger together than any EVerest's.
        """
        if kind not in self._known:
            path = self.path(kind)
            node = self._tree.resolve(path) if "/" not in kind else None
            self._left -= node.size if node else 0
            if self._left < 0:
                raise ArtefactError(
                    f"the manifests below {self.modules} have more than {MAX_BYTES} bytes together; they are taken for hostile"
                )
            self._known[kind] = _mapping(read_everest_yaml(self._tree, path).value, path) if node else None
        return self._known[kind]

    def default(self, kind: str, key: str) -> Value:
        """Return what a module takes for a key of `config_module` that is not set; None where manifest or default is missing."""
        return _items(self.manifest(kind), self.path(kind)).get(key, {}).get("default")

    def knows(self, kind: str, key: str) -> bool:
        """Whether a module type has a key in `config_module`; taken for granted where the image does not have the module."""
        manifest = self.manifest(kind)
        return manifest is None or key in _items(manifest, self.path(kind))

    def provides(self, kind: str, interface: str) -> bool:
        """Whether a module type provides an interface by its manifest; False where the image does not have the module."""
        manifest, path = self.manifest(kind), self.path(kind)
        offered = _mapping((manifest or {}).get("provides"), path)
        return any(_mapping(each, path).get("interface") == interface for each in offered.values())

    def faults(self, config: EverestConfig) -> Iterator[Fault]:
        """Yield what the manager refuses or ignores in a configuration; raises ArtefactError where a file of EVerest's is missing or damaged."""
        schema, path = self.schema()
        yield from faults(config.document.value, schema, path)
        types = {module.id: module.type for module in config.modules}
        for module in config.modules:
            yield from self._module(module)
            yield from self._connections(module, types)

    def _connections(self, module: Module, types: Mapping[str, str]) -> Iterator[Fault]:
        manifest, path, place = self.manifest(module.type), self.path(module.type), ("active_modules", module.id, "connections")
        needs = _mapping((manifest or {}).get("requires"), path)
        for need in module.connections.keys() - needs.keys() if manifest is not None else ():
            yield Fault((*place, need), f"is nothing that {module.type} requires")
        for need, value in needs.items():
            wanted, ends = _mapping(value, path), module.connections.get(need, ())
            least, most = wanted.get("min_connections", 1), wanted.get("max_connections", 1)
            if not isinstance(least, int) or not isinstance(most, int) or not least <= len(ends) <= most:
                yield Fault((*place, need), f"has {len(ends)} connections, and {module.type} requires {least} to {most}")
            for identity, implementation in ends:
                if identity not in types:
                    yield Fault((*place, need), f"leads to '{identity}', which is no module of the configuration")
                elif self._interface(types[identity], implementation) not in (None, wanted.get("interface")):
                    yield Fault((*place, need), f"wants {wanted.get('interface')}, which {implementation} of '{identity}' is not")

    def _interface(self, kind: str, implementation: str) -> Value:
        """Return the interface of an implementation, an empty one when the module has no such; None when the module is not there."""
        manifest, path = self.manifest(kind), self.path(kind)
        if manifest is None:
            return None
        return _mapping(_mapping(manifest.get("provides"), path).get(implementation), path).get("interface", "")

    def _module(self, module: Module) -> Iterator[Fault]:
        place = ("active_modules", module.id)
        manifest = self.manifest(module.type)
        if manifest is None:
            yield Fault((*place, "module"), f"names the module {module.type}, which the image does not have")
            return
        path = self.path(module.type)
        yield from _values(module.config, _items(manifest, path), (*place, "config_module"), path)
        provided = _mapping(manifest.get("provides"), path)
        for name in module.implementations.keys() - provided.keys():
            yield Fault((*place, "config_implementation", name), f"is nothing that {module.type} provides")
        for name, offered in provided.items():
            values = _mapping(module.implementations.get(name), path)
            yield from _values(values, _items(_mapping(offered, path), path), (*place, "config_implementation", name), path)


def _mapping(value: Value, path: str) -> dict[str, Value]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ArtefactError(f"{path} is damaged: it has a word where a mapping belongs; install EVerest again")
    return value


def _items(holder: Mapping[str, Value] | None, path: str) -> Items:
    return {name: _mapping(item, path) for name, item in _mapping((holder or {}).get("config"), path).items()}


def _values(values: Mapping[str, Value], items: Items, place: Place, path: str) -> Iterator[Fault]:
    for name, value in values.items():
        if name not in items:
            close = get_close_matches(name, items, n=1)
            meant = f"; did you mean '{close[0]}'?" if close else ""
            yield Fault((*place, name), f"is a key that {path} does not know, so that EVerest ignores it{meant}")
        else:
            yield from (Fault((*place, name, *fault.place), fault.what) for fault in faults(value, items[name], path))
            if isinstance(value, float) and value.is_integer() and items[name].get("type") == "integer":
                # Of JSON Schema's integers EVerest takes only those that are written without a fraction (parse_config_map()).
                yield Fault((*place, name), f"is {value} and not of type integer")
    for name, item in items.items():
        if "default" not in item and name not in values:
            yield Fault(place, f"lacks '{name}', which {path} has no default for")
