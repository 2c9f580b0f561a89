"""Accounts and privileges: ACC-01 to ACC-06."""

import re
from itertools import accumulate

from everest_secure.checks.common import SERVICE, at, configuration, option, present_service, started, words
from everest_secure.checks.core import Notes, Root, Scope, check
from everest_secure.checks.steady import lies_on_the_root, real_path
from everest_secure.parse.accounts import GROUP, GSHADOW, PASSWD, SHADOW, read_accounts
from everest_secure.parse.capability import ALL as ALL_CAPABILITIES
from everest_secure.parse.commands import program
from everest_secure.parse.everest_config import EverestConfig
from everest_secure.parse.evse_security import STORE
from everest_secure.parse.pam import read_pam
from everest_secure.parse.patterns import matches
from everest_secure.parse.unit_file import boolean, capabilities, octal
from everest_secure.parse.units import Unit
from everest_secure.parse.userdb import read_other_secrets
from everest_secure.policy.parameters import Parameters

ACCESS_LIST = "system.posix_acl_access"
"""acl(5)."""
_AUTOLOGIN, _FORCED = re.compile(r"--a\w*(?:=.*)?|-[8cEhiJmnNpRsUw]*a.*"), re.compile("-[hp]*f.*")
"""Options with which a getty and login ask nobody for a password, cut short or behind others in one word (agetty(8), login(1))."""
_STARTER = frozenset(("CAP_SETUID", "CAP_SETGID"))
"""What the manager needs to switch to the service user."""


@check("ACC-01", on=Scope.ROOT)
def every_account_is_locked(root: Root, policy: Parameters, note: Notes) -> None:
    """No account, root included, has a password; none is empty."""
    accounts = read_accounts(root.tree)
    remedy = "Lock the account: '*' or '!' in its password field, and no image feature that empties or sets a password."
    if not accounts.secrets:
        note.finding(f"{SHADOW} is missing or empty, so that nothing says the accounts are locked", at=at(root, SHADOW), remedy=remedy)
    for user in accounts.users:
        if user.password in ("x", "*", "!"):
            continue
        what = "has no password and lets anyone in" if not user.password else "has a password in the file that everyone may read"
        note.finding(f"the account '{user.name}' {what}", at=at(root, PASSWD, user.line), remedy=remedy)
    for twin in (each for each in accounts.users if each.uid == 0 and each.name != "root"):
        note.finding(f"the account '{twin.name}' is root under another name", at=at(root, PASSWD, twin.line), remedy="Remove the account.")
    for path, what in read_other_secrets(root.tree):
        note.finding(what, at=at(root, path), remedy="Remove the file: no account of the image has a password.")
    empty_counts = any(rule.accepts_empty_password for rule in read_pam(root.tree))
    for secret in accounts.secrets:
        if not secret.locked:
            empty = "an empty password" + (", which PAM accepts (nullok)" if empty_counts else "")
            what = f"the account '{secret.name}' has {empty if not secret.password else 'a password'}"
            note.finding(what, at=at(root, SHADOW, secret.line), remedy=remedy)
    for group in accounts.group_secrets:
        if group.password and not group.locked:
            note.finding(f"the group '{group.name}' has a password", at=at(root, GSHADOW, group.line), remedy=remedy)
    note.saw(f"{len(accounts.users)} accounts in {PASSWD}, {len(accounts.secrets)} in {SHADOW}, all read")


@check("ACC-01", on=Scope.ROOT)
def nothing_logs_in_by_itself(root: Root, policy: Parameters, note: Notes) -> None:
    """No unit that starts logs anyone in without a password."""
    units = started(root)
    for name, start in units.items():
        for command in start.unit.commands:
            if _asks_nobody(command):
                note.finding(
                    f"{name} logs in without a password",
                    at=at(root, start.unit.path),
                    remedy="Remove the autologin feature and mask the unit.",
                )
    note.saw(f"commands of {len(units)} units that start")


def _asks_nobody(command: tuple[str, ...]) -> bool:
    name = program(command)
    silent = _AUTOLOGIN if name.endswith("getty") else _FORCED if name == "login" else None
    return silent is not None and any(silent.fullmatch(argument) for argument in command[1:])


