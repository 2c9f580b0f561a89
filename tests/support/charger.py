"""What an image of a charger holds besides this layer's own files: EVerest's schema, manifests and OCPP components, and the TPM's programs.

Nothing here is EVerest's own text; tests/yocto holds this project's checks against EVerest itself.
"""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from everest_secure.paths import PACKAGE
from support.elf import Program

COMPONENTS = PACKAGE / "reference/standins/ocpp-components"
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
KNOWN: dict[str, dict[str, Any]] = {
    "EvseV2G": {"tls_security": {"type": "string", "enum": ["prohibit", "allow", "force"], "default": "allow"}},
    "IsoMux": {"tls_security": {"type": "string", "enum": ["prohibit", "allow", "force"], "default": "allow"}},
    "Evse15118D20": {
        "tls_negotiation_strategy": {
            "type": "string",
            "enum": ["ACCEPT_CLIENT_OFFER", "ENFORCE_TLS", "ENFORCE_NO_TLS"],
            "default": "ACCEPT_CLIENT_OFFER",
        },
        "enforce_tls_1_3": {"type": "boolean", "default": False},
    },
    "OCPPmulti": {
        "ChargePointConfigPath": {"type": "string", "default": "ocpp-config.json"},
        "DeviceModelConfigMappings": {"type": "string", "default": ""},
        "Ocpp16NetworkConfigSlot": {"type": "integer", "default": 1},
        "UserConfigPath": {"type": "string", "default": "user_config.json"},
    },
    "EvseSecurity": {"secc_leaf_cert_directory": {"type": "string", "default": "client/cso"}},
    "EvseManager": {"session_logging_path": {"type": "string", "default": "/tmp"}},
    "EvseSlac": {"number_of_sounds": {"type": "integer", "minimum": 1, "maximum": 10, "default": 10}},
}
"""Keys of manifests with more than the type of the value that this layer sets."""
_NAME = "^[a-zA-Z_][a-zA-Z0-9_.-]*$"
SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$defs": {
        "values": {
            "type": "object",
            "patternProperties": {_NAME: {"type": ["boolean", "integer", "number", "string"]}},
            "additionalProperties": False,
        }
    },
    "type": "object",
    "required": ["active_modules"],
    "additionalProperties": False,
    "properties": {
        "settings": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                **{
                    name: {"type": "string"}
                    for name in ("run_as_user", "mqtt_broker_socket_path", "mqtt_broker_host", "schemas_dir", "modules_dir")
                },
                **{name: {"type": "boolean"} for name in ("validate_schema", "telemetry_enabled")},
                **{name: {"type": "integer"} for name in ("mqtt_broker_port", "controller_port")},
            },
        },
        "active_modules": {
            "type": "object",
            "additionalProperties": False,
            "patternProperties": {
                _NAME: {
                    "type": "object",
                    "required": ["module"],
                    "additionalProperties": False,
                    "properties": {
                        "module": {"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_-]*$"},
                        "capabilities": {"type": "array", "items": {"type": "string"}},
                        "config_module": {"$ref": "#/$defs/values"},
                        "config_implementation": {
                            "type": "object",
                            "patternProperties": {_NAME: {"$ref": "#/$defs/values"}},
                            "additionalProperties": False,
                        },
                        "connections": {"type": "object"},
                        "mapping": {"type": "object"},
                    },
                }
            },
        },
    },
}
"""A schema of EVerest's configuration, in the words that EVerest's own has."""


def manifests(*configurations: str) -> dict[str, str]:
    """Return the manifests that configurations need, by module type: their keys and connections, of which each is one to any module."""
    found: dict[str, dict[str, Any]] = {}
    for text in configurations:
        modules = yaml.safe_load(text)["active_modules"]
        for entry in modules.values():
            manifest = found.setdefault(entry["module"], {"description": "A module", "config": {}, "provides": {}, "requires": {}})
            manifest["config"] |= _items(entry.get("config_module", {})) | KNOWN.get(entry["module"], {})
            for implementation, values in entry.get("config_implementation", {}).items():
                manifest["provides"].setdefault(implementation, {"interface": "any"})["config"] = _items(values)
            for need, ends in entry.get("connections", {}).items():
                manifest["requires"][need] = {"interface": "any", "min_connections": 0, "max_connections": 128}
                for end in ends:
                    target = found.setdefault(
                        modules[end["module_id"]]["module"], {"description": "A module", "config": {}, "provides": {}, "requires": {}}
                    )
                    target["provides"].setdefault(end["implementation_id"], {"interface": "any"})
    return {name: yaml.safe_dump(manifest) for name, manifest in found.items()}


def _items(values: dict[str, Any]) -> dict[str, Any]:
    return {name: {"type": TYPES[type(value)], "description": "A key", "default": value} for name, value in values.items()}


def ocpp16_schemas(configuration: str) -> dict[str, str]:
    """Return schemas of OCPP 1.6 by section: of each key that a configuration has, and of a password, which it has not, the type."""
    types = {bool: "boolean", int: "integer", str: "string", list: "array"}
    sections = json.loads(configuration)
    sections["Security"]["AuthorizationKey"] = ""
    return {
        section: json.dumps({"type": "object", "required": ["SecurityProfile"] if section == "Security" else [], "additionalProperties": False,
                             "properties": {key: {"type": types[type(value)], "descrption": "x"} for key, value in keys.items()}})
        for section, keys in sections.items()
    }  # fmt: skip


def ocpp_components(device_models: Sequence[str]) -> dict[str, str]:
    """Return OCPP's components by name, with the values of the layer's device models, the later over the earlier."""
    components = {path.stem: json.loads(path.read_text()) for path in COMPONENTS.glob("*.json")}
    for model in device_models:
        for name, variables in json.loads(model).items():
            for variable, change in variables.items():
                (entry,) = (each for each in components[name]["properties"].values() if each["variable_name"] == variable)
                (attribute,) = entry["attributes"]
                entry.pop("default", None)
                attribute.pop("value", None)
                if change["value"] is not None:
                    attribute["value"] = json.dumps(change["value"]) if isinstance(change["value"], list) else change["value"]
                attribute |= {key: change[key] for key in ("mutability",) if key in change}
    return {name: json.dumps(component, indent=2) for name, component in components.items()}


def program(*texts: str) -> bytes:
    """Return a program that holds texts."""
    return Program().content + b"".join(text.encode() + b"\0" for text in texts)
