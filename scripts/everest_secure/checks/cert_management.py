"""Certificates made, installed, removed: CERT-05 to CERT-08; the command that makes keys: TPM-06."""

from collections.abc import Iterable

from everest_secure.checks.common import at, configuration, findings_up_to, present_service, words
from everest_secure.checks.core import Location, NotApplicable, Notes, Root, Scope, check
from everest_secure.checks.ocpp import ocpp_configurations, place
from everest_secure.checks.programs import evse_security_programs
from everest_secure.checks.steady import lies_on_the_root
from everest_secure.image.gpt import PartitionTable
from everest_secure.parse.everest_config import EverestConfig
from everest_secure.parse.evse_security import MODULE, CertificateStore, certificate_store
from everest_secure.parse.ocpp import Ocpp
from everest_secure.parse.private_keys import find_keys
from everest_secure.parse.program_text import holds
from everest_secure.parse.repart import partitions
from everest_secure.policy.parameters import Parameters

DATA = "data"
"""Label of the data partition."""
_LEAST_PROFILE = 2
_UNSECURED = ("AllowCSMSRootCertInstallWithUnsecureConnection", "AllowMFRootCertInstallWithUnsecureConnection")
_OF_REQUESTS = ("CountryName", "OrganizationName", "CpoName", "SubjectCountry", "SubjectOrganization")
_PROTECTED = {"strict": ("/",), "full": ("/usr/", "/etc/", "/boot/", "/efi/")}
"""What a service cannot write with a value of ProtectSystem=, of what a store could lie in (systemd.exec(5))."""
_DENYING = ("ReadOnlyPaths", "InaccessiblePaths")
MIB = 1 << 20


@check("CERT-05", on=Scope.ROOT)
def certificate_requests_carry_the_names_of_the_policy(root: Root, policy: Parameters, note: Notes) -> None:
    """The names that the product wants are compiled into libevse-security."""
    wanted = {"EVEREST_CSR_DNS_NAME": policy.csr_dns_name, "EVEREST_CSR_IP_ADDRESS": policy.csr_ip_address}
    if not any(wanted.values()):
        raise NotApplicable("the policy asks for no name in certificate requests ('csr_dns_name', 'csr_ip_address')")
    programs = evse_security_programs(root, policy, note)
    for knob, name in wanted.items() if programs else ():
        text = b"\0" + name.encode() + b"\0"
        if name and not any(holds(root.tree.blob(node), text) for node in programs):
            what = f"certificate requests do not carry '{name}': no program of {MODULE} holds it"
            note.finding(what, at=at(root, programs[0].path), remedy=f"Set {knob} and build everest-core again.")
        elif name:
            note.saw(f"{MODULE} holds '{name}'")


@check("CERT-06", on=Scope.ROOT)
def the_data_partition_holds_the_certificate_store(root: Root, policy: Parameters, note: Notes) -> None:
    """The partition of a disk, or else what systemd-repart makes at first boot, is larger than the store may grow."""
    needed = policy.certificate_store_mib
    remedy = "Raise EVEREST_DATA_MIN_SIZE, or lower EVEREST_CERT_STORE_MIB and the policy's 'certificate_store_mib'."
    tables = [part.facts for part in root.container.walk() if isinstance(part.facts, PartitionTable)]
    sizes = [each.size for table in tables for each in table.partitions if each.label == DATA]
    for size in sizes:
        if size < needed * MIB:
            what = f"the data partition has {size // MIB} MiB, less than the {needed} that the certificate store may take"
            note.finding(what, at=Location(root.container.name), remedy=remedy)
        note.saw(f"{root.container.name}: partition {DATA}, {size // MIB} MiB")
    made = [each for each in partitions(root.tree) if each.label == DATA]
    for partition in made if not sizes else ():
        if partition.least < needed * MIB:
            what = f"the data partition may have {partition.least // MIB} MiB, less than the {needed} that the certificate store may take"
            note.finding(what, at=at(root, partition.path), remedy=remedy)
        note.saw(f"{partition.path}: at least {partition.least // MIB} MiB")
    if not sizes and not made:
        what = "neither a disk nor a file of systemd-repart says how large the data partition is"
        note.finding(what, at=at(root), remedy="Install everest-data-partition, or give the disk image.")


@check("CERT-07", on=Scope.ROOT)
def no_root_is_installed_over_an_unsecured_link(root: Root, policy: Parameters, note: Notes) -> None:
    """OCPP 2.x refuses it by two switches, which are on by default; OCPP 1.6 has none, and is safe with TLS alone."""
    for _, ocpp in ocpp_configurations(root, note):
        for name in _UNSECURED if ocpp.version == "2" else ():
            setting = ocpp.switch(name)
            if setting.on:
                what = f"roots are installed over an unsecured link: {name} is {setting.shown}{'' if setting.given else ' by default'}"
                note.finding(what, at=place(root, setting), remedy=f"Set {name} to false.")
            else:
                note.saw(f"{place(root, setting)}: {name} is false")
        for profile in ocpp.profiles if ocpp.version == "1.6" else ():
            if (profile.number or 0) < _LEAST_PROFILE:
                what = f"roots are installed over an unsecured link: the security profile is {profile.shown or 'not set'}"
                note.finding(what, at=place(root, profile), remedy="Set the security profile to 3.")
            else:
                note.saw(f"{place(root, profile)}: security profile {profile.shown}")