@check("ACC-02", on=Scope.ROOT)
def service_user_is_as_specified(root: Root, policy: Parameters, note: Notes) -> None:
    """Ids, home, shell and groups of the service user, and fixed group ids."""
    accounts, wanted = read_accounts(root.tree), policy.service_user
    remedy = "Install the package everest-user, and the static id tables of the distro."
    user = accounts.user(wanted.name)
    if user is None:
        note.finding(f"the user '{wanted.name}' does not exist", at=at(root, PASSWD), remedy=remedy)
        return
    for what, found, right in (
        ("uid", user.uid, wanted.uid),
        ("gid", user.gid, wanted.gid),
        ("home", user.home, wanted.home),
        ("shell", user.shell, wanted.shell),
    ):
        if found != right:
            note.finding(f"the {what} of '{user.name}' is {found} instead of {right}", at=at(root, PASSWD, user.line), remedy=remedy)
    for twin in (each for each in accounts.users if each.uid == wanted.uid and each.name != wanted.name):
        note.finding(f"the user '{twin.name}' shares the uid {wanted.uid}", at=at(root, PASSWD, twin.line), remedy=remedy)
    groups = {name for name in accounts.memberships(wanted.name) if (group := accounts.group(name)) and group.gid != wanted.gid}
    for name in sorted(set(wanted.groups) - groups):
        note.finding(f"the user '{wanted.name}' is not in the group '{name}'", at=at(root, GROUP), remedy=remedy)
    for name in sorted(groups - set(wanted.groups)):
        note.finding(f"the user '{wanted.name}' is in the group '{name}', which it needs not", at=at(root, GROUP), remedy=remedy)
    for name, gid in policy.group_ids.items():
        group = accounts.group(name)
        if group is None or group.gid != gid:
            has = f"has the gid {group.gid}" if group else "does not exist"
            note.finding(f"the group '{name}' {has} instead of having {gid}", at=at(root, GROUP, group.line if group else 0), remedy=remedy)
    note.saw(f"{PASSWD}:{user.line}: {user.name} {user.uid}:{user.gid} {user.home} {user.shell}, groups {words(groups)}")


@check("ACC-03", on=Scope.ROOT)
def modules_run_as_the_service_user(root: Root, policy: Parameters, note: Notes) -> None:
    """`settings.run_as_user` names the service user."""
    config = configuration(root, note)
    if config is None:
        return
    user = config.setting("run_as_user")
    line = config.line("run_as_user")
    if user != policy.service_user.name:
        what = f"the modules run as '{user}'" if user else "the modules run as root: 'run_as_user' is not set"
        note.finding(what, at=at(root, config.path, line), remedy=f"Set 'run_as_user: {policy.service_user.name}' in 'settings'.")
    note.saw(f"{config.path}:{line}: run_as_user: {user}")


@check("ACC-04", on=Scope.ROOT)
def each_module_has_exactly_the_capabilities_it_needs(root: Root, policy: Parameters, note: Notes) -> None:
    """Capabilities in the configuration equal the table of the policy."""
    config = configuration(root, note)
    if config is None:
        return
    if not config.modules:
        note.finding("the configuration has no modules", at=at(root, config.path), remedy="Install the product's configuration.")
    for module in config.modules:
        needed, given = set(policy.module_capabilities.get(module.type, ())), set(module.capabilities)
        place = at(root, config.path, module.capabilities_line)
        if given - needed:
            what = f"the module '{module.id}' ({module.type}) has {words(given - needed)}, which it does not need"
            note.finding(what, at=place, remedy="Take the capability out of the module's 'capabilities'.")
        if needed - given:
            what = f"the module '{module.id}' ({module.type}) lacks {words(needed - given)}, without which it does not work"
            note.finding(what, at=place, remedy="Add the capability to the module's 'capabilities'.")
        if needed == given and given:
            note.saw(f"{config.path}:{module.capabilities_line}: {module.id} ({module.type}): {words(given)}")
    note.saw(f"{config.path}: {len(config.modules)} modules")


