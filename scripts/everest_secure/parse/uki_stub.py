"""What the stub in front of a unified kernel image does with its command line (systemd-stub(7))."""

from everest_secure.image.blob import Blob
from everest_secure.image.pe import EfiProgram

FIRMWARE_WORDS = "io.systemd.stub.kernel-cmdline-extra"
"""The SMBIOS string (type 11) that systemd-stub of 254 and later appends to the command line, be secure boot on or not."""
_PAYLOAD = frozenset(
    (".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".dtbauto", ".hwids", ".efifw", ".uname", ".sbat", ".pcrsig", ".pcrpkey",
     ".profile")
)  # fmt: skip
"""Sections that a stub carries and does not execute (UAPI specification 5)."""
_CHUNK = 1024 * 1024


def appends_firmware_words(program: EfiProgram) -> bool:
    """Whether the stub knows the name of the SMBIOS string whose words it appends; a version says less, as distributions patch theirs."""
    return any(_holds(section.content, FIRMWARE_WORDS.encode()) for section in program.sections if section.name not in _PAYLOAD)


def _holds(blob: Blob, word: bytes) -> bool:
    starts = range(0, blob.size, _CHUNK)
    return any(word in blob.read(start, min(_CHUNK + len(word), blob.size - start)) for start in starts)
