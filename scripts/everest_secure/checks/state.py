"""State on the data partition: FS-03, CERT-01."""

import re
from collections.abc import Iterator
from itertools import product

from everest_secure.checks.common import at, configuration, started
from everest_secure.checks.core import Notes, Root, Scope, check
from everest_secure.checks.reason import Reason
from everest_secure.checks.store import judge_directory
from everest_secure.image.tree import Node
from everest_secure.parse.everest_config import EverestConfig, Module
from everest_secure.parse.evse_security import certificate_store
from everest_secure.parse.fstab import Mount
from everest_secure.parse.mounts import VOLATILE, lasting, mount_of, read_mounts
from everest_secure.parse.tmpfiles import Directory, read_directories
from everest_secure.policy.parameters import Parameters

_BINDS = frozenset(("bind", "rbind"))
"""Bind mounts keep the options of what they show."""
_SOURCE = re.compile("[/=:]")
"""Of a device, a file or a server, which the name of a file system that the kernel makes has not."""
_BESIDE = "Mount it with nodev,nosuid,noexec: programs belong into the verified root, what is written onto the data partition."
OPTIONS = ("nodev", "nosuid", "noexec")
_WRITTEN: dict[str, dict[str, str]] = {
    "OCPP": {
        "DatabasePath": "/tmp/ocpp_1_6_charge_point",  # noqa: S108 - EVerest's default, which is the finding
        "MessageLogPath": "/tmp/everest_ocpp_logs",  # noqa: S108
        "UserConfigPath": "user_config.json",
    },
    "OCPP201": {
        "CoreDatabasePath": "/tmp/ocpp201",  # noqa: S108
        "DeviceModelDatabasePath": "device_model_storage.db",
        "EverestDeviceModelDatabasePath": "everest_device_model_storage.db",
        "MessageLogPath": "/tmp/everest_ocpp_logs",  # noqa: S108
    },
    "PersistentStore": {"sqlite_db_file_path": "everest_persistent_store.db"},
    "ErrorHistory": {"error_history.database_path": ""},
}
_WRITTEN["OCPPmulti"] = _WRITTEN["OCPP201"]
"""Module type to the keys of paths that it writes, with EVerest's defaults (manifests of EVerest 2026.02.1)."""


@check("FS-03", on=Scope.ROOT)
def data_partition_is_mounted_without_programs_or_devices(root: Root, policy: Parameters, note: Notes) -> None:
    """/var is a mount of its own that lasts, and it and whatever else is mounted beside the verified root have options that keep what is there from being run."""
    mounts = read_mounts(root.tree, started(root))
    mount = mount_of("/var", mounts)
    remedy = "Install everest-state: var.mount with Options=nodev,nosuid,noexec."
    if mount is None or mount.where != "/var" or lasting("/var", mounts) is None:
        note.finding("no data partition is mounted on /var", at=at(root, mount.path if mount else ""), remedy=remedy)
        return
    for each, option in product([each for each in mounts if each.where != "/" and not _shows_the_root(each, mounts)], OPTIONS):
        if not _forbids(each, option):
            place = at(root, each.path, each.line)
            note.finding(f"{each.where} is mounted without {option}", at=place, remedy=remedy if each is mount else _BESIDE)
    note.saw(f"{mount.path}:{mount.line}: {mount.what} on /var, {','.join(mount.options)}; {len(mounts)} mounts")


def _shows_the_root(mount: Mount, mounts: tuple[Mount, ...]) -> bool:
    """Whether a mount brings nothing but what the kernel makes, memory that is empty at first, or what lies on the root.

    What others write shows an overlay too, whose own options alone count, and not those of the mount that its upper directory lies on.
    """
    if mount.type == "overlay":
        return not any(option.startswith("upperdir=") for option in mount.options)
    if mount.type in (*VOLATILE, "swap") or not _SOURCE.search(mount.what):
        return True
    return mount.what.startswith("/") and not mount.what.startswith("/dev/") and mount_of(mount.what, mounts) is None


def _forbids(mount: Mount, option: str) -> bool:
    """Whether a mount has an option; a bind mount has it from what it shows, unless it says the opposite."""
    return mount.forbids(option) or (bool(_BINDS.intersection(mount.options)) and option.removeprefix("no") not in mount.options)


@check("FS-03", on=Scope.ROOT)
def everest_writes_to_the_data_partition_only(root: Root, policy: Parameters, note: Notes) -> None:
    """Paths that modules write are absolute and on the data partition; a path that is not set is EVerest's default."""
    config = configuration(root, note)
    if config is None:
        return
    mounts = read_mounts(root.tree, started(root))
    count = 0
    for module, key, path in _paths(config):
        count += 1
        if not path.startswith("/") or lasting(path, mounts) is None:
            what = f"the module '{module.id}' ({module.type}) writes '{path}' ({key}), which is not on the data partition"
            note.finding(
                what,
                at=at(root, config.path, module.line),
                remedy=f"Set '{key}' to an absolute path below /var/lib/everest or /var/log/everest.",
            )
    note.saw(f"{config.path}: {count} paths that modules write")


def _paths(config: EverestConfig) -> Iterator[tuple[Module, str, str]]:
    for module in config.modules:
        for key, default in _WRITTEN.get(module.type, {}).items():
            yield module, key, str(module.value(key) or default)
        if module.type == "EvseManager" and module.config.get("session_logging") is True:
            key = "session_logging_path"
            yield module, key, str(module.config.get(key, "/tmp"))  # noqa: S108 - EVerest's default, which is the finding


@check("CERT-01", on=Scope.ROOT)
def certificate_store_has_its_layout(root: Root, policy: Parameters, note: Notes) -> None:
    """The directories that EvseSecurity is configured for exist or are made at boot, on the data partition, for the service user alone."""
    config = configuration(root, note)
    if config is None:
        return
    mounts = read_mounts(root.tree, started(root))
    made = {directory.path.rstrip("/"): directory for directory in read_directories(root.tree)}
    for path in certificate_store(config).directories:
        mount = mount_of(path, mounts)
        if mount is None or lasting(path, mounts) is None:
            what = f"the certificate store {path} is not on the data partition"
            note.finding(what, at=at(root, path), remedy="Install everest-state, which mounts the store from the data partition.")
            continue
        origin = f"{mount.what}{path.removeprefix(mount.where)}" if "bind" in mount.options else path
        _judge(root, origin, made.get(origin), root.tree.resolve(origin), policy, note)


def _judge(root: Root, path: str, made: Directory | None, node: Node | None, policy: Parameters, note: Notes) -> None:
    user = policy.service_user
    if made is not None:
        owner, mode, place = made.user, made.mode, at(root, made.source, made.line)
        owned = owner in (user.name, str(user.uid))
    elif node is not None and node.is_directory:
        owner, mode, place = str(node.uid), node.mode, at(root, node.path)
        owned = node.uid == user.uid
    else:
        what = Reason.LAYOUT.said(f"nothing makes the directory {path} of the certificate store")
        note.finding(what, at=at(root, path), remedy="Add it to the state list.")
        return
    judge_directory(path, owner=owner, owned=owned, mode=mode, place=place, user=user, note=note)
