"""Signatures of EFI programs, verified as firmware does.

Sources: Microsoft, "Windows Authenticode Portable Executable Signature Format"; edk2, DxeImageVerificationLib.c, HashPeImage.
"""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from asn1crypto import algos, core, parser
from cryptography import x509

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.pe import AUTHENTICODE, EfiProgram
from everest_secure.parse.cms import verify_signed_data

_CHUNK = 1024 * 1024
_TYPES = (AUTHENTICODE, 0x0EF0, 0x0EF1)
"""Types of entries of the certificate table that are signatures of EFI programs (UEFI specification 2.10, WIN_CERTIFICATE)."""
_DIGESTS = ("sha256", "sha384", "sha512")
"""What firmware computes and is not broken (UEFI specification 2.10, 32.4.1)."""


@dataclass(frozen=True, slots=True)
class EfiSignature:
    """A signature that holds: over the program as it is, by the key of its signer. Whether the signer is trusted is not said."""

    signer: x509.Certificate
    certificates: tuple[x509.Certificate, ...]
    """All certificates that came along."""


class _IndirectData(core.Sequence):  # type: ignore[misc]  # asn1crypto is untyped
    """SpcIndirectDataContent: what the digest of the program is in."""

    _fields = [("data", core.Any), ("message_digest", algos.DigestInfo)]  # noqa: RUF012 - how asn1crypto declares a structure


def verify_program(blob: Blob, program: EfiProgram) -> tuple[list[EfiSignature], list[str]]:
    """Return the signatures of an EFI program that hold, and of each other one why it does not, as a sentence."""
    held: list[EfiSignature] = []
    faults: list[str] = []
    if program.certificates and program.table_offset + -(-program.table_size // 8) * 8 < blob.size:
        return [], ["something lies behind its certificate table, which firmware does not expect there"]
    if any(certificate.type not in _TYPES for certificate in program.certificates):
        return [], ["its certificate table, which no signature covers, holds something else than certificates"]
    for certificate in program.certificates:
        if certificate.type != AUTHENTICODE:
            continue
        try:
            held.append(_verified(blob, program, certificate.data))
        except ArtefactError as error:
            faults.append(str(error))
    return held, faults


def _verified(blob: Blob, program: EfiProgram, data: bytes) -> EfiSignature:
    signed = verify_signed_data(_without_padding(data), blob.name)
    try:
        content = _IndirectData.load(parser.emit(0, 1, 16, signed.content or b""), strict=True)["message_digest"]
        algorithm, digest = str(content["digest_algorithm"]["algorithm"].native), bytes(content["digest"].native)
    except (ValueError, TypeError, KeyError):
        raise ArtefactError(f"the signature of {blob.name} holds no digest of a program; sign it again") from None
    if algorithm not in _DIGESTS:
        raise ArtefactError(f"{blob.name} is signed by its digest {algorithm.upper()}; sign it with SHA-256")
    if not hmac.compare_digest(digest, program_digest(blob, program, algorithm)):
        raise ArtefactError(f"{blob.name} was altered after it was signed: its digest is another; sign it again")
    return EfiSignature(signed.signatures[0].signer, signed.certificates)


def _without_padding(data: bytes) -> bytes:
    """Return the DER in a certificate entry, which is filled up to a multiple of 8 bytes."""
    try:
        _, _, _, header, content, trailer = parser.parse(data)
    except ValueError:
        return data
    size = len(header) + len(content) + len(trailer)
    return data[:size] if not data[size:].strip(b"\0") else data


def program_digest(blob: Blob, program: EfiProgram, algorithm: str) -> bytes:
    """Return the digest that Authenticode signs: headers without check sum and certificate table, sections by position, what lies behind them.

    Raises ArtefactError when the sections overlap or reach beyond the end.
    """
    made = hashlib.new(algorithm)
    for start, end in list(_hashed(blob, program)):
        for at in range(start, end, _CHUNK):
            made.update(blob.read(at, min(_CHUNK, end - at)))
    return made.digest()


def _hashed(blob: Blob, program: EfiProgram) -> Iterator[tuple[int, int]]:
    yield 0, program.checksum_offset
    yield program.checksum_offset + 4, program.directory_offset
    yield program.directory_offset + 8, program.headers_size
    done = program.headers_size
    for section in sorted(program.sections, key=lambda section: section.raw_offset):
        if section.raw_size:
            yield section.raw_offset, section.raw_offset + section.raw_size
            done += section.raw_size
    if done > blob.size - program.table_size:
        raise ArtefactError(f"{blob.name} has sections that overlap; build it again")
    yield done, blob.size - program.table_size
