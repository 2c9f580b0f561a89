"""TPM: TPM-01 to TPM-05."""

import re

from everest_secure.checks.common import SERVICE, at, options, service, started
from everest_secure.checks.core import Notes, Root, Scope, check
from everest_secure.checks.deeds import deeds
from everest_secure.checks.installed import installed, place_of_package
from everest_secure.checks.ocpp import ocpp_configurations, place
from everest_secure.checks.programs import evse_security_programs
from everest_secure.checks.reason import Reason
from everest_secure.checks.steady import lies_on_the_root
from everest_secure.checks.store import stored_files
from everest_secure.checks.tls import POLICY
from everest_secure.errors import ArtefactError
from everest_secure.parse.accounts import GROUP, read_accounts
from everest_secure.parse.commands import program
from everest_secure.parse.device_nodes import commands_on, node_access, open_to_others
from everest_secure.parse.environment import read_environment
from everest_secure.parse.openssl_cnf import openssl_config_of
from everest_secure.parse.private_keys import KeyKind
from everest_secure.parse.program_text import holds, libraries, texts_like
from everest_secure.parse.tmpfiles import read_changes
from everest_secure.parse.versions import compare, upstream
from everest_secure.policy.parameters import Parameters

PACKAGE, PROVIDER = "tpm2-openssl", "ossl-modules/tpm2.so"
GROUP_OF_TPM = "tss"
DEVICE, SUBSYSTEM = "tpmrm0", "tpmrm"
"""The device node of the kernel's resource manager, and the class that it belongs to (drivers/char/tpm/tpm-chip.c)."""
_NODES = {DEVICE: SUBSYSTEM, "tpm0": "tpm"}
"""Both nodes of a TPM: by the second a program has it for itself, with every key in it."""
_TCTI = "TPM2OPENSSL_TCTI"
"""By what the provider reaches the TPM; without it by the first of tpm2-tss's TCTIs that works, tabrmd before the device."""
_REACHING = re.compile(rf"(?:libtss2-tcti-)?(?:tabrmd(?:\.so[.0-9]*)?(?::.*)?|device(?:\.so[.0-9]*)?:/dev/{DEVICE})")
TCTIS = {"libtss2-tcti-device.so": "tpm2-abrmd", "libtss2-tcti-tabrmd.so": "programs that use the TPM"}
_VERSION = re.compile(rb"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?:[-~+][0-9A-Za-z.+~-]*)?")
_OPENS = re.compile(r"\b(?:chmod|chown|chgrp|setfacl)\b[^\n;|&]*/dev/tpm")
_QUERY = b"provider=tpm2"


@check("TPM-01", on=Scope.ROOT)
def tpm2_openssl_is_recent_enough(root: Root, policy: Parameters, note: Notes) -> None:
    """The package's version, and the version that the provider in the image says it has."""
    remedy = f"Set PREFERRED_VERSION_tpm2-openssl to {policy.tpm2_openssl} or later, from the layer that has it."
    packages = [package for package in installed(root) or () if package.name == PACKAGE]
    found = [(f"{each.name} {each.version}", each.version, place_of_package(root, each)) for each in packages]
    modules = libraries(root.tree, PROVIDER)
    for module in modules:
        versions = texts_like(root.tree.blob(module), _VERSION)
        if len(versions) == 1:
            found += [(f"{module.path}, which says of itself {version}", version, at(root, module.path)) for version in versions]
    if not modules and not found:
        note.finding("tpm2-openssl is not installed", at=at(root), remedy="Install the layer's packagegroup-everest-secure.")
    elif not found:
        raise ArtefactError(
            f"{root.artefact.name}: nothing says which version {modules[0].path} has; keep the list of packages in the image"
        )
    for what, version, where in found:
        if not version[:1].isdigit():
            note.finding(f"{what} says no version", at=where, remedy=remedy)
        elif compare(upstream(version), policy.tpm2_openssl) < 0:
            note.finding(f"{what} is older than {policy.tpm2_openssl}", at=where, remedy=remedy)
        else:
            note.saw(f"{where}: {what}")