@check("CERT-07", on=Scope.ROOT)
def ocpp_can_manage_the_certificate_store(root: Root, policy: Parameters, note: Notes) -> None:
    """OCPP asks the EvseSecurity that has the store, and who the operator is, which a certificate request names, is set."""
    for config, ocpp in ocpp_configurations(root, note):
        found = [(what, at(root, config.path, line)) for what, line in _connection_faults(config, ocpp)]
        found += [(what, at(root, config.path)) for what in _overlaps(certificate_store(config))]
        for name, setting in ocpp.names.items():
            if name.endswith(_OF_REQUESTS) and not setting.text:
                found.append((f"{name} is not set, which a certificate request names", place(root, setting)))
        findings_up_to(note, found, remedy="Take the configuration of everest-config as an example.")
        note.saw(f"{config.path}: '{ocpp.module.id}' manages the certificates of {MODULE}")


@check("CERT-07", on=Scope.ROOT)
def everest_may_write_the_certificate_store(root: Root, policy: Parameters, note: Notes) -> None:
    """The service's sandbox leaves every directory of the store writable."""
    config, unit = configuration(root, note), present_service(root, note)
    if unit is None or config is None:
        return
    protected = _PROTECTED.get(unit.value("Service", "ProtectSystem").lower(), ())
    denied = [word.lstrip("-+") for key in _DENYING for word in unit.words("Service", key)]
    for directory in certificate_store(config).directories:
        allowed, denying = _deepest(directory, unit.writable), _deepest(directory, denied)
        if denying and len(denying) >= len(allowed):
            what = f"EVerest may not write {directory}: the service denies itself {denying}"
            note.finding(what, at=at(root, unit.path), remedy=f"Take {denying} out of {' and '.join(f'{key}=' for key in _DENYING)}.")
        elif not allowed and directory.startswith(protected):
            what = f"EVerest may not write {directory}: the service protects the system and names it in no ReadWritePaths="
            note.finding(what, at=at(root, unit.path), remedy=f"Add {directory} to ReadWritePaths= in the service's drop-in.")
        note.saw(f"{unit.path}: {directory}")


def _deepest(directory: str, paths: Iterable[str]) -> str:
    """Return the deepest of the paths that hold a directory, whose rule counts; empty when there is none (systemd's namespace.c)."""
    return max((path for path in paths if f"{directory}/".startswith(f"{path.rstrip('/')}/")), key=len, default="")


def _connection_faults(config: EverestConfig, ocpp: Ocpp) -> list[tuple[str, int]]:
    names = {name for name, _ in ocpp.module.connections.get("security", ())}
    stores = {module.id for module in config.of_type(MODULE)}
    if len(stores) == 1 and names == stores:
        return []
    line = config.document.line("active_modules", ocpp.module.id, "connections", "security")
    return [(f"the module '{ocpp.module.id}' manages certificates with {words(names)}, and {MODULE} is {words(stores)}", line)]


def _overlaps(store: CertificateStore) -> list[str]:
    """EvseSecurity does not start with a leaf's directory that is a bundle (evse_security.cpp)."""
    return [
        f"{path} is both a bundle of roots and a directory of chains" for path in set(store.leaves.values()) & set(store.bundles.values())
    ]


@check("CERT-08", on=Scope.ROOT)
def certificates_are_managed_by_a_command(root: Root, policy: Parameters, note: Notes) -> None:
    """everest-cert is installed, root's alone to change, and holds no key."""
    _command(root, policy.commands["CERT-08"], note)


@check("TPM-06", on=Scope.ROOT)
def keys_are_provisioned_by_a_command(root: Root, policy: Parameters, note: Notes) -> None:
    """everest-tpm is installed, root's alone to change, and holds no key."""
    _command(root, policy.commands["TPM-06"], note)


def _command(root: Root, path: str, note: Notes) -> None:
    name, node = path.rpartition("/")[2], root.tree.resolve(path)
    where, remedy = at(root, path), f"Install the package {name}."
    if node is None or not node.is_file or not node.size:
        note.finding(f"the command {name} is not installed as {path}", at=where, remedy=remedy)
        return
    lies_on_the_root(root, path, note)
    if node.uid != 0 or node.mode & 0o022 or not node.mode & 0o111:
        what = f"{path} belongs to {node.uid} with mode {node.mode:04o}: somebody else may change it, or nobody may run it"
        note.finding(what, at=where, remedy="Let it belong to root with mode 0755.")
    if any(True for _ in find_keys(root.tree.blob(node))):
        note.finding(f"{path} holds a private key", at=where, remedy="Take the key out: keys are made on the charger.")
    note.saw(f"{path} {node.uid} {node.mode:04o}")
