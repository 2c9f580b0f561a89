"""What is to be staged: files of roots, chains and keys, read within bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from everest_secure.errors import ArtefactError, UserError
from everest_secure.parse.certificates import Certificates, parse_certificates
from everest_secure.parse.requests import load_request
from everest_secure.pki.files import read_bounded

KINDS = ("v2g", "csms", "mf", "mo")
"""Authorities: of vehicles' contracts and chargers, of the CSMS, of firmware, of mobility operators."""


class StageError(UserError):
    """A store cannot be staged from what was given."""


@dataclass(frozen=True, slots=True)
class Given:
    """A file as it was when it was read, once, so that what is checked is what is written."""

    name: str
    content: bytes
    """May be empty."""


@dataclass(frozen=True, slots=True)
class OfferedLeaf:
    """A chain that the charger shows, and what tells that it has the key of it."""

    chain: Given
    key: Given | None = None
    """Its private key, which becomes part of the store."""
    request: Given | None = None
    """The request that it was issued for, when the key never leaves the charger."""


@dataclass(frozen=True, slots=True)
class Offer:
    """All that is to be in a store."""

    roots: Mapping[str, tuple[Given, ...]]
    """Files by the kind of authority, a word of KINDS."""
    csms: OfferedLeaf | None = None
    secc: OfferedLeaf | None = None
    layout: bytes | None = None
    """EVerest's configuration, which says where in the store all of it lies; None for EVerest's defaults."""

    @property
    def leaves(self) -> tuple[OfferedLeaf, ...]:
        """The chains."""
        return tuple(leaf for leaf in (self.csms, self.secc) if leaf)

    @property
    def files(self) -> tuple[Given, ...]:
        """Every file that was given."""
        of_leaves = (file for leaf in self.leaves for file in (leaf.chain, leaf.key, leaf.request) if file)
        return (*(file for files in self.roots.values() for file in files), *of_leaves)


@dataclass(frozen=True, slots=True)
class Pieces:
    """The certificates of offered files."""

    certificates: Certificates | None
    """None when a certificate cannot be read."""
    content: bytes
    """As it goes into the store: PEM without anything between; the content as it was when it cannot be read, so that the store's checks say so."""


def given(path: Path) -> Given:
    """Read a small regular file, which may be empty: the checks of a store say so. Raises StageError."""
    return Given(str(path), read_bounded(path, error=StageError, may_be_empty=True))


def certificates_of(*files: Given) -> Pieces:
    """Return what lies in files of certificates, each certificate once."""
    found: dict[bytes, x509.Certificate] = {}
    for file in files:
        try:
            parsed = parse_certificates(file.content, file.name)
        except ArtefactError:
            return Pieces(None, file.content)
        found.update((each.public_bytes(Encoding.PEM), each) for each in parsed)
    return Pieces(tuple(found.values()), b"".join(found))


def request_of(file: Given) -> x509.CertificateSigningRequest:
    """Return a certificate signing request in PEM or DER. Raises StageError when it cannot be read or its own key did not sign it."""
    try:
        request = load_request(file.content)
        signed, _ = request.is_signature_valid, request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise StageError(f"{file.name} is no certificate signing request that can be read; name a PKCS#10 file") from None
    if not signed:
        raise StageError(f"{file.name} is not signed by the key in it, so that nobody has shown to hold that key; ask for another")
    return request
