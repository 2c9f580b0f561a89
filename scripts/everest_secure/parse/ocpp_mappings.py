"""Keys of OCPP 1.6 of a product's own, and the variables of the device model that they are: `DeviceModelConfigMappings` of OCPPmulti.

libocpp refuses a file with a key that it does not know, a key twice, or a variable that decides on the connection, and OCPPmulti does not start with
one in its modes of OCPP 1.6 (ocpp16_custom_config_mappings.cpp, variable_resolver.cpp).
"""

from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree, printable
from everest_secure.parse.everest_config import Module
from everest_secure.parse.everest_yaml import EverestYaml, Value, read_everest_yaml
from everest_secure.parse.ocpp import absolute

_OF_THE_CONNECTION = (
    "OCPPCommCtrlr.NetworkConfigurationPriority",
    "OCPPCommCtrlr.ActiveNetworkProfile",
    "SecurityCtrlr.Identity",
    "SecurityCtrlr.BasicAuthPassword",
)


@dataclass(frozen=True, slots=True)
class KeyMapping:
    """A key, and what it is."""

    key: str
    variable: str
    """`InternalCtrlr.UseTPM`; empty for one of a single EVSE, connector or instance."""
    line: int


def mappings_path(module: Module) -> str:
    """Return the path of the mappings; empty when the module has none."""
    given = str(module.config.get("DeviceModelConfigMappings") or "")
    return absolute(given, "OCPP") if given else ""


def read_mappings(tree: Tree, module: Module) -> tuple[KeyMapping, ...]:
    """Read the mappings of a module that has some; raises ArtefactError for a file with which the module does not start."""
    document = read_everest_yaml(tree, mappings_path(module))
    entries = _mapping(document, document.value, (), known=("mappings",), needed=("mappings",))["mappings"]
    if not isinstance(entries, list):
        raise _error(document, ("mappings",), "is no list")
    found: dict[str, KeyMapping] = {}
    for number, entry in enumerate(entries):
        each = _key_mapping(document, entry, ("mappings", number))
        if each.key in found:
            raise _error(document, ("mappings", number), f"gives the key '{printable(each.key)}' a second time")
        found[each.key] = each
    return tuple(found.values())


def _key_mapping(document: EverestYaml, entry: Value, place: tuple[str | int, ...]) -> KeyMapping:
    parts = ("ocpp16_key", "component", "variable")
    fields = _mapping(document, entry, place, known=parts, needed=parts)
    key = _text(document, fields["ocpp16_key"], (*place, "ocpp16_key"))
    component = _mapping(document, fields["component"], (*place, "component"), known=("name", "instance", "evse"), needed=("name",))
    variable = _mapping(document, fields["variable"], (*place, "variable"), known=("name", "instance"), needed=("name",))
    owner = _text(document, component["name"], (*place, "component", "name"))
    name = f"{owner}.{_text(document, variable['name'], (*place, 'variable', 'name'))}"
    if "evse" in component:
        evse = _mapping(document, component["evse"], (*place, "component", "evse"), known=("id", "connectorId"), needed=("id",))
        if not all(type(each) is int for each in evse.values()):
            raise _error(document, (*place, "component", "evse"), "is no number")
    single = [_text(document, each["instance"], (*place, "instance")) for each in (component, variable) if "instance" in each]
    of_the_charger = not single and "evse" not in component
    if owner == "NetworkConfiguration" or (of_the_charger and name in _OF_THE_CONNECTION):
        raise _error(document, place, f"maps '{printable(key)}' to {printable(name)}, which decides on the connection")
    return KeyMapping(key, name if of_the_charger else "", document.line(*place))


def _mapping(
    document: EverestYaml, value: Value, place: tuple[str | int, ...], *, known: tuple[str, ...], needed: tuple[str, ...]
) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise _error(document, place, "is no mapping")
    if set(value) - set(known) or set(needed) - set(value):
        raise _error(document, place, f"must have the keys {', '.join(needed)}, and may have none but {', '.join(known)}")
    return value


def _text(document: EverestYaml, value: Value, place: tuple[str | int, ...]) -> str:
    if not isinstance(value, str) or not value:
        raise _error(document, place, "is no text")
    return value


def _error(document: EverestYaml, place: tuple[str | int, ...], what: str) -> ArtefactError:
    where = ".".join(map(str, place)) or "the file"
    return ArtefactError(
        f"{document.path}:{document.line(*place)}: {where} {what}, so that OCPPmulti does not start with it; mend the file"
    )
