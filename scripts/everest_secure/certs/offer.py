"""What is to be staged: files of roots, chains and keys, read within bounds."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from everest_secure.errors import ArtefactError, UserError
from everest_secure.parse.certificates import Certificates, parse_certificates

KINDS = ("v2g", "csms", "mf", "mo")
"""Authorities: of vehicles' contracts and chargers, of the CSMS, of firmware, of mobility operators."""
MAX_BYTES = 1024 * 1024
"""Bytes of an offered file: hundreds of certificates."""


class StageError(UserError):
    """A store cannot be staged from what was given."""


@dataclass(frozen=True, slots=True)
class OfferedLeaf:
    """A chain that the charger shows, and what tells that it has the key of it."""

    chain: Path
    key: Path | None = None
    """Its private key, which becomes part of the store."""
    request: Path | None = None
    """The request that it was issued for, when the key never leaves the charger."""


@dataclass(frozen=True, slots=True)
class Offer:
    """All that is to be in a store."""

    roots: Mapping[str, tuple[Path, ...]]
    """Files by the kind of authority, a word of KINDS."""
    csms: OfferedLeaf | None = None
    secc: OfferedLeaf | None = None
    layout: bytes | None = None
    """EVerest's configuration, which says where in the store all of it lies; None for EVerest's defaults."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is named."""
        leaves = [leaf for leaf in (self.csms, self.secc) if leaf]
        of_leaves = [path for leaf in leaves for path in (leaf.chain, leaf.key, leaf.request) if path]
        return (*(path for paths in self.roots.values() for path in paths), *of_leaves)


@dataclass(frozen=True, slots=True)
class Pieces:
    """The certificates of offered files."""

    certificates: Certificates | None
    """None when a certificate cannot be read."""
    content: bytes
    """As it goes into the store: PEM without anything between; the content as it was when it cannot be read, so that the store's checks say so."""


def read(path: Path) -> bytes:
    """Return the content of a small regular file, which may be empty. Raises StageError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StageError(f"{path} is no regular file; name a file in PEM or DER")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StageError(f"{path} cannot be read: {error.strerror}; check its name and permissions") from None
    if len(content) > MAX_BYTES:
        raise StageError(f"{path} has more than {MAX_BYTES} bytes and holds no certificates of a charger; name another file")
    return content


def certificates_of(*paths: Path) -> Pieces:
    """Return what lies in files of certificates, each certificate once. Raises StageError for a file that cannot be read at all."""
    found: dict[bytes, x509.Certificate] = {}
    for path in paths:
        content = read(path)
        try:
            parsed = parse_certificates(content, str(path))
        except ArtefactError:
            return Pieces(None, content)
        found.update((each.public_bytes(Encoding.PEM), each) for each in parsed)
    return Pieces(tuple(found.values()), b"".join(found))


def request_of(path: Path) -> x509.CertificateSigningRequest:
    """Return a certificate signing request in PEM or DER. Raises StageError when it cannot be read or its own key did not sign it."""
    content = read(path)
    try:
        request = (x509.load_der_x509_csr if content[:1] == b"\x30" else x509.load_pem_x509_csr)(content)
        signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise StageError(f"{path} is no certificate signing request that can be read; name a PKCS#10 file") from None
    if not signed:
        raise StageError(f"{path} is not signed by the key in it, so that nobody has shown to hold that key; ask for another")
    return request