@check("ACC-05", on=Scope.ROOT)
def service_has_the_smallest_bounding_set(root: Root, policy: Parameters, note: Notes) -> None:
    """The unit's bounding set is what the manager and the configured modules need, and no more."""
    unit, config = present_service(root, note), configuration(root, note)
    if unit is None or config is None:
        return
    lines = unit.assigned("Service", "CapabilityBoundingSet")
    found, needed = capabilities(lines, ALL_CAPABILITIES), _needed(config)
    place = at(root, lines[-1].path, lines[-1].line) if lines else at(root, unit.path)
    if found - needed:
        extra = "every capability" if found == ALL_CAPABILITIES else words(found - needed)
        what = f"the bounding set of {SERVICE} holds {extra}, which the configuration does not need"
        note.finding(what, at=place, remedy=f"Set CapabilityBoundingSet={' '.join(sorted(needed))}.")
    if needed - found:
        what = f"the bounding set of {SERVICE} lacks {words(needed - found)}, without which EVerest does not start"
        note.finding(what, at=place, remedy=f"Set CapabilityBoundingSet={' '.join(sorted(needed))}.")
    for key in ("AmbientCapabilities", "User"):
        value = unit.last("Service", key)
        if value and value.value not in ("root", "0"):
            what = f"{SERVICE} sets {key}={value.value}, with which modules do not get their own rights"
            note.finding(what, at=at(root, value.path, value.line), remedy="Let the manager start as root and drop to run_as_user itself.")
    note.saw(f"{place}: bounding set {words(found)}" if found != ALL_CAPABILITIES else f"{place}: no bounding set")


def _needed(config: EverestConfig) -> frozenset[str]:
    """The measured needs of the manager: switching users, and SETPCAP when a module has capabilities of its own."""
    modules = frozenset(name for module in config.modules for name in module.capabilities)
    return _STARTER | modules | ({"CAP_SETPCAP"} if modules else frozenset())


_SWITCHES = (
    ("NoNewPrivileges", ("yes",)),
    ("PrivateTmp", ("yes", "disconnected")),
    ("ProtectSystem", ("strict",)),
    ("ProtectHome", ("yes", "tmpfs")),
)
_DEFAULT_UMASK = 0o022


@check("ACC-05", on=Scope.ROOT)
def service_is_sandboxed(root: Root, policy: Parameters, note: Notes) -> None:
    """Directives of the effective unit, drop-ins included."""
    unit = present_service(root, note)
    if unit is None:
        return
    for key, right in _SWITCHES:
        found = unit.last("Service", key)
        value = found.value.lower() if found else "no"
        value = "yes" if boolean(value) else value
        place = at(root, found.path if found else unit.path, found.line if found else 0)
        if value not in right:
            note.finding(f"{SERVICE} has {key}={value}", at=place, remedy=f"Set {key}={right[0]} in the service's drop-in.")
        else:
            note.saw(f"{place}: {key}={value}")
    mask = unit.last("Service", "UMask")
    value = mask.value if mask else f"{_DEFAULT_UMASK:04o}"
    if octal(value, _DEFAULT_UMASK) & 0o077 != 0o077:
        place = at(root, mask.path if mask else unit.path, mask.line if mask else 0)
        note.finding(f"{SERVICE} has UMask={value}: keys that it makes can be read by others", at=place, remedy="Set UMask=0077.")
    device_policy = unit.value("Service", "DevicePolicy", "auto")
    if device_policy not in ("closed", "strict") and not unit.words("Service", "DeviceAllow"):
        what = f"{SERVICE} may open every device: neither DevicePolicy=closed nor DeviceAllow= is set"
        note.finding(what, at=at(root, unit.path), remedy="List the devices that modules need with DeviceAllow=.")
    _judge_exceptions(root, unit, note)
    for command in unit.commands:
        if option(command, "--db") is not None and option(command, "--config", "--conf") is None:
            what = f"{SERVICE} starts the manager with --db alone, with which all settings are defaults: root and TCP"
            note.finding(what, at=at(root, unit.path), remedy="Add --config /etc/everest/config.yaml to ExecStart.")


