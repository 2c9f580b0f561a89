"""EVerest at the pinned commit, and what its own manifests and schemas say of a configuration."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

from support.kas import pinned
from support.layer import Bench
from support.upstream_code import check_out

COMPONENTS = "lib/everest/ocpp/config/v2/component_config/standardized"
PROFILES = "lib/everest/ocpp/config/v16/profile_schemas"


def fetch(place: Path) -> Path:
    """Check EVerest out at the pinned commit, or skip the test; mirrors named by GITCONFIG_FILE or KAS_PREMIRRORS serve as well."""
    return check_out(pinned("EVerest"), place)


@dataclass(frozen=True, slots=True)
class Manifests:
    """What a checkout of EVerest knows of modules and their configuration."""

    checkout: Path

    def module(self, name: str) -> dict[str, Any] | None:
        """Return a module's manifest; None when there is no such module."""
        return _modules(self.checkout).get(name)

    def faults(self, configuration: Mapping[str, Any]) -> list[str]:
        """Return everything that EVerest would refuse, or ignore with a line in its log, in a configuration."""
        schema = yaml.safe_load((self.checkout / "lib/everest/framework/schemas/config.yaml").read_text())
        found = [error.message for error in Draft7Validator(schema).iter_errors(configuration)]
        modules = configuration["active_modules"]
        for name, entry in modules.items():
            manifest = self.module(entry["module"])
            if manifest is None:
                found.append(f"{name}: EVerest has no module {entry['module']}")
                continue
            found += [f"{name}: {fault}" for fault in _values(entry.get("config_module", {}), manifest.get("config", {}))]
            for implementation, values in entry.get("config_implementation", {}).items():
                known = manifest["provides"].get(implementation)
                found += (
                    [f"{name}: {fault}" for fault in _values(values, known.get("config", {}))]
                    if known
                    else [f"{name}: {entry['module']} does not provide {implementation}"]
                )
            found += [f"{name}: {fault}" for fault in self._connections(entry.get("connections", {}), manifest, modules)]
        return found

    def _connections(self, connections: Mapping[str, Any], manifest: Mapping[str, Any], modules: Mapping[str, Any]) -> Iterator[str]:
        required = manifest.get("requires", {})
        yield from (f"nothing requires {name}" for name in connections.keys() - required.keys())
        for name, need in required.items():
            ends = connections.get(name, [])
            if not need.get("min_connections", 1) <= len(ends) <= need.get("max_connections", 1):
                yield f"{name} has {len(ends)} connections"
            for end in ends:
                target = self.module(modules[end["module_id"]]["module"]) or {}
                offered = target.get("provides", {}).get(end["implementation_id"], {}).get("interface")
                if offered != need["interface"]:
                    yield f"{name} wants {need['interface']} and {end['module_id']}.{end['implementation_id']} is {offered}"


@cache
def _modules(checkout: Path) -> dict[str, dict[str, Any]]:
    return {path.parent.name: yaml.safe_load(path.read_text()) for path in checkout.glob("modules/**/manifest.yaml")}


def _values(values: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    """EVerest only logs keys that it does not know: here they are faults."""
    for key, value in values.items():
        if key not in known:
            yield f"{key} is no key"
        else:
            schema = {word: known[key][word] for word in known[key].keys() & {"type", "enum", "minimum", "maximum", "pattern"}}
            yield from (f"{key}: {error.message}" for error in Draft7Validator(schema).iter_errors(value))
    yield from (f"{key} is missing" for key in known.keys() - values.keys() if "default" not in known[key])


def ocpp16_faults(checkout: Path, document: Any) -> list[str]:
    """Return what libocpp's schemas find in a configuration of OCPP 1.6."""
    schemas = {path.name: yaml.safe_load(path.read_text()) for path in (checkout / PROFILES).glob("*.json")}
    registry: Registry[Any] = Registry().with_resources((name, DRAFT7.create_resource(schema)) for name, schema in schemas.items())
    found = [error.message for error in Draft7Validator(schemas["Config.json"], registry=registry).iter_errors(document)]
    known = {section: schemas[f"{section}.json"]["properties"].keys() for section in document}
    return found + [f"{section}.{key} is no key" for section, keys in document.items() for key in keys.keys() - known[section]]


def component_faults(component: Mapping[str, Any]) -> list[str]:
    """Return values of an OCPP component that are not what its own schema, or the type in its characteristics, wants."""
    types = {"boolean": "boolean", "integer": "integer", "decimal": "number"}
    found = []
    for name, entry in component["properties"].items():
        schema = {word: entry[word] for word in entry.keys() & {"type", "minLength", "maxLength", "minimum", "maximum"}}
        schema = {word: value for word, value in schema.items() if not (schema.get("type") == "string" and word in ("minimum", "maximum"))}
        wanted = types.get(entry["characteristics"]["dataType"], "string")
        values = [attribute["value"] for attribute in entry["attributes"] if "value" in attribute]
        for value in values:
            for judge in (schema, {"type": wanted}):
                found += [f"{name}: {error.message}" for error in Draft7Validator(judge).iter_errors(value)]
        if name in component.get("required", []) and not values and "default" not in entry:
            found.append(f"{name} is required and has no value")
    return found


def _code(place: Path, everest: Path) -> Path:
    """Copy what the recipe's task reads and changes, and return the copy."""
    for name in (
        "cmake",
        "lib/everest/framework/src",
        "lib/everest/evse_security",
        "lib/everest/log",
        "lib/everest/ocpp/lib/ocpp/common",
        "lib/everest/tls",
        "lib/everest/util",
    ):
        shutil.copytree(everest / name, place / name, symlinks=True)
    for file in (path for name in ("manifest.yaml", "module.py") for path in everest.glob(f"modules/**/{name}")):
        target = place / file.relative_to(everest)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.read_text())
    return place


def patched(layer: Bench, place: Path, everest: Path, **settings: str) -> Path:
    """Return EVerest's code after the recipe's own task."""
    tree, append = _code(place / "code", everest), place / "append"
    (append / "conf").mkdir(parents=True)
    (append / "conf/layer.conf").write_text('BBFILES += "${LAYERDIR}/*.bbappend"\nBBFILE_COLLECTIONS += "test"\n')
    (append / "everest-core_%.bbappend").write_text(
        f'EVEREST_SUBSTITUTIONS = "substitutions.json"\nEVEREST_OWN_MODULES = ""\nS = "{tree}"\n'
    )
    layer.build("everest-core", settings, extra_layers=(append,))
    return tree
