"""SHA-256 of a bundle, for the release log."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.bundle.contents import chunks
from everest_secure.bundle.errors import BundleError
from everest_secure.image import blob, raucb

if TYPE_CHECKING:
    from hashlib import _Hash


@dataclass(frozen=True, slots=True)
class Digest:
    """The digest of a bundle's payload, which is read once for all signatures it may have."""

    payload: "_Hash"
    tail: bytes
    """The signature and its length, with which the file ends."""

    @property
    def of_file(self) -> str:
        """SHA-256 of the bundle in hexadecimal."""
        return self.with_tail(self.tail)

    def with_tail(self, tail: bytes) -> str:
        """Return that of a bundle with the same payload and another signature."""
        digest = self.payload.copy()
        digest.update(tail)
        return digest.hexdigest()


def tail_of(envelope: raucb.Envelope) -> bytes:
    """Return what follows the payload of a bundle."""
    return envelope.cms + len(envelope.cms).to_bytes(8, "big")


def digest_of(bundle: Path) -> Digest:
    """Read a bundle; raises BundleError when it ends with no signature, and ArtefactError when it cannot be read."""
    envelope = raucb.split_bundle(blob.from_file(bundle))
    if envelope is None:
        raise BundleError(f"{bundle} does not end with a signature and its length; build or fetch it again")
    digest = hashlib.sha256()
    for chunk in chunks(envelope.payload):
        digest.update(chunk)
    return Digest(digest, tail_of(envelope))
