"""The charger with one version of OCPP or the other, and changes to its configuration."""

import json
from collections.abc import Callable
from typing import Any

from support.rootfs import EVEREST_CONFIG, RootFs, everest_configuration, layer

CONFIG, FILE = "/etc/everest/config.yaml", "/etc/everest/ocpp/config.json"
MAPPINGS = "/etc/everest/ocpp/mappings.yaml"
COMPONENTS = "/etc/everest/ocpp/component_config/standardized"
CUSTOM = "/etc/everest/ocpp/component_config/custom"


def version_16(fs: RootFs) -> RootFs:
    """The charger with OCPP 1.6, as the layer configures it."""
    fs.remove("/etc/everest/ocpp").file(CONFIG, everest_configuration(ocpp="1.6"))
    return fs.file(FILE, layer(f"{EVEREST_CONFIG}/ocpp-1.6.json"))


def multi(fs: RootFs) -> RootFs:
    """The charger with OCPPmulti: the CSMS is named by a slot of its own."""
    fs.file(CONFIG, everest_configuration(ocpp="multi"))
    slots = {"OcppCsmsUrl": "wss://csms.example.com/ocpp", "SecurityProfile": 3, "Identity": "unprovisioned"}
    fs.file(f"{COMPONENTS}/NetworkConfiguration_1.json", component("NetworkConfiguration", instance="1", **slots))
    return variable("InternalCtrlr", "NetworkConnectionProfiles", "")(fs)


def migrating(fs: RootFs, mode: str = "Only1.6", mappings: str = "") -> RootFs:
    """The charger with OCPPmulti that writes a file of OCPP 1.6 over its components, and may have keys of its own."""
    legacy = f"EnableLegacyConfigMigration: true\n      ChargePointConfigPath: {FILE}"
    if mappings:
        fs.file(MAPPINGS, mappings)
        legacy += f"\n      DeviceModelConfigMappings: {MAPPINGS}"
    multi(fs).replace(CONFIG, "EnableLegacyConfigMigration: false", legacy).replace(CONFIG, "Mode: Prefer2", f"Mode: {mode}")
    return fs.file(FILE, layer(f"{EVEREST_CONFIG}/ocpp-1.6.json"))


def mapped(**variables: str) -> str:
    """Mappings of keys to variables, `Key="InternalCtrlr.UseTPM"`."""
    pairs = [(key, *variable.split(".")) for key, variable in variables.items()]
    entries = [{"ocpp16_key": key, "component": {"name": name}, "variable": {"name": variable}} for key, name, variable in pairs]
    return json.dumps({"mappings": entries}, indent=1)


def component(name: str, /, instance: str | None = None, **values: object) -> str:
    attributes = {each: {"type": "Actual", "mutability": "ReadOnly", "value": value} for each, value in values.items()}
    properties = {each: {"variable_name": each, "attributes": [attribute]} for each, attribute in attributes.items()}
    own = {} if instance is None else {"instance": instance}
    return json.dumps({"name": name, **own, "properties": properties}, indent=1)


def edited(path: str, change: Callable[[dict[str, Any]], object]) -> Callable[[RootFs], RootFs]:
    def apply(fs: RootFs) -> RootFs:
        document = json.loads(fs.nodes[path][1])
        change(document)
        return fs.file(path, json.dumps(document, indent=1))

    return apply


def variable(name: str, key: str, value: object, **attribute: object) -> Callable[[RootFs], RootFs]:
    """Another value of a variable of OCPP 2.x; None takes it out."""

    def change(document: dict[str, Any]) -> None:
        entry = document["properties"].setdefault(key, {"variable_name": key, "attributes": [{"type": "Actual", "mutability": "ReadOnly"}]})
        entry["attributes"][0] |= {"value": value, **attribute}

    return edited(f"{COMPONENTS}/{name}.json", change)


def key(section: str, name: str, value: object) -> Callable[[RootFs], RootFs]:
    """Another value of a key of OCPP 1.6; None takes it out."""

    def change(document: dict[str, Any]) -> None:
        document[section][name] = value
        if value is None:
            del document[section][name]

    return lambda fs: edited(FILE, change)(version_16(fs))
