"""OCPP 2.x: components with variables, one JSON file each (lib/everest/ocpp/lib/ocpp/v2/init_device_model_db.cpp).

They fill the device model's database when EVerest first starts. A component of the directory `custom` takes the place of the whole component
of the same name in `standardized`.
"""

from collections.abc import Iterator, Mapping

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree, printable
from everest_secure.parse.everest_config import Module
from everest_secure.parse.everest_yaml import Value
from everest_secure.parse.ocpp import Ocpp, Setting, absolute, mapping, parse_json, read_json, unset

MAX_COMPONENTS, MAX_TOTAL = 500, 4 << 20
"""Files of a directory, and their bytes together; EVerest's own are 24 with 150 KB."""
_NAMES = (
    "InternalCtrlr.ChargePointId",
    "InternalCtrlr.ChargeBoxSerialNumber",
    "InternalCtrlr.ChargePointModel",
    "InternalCtrlr.ChargePointVendor",
    "SecurityCtrlr.Identity",
    "SecurityCtrlr.OrganizationName",
    "ISO15118Ctrlr.SeccId",
    "ISO15118Ctrlr.CountryName",
    "ISO15118Ctrlr.OrganizationName",
)
EVENTS = "OCPP16LegacyCtrlr.DisableSecurityEventNotifications"
"""Of the charge points the one of OCPP 1.6 alone reads it."""
_PROFILES = "InternalCtrlr.NetworkConnectionProfiles"
_SLOTS, _SLOT = "NetworkConfiguration", "NetworkConfiguration_"
_PASSWORDS = ("BasicAuthPassword", "ApnPassword", "VpnPassword", "VpnKey", "SimPin")

Variables = Mapping[str, Setting]
"""`InternalCtrlr.UseTPM` to its actual value; components of a single EVSE or connector, and instances, are none of these, but the slots of
`NetworkConfiguration`: `NetworkConfiguration_1.OcppCsmsUrl`."""
_Key = tuple[object, ...]
"""What a component is known by: name, EVSE, connector, instance."""


def configuration_path(module: Module) -> str:
    """Return the directory of the components of a module of OCPP 2.x."""
    return absolute(str(module.config.get("DeviceModelConfigPath", "component_config")), "OCPP201")


def read_ocpp2(tree: Tree, module: Module, written: Variables | None = None) -> Ocpp:
    """Read the components, with other values of variables that they have, if any are written over them.

    Raises ArtefactError when the directory is empty, a file is no component, or two of a directory are the same.
    """
    path = configuration_path(module)
    components = read_variables(tree, path)
    found = {name: (written or {}).get(name, setting) for name, setting in components.items()}

    def get(name: str) -> Setting:
        return found.get(name, unset(path))

    listed = tuple(_entries(get(_PROFILES)))
    slots = [name.partition(".")[0] for name, url in found.items() if name.startswith(_SLOT) and name.endswith(".OcppCsmsUrl") and url.text]
    secrets = [name for name in found if name.rpartition(".")[2] in _PASSWORDS and found[name].text]
    return Ocpp(
        module=module,
        version="2",
        path=path,
        switches={name.partition(".")[2]: each for name, each in found.items() if name.startswith("InternalCtrlr.") or name == EVENTS},
        urls=(*(entry["ocppCsmsUrl"] for entry in listed), *(get(f"{slot}.OcppCsmsUrl") for slot in slots)),
        profiles=(
            get("SecurityCtrlr.SecurityProfile"),
            *(entry["securityProfile"] for entry in listed),
            *(get(f"{slot}.SecurityProfile") for slot in slots),
        ),
        passwords=(
            *(found[name] for name in secrets),
            *(entry["basicAuthPassword"] for entry in listed if entry["basicAuthPassword"].text),
        ),
        names={name: get(name) for name in (*_NAMES, *(name for name in found if name.startswith(_SLOT) and name.endswith(".Identity")))},
        chain_size=("SecurityCtrlr.MaxCertificateChainSize", get("SecurityCtrlr.MaxCertificateChainSize")),
        store_length=("SecurityCtrlr.CertificateEntries", get("SecurityCtrlr.CertificateEntries")),
    )


def read_variables(tree: Tree, path: str) -> Variables:
    """Return the actual values of the components below a directory; raises ArtefactError as `read_ocpp2`."""
    standardized, custom = _components(tree, f"{path}/standardized"), _components(tree, f"{path}/custom")
    if not standardized:
        raise ArtefactError(f"{tree.name}: {printable(path)}/standardized holds no OCPP components; install them")
    found: dict[str, Setting] = {}
    for key, (component, file, lines) in {**standardized, **custom}.items():
        name, *single = key
        if name == _SLOTS and single[:2] == [None, None] and single[2] is not None:
            name = f"{_SLOT}{single[2]}"
        elif single != [None, None, None] or str(name).startswith(_SLOT):
            continue
        found.update((f"{name}.{variable}", setting) for variable, setting in _variables(component, file, lines))
    return found


def _components(tree: Tree, directory: str) -> dict[_Key, tuple[dict[str, Value], str, Mapping[str, int]]]:
    nodes = [node for node in tree.children(directory) if node.name.endswith(".json")]
    if len(nodes) > MAX_COMPONENTS or sum(node.size for node in nodes) > MAX_TOTAL:
        raise ArtefactError(f"{tree.name}: {printable(directory)} holds too many or too large components; it is taken for hostile")
    found: dict[_Key, tuple[dict[str, Value], str, Mapping[str, int]]] = {}
    for node in nodes:
        value, lines = read_json(tree, node.path)
        component = mapping(value, f"{tree.name}: {printable(node.path)}")
        key = tuple(str(component[each]) if each in component else None for each in ("name", "evse_id", "connector_id", "instance"))
        if key in found:
            raise ArtefactError(
                f"{tree.name}: {printable(node.path)} and {printable(found[key][1])} are the same component, and which one counts is not "
                "certain; remove one"
            )
        found[key] = (component, node.path, lines)
    return found


def _variables(component: Mapping[str, Value], path: str, lines: Mapping[str, int]) -> Iterator[tuple[str, Setting]]:
    seen: set[str] = set()
    for each in mapping(component.get("properties"), f"{path}: properties").values():
        variable = mapping(each, f"{path}: properties")
        if "instance" in variable:
            continue
        attributes = variable.get("attributes")
        for one in attributes if isinstance(attributes, list) else ():
            attribute = mapping(one, f"{path}: attributes")
            if attribute.get("type", "Actual") != "Actual":
                continue
            name, value = str(variable.get("variable_name")), attribute.get("value")
            if name in seen:
                raise ArtefactError(
                    f"{printable(path)} has the variable '{printable(name)}' twice, and which one counts is not certain; remove one"
                )
            seen.add(name)
            if value is None and "type" in attribute:
                value = variable.get("default")
            yield name, Setting(value, path, lines.get(name, 0), writable=attribute.get("mutability", "ReadWrite") != "ReadOnly")


def _entries(setting: Setting) -> Iterator[Mapping[str, Setting]]:
    """Yield what is read of each entry of NetworkConnectionProfiles, a list in a text."""
    where = f"{setting.path}:{setting.line}: NetworkConnectionProfiles"
    value = setting.value if isinstance(setting.value, list) else parse_json(setting.text.strip() or "[]", where)
    for entry in value if isinstance(value, list) else ():
        data = mapping(mapping(entry, where).get("connectionData"), where)
        keys = ("ocppCsmsUrl", "securityProfile", "basicAuthPassword")
        yield {key: Setting(data.get(key), setting.path, setting.line) for key in keys}
