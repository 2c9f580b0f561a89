"""Root file system: FS-01, FS-05, FS-06."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from everest_secure.checks.common import at, entries_of, findings_up_to, place_of, stored_configuration
from everest_secure.checks.core import STARTING, Boot, Bundle, Location, NotApplicable, Notes, Root, Scope, Starting, check
from everest_secure.checks.subjects import is_root
from everest_secure.checks.survey import File
from everest_secure.image.artefact import Artefact
from everest_secure.image.tree import Node, NodeType, Tree, printable
from everest_secure.parse.accounts import read_accounts
from everest_secure.parse.build_paths import find_build_path
from everest_secure.parse.everest_yaml import Value
from everest_secure.parse.fstab import read_fstab
from everest_secure.parse.patterns import matches
from everest_secure.parse.private_keys import FoundKey, KeyKind, find_keys
from everest_secure.policy.parameters import Parameters

READ_ONLY_KINDS = ("squashfs", "erofs")
_VOLATILE, _VOLATILE_STATE = "systemd.volatile", "state"
"""Parameter of systemd-volatile-root.service(8), and its value with which the root stays as it is."""
_SECRET_NAMES = (
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "id_rsa",
    "id_ecdsa",
    "id_ed25519",
    "id_dsa",
    "*_PASSWORD.txt",
    "*password*.txt",
    ".netrc",
    ".pgpass",
)
_REPOSITORIES = (".git", ".svn", ".hg")
_ELF = b"\x7fELF"


@check("FS-01", on=Scope.ROOT)
def root_file_system_is_mounted_read_only(root: Root, policy: Parameters, note: Notes) -> None:
    """Whatever fstab says of `/` is read-only, and an image format that could be written says so."""
    entries = [mount for mount in read_fstab(root.tree) if mount.where == "/"]
    for mount in entries:
        if mount.read_only:
            note.saw(f"{mount.path}:{mount.line} mounts / read-only")
        elif root.tree.kind not in READ_ONLY_KINDS:
            what = "the root file system is mounted for writing: its options lack 'ro'"
            note.finding(what, at=at(root, mount.path, mount.line), remedy="Add the image feature read-only-rootfs, or 'ro' to the entry.")
    if root.tree.kind in READ_ONLY_KINDS:
        note.saw(f"the root file system is {root.tree.kind}, which cannot be written")
    elif not entries:
        if root.tree.kind == "directory":
            raise NotApplicable("a directory without an entry for / in /etc/fstab says nothing on how it will be mounted; give the image")
        note.saw(f"no entry for / in /etc/fstab: {root.tree.kind} stays as the kernel command line mounts it")


@check("FS-01", on=STARTING)
def kernel_command_lines_mount_the_root_read_only(starting: Starting, policy: Parameters, note: Notes) -> None:
    """No boot entry asks for a writable root, on disk or in memory."""
    for entry in entries_of(starting):
        place, line = place_of(entry), entry.command_line
        volatile = line.asks_for(_VOLATILE) and line.last(_VOLATILE) != _VOLATILE_STATE
        if not line.root_read_only:
            note.finding("the kernel command line asks for a writable root ('rw')", at=place, remedy="Take 'rw' out of the command line.")
        if volatile:
            what = f"the kernel command line lays memory that can be written over the root: {_VOLATILE}={line.last(_VOLATILE)}"
            note.finding(
                what, at=place, remedy="Take the parameter out of the command line; what is written belongs on the data partition."
            )
        if line.root_read_only and not volatile:
            note.saw(f"{place}: root mounted read-only")


@check("FS-05", on=Scope.ROOT)
def nothing_is_writable_by_everyone(root: Root, policy: Parameters, note: Notes) -> None:
    """Only listed paths are writable by everyone, and directories among them are sticky."""
    nodes = root.tree.nodes()
    found = [
        (f"{printable(node.path)} may be written by everyone (mode {node.mode:04o})", at(root, node.path))
        for node in nodes
        if node.mode & 0o002 and node.type is not NodeType.SYMLINK and not _may_be_world_writable(node, policy)
    ]
    findings_up_to(note, found, remedy="Take the write permission for others away where the file is installed.")
    note.saw(f"modes of {len(nodes)} files and directories")


def _may_be_world_writable(node: Node, policy: Parameters) -> bool:
    return matches(node.path, policy.world_writable) and (not node.is_directory or bool(node.mode & 0o1000))


@check("FS-05", on=Scope.ROOT)
def programs_that_raise_privileges_are_listed(root: Root, policy: Parameters, note: Notes) -> None:
    """Setuid and setgid files and file capabilities are those of the allow-list."""
    nodes = root.tree.nodes()
    found = []
    for node in nodes:
        if node.is_file and node.mode & 0o6000 and not matches(node.path, policy.setuid):
            found.append((f"{printable(node.path)} is setuid or setgid (mode {node.mode:04o})", at(root, node.path)))
        if "security.capability" in node.xattrs and not matches(node.path, policy.file_capabilities):
            found.append((f"{printable(node.path)} carries file capabilities", at(root, node.path)))
    findings_up_to(note, found, remedy="Remove the program or the bit; if the product needs it, list it in the policy with its reason.")
    note.saw(f"setuid, setgid and file capabilities of {sum(node.is_file for node in nodes)} files")


@check("FS-05", on=Scope.ROOT)
def every_file_has_a_known_owner(root: Root, policy: Parameters, note: Notes) -> None:
    """Each uid and gid has a name in passwd and group."""
    accounts = read_accounts(root.tree)
    users, groups = {user.uid for user in accounts.users}, {group.gid for group in accounts.groups}
    nodes = root.tree.nodes()
    found = [
        (f"{printable(node.path)} belongs to {node.uid}:{node.gid}, of which the image has no name", at(root, node.path))
        for node in nodes
        if node.uid not in users or node.gid not in groups
    ]
    findings_up_to(note, found, remedy="Install the file as root, or add the account with a static id.")
    note.saw(f"owners of {len(nodes)} files and directories, {len(users)} users and {len(groups)} groups")


@check("FS-05", on=Scope.ROOT)
def device_nodes_lie_below_dev_alone(root: Root, policy: Parameters, note: Notes) -> None:
    """A device node elsewhere opens the device for whoever may open the node; those of /dev are hidden by devtmpfs."""
    nodes = root.tree.nodes()
    devices = (node for node in nodes if node.type in (NodeType.CHARACTER, NodeType.BLOCK) and not node.path.startswith("/dev/"))
    found = [(f"{printable(node.path)} is a {node.type}", at(root, node.path)) for node in devices]
    findings_up_to(note, found, remedy="Remove it: the kernel makes device nodes in /dev.")
    note.saw(f"types of {len(nodes)} files and directories")


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a file holds that it should not."""

    path: str
    keys: tuple[FoundKey, ...]
    build: int | None
    """Byte at which it names a directory of the build."""


