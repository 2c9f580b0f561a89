"""OCPP: OCPP-01, OCPP-02."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from everest_secure.checks.common import MAX_SHOWN, at, configuration, findings_up_to, words
from everest_secure.checks.core import Location, NotApplicable, Notes, Root, Scope, check
from everest_secure.checks.stand_in import is_stand_in
from everest_secure.checks.steady import lies_on_the_root
from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree
from everest_secure.parse import ocpp2, ocpp16
from everest_secure.parse.everest_config import EverestConfig, Module
from everest_secure.parse.everest_manifests import Manifests
from everest_secure.parse.ocpp import Ocpp, Setting
from everest_secure.parse.ocpp_multi import configuration_paths, read_ocpp_multi
from everest_secure.parse.patterns import matches
from everest_secure.policy.parameters import Limits, Parameters

MODULES = ("OCPP", "OCPP201", "OCPPmulti")
"""OCPP 1.6, 2.x, and both."""
INTERFACE = "ocpp"
"""What a module that speaks OCPP provides (interfaces/ocpp.yaml of EVerest)."""
_NAMED = re.compile(r".*ocpp(?:[0-9_.]*|multi)", re.IGNORECASE)
PROFILE = 3
_WANTED = {
    "UseSslDefaultVerifyPaths": (False, "trusts every authority of the operating system, not the CSMS roots alone"),
    "VerifyCsmsCommonName": (True, "does not compare the name in the CSMS's certificate"),
    "VerifyCsmsAllowWildcards": (False, "accepts a wildcard in the name of the CSMS's certificate"),
    "EnableTLSKeylog": (False, "writes the session keys of its connection to a file"),
    "AllowSecurityLevelZeroConnections": (False, "accepts a connection without any security"),
}


def ocpp_configurations(root: Root, note: Notes) -> Iterator[tuple[EverestConfig, Ocpp]]:
    """Yield EVerest's configuration and that of each OCPP module in it; one that is missing is a finding.

    Raises NotApplicable when EVerest's configuration starts no OCPP module.
    """
    config = configuration(root, note)
    if config is None:
        return
    modules = config.of_type(*MODULES)
    manifests = Manifests(root.tree, config)
    for module in config.modules:
        if module.type not in MODULES and (_NAMED.fullmatch(module.type) or _provides_ocpp(root.tree, manifests, module)):
            what = f"the module '{module.id}' ({module.type}) speaks OCPP, and nobody knows where its configuration is"
            remedy = f"Use one of EVerest's modules ({words(MODULES)}), or waive this with what was looked at instead."
            note.finding(what, at=at(root, config.path, module.line), remedy=remedy)
    if not modules and not note.findings:
        raise NotApplicable(f"{config.path} starts no OCPP module")
    for module in modules:
        missing = [path for path in _paths(module) if root.tree.resolve(path) is None]
        for path in missing:
            what = f"OCPP's configuration {path}, which the module '{module.id}' ({module.type}) names, is missing"
            note.finding(what, at=at(root, config.path, module.line), remedy="Install everest-config or the product's own.")
        yield from ((config, ocpp) for ocpp in (() if missing else _read(root.tree, module)))


def _provides_ocpp(tree: Tree, manifests: Manifests, module: Module) -> bool:
    """Whether the manifest says so; with one that cannot be followed EVerest does not start, of which TLS-01 tells.

    Raises ArtefactError when it cannot even be read.
    """
    try:
        return manifests.provides(module.type, INTERFACE)
    except ArtefactError:
        tree.read(manifests.path(module.type))
        return False


def _paths(module: Module) -> Iterable[str]:
    if module.type == "OCPPmulti":
        return configuration_paths(module)
    return (ocpp16.configuration_path(module) if module.type == "OCPP" else ocpp2.configuration_path(module),)


def _read(tree: Tree, module: Module) -> Iterable[Ocpp]:
    if module.type == "OCPPmulti":
        return read_ocpp_multi(tree, module)
    return (ocpp16.read_ocpp16(tree, module) if module.type == "OCPP" else ocpp2.read_ocpp2(tree, module),)


def place(root: Root, setting: Setting) -> Location:
    """Return the place of a setting."""
    return at(root, setting.path, setting.line)


@check("OCPP-01", on=Scope.ROOT)
def the_csms_is_reached_by_security_profile_3_alone(root: Root, policy: Parameters, note: Notes) -> None:
    """Every connection that may be used has a wss:// URL and security profile 3, and no file holds a password."""
    for _, ocpp in ocpp_configurations(root, note):
        lies_on_the_root(root, ocpp.path, note)
        if not ocpp.urls:
            note.finding("no CSMS is named", at=at(root, ocpp.path), remedy="Set EVEREST_CSMS_URL.")
        for url in ocpp.urls:
            if not url.text.lower().startswith("wss://"):
                what = f"the CSMS is reached at '{url.shown}', which is no wss:// URL"
                note.finding(what, at=place(root, url), remedy="Set EVEREST_CSMS_URL to a wss:// URL.")
            if "@" in url.text.partition("//")[2].partition("/")[0]:
                what = "a password or user name is shipped in the CSMS's URL, the same on every charger of the image"
                note.finding(what, at=place(root, url), remedy="Take it out: security profile 3 has no password.")
        for profile in ocpp.profiles:
            if profile.number != PROFILE:
                what = f"the security profile is {profile.shown or 'not set'}"
                note.finding(what, at=place(root, profile), remedy=f"Set the security profile to {PROFILE}.")
        for password in ocpp.passwords:
            what = "a password is shipped, the same on every charger of the image"
            note.finding(what, at=place(root, password), remedy="Take it out: security profile 3 has no password.")
        note.saw(f"{ocpp.path}: {', '.join(url.shown for url in ocpp.urls)}, security profile {PROFILE}")


