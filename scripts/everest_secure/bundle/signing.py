"""Who signs a bundle, and whether a device would accept that before anything is built."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from everest_secure.bundle.errors import BundleError
from everest_secure.parse.chain import Chain, build_chain, chain_faults, code_signing_faults, key_faults
from everest_secure.pki import certificates, keys

MIN_RSA_BITS = 4096
"""Least size of every RSA key in the chain (RAUC-03)."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A bundle signer's files."""

    key: Path
    """Private key, PEM."""
    certificate: Path
    """Its certificate alone, PEM."""
    intermediates: tuple[Path, ...] = ()
    """PEM files of the authorities between it and the root, which travel in the bundle; each may hold several."""
    passphrase: str | None = None
    """Of the key, when it is encrypted."""

    def __repr__(self) -> str:
        """Name the files and never the passphrase."""
        return f"Signer(key={self.key}, certificate={self.certificate})"


def preflight(signer: Signer, *, keyring: Path, now: datetime, min_rsa_bits: int = MIN_RSA_BITS) -> tuple[x509.Certificate, ...]:
    """Return the intermediates to send along, in the order of the chain.

    Raises BundleError when the key is not the certificate's, the chain does not end in `keyring`, or it may not sign bundles at `now`
    (purpose, dates, key sizes, digests, authorities), and PkiError when a file cannot be used.
    """
    leaf = certificates.load_one(signer.certificate)
    offered = [certificate for path in signer.intermediates for certificate in certificates.load_all(path)]
    chain = build_chain(leaf, intermediates=offered, anchors=certificates.load_all(keyring))
    require_bundle_signing(chain, now=now, min_rsa_bits=min_rsa_bits)
    _require_key(signer, leaf)
    return chain.certificates[1:-1]


def require_bundle_signing(chain: Chain, *, now: datetime, min_rsa_bits: int) -> None:
    """Raise BundleError with the first reason for which a device would not accept what the leaf signs at `now`."""
    for fault in (*chain_faults(chain, at=now), *code_signing_faults(chain), *key_faults(chain, rsa_bits=min_rsa_bits)):
        raise BundleError(f"the certificate chain of the signer is refused: {fault.what}; {fault.remedy}")


def _require_key(signer: Signer, leaf: x509.Certificate) -> None:
    if keys.load(signer.key, passphrase=signer.passphrase).public_key() != leaf.public_key():
        raise BundleError(f"the key {signer.key} does not belong to the certificate {signer.certificate}; give the two that do")
