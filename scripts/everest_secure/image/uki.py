"""Unified kernel images: an EFI program that carries kernel, initial RAM disk and command line as sections (UAPI specification 5)."""

from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, opens
from everest_secure.image.blob import Blob
from everest_secure.image.cpio import open_cpio
from everest_secure.image.pe import EfiProgram, read_program

_MAX_TEXT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Uki:
    """What a unified kernel image boots, and how."""

    program: EfiProgram
    cmdlines: tuple[str, ...]
    """Every `.cmdline`: one, and one more for each profile that has its own."""
    os_release: str
    """Text of `.osrel`; empty when it has none."""
    uname: str
    """Text of `.uname`, the kernel's version; empty when it has none."""
    linux: Blob
    initrds: tuple[Blob, ...]
    """Every `.initrd`: at most one, and one more for each profile that has its own."""

    @property
    def cmdline(self) -> str:
        """The command line that is used when no profile is chosen; empty when there is none."""
        return self.cmdlines[0] if self.cmdlines else ""


@opens(order=40)
def open_uki(blob: Blob, depth: int) -> Artefact | None:
    """Open a unified kernel image; its children are the initial RAM disks that can be read. See `artefact.Opener`."""
    program = read_program(blob)
    if program is None:
        return None
    linux = program.section(".linux")
    if linux is None:
        return None
    initrds = tuple(section.content for section in program.sections if section.name == ".initrd")
    facts = Uki(
        program=program,
        cmdlines=tuple(_text(section.content) for section in program.sections if section.name == ".cmdline"),
        os_release=_first(program, ".osrel"),
        uname=_first(program, ".uname"),
        linux=linux.content,
        initrds=initrds,
    )
    inside = (open_cpio(initrd, depth + 1) for initrd in initrds)
    return Artefact(name=blob.name, kind="uki", blob=blob, facts=facts, children=tuple(each for each in inside if each))


def _first(program: EfiProgram, name: str) -> str:
    section = program.section(name)
    return _text(section.content) if section else ""


def _text(content: Blob) -> str:
    if content.size > _MAX_TEXT:
        raise ArtefactError(
            f"{content.name} has {content.size} bytes, more than the {_MAX_TEXT} that a text section may have; build it again"
        )
    return content.read(0, content.size).rstrip(b"\0").decode("utf-8", "replace").strip()
