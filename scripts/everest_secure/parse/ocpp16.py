"""OCPP 1.6: one JSON file, over which what the CSMS changed is laid as a JSON merge patch (modules/EVSE/OCPP/OCPP.cpp)."""

from collections.abc import Iterator

from everest_secure.image.tree import Tree
from everest_secure.parse.everest_config import Module
from everest_secure.parse.json_schema import faults
from everest_secure.parse.ocpp import SHARE, Ocpp, Setting, absolute, mapping, read_json, unset

_NAMES = (
    "Internal.ChargePointId",
    "Internal.ChargeBoxSerialNumber",
    "Internal.ChargePointModel",
    "Internal.ChargePointVendor",
    "Internal.SeccLeafSubjectCountry",
    "Internal.SeccLeafSubjectOrganization",
    "Security.CpoName",
)
SCHEMAS = f"{SHARE}/OCPP/profile_schemas"
"""libocpp's JSON Schemas, one for each section, without which OCPP 1.6 does not start (charge_point_configuration.cpp)."""
EVENTS = "Security.DisableSecurityEventNotifications"
_SECTIONS = ("Internal", "Core", "Security")
"""Those that a configuration must have."""


def configuration_path(module: Module) -> str:
    """Return the path of the configuration of a module of OCPP 1.6."""
    return absolute(str(module.config.get("ChargePointConfigPath", "ocpp-config.json")), "OCPP")


def schema_faults(tree: Tree, path: str) -> Iterator[tuple[str, int]]:
    """Yield what in a configuration does not hold to libocpp's schemas, part of a sentence and its line.

    Keys that they do not name are among it: in most sections libocpp passes over them. Raises ArtefactError for a schema that cannot be followed.
    """
    value, lines = read_json(tree, path)
    document = mapping(value, path)
    yield from ((f"the section '{section}' is missing", 0) for section in _SECTIONS if section not in document)
    for section, keys in document.items():
        file, line = f"{SCHEMAS}/{section}.json", lines.get(section, 0)
        if "/" in section or tree.resolve(file) is None:
            yield f"'{section}' is no section", line
            continue
        schema = mapping(read_json(tree, file)[0], file)
        known = mapping(schema.get("properties", {}), file)
        for key in keys if isinstance(keys, dict) else ():
            if key not in known:
                yield f"'{section}.{key}' is a key that libocpp does not know", lines.get(key, 0)
        for fault in faults(keys, {**schema, "additionalProperties": True}, file):
            yield (
                f"'{'.'.join(map(str, (section, *fault.place)))}' {fault.what}",
                lines.get(str(fault.place[0]), 0) if fault.place else line,
            )


def read_ocpp16(tree: Tree, module: Module) -> Ocpp:
    """Read the configuration as `read_settings`."""
    path, found = configuration_path(module), read_settings(tree, module)

    def get(name: str) -> Setting:
        return found.get(name, unset(path))

    return Ocpp(
        module=module,
        version="1.6",
        path=path,
        switches={name.partition(".")[2]: each for name, each in found.items() if name.startswith("Internal.") or name == EVENTS},
        urls=(get("Internal.CentralSystemURI"),),
        profiles=(get("Security.SecurityProfile"),),
        passwords=(get("Security.AuthorizationKey"),) if get("Security.AuthorizationKey").value is not None else (),
        names={name: get(name) for name in _NAMES},
        chain_size=("Security.CertificateSignedMaxChainSize", get("Security.CertificateSignedMaxChainSize")),
        store_length=("Security.CertificateStoreMaxLength", get("Security.CertificateStoreMaxLength")),
    )


def read_settings(tree: Tree, module: Module) -> dict[str, Setting]:
    """Return each key that is set, `Internal.UseTPM`, with the user's file over the configuration, if the image has one.

    Raises ArtefactError when the configuration is missing or one of them no JSON.
    """
    path = configuration_path(module)
    user = absolute(str(module.config.get("UserConfigPath", "user_config.json")), "OCPP")
    return dict(each for file in ((path, user) if tree.resolve(user) else (path,)) for each in _settings(tree, file))


def _settings(tree: Tree, path: str) -> Iterator[tuple[str, Setting]]:
    value, lines = read_json(tree, path)
    for section, keys in mapping(value, path).items():
        for key, one in mapping(keys, f"{path}: {section}").items():
            yield f"{section}.{key}", Setting(one, path, lines.get(key, 0))