_OTHER_ROOTS = ("RootDirectory", "RootImage", "MountImages", "ExtensionImages", "ExtensionDirectories")
_OTHER_FILES = ("BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem")
_IDENTITY = ("BindReadOnlyPaths", "/run/everest-ocpp", "/etc/everest/ocpp")
"""The OCPP configuration with this charger's identity, which root copies from the checked one at boot (everest-identity.service)."""
_POWERFUL_DEVICES = (
    "block-*",
    "char-mem",
    "/dev/mem",
    "/dev/kmem",
    "/dev/port",
    "/dev/sd*",
    "/dev/vd*",
    "/dev/mmcblk*",
    "/dev/nvme*",
    "/dev/dm-*",
    "/dev/disk/*",
    "/dev/mapper/*",
    "/dev/loop*",
    "/dev/nbd*",
    "/dev/mtd*",
    "/dev/ubi*",
    "char-mtd",
    "char-ubi*",
)


def _judge_exceptions(root: Root, unit: Unit, note: Notes) -> None:
    """Lines that take back what the switches give (systemd.exec(5), systemd.service(5), systemd.resource-control(5))."""
    place = at(root, unit.path)
    if unit.unconfined:
        what = f"{SERVICE} runs a command with the prefix '+', to which none of its restrictions applies"
        note.finding(what, at=place, remedy="Take '+' from the command.")
    for path in unit.writable:
        if _is_checked(path) and not path.startswith(STORE):
            what = f"{SERVICE} may write {path}, which is not on the data partition"
            note.finding(
                what, at=place, remedy="Name only directories of the data partition in ReadWritePaths=, and no ConfigurationDirectory=."
            )
    for device in unit.words("Service", "DeviceAllow"):
        if "/" not in device and not device.startswith(("char-", "block-")):
            continue
        if device in ("char-*", "/dev/*") or matches(device, _POWERFUL_DEVICES):
            note.finding(f"{SERVICE} may open {device}", at=place, remedy="List only the devices that modules need with DeviceAllow=.")
    for key in _OTHER_ROOTS:
        if unit.words("Service", key):
            note.finding(f"{SERVICE} sets {key}=, and sees other files than were checked", at=place, remedy=f"Take {key}= out of the unit.")
    for key in _OTHER_FILES:
        for source, target in unit.shown(key):
            if _is_checked(target) and (key, source, target) != _IDENTITY:
                what = f"{SERVICE} sees something else than was checked at {target} ({key}=)"
                note.finding(what, at=place, remedy=f"Take {target} out of {key}=.")


def _is_checked(path: str) -> bool:
    """Whether a path is, holds or lies in a part of the root file system that decides what the service is."""
    return path == "/" or f"{path.rstrip('/')}/".startswith(("/etc/", "/usr/"))


@check("ACC-06", on=Scope.ROOT)
def service_user_cannot_change_its_own_privileges(root: Root, policy: Parameters, note: Notes) -> None:
    """Neither the configuration, a directory above it nor the user-config beside it may be written by the service user.

    Beside it is where the file itself lies, whatever links lead to it (filesystem.cpp of EVerest, assert_file(); config.cpp).
    """
    config, accounts = configuration(root, note), read_accounts(root.tree)
    if config is None:
        return
    user = accounts.user(policy.service_user.name)
    uid = user.uid if user else policy.service_user.uid
    groups = {group.gid for group in accounts.groups if policy.service_user.name in group.members} | {
        user.gid if user else policy.service_user.gid
    }
    remedy = "Let root own it, mode 0644 for files and 0755 for directories."
    lies_on_the_root(root, config.path, note)
    real = real_path(root, config.path)
    user_config = f"{real.rpartition('/')[0]}/user-config"
    lies_on_the_root(root, user_config, note)
    above = [each for path in (config.path, real) for each in accumulate(f"/{part}" for part in path.split("/") if part)]
    for path in dict.fromkeys((*above, user_config)):
        node = root.tree.resolve(path)
        if node is None:
            continue
        if ACCESS_LIST in node.xattrs:
            note.finding(f"{path} has an access list, which its mode does not show", at=at(root, path), remedy="Install it without an ACL.")
        if node.uid == uid or (node.gid in groups and node.mode & 0o020) or node.mode & 0o002:
            what = f"the service user may write {path} ({node.uid}:{node.gid} {node.mode:04o}), which sets the modules' privileges"
            note.finding(what, at=at(root, path), remedy=remedy)
        note.saw(f"{path} {node.uid}:{node.gid} {node.mode:04o}")
    for node in root.tree.under(user_config):
        note.finding(
            f"{node.path} is merged over the configuration", at=at(root, node.path), remedy="Put everything into the configuration itself."
        )
