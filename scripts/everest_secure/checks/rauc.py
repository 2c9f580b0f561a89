"""Updates on the device: RAUC-01, RAUC-02, RAUC-04."""

import re
from collections import Counter
from datetime import UTC, datetime

from cryptography import x509

from everest_secure.checks.common import at, option, options, started, units_of, words
from everest_secure.checks.core import Location, Notes, Root, Scope, check
from everest_secure.checks.steady import lies_on_the_root
from everest_secure.errors import ArtefactError
from everest_secure.parse.accounts import read_accounts
from everest_secure.parse.certificates import is_authority, is_root, parse_certificates, subject
from everest_secure.parse.commands import program
from everest_secure.parse.dbus_policy import EVERYONE, SYSTEM_CONF, callers, read_bus_policy
from everest_secure.parse.mounts import lasting, read_mounts
from everest_secure.parse.private_keys import find_keys
from everest_secure.parse.rauc_conf import RaucConfig, parse_rauc_config, read_rauc_config
from everest_secure.pki.marking import is_development
from everest_secure.policy.parameters import Parameters

SERVICE_NAME = "de.pengutronix.rauc"
PURPOSES = ("codesign", "codesign-rauc")
_HASHED = re.compile(r"[0-9a-f]+\.r?[0-9]+")
"""By the hash of its subject OpenSSL looks for a certificate or revocation list in a directory, and reads no other file there (X509_LOOKUP_hash_dir(3))."""


def configuration(root: Root) -> RaucConfig:
    """Read RAUC's configuration; raises ArtefactError when the root has none."""
    config = read_configuration(root)
    if config is None:
        raise ArtefactError(f"{root.artefact.name} has no system.conf of RAUC; install rauc-conf")
    return config


def keyring(root: Root) -> tuple[tuple[x509.Certificate, ...], str]:
    """Return the trust anchors of the device, from file and directory together (X509_STORE_load_locations), and the path of the first.

    Raises ArtefactError when the configuration names none, they are missing, or RAUC cannot read them.
    """
    found: list[x509.Certificate] = []
    for file in keyring_files(root):
        where, data = f"{root.artefact.name}: {file}", root.tree.read(file)
        if data[:1] == b"\x30":
            raise ArtefactError(f"{where} is a keyring in DER, which RAUC does not load; convert it with `openssl x509 -inform DER`")
        found += parse_certificates(data, where)
    config = configuration(root)
    return tuple(dict.fromkeys(found)), config.keyring or config.keyring_directory


def keyring_files(root: Root) -> tuple[str, ...]:
    """Return the paths of all files that make the keyring, in a directory those that `openssl rehash` has named.

    Raises ArtefactError when the configuration names none.
    """
    config = configuration(root)
    if not config.keyring and not config.keyring_directory:
        raise ArtefactError(f"{root.artefact.name}: {config.path} names no keyring; set 'path' in [keyring]")
    files = [config.keyring] if config.keyring else []
    inside = root.tree.children(config.keyring_directory) if config.keyring_directory else ()
    return (*files, *(node.path for node in inside if _HASHED.fullmatch(node.name) and not node.is_directory))


@check("RAUC-01", on=Scope.ROOT)
def device_accepts_only_verified_bundle_formats(root: Root, policy: Parameters, note: Notes) -> None:
    """Formats and purpose of the signer in system.conf, defaults included."""
    config = present_configuration(root, note)
    if config is None:
        return
    lies_on_the_root(root, config.path, note)
    for value in (value for command in _service_commands(root) for value in options(command, "--confopt", "-C")):
        what = f"rauc.service overrides its configuration by an option: {value}"
        unit = units_of(root.tree).unit("rauc.service")
        note.finding(what, at=at(root, unit.path), remedy="Take -C out of ExecStart, and say it in system.conf.")
    extra = config.bundle_formats - set(policy.bundle_formats)
    if extra:
        place = at(root, config.path, config.line("system", "bundle-formats"))
        note.finding(f"bundles of format {words(extra)} are accepted", at=place, remedy="Set bundle-formats=verity in [system].")
    if config.check_purpose not in PURPOSES:
        what = f"the signer is checked for the purpose '{config.check_purpose}' instead of code signing"
        place = at(root, config.path, config.line("keyring", "check-purpose"))
        note.finding(what, at=place, remedy="Set check-purpose=codesign in [keyring].")
    if config.allow_partial_chain:
        place = at(root, config.path, config.line("keyring", "allow-partial-chain"))
        note.finding("a chain that does not reach a root is accepted", at=place, remedy="Take allow-partial-chain out of [keyring].")
    note.saw(f"{config.path}: bundle-formats {words(config.bundle_formats)}, check-purpose {config.check_purpose}")


