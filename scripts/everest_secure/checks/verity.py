"""Integrity of the root file system: FS-02."""

from collections.abc import Iterator

from everest_secure.checks.common import entries_of, place_of
from everest_secure.checks.core import Boot, Location, Notes, Scope, check
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact
from everest_secure.image.hashtree import VerityResult
from everest_secure.image.verity import Verity
from everest_secure.parse.boot_entries import BootEntry
from everest_secure.parse.cmdline import NO, CommandLine
from everest_secure.policy.parameters import Parameters

_DATA = "systemd.verity_root_data"
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
    results = {name: artefact.facts.verify_tree() for name, artefact in partitions.items() if isinstance(artefact.facts, Verity)}
    entries = entries_of(boot)
    for name, result in results.items():
        if result.corrupt_blocks or result.corrupt_hash_blocks:
            what = f"{len(result.corrupt_blocks)} blocks and {len(result.corrupt_hash_blocks)} blocks of the hash tree do not have their digest"
            note.finding(what, at=Location(name), remedy="Build the image again: it was altered after its hash tree was made.")
    for entry in entries:
        _judge(boot, entry, partitions, results, note)


def _judge(boot: Boot, entry: BootEntry, partitions: dict[str, Artefact], results: dict[str, VerityResult], note: Notes) -> None:
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
    label = line.last(_DATA) or ""
    name = f"{boot.container.name}:{label.removeprefix(_LABEL)}" if label.startswith(_LABEL) else ""
    if name and name not in partitions:
        raise ArtefactError(
            f"{boot.container.name} has no partition '{label.removeprefix(_LABEL)}', which the command line of {entry.artefact} names; mend one of them"
        )
    candidates = [name] if name else list(results)
    if name and partitions[name].kind == "empty":
        note.saw(f"{place}: its slot {name} is empty")
    elif any(candidate in results and results[candidate].root_hash.hex() == wanted.lower() for candidate in candidates):
        note.saw(f"{place}: roothash={wanted} is that of {', '.join(candidates)}, every block hashed")
    else:
        what = f"no dm-verity root file system has the root hash {wanted} of the command line"
        note.finding(what, at=place, remedy="Build UKI and root file system together, so that the UKI carries the hash of this root.")


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
    options = (line.initrd.last("systemd.verity_root_options") or "").split(",")
    yield from (f"systemd.verity_root_options={option}" for option in options if option in _WEAK)
