"""Kernel command lines of everything on a disk that can boot: UKIs, FITs, loader entries, extlinux and GRUB menus, cmdline.txt."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.image.artefact import Artefact
from everest_secure.image.cpio import KIND as INITRAMFS
from everest_secure.image.fit import Fit
from everest_secure.image.pe import AUTHENTICODE
from everest_secure.image.tree import Tree
from everest_secure.image.uki import Uki
from everest_secure.parse.cmdline import CommandLine, parse_cmdline
from everest_secure.parse.uki_addons import added_words
from everest_secure.parse.uki_stub import appends_firmware_words

_LOADER_ENTRIES = ("/loader/entries", "/boot/loader/entries")
_MENUS = (
    ("/extlinux/extlinux.conf", "append"),
    ("/boot/extlinux/extlinux.conf", "append"),
    ("/grub/grub.cfg", "linux"),
    ("/boot/grub/grub.cfg", "linux"),
    ("/EFI/BOOT/grub.cfg", "linux"),
    ("/EFI/debian/grub.cfg", "linux"),
    ("/boot/grub2/grub.cfg", "linux"),
    ("/grub2/grub.cfg", "linux"),
)
_PLAIN = ("/cmdline.txt",)


@dataclass(frozen=True, slots=True)
class BootEntry:
    """One way to boot."""

    artefact: str
    """Name of the UKI or FIT, or of the file system that holds the menu."""
    path: str
    """File of the menu, or configuration of a FIT; empty for a UKI."""
    line: int
    command_line: CommandLine
    authenticated: bool
    """Whether it lies in a UKI, or in a configuration of a FIT, that carries a signature; whose it is, and whether it fits, is not asked here."""
    firmware_appends: bool = False
    """Whether the UKI's stub appends what firmware hands it."""
    initrds: tuple[Artefact, ...] = ()
    """The initial RAM disks of the UKI, any of which a profile may start; none when one of them cannot be read, and for entries of other kinds."""


def boot_entries(container: Artefact) -> tuple[BootEntry, ...]:
    """Return every command line of a disk, in the order of its artefacts."""
    found: list[BootEntry] = []
    added = added_words(container)
    for artefact in container.walk():
        if isinstance(artefact.facts, Uki):
            found += _profiles(artefact, artefact.facts, added)
        elif isinstance(artefact.facts, Fit):
            found += _configurations(artefact.name, artefact.facts)
        elif artefact.tree is not None and artefact.kind != INITRAMFS:
            found += [
                BootEntry(artefact.name, path, line, parse_cmdline(text), authenticated=False) for path, line, text in _menus(artefact.tree)
            ]
    return tuple(found)


def _profiles(artefact: Artefact, uki: Uki, added: str) -> Iterator[BootEntry]:
    """Yield the command line of each profile of a UKI; one without any gets whatever firmware says."""
    signed = any(certificate.type == AUTHENTICODE for certificate in uki.program.certificates)
    appends = appends_firmware_words(uki.program)
    initrds = artefact.children if len(artefact.children) == len(uki.initrds) else ()
    for text in uki.cmdlines or ("",):
        line = parse_cmdline(f"{text} {added}")
        yield BootEntry(artefact.name, "", 0, line, authenticated=signed, firmware_appends=appends, initrds=initrds)


def _configurations(name: str, fit: Fit) -> Iterator[BootEntry]:
    """Yield the command lines in the device trees of each configuration; one without any gets whatever U-Boot's environment says."""
    for configuration in fit.configurations.values():
        for text in fit.command_lines(configuration) or ("",):
            yield BootEntry(name, configuration.path, 0, parse_cmdline(text), authenticated=bool(configuration.signatures))


def _menus(tree: Tree) -> Iterator[tuple[str, int, str]]:
    for directory in _LOADER_ENTRIES:
        for node in tree.children(directory):
            if node.name.endswith(".conf"):
                yield from _options(tree, node.path, "options")
    for path, word in _MENUS:
        if tree.resolve(path):
            yield from _options(tree, path, word)
    for path in _PLAIN:
        if tree.resolve(path):
            yield path, 1, tree.text(path)


def _options(tree: Tree, path: str, word: str) -> Iterator[tuple[str, int, str]]:
    """Yield the command lines of a menu; GRUB's `linux` names the kernel first, which is left out."""
    for number, line in enumerate(tree.text(path).split("\n"), start=1):
        found = re.match(rf"\s*{word}(?:efi|16)?\s+(.*)", line, re.IGNORECASE)
        if found:
            text = found[1].split("#", 1)[0] if word == "options" else found[1]
            yield path, number, text.partition(" ")[2] if word == "linux" else text