@check("RAUC-01", on=Scope.ROOT)
def update_state_survives_and_slots_come_in_pairs(root: Root, policy: Parameters, note: Notes) -> None:
    """The status file lies on a mounted, lasting file system; a class that boots has two slots that RAUC writes, with names of their own."""
    config = present_configuration(root, note)
    if config is None:
        return
    place = at(root, config.path, config.line("system", "data-directory") or config.line("system", "statusfile"))
    mount = lasting(config.statusfile, read_mounts(root.tree, started(root)))
    if config.statusfile == "per-slot":
        note.finding(
            "RAUC keeps its status in the slots, which are read-only", at=place, remedy="Set data-directory=/var/lib/rauc in [system]."
        )
    elif mount is None:
        what = f"RAUC's status {config.statusfile} does not lie on the data partition"
        note.finding(what, at=place, remedy="Set data-directory to a directory on the data partition.")
    else:
        note.saw(f"{config.statusfile} on {mount.what}, mounted on {mount.where} by {mount.path}")
    booted = Counter(slot.bootname for slot in config.slots if slot.bootname)
    pairs = Counter(slot.slot_class for slot in config.slots if slot.bootname and not slot.readonly)
    remedy = "Give two slots of the class that boots a bootname each, such as A and B."
    if len(booted) < 2 or max(booted.values()) > 1:
        what = f"{len(booted)} names of slots to boot instead of two, each for one slot"
        note.finding(what, at=at(root, config.path), remedy=remedy)
    elif max(pairs.values(), default=0) < 2:
        what = "no class of slots to boot has two that RAUC writes, so that the system that runs is never updated"
        note.finding(what, at=at(root, config.path), remedy=remedy)
    devices = Counter(slot.device for slot in config.slots)
    for device in (device for device, count in devices.items() if count > 1):
        note.finding(f"two slots write to {device}", at=at(root, config.path), remedy="Give each slot a partition of its own.")
    classes = Counter(slot.slot_class for slot in config.slots)
    note.saw(f"{config.path}: slots {words(f'{count} of {name}' for name, count in classes.items())}")


def _service_commands(root: Root) -> tuple[tuple[str, ...], ...]:
    return tuple(command for command in units_of(root.tree).unit("rauc.service").commands if program(command) == "rauc")


def read_configuration(root: Root) -> RaucConfig | None:
    """Return the configuration that rauc.service names with `--conf`, else the one that RAUC finds; None when there is none."""
    named = [path for command in _service_commands(root) if (path := (options(command, "--conf", "-c") or ("",))[-1])]
    return parse_rauc_config(root.tree.text(named[-1]), named[-1]) if named else read_rauc_config(root.tree)


def present_configuration(root: Root, note: Notes) -> RaucConfig | None:
    """Read RAUC's configuration; a missing one is a finding and None."""
    config = read_configuration(root)
    if config is None:
        note.finding("RAUC has no system.conf", at=at(root, "/etc/rauc/system.conf"), remedy="Install rauc-conf of this layer.")
    return config


@check("RAUC-02", on=Scope.ROOT)
def keyring_holds_one_update_authority(root: Root, policy: Parameters, note: Notes) -> None:
    """One valid root, not of development unless the profile says so, and no key beside it."""
    if present_configuration(root, note) is None:
        return
    certificates, path = keyring(root)
    place = at(root, path)
    lies_on_the_root(root, path, note)
    for other in (other for command in _service_commands(root) if (other := option(command, "--keyring"))):
        what = f"rauc.service trusts the keyring {other} instead of the configured one"
        note.finding(what, at=at(root, other), remedy="Take --keyring out of ExecStart.")
    if len(certificates) != 1:
        what = f"the keyring holds {len(certificates)} certificates instead of the release authority alone"
        note.finding(what, at=place, remedy="Put the root certificate alone into the keyring; intermediates travel in the bundle.")
    for certificate in certificates:
        _judge(certificate, place, policy, note)
        note.saw(f"{path}: '{subject(certificate)}', valid until {certificate.not_valid_after_utc:%Y-%m-%d}")
    for node in root.tree.under(configuration(root).path.rpartition("/")[0]):
        for key in find_keys(root.tree.blob(node)) if node.is_file else ():
            note.finding(
                f"a {key.kind} lies beside the keyring", at=at(root, node.path), remedy="Signing keys never enter an image: remove it."
            )


def _judge(certificate: x509.Certificate, place: Location, policy: Parameters, note: Notes) -> None:
    name, now = subject(certificate), datetime.now(UTC)
    if not is_root(certificate) or not is_authority(certificate):
        what = f"'{name}' is no root authority"
        note.finding(what, at=place, remedy="Put the self-signed root certificate into the keyring.")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        what = f"'{name}' is not valid now, so that no bundle can be installed"
        note.finding(what, at=place, remedy="Renew the authority, and update devices while the old one is valid.")
    if is_development(certificate) and not policy.development_authorities:
        what = f"'{name}' is an authority for development"
        note.finding(what, at=place, remedy="Build the release image with the release keyring.")


@check("RAUC-04", on=Scope.ROOT)
def only_listed_users_may_call_rauc(root: Root, policy: Parameters, note: Notes) -> None:
    """The bus policy is read in its order for each account, each group and everyone else."""
    bus = [path for command in units_of(root.tree).unit("dbus.service").commands if (path := option(command, "--config-file"))]
    conf = bus[-1] if bus else SYSTEM_CONF
    if root.tree.resolve(conf) is None:
        note.finding("the system bus has no configuration", at=at(root, conf), remedy="Install dbus.")
        return
    accounts = read_accounts(root.tree)
    users = tuple(user.name for user in accounts.users)

    def groups_of(user: str) -> tuple[str, ...]:
        found = accounts.user(user)
        primary = tuple(group.name for group in accounts.groups if found and group.gid == found.gid)
        return (*accounts.memberships(user), *primary)

    found = callers(read_bus_policy(root.tree, conf), SERVICE_NAME, groups_of=groups_of, users=users)
    for name in sorted(set(found) - set(policy.dbus_users)):
        who = "every user" if name == EVERYONE else f"'{name}'"
        what = f"{who} may call RAUC over D-Bus and install bundles"
        note.finding(
            what,
            at=at(root, found[name].path),
            remedy="Deny it in a default policy read after RAUC's own, allow root and the service user.",
        )
    for name in sorted(set(policy.dbus_users) - set(found)):
        if EVERYONE not in found and accounts.user(name):
            note.finding(
                f"'{name}' may not call RAUC, so that updates cannot be started", at=at(root), remedy="Install everest-rauc-dbus-policy."
            )
    note.saw(f"callers of {SERVICE_NAME}: {words(found)}")
