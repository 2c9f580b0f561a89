"""Who signs a bundle, and whether a device would accept that before anything is built."""

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509

from everest_secure.bundle import rauc
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.rauc import SigningKey
from everest_secure.parse.certificates import subject
from everest_secure.parse.chain import Chain, build_chain, chain_faults, code_signing_faults, key_faults
from everest_secure.parse.revocation import is_revoked, list_faults, parse_revocation_lists
from everest_secure.pki import certificates, keys
from everest_secure.pki.files import read_bounded
from everest_secure.pki.keys import PrivateKey
from everest_secure.pki.token import Tokens
from everest_secure.pki.uri import TokenUri

MIN_RSA_BITS = 4096
"""Least size of every RSA key in the chain (RAUC-03)."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs bundles: where its key and certificates are."""

    key: Path | TokenUri
    """Private key: a PEM file, or a key on a token."""
    certificate: Path
    """Its certificate alone, PEM."""
    intermediates: tuple[Path, ...] = ()
    """PEM files of the authorities between it and the root, which travel in the bundle; each may hold several."""
    passphrase: str | None = None
    """Of the key file, when it is encrypted."""
    tokens: Tokens | None = None
    """How the token is reached, when the key is on one."""

    def __repr__(self) -> str:
        """Name the places and never the passphrase."""
        return f"Signer(key={self.key}, certificate={self.certificate})"


@dataclass(frozen=True, slots=True)
class Ready:
    """A signer whom devices would accept, with its key at hand."""

    certificate: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    """To send along: all that were offered, as a device with another keyring may need one that this keyring does without (a cross-signed root)."""
    key: PrivateKey


def preflight(signer: Signer, *, keyring: Path, now: datetime, min_rsa_bits: int = MIN_RSA_BITS, check_crl: bool = False) -> Ready:
    """Return the signer ready to sign.

    Raises BundleError when the key is not the certificate's, the chain does not end in `keyring`, or it may not sign bundles at `now`
    (purpose, dates, key sizes, digests, authorities; with `check_crl` a list of each authority), and PkiError when a file or token cannot be used.
    """
    leaf = certificates.load_one(signer.certificate)
    offered = [certificate for path in signer.intermediates for certificate in certificates.load_all(path)]
    chain = build_chain(leaf, intermediates=offered, anchors=certificates.load_all(keyring))
    require_bundle_signing(chain, now=now, min_rsa_bits=min_rsa_bits)
    _require_not_revoked(chain, keyring, now=now, check_crl=check_crl)
    return Ready(leaf, tuple(dict.fromkeys(each for each in offered if each != leaf)), _key(signer, leaf))


def _require_not_revoked(chain: Chain, keyring: Path, *, now: datetime, check_crl: bool) -> None:
    lists = parse_revocation_lists(read_bounded(keyring), str(keyring))
    for certificate, issuer in pairwise(chain.certificates):
        if is_revoked(certificate, issuer, lists):
            raise BundleError(f"the certificate chain of the signer is refused: '{subject(certificate)}' is revoked; use another signer")
    for authority in chain.certificates[1:] if check_crl else ():
        for fault in list_faults(authority, lists, at=now, days=0):
            raise BundleError(f"the certificate chain of the signer is refused: {fault.what}; {fault.remedy}")


def require_bundle_signing(chain: Chain, *, now: datetime, min_rsa_bits: int) -> None:
    """Raise BundleError with the first reason for which a device would not accept what the leaf signs at `now`."""
    for fault in (*chain_faults(chain, at=now), *code_signing_faults(chain), *key_faults(chain, rsa_bits=min_rsa_bits)):
        raise BundleError(f"the certificate chain of the signer is refused: {fault.what}; {fault.remedy}")


def _key(signer: Signer, leaf: x509.Certificate) -> PrivateKey:
    if isinstance(signer.key, TokenUri):
        if signer.tokens is None:
            raise TypeError(signer)
        return signer.tokens.find(signer.key, public=leaf.public_key())  # a signature of another key does not pass for one of this
    key = keys.load(signer.key, passphrase=signer.passphrase)
    if key.public_key() != leaf.public_key():
        raise BundleError(f"the key {signer.key} does not belong to the certificate {signer.certificate}; give the two that do")
    return key


def for_rauc(signer: Signer) -> SigningKey:
    """Return how rauc reaches the key of a signer; a PIN or passphrase is in its environment and nowhere else."""
    if not isinstance(signer.key, TokenUri):
        return SigningKey(signer.key.resolve(), {} if signer.passphrase is None else {rauc.PASSPHRASE_VARIABLE: signer.passphrase})
    if signer.tokens is None:
        raise TypeError(signer)
    module = signer.key.module_path or signer.tokens.module
    environment = {rauc.PIN_VARIABLE: signer.tokens.read_pin(signer.key.token or ""), rauc.MODULE_VARIABLE: str(module)}
    return SigningKey(str(replace(signer.key, module_path=None)), environment)
