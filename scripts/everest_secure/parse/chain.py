"""Chains of certificates: built from a leaf to a trust anchor, and judged. The one list of rules, for those who sign and those who check.

Rules: RFC 5280 section 6.1 (signatures, validity, authority, path length); no digest that is broken or as short as SHA-224; RAUC's purpose
`codesign-rauc`, of which `codesign` is another name since RAUC 1.11.1 (its reference, section keyring).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_secure.errors import ArtefactError
from everest_secure.parse.certificates import Certificates, extension, is_authority, is_root, issued_by, key_bits, subject, weak_digest
from everest_secure.parse.constraints import unknown_critical
from everest_secure.parse.name_constraints import name_faults

MAX_LENGTH = 10
"""Certificates of a chain."""
MAX_OFFERED = 1000
"""Certificates that a chain is built from."""
EC_BITS = {4096: 256, 7680: 384}
"""Least elliptic curve for RSA up to a size (NIST SP 800-57 part 1, table 2; 4096 lies between two of its rows), for longer keys P-521."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A leaf up to its root or as far as issuers were found."""

    certificates: Certificates
    """Leaf first."""
    anchored: bool
    """Whether the last one is a trust anchor."""


class FaultKind(StrEnum):
    """What is wrong with a chain, in a word for programs."""

    UNTRUSTED = "untrusted"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    AUTHORITY = "authority"
    CONSTRAINT = "constraint"
    """A critical extension that is not understood, or a name that an authority does not allow."""
    PURPOSE = "purpose"
    SIGNER = "signer"
    """An authority that signs itself, which RAUC allows."""
    REVOCATION_LIST = "revocation-list"
    WEAK_DIGEST = "weak-digest"
    WEAK_KEY = "weak-key"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a chain, or a revocation list for it, is not accepted."""

    kind: FaultKind
    what: str
    remedy: str
    """What to do about it, beginning with a small letter."""


def build_chain(
    leaf: x509.Certificate, *, intermediates: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], partial: bool = False
) -> Chain:
    """Follow issuers from the leaf to an anchor; signatures are verified at every step.

    The anchor is a root; with `partial` it may be any certificate, as for firmware. Raises ArtefactError when more certificates are offered than any chain needs.
    """
    if len(intermediates) + len(anchors) > MAX_OFFERED:
        raise ArtefactError(f"more than {MAX_OFFERED} certificates were given to build a chain from; give only those that belong to it")
    chain = [leaf]
    while chain[-1] not in anchors or not (partial or is_root(chain[-1])):
        issuer = _issuer(chain, anchors) or _issuer(chain, intermediates)
        if issuer is None or len(chain) == MAX_LENGTH:
            return Chain(tuple(chain), anchored=False)
        chain.append(issuer)
    return Chain(tuple(chain), anchored=True)


def _issuer(chain: Sequence[x509.Certificate], offered: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """Return who issued the last of a chain: of two with the same name and key the one that lasts longer, as OpenSSL prefers one not expired."""
    found = (each for each in offered if each not in chain and issued_by(chain[-1], each))
    return max(found, key=lambda each: each.not_valid_after_utc, default=None)


def chain_faults(chain: Chain, *, at: datetime) -> Iterator[Fault]:
    """Yield what is wrong with a chain at a time with a zone: weak digests, missing anchor, validity, authority, path length, constraints."""
    for certificate in chain.certificates[:-1] if chain.anchored else chain.certificates:
        digest = weak_digest(certificate)
        if digest:
            yield Fault(FaultKind.WEAK_DIGEST, f"'{subject(certificate)}' is signed with {digest}", "issue it again with SHA-256")
    if not chain.anchored:
        last = chain.certificates[-1]
        yield Fault(
            FaultKind.UNTRUSTED,
            f"the chain ends at '{subject(last)}' without reaching a trust anchor: its issuer '{last.issuer.rfc4514_string()}' is neither in the "
            "keyring nor among the intermediates",
            "give the missing certificate or the right keyring",
        )
    for depth, certificate in enumerate(chain.certificates):
        yield from _validity_faults(certificate, at)
        if depth:
            yield from _authority_faults(certificate, below=depth - 1)
        for identifier in unknown_critical(certificate):
            unknown = f"'{subject(certificate)}' has the critical extension {identifier}, which is not understood"
            yield Fault(FaultKind.CONSTRAINT, unknown, "issue it again without")
    for what in name_faults(chain.certificates):
        yield Fault(FaultKind.CONSTRAINT, what, "issue one with a name that its authorities allow")


def _validity_faults(certificate: x509.Certificate, at: datetime) -> Iterator[Fault]:
    name = subject(certificate)
    if at < certificate.not_valid_before_utc:
        what = f"'{name}' is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on"
        yield Fault(FaultKind.NOT_YET_VALID, what, "check the clock")
    if at > certificate.not_valid_after_utc:
        yield Fault(FaultKind.EXPIRED, f"'{name}' expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC", "use a new one")


def _authority_faults(authority: x509.Certificate, *, below: int) -> Iterator[Fault]:
    """`below` is the number of authorities between this one and the leaf (RFC 5280, 4.2.1.9)."""
    name = subject(authority)
    if not is_authority(authority):
        what = f"'{name}' issued a certificate but is no authority"
        yield Fault(FaultKind.AUTHORITY, what, "check which intermediates and keyring belong together")
    constraints = extension(authority, x509.BasicConstraints)
    if constraints is not None and constraints.path_length is not None and below > constraints.path_length:
        what = f"'{name}' allows {constraints.path_length} authorities below it and the chain has {below}"
        yield Fault(FaultKind.AUTHORITY, what, "shorten the chain")


def code_signing_faults(chain: Chain) -> Iterator[Fault]:
    """Yield why RAUC's purpose `codesign` refuses the chain: purposes and key usage of the leaf, purposes of authorities that have any."""
    leaf, *authorities = chain.certificates
    name, remedy = subject(leaf), "use a bundle signer's certificate"
    if not _may_sign_code(leaf, unlimited=False):
        yield Fault(FaultKind.PURPOSE, f"'{name}' is not for code signing: its extended key usage lacks codeSigning", remedy)
    usage = extension(leaf, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        yield Fault(FaultKind.PURPOSE, f"'{name}' may not sign: its key usage lacks digitalSignature", remedy)
    if is_authority(leaf):
        yield Fault(FaultKind.SIGNER, f"'{name}' is an authority and signs no bundles itself", remedy)
    for authority in authorities:
        if not _may_sign_code(authority, unlimited=True):
            what = f"the authority '{subject(authority)}' is limited to usages without codeSigning"
            yield Fault(FaultKind.PURPOSE, what, "use another authority")


def _may_sign_code(certificate: x509.Certificate, *, unlimited: bool) -> bool:
    """Whether codeSigning is among the extended key usages; `unlimited` is the answer for a certificate that has none."""
    purposes = extension(certificate, x509.ExtendedKeyUsage)
    return unlimited if purposes is None else ExtendedKeyUsageOID.CODE_SIGNING in purposes


def key_faults(chain: Chain, *, rsa_bits: int) -> Iterator[Fault]:
    """Yield the keys that are neither RSA of at least `rsa_bits` nor on a curve as strong; a chain is as strong as its weakest key."""
    least = {"RSA": rsa_bits, "EC": next((bits for size, bits in EC_BITS.items() if rsa_bits <= size), 521)}
    for certificate in chain.certificates:
        kind, bits = key_bits(certificate)
        if kind not in least:
            what = f"the key of '{subject(certificate)}' is {kind}, neither RSA nor EC"
            yield Fault(FaultKind.WEAK_KEY, what, "use a key of one of them")
        elif bits < least[kind]:
            what = f"the {kind} key of '{subject(certificate)}' has {bits} bits, at least {least[kind]} are wanted"
            yield Fault(FaultKind.WEAK_KEY, what, "use a longer key")