@check("OCPP-01", on=Scope.ROOT)
def the_connection_to_the_csms_cannot_be_weakened(root: Root, policy: Parameters, note: Notes) -> None:
    """Own roots, name check, no wildcards, no key log, forward secrecy; what is not set counts with libocpp's default."""
    for config, ocpp in ocpp_configurations(root, note):
        for name, (wanted, otherwise) in _WANTED.items():
            setting = ocpp.switch(name)
            remedy = f"Set {name} to {str(wanted).lower()}, and let the CSMS not change it (mutability ReadOnly)."
            if setting.on is not wanted:
                what = f"OCPP {otherwise}: {name} is {setting.shown}{'' if setting.given else ' by default'}"
                note.finding(what, at=place(root, setting), remedy=remedy)
            elif setting.given and setting.writable:
                note.finding(f"the CSMS may change {name}", at=place(root, setting), remedy=remedy)
        for name in ("SupportedCiphers12", "SupportedCiphers13"):
            suites = ocpp.switch(name)
            extra = [suite for suite in suites.words if not matches(suite, policy.ocpp_ciphers)]
            if extra or not suites.words:
                what = (
                    f"{name} allows {words(suite[:64] for suite in extra[:MAX_SHOWN])}"
                    if extra
                    else f"{name} is empty, so that OpenSSL's own list counts"
                )
                remedy = "List suites with forward secrecy and authenticated encryption alone (the policy's 'ocpp_ciphers')."
                note.finding(what, at=place(root, suites), remedy=remedy)
        if ocpp.module.config.get("EnableExternalWebsocketControl", False) is not False:
            what = f"everybody on the broker may disconnect '{ocpp.module.id}' from the CSMS: EnableExternalWebsocketControl is on"
            line = config.line_of(ocpp.module, "EnableExternalWebsocketControl")
            note.finding(what, at=at(root, config.path, line), remedy="Set it to false.")
        note.saw(f"{ocpp.path}: {', '.join(_WANTED)}, {', '.join(ocpp.switch('SupportedCiphers12').words)}")


@check("OCPP-01", on=Scope.ROOT)
def no_name_of_an_example_is_left(root: Root, policy: Parameters, note: Notes) -> None:
    """Neither the CSMS nor who the charger and its operator are is what an example says."""
    for _, ocpp in ocpp_configurations(root, note):
        said = [(name, setting, setting.text) for name, setting in ocpp.names.items() if setting.text]
        said += [("the CSMS's host", url, _host(url.text)) for url in ocpp.urls]
        for name, setting, text in said:
            if matches(text, policy.ocpp_placeholders):
                what = f"{name} is '{setting.shown}', which is a placeholder"
                note.finding(what, at=place(root, setting), remedy="Set the EVEREST_* variable that names it (everest-secure-knobs.inc).")
        note.saw(f"{ocpp.path}: {len(said)} names")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@check("OCPP-01", on=Scope.ROOT)
def libocpp_knows_every_key_of_ocpp_1_6(root: Root, policy: Parameters, note: Notes) -> None:
    """The configuration holds to libocpp's schemas as they are in the image: a key with a typing error would leave a default in place."""
    files = [ocpp.path if ocpp.version == "1.6" else ocpp.migrated for _, ocpp in ocpp_configurations(root, note)]
    files = [path for path in files if path]
    if not files:
        raise NotApplicable("no module reads a configuration of OCPP 1.6")
    if is_stand_in(root, policy):
        raise NotApplicable("the image holds a stand-in for EVerest, which has no schemas of OCPP; an image built in full shows it")
    for path in files:
        if root.tree.resolve(ocpp16.SCHEMAS) is None:
            what = f"{ocpp16.SCHEMAS} is missing, without which OCPP 1.6 does not start"
            note.finding(what, at=at(root, ocpp16.SCHEMAS), remedy="Install everest-core whole.")
            continue
        found = [(what, at(root, path, line)) for what, line in ocpp16.schema_faults(root.tree, path)]
        findings_up_to(note, found, remedy="Correct the key by libocpp's schema of its section.")
        note.saw(f"{path}: by {ocpp16.SCHEMAS}")


@check("OCPP-02", on=Scope.ROOT)
def certificate_limits_are_in_the_right_keys(root: Root, policy: Parameters, note: Notes) -> None:
    """The chain size is a number of characters, the store length a number of certificates, each in the policy's range."""
    limits: dict[str, Limits] = {"characters": policy.ocpp_chain_characters, "certificates": policy.ocpp_store_certificates}
    for _, ocpp in ocpp_configurations(root, note):
        for (name, setting), (unit, range_) in zip((ocpp.chain_size, ocpp.store_length), limits.items(), strict=True):
            if setting.number is None or not range_.least <= setting.number <= range_.most:
                what = f"{name} is {setting.shown or 'not set'}"
                remedy = f"Set it to a number of {unit} from {range_.least} to {range_.most}."
                note.finding(what, at=place(root, setting), remedy=remedy)
            else:
                note.saw(f"{place(root, setting)}: {name} = {setting.text} {unit}")
