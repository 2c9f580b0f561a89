"""EFI programs: PE/COFF files for UEFI (Microsoft PE format; UEFI specification 2.10, chapter 2.1.1)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, opens
from everest_secure.image.blob import Blob

_EFI_SUBSYSTEMS = range(10, 14)
_MAX_SECTIONS = 96
_MAX_CERTIFICATES = 16
_MAX_TABLE = 1024 * 1024
AUTHENTICODE = 2
"""Type of the certificate that holds the PKCS#7 SignedData of Authenticode."""
_SECURITY = 4
"""Index of the certificate table among the data directories."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section."""

    name: str
    content: Blob
    """Without the padding to the file's alignment."""
    raw_offset: int
    raw_size: int
    """Bytes in the file, with the padding."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A WIN_CERTIFICATE entry."""

    revision: int
    type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class EfiProgram:
    """What the headers of an EFI program say; a certificate being there says nothing of its being valid."""

    machine: int
    """IMAGE_FILE_MACHINE: 0x8664 x86-64, 0xaa64 AArch64, 0x1c0 and 0x1c2 Arm."""
    sections: tuple[Section, ...]
    certificates: tuple[Certificate, ...]
    headers_size: int
    """SizeOfHeaders: bytes from the beginning that are headers."""
    checksum_offset: int
    """Offset in the file of the 4 bytes of CheckSum, which Authenticode leaves out."""
    directory_offset: int
    """Offset of the 8 bytes of the certificate table's directory entry, which Authenticode leaves out."""
    table_offset: int
    """Offset of the certificate table, which Authenticode leaves out; the file's size when it has none."""
    table_size: int
    """Bytes of the certificate table."""

    def section(self, name: str) -> Section | None:
        """Return the first section of this name."""
        return next((section for section in self.sections if section.name == name), None)


@opens(order=45)
def open_efi_program(blob: Blob, _depth: int) -> Artefact | None:
    """Open an EFI program; see `artefact.Opener`."""
    facts = read_program(blob)
    return Artefact(name=blob.name, kind="efi-program", blob=blob, facts=facts) if facts else None


def read_program(blob: Blob) -> EfiProgram | None:
    """Return what the headers say, or None when `blob` is no EFI program; raises ArtefactError when it is a truncated or corrupt one."""
    head = blob.head(4096)
    if head[:2] != b"MZ" or len(head) < 64:
        return None
    at = int.from_bytes(head[60:64], "little")
    if at + 24 > blob.size or blob.read(at, 4) != b"PE\0\0":
        return None
    machine, count, optional = struct.unpack("<HH12xH", blob.read(at + 4, 18))
    start = at + 24
    header = blob.read(start, optional)
    wide = header[:2] == b"\x0b\x02"
    if header[:2] not in (b"\x0b\x01", b"\x0b\x02") or optional < (112 if wide else 96):
        return None
    if int.from_bytes(header[68:70], "little") not in _EFI_SUBSYSTEMS:
        return None
    if count > _MAX_SECTIONS:
        raise _corrupt(blob)
    directories = 112 if wide else 96
    entry = directories + _SECURITY * 8
    listed = int.from_bytes(header[directories - 4 : directories], "little")
    table, size = struct.unpack_from("<II", header, entry) if listed > _SECURITY and len(header) >= entry + 8 else (0, 0)
    return EfiProgram(
        machine=machine,
        sections=tuple(_sections(blob, start + optional, count)),
        certificates=tuple(_certificates(blob, table, size)),
        headers_size=int.from_bytes(header[60:64], "little"),
        checksum_offset=start + 64,
        directory_offset=start + entry,
        table_offset=table or blob.size,
        table_size=size,
    )


def _sections(blob: Blob, at: int, count: int) -> Iterator[Section]:
    for raw, virtual, _, size, offset in struct.iter_unpack("<8sIIII16x", blob.read(at, count * 40)):
        name = raw.rstrip(b"\0").decode("ascii", "replace")
        used = min(size, virtual) if virtual else size
        yield Section(name, blob.slice(offset if used else 0, used, f"{blob.name}:{name}"), offset, size)


def _certificates(blob: Blob, table: int, size: int) -> Iterator[Certificate]:
    if not size:
        return
    if size > _MAX_TABLE:
        raise _corrupt(blob)
    raw = blob.read(table, size)
    at = 0
    for _ in range(_MAX_CERTIFICATES):
        if at + 8 > len(raw):
            return
        length, revision, kind = struct.unpack_from("<IHH", raw, at)
        if length < 8 or at + length > len(raw):
            raise _corrupt(blob)
        yield Certificate(revision, kind, raw[at + 8 : at + length])
        at += -(-length // 8) * 8
    raise _corrupt(blob)


def _corrupt(blob: Blob) -> ArtefactError:
    return ArtefactError(f"{blob.name} is corrupt: the headers of this EFI program are wrong; build it again")