@check("TPM-02", on=Scope.ROOT)
def libevse_security_asks_for_the_tpm(root: Root, policy: Parameters, note: Notes) -> None:
    """The property query of the TPM's provider is compiled in."""
    programs = evse_security_programs(root, policy, note)
    asking = [node for node in programs if holds(root.tree.blob(node), _QUERY)]
    if programs and not asking:
        what = f"no program of EvseSecurity asks for {_QUERY.decode()}, so that every key is one in a file"
        note.finding(what, at=at(root, programs[0].path), remedy="Add 'tpm2' to DISTRO_FEATURES and build everest-core again.")
    for node in asking:
        note.saw(f"{node.path} asks for {_QUERY.decode()}")


@check("TPM-03", on=Scope.ROOT)
def everest_reaches_the_tpm(root: Root, policy: Parameters, note: Notes) -> None:
    """Provider, TCTI libraries, device node, group, and the resource manager, which TLS with a key in the TPM needs."""
    remedy = "Install the layer's packagegroup-everest-secure."
    for name, user in {PROVIDER: "OpenSSL", **TCTIS}.items():
        files = libraries(root.tree, name)
        if files:
            note.saw(files[0].path)
        else:
            note.finding(f"{name} is missing, by which {user} reach{'es' if user == 'OpenSSL' else ''} the TPM", at=at(root), remedy=remedy)
    access = node_access(root.tree, kernel=DEVICE, subsystem=SUBSYSTEM)
    where = at(root, access.path, access.line)
    if access.group != GROUP_OF_TPM or access.mode & 0o060 != 0o060 or access.mode & 0o007:
        what = f"/dev/{DEVICE} belongs to the group {access.group} with mode {access.mode:04o}"
        note.finding(what, at=where, remedy=f"Install tpm2-tss with its udev rule, which gives it to {GROUP_OF_TPM} with mode 0660.")
    else:
        note.saw(f"{where}: /dev/{DEVICE} {access.group} {access.mode:04o}")
    for kernel, subsystem in _NODES.items():
        for each in open_to_others(root.tree, kernel=kernel, subsystem=subsystem):
            what = f"a rule may give /dev/{kernel} the mode {each.mode:04o}"
            note.finding(what, at=at(root, each.path, each.line), remedy="Take the rule out: nobody but the group needs the TPM.")
        for command, path, line in commands_on(root.tree, kernel=kernel, subsystem=subsystem):
            if _OPENS.search(command):
                what = f"a rule changes who may open /dev/{kernel} by a command"
                note.finding(what, at=at(root, path, line), remedy="Set GROUP= and MODE= in the rule, or take it out.")
    for change in read_changes(root.tree, f"/dev/{DEVICE}"):
        what = f"systemd-tmpfiles gives /dev/{DEVICE} to {change.user}:{change.group} with mode {change.mode:04o}"
        note.finding(what, at=at(root, change.source, change.line), remedy="Take the line out: udev's rule decides over the device.")
    for who, path in deeds(root, _OPENS):
        note.finding(f"{who} changes who may open the TPM", at=at(root, path), remedy="Leave that to udev's rule.")
    if GROUP_OF_TPM not in read_accounts(root.tree).memberships(policy.service_user.name):
        what = f"the user '{policy.service_user.name}' is not in the group {GROUP_OF_TPM}"
        note.finding(what, at=at(root, GROUP), remedy="Install the package everest-user.")
    _resource_manager(root, note)
    _way(root, note)


def _way(root: Root, note: Notes) -> None:
    tcti = read_environment(root.tree, service(root)).get(_TCTI)
    if tcti and not _REACHING.fullmatch(tcti):
        what = f"{SERVICE} reaches the TPM by {tcti[:64]}, which is no resource manager: new keys are silently made in files"
        note.finding(what, at=at(root, service(root).path), remedy=f"Take {_TCTI} out of the unit, or set it to tabrmd.")


