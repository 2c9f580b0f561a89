"""Towards the vehicle: TLS-01."""

from collections.abc import Iterator

from everest_secure.checks.common import at, configuration, findings_up_to
from everest_secure.checks.core import NotApplicable, Notes, Root, Scope, check
from everest_secure.checks.stand_in import is_stand_in
from everest_secure.parse.everest_config import Module
from everest_secure.parse.everest_manifests import Manifests
from everest_secure.parse.everest_yaml import Value
from everest_secure.policy.parameters import Parameters

MODULES = ("EvseV2G", "IsoMux", "Evse15118D20")
INTERFACE = "ISO15118_charger"
"""What a module on the charger's side provides (interfaces/ISO15118_charger.yaml of EVerest)."""
_D20 = "Evse15118D20"
_ENFORCE_1_3 = "enforce_tls_1_3"
_DEFAULTS: dict[str, Value] = {"tls_security": "allow", "tls_negotiation_strategy": "ACCEPT_CLIENT_OFFER"}
"""What a module takes for a key that is not set, where the image has no manifest to say so (EVerest 2026.02.1)."""
_LOGS = ("tls_key_logging", "enable_tls_key_logging", "enable_ssl_logging")


@check("TLS-01", on=Scope.ROOT)
def vehicles_are_never_refused_tls(root: Root, policy: Parameters, note: Notes) -> None:
    """No module prohibits TLS, forces it below what it can, or tells session keys."""
    config = configuration(root, note)
    if config is None:
        return
    modules = config.of_type(*MODULES)
    manifests = Manifests(root.tree, config)
    for module in config.modules:
        if module.type not in MODULES and manifests.provides(module.type, INTERFACE):
            what = f"the module '{module.id}' ({module.type}) speaks ISO 15118, and nobody knows what it does with TLS"
            remedy = f"Use one of EVerest's modules ({', '.join(MODULES)}), or waive this with what was looked at instead."
            note.finding(what, at=at(root, config.path, module.line), remedy=remedy)
    if not modules and not note.findings:
        raise NotApplicable(f"{config.path} starts no module that speaks ISO 15118 with vehicles")
    for module in modules:
        for key, what, remedy in _faults(module, manifests, policy):
            line = config.line_of(module, key)
            note.finding(f"the module '{module.id}' ({module.type}) {what}", at=at(root, config.path, line), remedy=remedy)
        key = "tls_negotiation_strategy" if module.type == _D20 else "tls_security"
        note.saw(f"{config.path}:{config.line_of(module, key)}: {module.type}: {key}: {str(_value(module, key, manifests))[:64]}")


def _faults(module: Module, manifests: Manifests, policy: Parameters) -> Iterator[tuple[str, str, str]]:
    """Yield key, part of a sentence, and remedy."""
    key = "tls_negotiation_strategy" if module.type == _D20 else "tls_security"
    mode = _value(module, key, manifests)
    if mode not in policy.iso15118_tls:
        yield (
            key,
            f"may go without TLS where the vehicle has it: {key} is {str(mode)[:64]}",
            f"Set it to one of {', '.join(policy.iso15118_tls)}.",
        )
    if mode == "ENFORCE_TLS" and manifests.knows(module.type, _ENFORCE_1_3) and _value(module, _ENFORCE_1_3, manifests) is not True:
        what = f"enforces TLS and takes TLS 1.2, which ISO 15118-20 does not have, for it: {_ENFORCE_1_3} is not true"
        yield _ENFORCE_1_3, what, f"Set {_ENFORCE_1_3} to true."
    for name in _LOGS:
        if _value(module, name, manifests) not in (None, False):
            what = f"writes the keys of TLS sessions, or what leads to them, to a file and to the vehicle's network: {name} is on"
            yield name, what, f"Set {name} to false, or leave it out."


def _value(module: Module, key: str, manifests: Manifests) -> Value:
    if key in module.config:
        return module.config[key]
    default = manifests.default(module.type, key)
    return _DEFAULTS.get(key) if default is None else default


@check("TLS-01", on=Scope.ROOT)
def the_modules_know_every_key_of_the_configuration(root: Root, policy: Parameters, note: Notes) -> None:
    """The configuration holds to EVerest's schema and to the manifests of its modules, all as they are in the image."""
    config = configuration(root, note)
    if config is None:
        return
    if is_stand_in(root, policy):
        raise NotApplicable("the image holds a stand-in for EVerest, which has no manifests; an image built in full shows it")
    manifests = Manifests(root.tree, config)
    missing = [path for path in (f"{manifests.schemas}/config.yaml", manifests.modules) if root.tree.resolve(path) is None]
    for path in missing:
        what = f"{path} is missing, without which EVerest does not start and nobody can say whether it knows its configuration"
        note.finding(what, at=at(root, path), remedy="Install everest-core whole.")
    if missing:
        return
    found = [
        (f"'{'.'.join(map(str, fault.place)) or config.path}' {fault.what}", at(root, config.path, config.document.line(*fault.place)))
        for fault in manifests.faults(config)
    ]
    findings_up_to(note, found, remedy="Correct the key by the module's manifest.")
    note.saw(f"{config.path}: {len(config.modules)} modules by {manifests.schemas} and {manifests.modules}")