def _look(_: Root, policy: Parameters, file: File) -> Iterator[_Looked]:
    first = file.first
    keys = tuple(key for key in find_keys(file.blob, first) if key.kind is not KeyKind.TPM)
    build = None if first.startswith(_ELF) else find_build_path(file.blob, first)
    if keys and matches(file.node.path, policy.published_keys):
        keys = ()
    if keys or build is not None:
        yield _Looked(file.node.path, keys, build)


@check("FS-06", on=Scope.ROOT, survey=_look)
def no_file_holds_a_private_key_or_names_the_build(root: Root, policy: Parameters, note: Notes, looked: Sequence[_Looked]) -> None:
    """Content of every file is searched for private keys; other than programs also for paths of the build."""
    suspects = sorted(looked, key=lambda file: file.path)
    keys = [
        (f"{printable(file.path)} holds a {key.kind} at byte {key.offset}", at(root, file.path)) for file in suspects for key in file.keys
    ]
    builds = [
        (f"{printable(file.path)} names a directory of the build at byte {file.build}", at(root, file.path))
        for file in suspects
        if file.build is not None
    ]
    findings_up_to(note, keys, remedy="Keep private keys out of the image: recipes install certificates only, keys are made on the device.")
    findings_up_to(note, builds, remedy="Strip build paths from the file in its recipe.")
    number = sum(node.is_file and node.size > 0 for node in root.tree.nodes())
    if number:
        note.saw(f"content of {number} files")


