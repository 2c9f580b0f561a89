"""What a verifier says of a bundle: accepted, or refused for reasons that have names."""

from dataclasses import dataclass
from enum import StrEnum

from everest_secure.image.manifest import Manifest
from everest_secure.image.raucb import Envelope
from everest_secure.parse.chain import FaultKind


class Why(StrEnum):
    """Why a bundle is refused, in a word for programs; what is wrong with its signer's chain has the words of FaultKind."""

    LAYOUT = "layout"
    """It does not end with a signature and its length, or the payload has an impossible size."""
    SIGNATURE = "signature"
    """The CMS cannot be read, or does not verify over the manifest and its signed attributes."""
    REVOKED = "revoked"
    FORMAT = "format"
    MANIFEST = "manifest"
    PAYLOAD = "payload"
    """A block of the payload does not have the digest that the signed root hash gives it."""
    IMAGE = "image"
    """An image inside does not have the digest or size of the manifest."""
    ENCODING = "encoding"
    """The CMS verifies, and has bytes that nobody signed and that are not as RFC 5652 wants them."""
    COMPATIBLE = "compatible"
    DOWNGRADE = "downgrade"
    COMPONENT = "component"
    """The policy wants an image for a component and there is none, or there is one for a component that the device does not have or cannot write."""
    UNENCRYPTED = "unencrypted"
    NEWER = "newer-rauc"
    """By a rule that RAUC has from 1.13 or 1.15 on, as chargers do; an older one of a build host may take it."""


Word = Why | FaultKind
OURS_ALONE = frozenset({FaultKind.SIGNER, FaultKind.WEAK_DIGEST, FaultKind.WEAK_KEY})
"""What of a chain RAUC does not ask."""
SIGNATURE_STAGE: frozenset[Word] = frozenset({Why.LAYOUT, Why.SIGNATURE, Why.REVOKED, Why.FORMAT, *FaultKind}) - OURS_ALONE
"""What `rauc info` decides, too."""
PAYLOAD_STAGE: frozenset[Word] = frozenset({Why.MANIFEST, Why.PAYLOAD})
"""What RAUC decides when it reads the payload: `rauc extract`, or a device while it writes."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason to refuse a bundle."""

    why: Word
    what: str
    """Says it in words, without a full stop."""
    remedy: str
    """What to do about it, beginning with a small letter."""

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the independent verifier says."""

    reasons: tuple[Reason, ...]
    """Empty when the bundle is accepted."""
    envelope: Envelope | None = None
    """The bundle's parts; None when it cannot be taken apart."""
    manifest: Manifest | None = None
    """What was signed; None when no signature holds."""
    content: bytes = b""
    """The manifest byte by byte, as it was signed."""
    cms: bytes = b""
    """The SignedData, decrypted for a crypt bundle."""

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against the bundle."""
        return not self.reasons

    def refused_for(self, stage: frozenset[Word]) -> bool:
        """Whether one of these reasons was found."""
        return any(reason.why in stage for reason in self.reasons)
