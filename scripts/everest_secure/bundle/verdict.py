"""What a verifier says of a bundle: accepted, or refused for reasons that have names."""

from dataclasses import dataclass
from enum import StrEnum

from everest_secure.image.manifest import Manifest
from everest_secure.image.raucb import Envelope


class Why(StrEnum):
    """Why a bundle is refused, in a word for programs."""

    LAYOUT = "layout"
    """It does not end with a signature and its length, or the payload has an impossible size."""
    SIGNATURE = "signature"
    """The CMS cannot be read, or does not verify over the manifest and its signed attributes."""
    UNTRUSTED = "untrusted"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    AUTHORITY = "authority"
    CONSTRAINT = "constraint"
    """A certificate of the chain has a critical extension that is not understood, or a name that an authority does not allow."""
    PURPOSE = "purpose"
    REVOKED = "revoked"
    REVOCATION_LIST = "revocation-list"
    """A list that the device asks for is missing or has ended."""
    FORMAT = "format"
    MANIFEST = "manifest"
    PAYLOAD = "payload"
    """A block of the payload does not have the digest that the signed root hash gives it."""
    IMAGE = "image"
    """An image inside does not have the digest or size of the manifest."""
    ENCODING = "encoding"
    """The CMS verifies, and has bytes that nobody signed and that are not as RFC 5652 wants them."""
    SIGNER = "signer"
    """The signer is an authority."""
    WEAK_DIGEST = "weak-digest"
    WEAK_KEY = "weak-key"
    COMPATIBLE = "compatible"
    DOWNGRADE = "downgrade"
    COMPONENT = "component"
    """The policy wants an image for a component, and there is none."""
    UNENCRYPTED = "unencrypted"


SIGNATURE_STAGE = frozenset(
    {
        Why.LAYOUT,
        Why.SIGNATURE,
        Why.UNTRUSTED,
        Why.EXPIRED,
        Why.NOT_YET_VALID,
        Why.AUTHORITY,
        Why.CONSTRAINT,
        Why.PURPOSE,
        Why.REVOKED,
        Why.REVOCATION_LIST,
        Why.FORMAT,
    }
)
"""What `rauc info` decides, too."""
PAYLOAD_STAGE = frozenset({Why.MANIFEST, Why.PAYLOAD})
"""What RAUC decides when it reads the payload: `rauc extract`, or a device while it writes."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason to refuse a bundle."""

    why: Why
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

    def refused_for(self, stage: frozenset[Why]) -> bool:
        """Whether one of these reasons was found."""
        return any(reason.why in stage for reason in self.reasons)