@check("FS-06", on=Scope.ROOT)
def no_file_is_named_like_a_secret_or_a_repository(root: Root, policy: Parameters, note: Notes) -> None:
    """Names of key stores, password lists and repositories do not occur."""
    nodes = root.tree.nodes()
    found = [(f"{printable(node.path)} {what}", at(root, node.path)) for node in nodes if (what := _secret_by_name(node))]
    findings_up_to(note, found, remedy="Do not install it: name the files that a recipe installs one by one.")
    note.saw(f"names of {len(nodes)} files and directories")


def _secret_by_name(node: Node) -> str:
    """Say what a file or directory is by its name; empty for none that should not be there."""
    if node.name in _REPOSITORIES:
        return "is a source repository"
    return "is named like a key store or a list of passwords" if node.is_file and matches(node.name, _SECRET_NAMES) else ""


@check("FS-06", on=Scope.BOOT)
def no_other_file_system_of_the_disk_holds_a_secret(boot: Boot, policy: Parameters, note: Notes) -> None:
    """Boot and data partitions and initial RAM disks hold no private key, key store, list of passwords or repository either."""
    _judge_others(boot.container, policy, note)


@check("FS-06", on=Scope.BUNDLE)
def no_other_file_system_of_a_bundle_holds_a_secret(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """The same of those that a bundle installs."""
    _judge_others(bundle.artefact, policy, note)


def _judge_others(container: Artefact, policy: Parameters, note: Notes) -> None:
    judged: list[Artefact] = []
    opened = {artefact.name for artefact in container.walk() if artefact.kind != "unknown"}
    for artefact in container.walk():
        tree = artefact.tree
        if tree is None or is_root(tree) or any(map(artefact.same_content, judged)):
            continue
        judged.append(artefact)
        nodes = tree.nodes()
        # An image in a bundle, or a UKI on a boot partition, is opened, and what is in it is judged by itself.
        own = [
            node
            for node in nodes
            if node.is_file and not opened.intersection((f"{artefact.name}:{node.path}", f"{container.name}:{node.path[1:]}"))
        ]
        found = [(node, what) for node in nodes if (what := _secret_by_name(node))]
        found += [
            (node, f"holds a {key.kind} at byte {key.offset}") for node in tree.by_position(own) for key in _secret_keys(tree, node, policy)
        ]
        said = [(f"{printable(node.path)} {what}", Location(artefact.name, printable(node.path))) for node, what in found]
        findings_up_to(note, said, remedy="Keep secrets out of the image: install certificates only, keys are made on the device.")
        note.saw(f"{artefact.name}: names of {len(nodes)} files and directories, content of {len(own)} files")
    if not judged:
        raise NotApplicable(f"{container.name} has no file system that is read besides roots")


def _secret_keys(tree: Tree, node: Node, policy: Parameters) -> Iterator[FoundKey]:
    if not matches(node.path, policy.published_keys):
        yield from (key for key in find_keys(tree.blob(node)) if key.kind is not KeyKind.TPM)


_PASSWORD = re.compile(r"(?:.*_)?(?:password|passwd|passphrase|secret)(?:_.*)?", re.IGNORECASE)


@check("FS-06", on=Scope.ROOT)
def everest_s_configuration_holds_no_password(root: Root, policy: Parameters, note: Notes) -> None:
    """No module is given a password, such as the one by which EvseSecurity encrypts keys, which would be the same on every charger."""
    config = stored_configuration(root)
    if config is None:
        raise NotApplicable("the image has no configuration of EVerest")
    for module in config.modules:
        for key, value in _keys({**module.config, **module.implementations}):
            if _PASSWORD.fullmatch(key) and isinstance(value, str) and value:
                what = f"the module '{module.id}' ({module.type}) has a password in its configuration: {printable(key)}"
                note.finding(what, at=at(root, config.path, config.line_of(module, key)), remedy="Take it out of the image.")
    note.saw(f"{config.path}: keys of {len(config.modules)} modules")


def _keys(values: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    """Yield each key with its value, those of implementations too."""
    for key, value in values.items():
        yield key, value
        if isinstance(value, dict):
            yield from value.items()
