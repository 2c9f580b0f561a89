"""Addons of systemd-stub: EFI programs that bring something to unified kernel images (systemd-stub(7); load_addons() of its stub.c)."""

from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact
from everest_secure.image.pe import AUTHENTICODE, EfiProgram, Section

COMMAND_LINE = ".cmdline"
TAKEN = (COMMAND_LINE, ".initrd", ".ucode", ".dtb", ".dtbauto")
"""Sections that a stub takes from an addon; older ones take fewer."""
_MAX_WORDS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Addon:
    """An EFI program without a kernel that has something for a UKI; which one it is for is its directory's matter, and not asked here."""

    name: str
    """Name of the artefact."""
    signed: bool
    """Whether it carries a signature; whose it is, and whether it fits, is not asked here."""
    sections: tuple[Section, ...]
    """Those that a stub takes; at least one."""


def addons(container: Artefact) -> Iterator[Addon]:
    """Yield the addons of a disk, in the order of its artefacts; what a stub takes makes one, and not its name."""
    for artefact in container.walk():
        if isinstance(artefact.facts, EfiProgram):
            sections = tuple(section for section in artefact.facts.sections if section.name in TAKEN)
            if sections:
                signed = any(certificate.type == AUTHENTICODE for certificate in artefact.facts.certificates)
                yield Addon(artefact.name, signed, sections)


def added_words(container: Artefact) -> str:
    """Return what the addons of a disk add to the command line of a UKI; raises ArtefactError when one adds more than anybody would write."""
    contents = [section.content for addon in addons(container) for section in addon.sections if section.name == COMMAND_LINE]
    for content in contents:
        if content.size > _MAX_WORDS:
            raise ArtefactError(
                f"{content.name} has {content.size} bytes, more than the {_MAX_WORDS} that may be words; build the addon again"
            )
    return " ".join(content.read(0, content.size).rstrip(b"\0").decode("utf-8", "replace").strip() for content in contents)