def _resource_manager(root: Root, note: Notes) -> None:
    running = [(start, command) for start in started(root).values() for command in start.unit.commands if program(command) == "tpm2-abrmd"]
    if not running:
        what = "the resource manager tpm2-abrmd does not start, without which no TLS connection uses a key in the TPM"
        note.finding(what, at=at(root), remedy="Install tpm2-abrmd and everest-tpm-broker, and enable the unit.")
    for start, command in running:
        tcti = (options(command, "--tcti", "-t") or ("device:/dev/tpm0",))[-1]
        if tcti != f"device:/dev/{DEVICE}":
            what = f"{start.unit.name} takes the whole TPM for itself, or reaches none: its TCTI is {tcti}"
            note.finding(what, at=at(root, start.unit.path), remedy=f"Install everest-tpm-broker: --tcti=device:/dev/{DEVICE}.")
        note.saw(f"{start.unit.name}: {tcti}")


@check("TPM-04", on=Scope.ROOT)
def ocpp_makes_its_keys_in_the_tpm(root: Root, policy: Parameters, note: Notes) -> None:
    """UseTPM for the key towards the CSMS, UseTPMSeccLeafCertificate for the one towards vehicles; neither is on by default."""
    for _, ocpp in ocpp_configurations(root, note):
        for name in ("UseTPM", "UseTPMSeccLeafCertificate"):
            setting = ocpp.switch(name)
            if setting.on:
                note.saw(f"{place(root, setting)}: {name}")
            else:
                what = f"new keys are made in files: {name} is {setting.shown}{'' if setting.given else ' by default'}"
                note.finding(what, at=place(root, setting), remedy=f"Set {name} to true.")


@check("TPM-04", on=Scope.ROOT)
def keys_of_the_store_lie_in_the_tpm(root: Root, policy: Parameters, note: Notes) -> None:
    """Every key file of a certificate store is a TPM key by its content: a name that ends in .tkey proves nothing."""
    count = 0
    for file in stored_files(root):
        count += 1
        for key in file.keys:
            if key.kind is KeyKind.TPM:
                note.saw(f"{file.at}: {key.kind}")
            else:
                what = Reason.SOFTWARE_KEY.said(f"the store holds a {key.kind}, which whoever reads the storage can copy")
                note.finding(what, at=file.at, remedy="Remove it, revoke its certificate, and provision the charger with everest-tpm.")
    note.saw(f"{count} files of the certificate store")


@check("TPM-05", on=Scope.ROOT)
def the_tpm_is_used_where_it_is_asked_for_alone(root: Root, policy: Parameters, note: Notes) -> None:
    """The policy file has the default provider at work and the TPM's by name, and no query sends everything to the TPM."""
    if root.tree.resolve(POLICY) is None:
        note.finding(f"{POLICY} does not exist", at=at(root, POLICY), remedy="Install the package everest-openssl-policy.")
        return
    config = openssl_config_of(root.tree, POLICY, service(root))
    for path in config.includes:
        lies_on_the_root(root, path, note)
    providers, query = config.providers(), config.default_properties()
    if not any(each.active for each in providers if each.identity == "default"):
        what = "the default provider is not activated, so that every operation goes to another one or fails"
        note.finding(what, at=at(root, POLICY), remedy="Name it in the section of 'providers', with 'activate = 1'.")
    tpm = [each for each in providers if each.identity == "tpm2"]
    if not tpm:
        what = "the TPM's provider is not named"
        note.finding(what, at=at(root, POLICY), remedy="Name tpm2 in the section of 'providers'.")
    asked = query.value.replace(" ", "") if query else ""
    if "provider=tpm2" in asked or ("provider=default" not in asked and any(each.may_be_active for each in tpm)):
        why = f"default_properties is '{asked}'" if query else "its provider is activated and default_properties prefers none"
        note.finding(
            f"operations that need no TPM may go to it: {why}",
            at=at(root, POLICY, query.line if query else 0),
            remedy="Set 'default_properties = ?provider=default' in the section of 'alg_section'.",
        )
    note.saw(f"{POLICY}: {', '.join(each.identity for each in providers)}; default_properties = {asked}")
