"""OCPPmulti: 1.6 and 2.x from one device model (modules/EVSE/OCPPmulti/charge_point_config_factory_v16.cpp).

With `EnableLegacyConfigMigration` a file of OCPP 1.6 is written over the components when the device model is first made: each key that has a
variable, with libocpp's own default where the file does not set it (ocpp16_component_config_patcher.cpp). A variable that no component has is
passed over. `DeviceModelConfigMappings` gives keys of the section `Custom` a variable too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from everest_secure.image.tree import Tree
from everest_secure.parse import ocpp2, ocpp16
from everest_secure.parse.everest_config import Module
from everest_secure.parse.ocpp import DEFAULTS, Ocpp, Setting, mapping, read_json, unset
from everest_secure.parse.ocpp_mappings import mappings_path, read_mappings

_SWITCHES = (
    "ChargeBoxSerialNumber", "ChargePointModel", "ChargePointVendor", "EnableTLSKeylog", "LogMessages", "LogMessagesFormat", "LogRotation",
    "LogRotationMaximumFileCount", "LogRotationMaximumFileSize", "SupportedCiphers12", "SupportedCiphers13", "UseSslDefaultVerifyPaths", "UseTPM",
    "UseTPMSeccLeafCertificate", "VerifyCsmsAllowWildcards", "VerifyCsmsCommonName",
)  # fmt: skip
_VARIABLES: Mapping[str, str] = {
    **{f"Internal.{name}": f"InternalCtrlr.{name}" for name in _SWITCHES},
    "Internal.SeccLeafSubjectCommonName": "ISO15118Ctrlr.SeccId",
    "Internal.SeccLeafSubjectCountry": "ISO15118Ctrlr.CountryName",
    "Internal.SeccLeafSubjectOrganization": "ISO15118Ctrlr.OrganizationName",
    "Security.CpoName": "SecurityCtrlr.OrganizationName",
    ocpp16.EVENTS: ocpp2.EVENTS,
    "Security.CertificateSignedMaxChainSize": "SecurityCtrlr.MaxCertificateChainSize",
}
"""Keys of OCPP 1.6 that any check asks for, and their variables (known_keys.cpp). Which of them the CSMS may change is fixed in libocpp."""
_OF_THE_SLOT: Mapping[str, str] = {
    "Internal.CentralSystemURI": "OcppCsmsUrl",
    "Security.SecurityProfile": "SecurityProfile",
    "Security.AuthorizationKey": "BasicAuthPassword",
    "Internal.ChargePointId": "Identity",
}
_CUSTOM_SCHEMA = f"{ocpp16.SCHEMAS}/Custom.json"
_DEFAULTS_OF_SECURITY = {"Security.SecurityProfile": 0, ocpp16.EVENTS: False}


def configuration_paths(module: Module) -> Iterator[str]:
    """Yield the files and directories without which the module does not start."""
    yield ocpp2.configuration_path(module)
    if _migrates(module):
        yield ocpp16.configuration_path(module)
    if speaks_16(module) and (path := mappings_path(module)):
        yield path


def read_ocpp_multi(tree: Tree, module: Module) -> Iterator[Ocpp]:
    """Yield what the module may start with: the components, and those that a file of OCPP 1.6 was written over.

    Raises ArtefactError as the readers of both do, and for mappings that libocpp refuses.
    """
    if speaks_16(module) and mappings_path(module):
        read_mappings(tree, module)
    if not _migrates(module) or _mode(module) == "Prefer2":
        yield ocpp2.read_ocpp2(tree, module)
    if _migrates(module):
        yield replace(ocpp2.read_ocpp2(tree, module, _migrated(tree, module)), migrated=ocpp16.configuration_path(module))


def _mode(module: Module) -> str:
    return str(module.config.get("Mode", "Only2"))


def speaks_16(module: Module) -> bool:
    """Whether a module of OCPPmulti may speak OCPP 1.6."""
    return _mode(module) != "Only2"


def _migrates(module: Module) -> bool:
    return speaks_16(module) and module.config.get("EnableLegacyConfigMigration") is True


def _migrated(tree: Tree, module: Module) -> Mapping[str, Setting]:
    """Return the variables that the file of OCPP 1.6 sets, whether a component has them or not; of two that set the same the later one counts."""
    found, path = ocpp16.read_settings(tree, module), ocpp16.configuration_path(module)
    defaults = {f"Internal.{name}": value for name, value in DEFAULTS.items()} | _DEFAULTS_OF_SECURITY
    given = {key: unset(path, value) for key, value in defaults.items()} | found
    slot = module.config.get("Ocpp16NetworkConfigSlot", 1)
    written = {variable: given[key] for key, variable in _VARIABLES.items() if key in given}
    written |= _custom(tree, module, found) if mappings_path(module) else {}
    written["SecurityCtrlr.SecurityProfile"] = given["Security.SecurityProfile"]
    return written | {
        f"NetworkConfiguration_{slot}.{variable}": given[key] for key, variable in _OF_THE_SLOT.items() if key in given and slot
    }


def _custom(tree: Tree, module: Module, found: Mapping[str, Setting]) -> dict[str, Setting]:
    """Return the variables that keys of the section `Custom` have by the mappings; libocpp passes over a key that its schema does not describe."""
    schema = read_json(tree, _CUSTOM_SCHEMA)[0] if tree.resolve(_CUSTOM_SCHEMA) else {}
    described = mapping(mapping(schema, _CUSTOM_SCHEMA).get("properties", {}), _CUSTOM_SCHEMA)
    variables: dict[str, Setting] = {}
    for each in read_mappings(tree, module):
        setting, description = found.get(f"Custom.{each.key}"), described.get(each.key)
        if setting and each.variable and isinstance(description, dict) and isinstance(description.get("readOnly"), bool):
            variables[each.variable] = replace(setting, writable=not description["readOnly"])
    return variables
