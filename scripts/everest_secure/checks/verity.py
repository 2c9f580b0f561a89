"""Integrity of the root file system: FS-02."""

from collections.abc import Iterable, Iterator, Sequence

from everest_secure.checks.common import entries_of, place_of
from everest_secure.checks.core import Boot, Bundle, Location, Notes, Scope, check
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact
from everest_secure.image.hashtree import VerityResult
from everest_secure.image.verity import Verity
from everest_secure.parse.boot_entries import BootEntry
from everest_secure.parse.cmdline import NO, CommandLine
from everest_secure.policy.parameters import Parameters

_DATA, _HASH, _OPTIONS = "systemd.verity_root_data", "systemd.verity_root_hash", "systemd.verity_root_options"
_TOGETHER = "Build UKI and root file system together, so that the UKI carries the hash of this root."
_LABEL = "PARTLABEL="
_VERIFIED = ("/dev/mapper/root", "/dev/dm-0", "dissect", "gpt-auto")
"""Values of `root=` with which the device of the root hash is mounted."""
_VERIFIED_USR = "/dev/mapper/usr"
"""Value of `mount.usr=` with which the device of `usrhash=` is mounted on /usr (systemd-fstab-generator(8))."""
_WEAK = ("ignore-corruption", "check-at-most-once")
"""Options of veritytab(5) with which a block that was altered is used, at once or when it is read again."""


@check("FS-02", on=Scope.BOOT)
def every_boot_entry_names_the_hash_of_an_intact_root(boot: Boot, policy: Parameters, note: Notes) -> None:
    """The whole hash tree is recomputed, and its root hash is the one on a command line that a signature covers."""
    partitions = {artefact.name: artefact for artefact in boot.container.children}
    entries = entries_of(boot)
    roots = _intact_roots(boot.container.children, note)
    for entry in entries:
        label = entry.command_line.initrd.last(_DATA) or ""
        name = f"{boot.container.name}:{label.removeprefix(_LABEL)}" if label.startswith(_LABEL) else ""
        if name and name not in partitions:
            raise ArtefactError(
                f"{boot.container.name} has no partition '{label.removeprefix(_LABEL)}', which the command line of {entry.artefact} names; mend one of them"
            )
        if name and partitions[name].kind == "empty":
            _judge(entry, None, note)
            note.saw(f"{place_of(entry)}: its slot {name} is empty")
        else:
            _judge(entry, [root for root in roots if root[0].name == name or not name], note)


@check("FS-02", on=Scope.BUNDLE)
def every_boot_entry_of_a_bundle_names_the_hash_of_an_intact_root(bundle: Bundle, policy: Parameters, note: Notes) -> None:
    """The same of what a bundle installs: kernel and root belong together in whatever slot they come into."""
    entries = entries_of(bundle)
    roots = _intact_roots(bundle.artefact.walk(), note)
    for entry in entries:
        _judge(entry, roots, note)


_Root = tuple[Artefact, Verity, VerityResult]
"""A root with its hash tree, and what the whole tree says of it."""


def _intact_roots(artefacts: Iterable[Artefact], note: Notes) -> list[_Root]:
    """Return the roots that have a hash tree; a block that has not its digest is a finding."""
    roots = [(artefact, artefact.facts, artefact.facts.verify_tree()) for artefact in artefacts if isinstance(artefact.facts, Verity)]
    for artefact, _, result in roots:
        if result.corrupt_blocks or result.corrupt_hash_blocks:
            what = f"{len(result.corrupt_blocks)} blocks and {len(result.corrupt_hash_blocks)} blocks of the hash tree do not have their digest"
            note.finding(what, at=Location(artefact.name), remedy="Build the image again: it was altered after its hash tree was made.")
    return roots


def _judge(entry: BootEntry, roots: Sequence[_Root] | None, note: Notes) -> None:
    """Judge an entry with the roots that it may start; None for one whose slot has nothing yet."""
    place, line = place_of(entry), entry.command_line.initrd
    wanted = line.last("roothash")
    if not wanted:
        note.finding(
            "the command line names no root hash", at=place, remedy="Build the root with dm-verity and put 'roothash=' into the UKI."
        )
        return
    if not entry.authenticated:
        note.finding(
            "the root hash is in a file that no signature covers",
            at=place,
            remedy="Put the command line into a UKI and sign it (EVEREST_SECURE_BOOT).",
        )
    for what in _goes_around(entry.command_line):
        note.finding(f"the root hash decides nothing: {what}", at=place, remedy="Take the parameter out of the command line.")
    if roots is None:
        return
    named = [(artefact.name, facts.hash_offset) for artefact, facts, result in roots if result.root_hash.hex() == wanted.lower()]
    looked = _hash_offset(line)
    if not named:
        what = f"no dm-verity root file system has the root hash {wanted} of the command line"
        note.finding(what, at=place, remedy=_TOGETHER)
    elif looked is not None and looked not in [str(offset) for _, offset in named]:
        what = f"the root does not open: the command line says hash-offset={looked}, and the hash tree of {named[0][0]} begins at {named[0][1]}"
        note.finding(what, at=place, remedy=_TOGETHER)
    else:
        note.saw(f"{place}: roothash={wanted} is that of {', '.join(name for name, _ in named)}, every block hashed")


def _hash_offset(line: CommandLine) -> str | None:
    """Return where systemd looks for a hash tree behind the data of the same device; None when it lies elsewhere or has no superblock."""
    options = dict(option.partition("=")[::2] for option in (line.last(_OPTIONS) or "").split(","))
    same = line.last(_DATA) is not None and line.last(_DATA) == line.last(_HASH)
    return options.get("hash-offset", "0") if same and "superblock" not in options else None


def _goes_around(line: CommandLine) -> Iterator[str]:
    """Yield what makes systemd mount another root or /usr than the verified one, or go on with what is corrupt (systemd-veritysetup-generator(8))."""
    root, usr = line.last("root"), line.last("mount.usr")
    if root is not None and root not in _VERIFIED:
        yield f"root={root}"
    if usr is not None and usr != _VERIFIED_USR:
        yield f"mount.usr={usr}"
    verity = line.initrd.last("systemd.verity")
    if verity is not None and verity.lower() in NO:
        yield f"systemd.verity={verity}"
    options = (line.initrd.last(_OPTIONS) or "").split(",")
    yield from (f"{_OPTIONS}={option}" for option in options if option in _WEAK)
