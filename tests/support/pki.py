"""PKIs made at test time: the shipped profiles with keys that take milliseconds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from everest_secure.pki import certificates, keys, profile, store
from everest_secure.pki.access import Access
from everest_secure.pki.certificates import Issuer
from everest_secure.pki.files import KEY_MODE, write_new
from everest_secure.pki.keys import KeyType
from everest_secure.pki.profile import CertificateSpec, Profile, Usage
from everest_secure.pki.store import Store
from everest_secure.pki.token import Tokens
from everest_secure.run import Argument, HostTools, attempt
from support.softhsm import MODULE, PIN

PASSPHRASE = "correct horse battery"
LONG_AGO = timedelta(days=4000)
"""Longer than any certificate of the development profile lives."""


def now() -> datetime:
    return datetime.now(UTC)


def small(name: str = "development", *, key: KeyType = KeyType.ECDSA_P256) -> Profile:
    """Return a shipped profile with keys of another type."""
    shipped = profile.load(name)
    return replace(shipped, certificates=tuple(replace(spec, key=key) for spec in shipped.certificates))


def for_firmware() -> Profile:
    """Return the development profile with small keys that edk2 understands where it has to: RSA alone."""
    chosen = small()
    boot = {Usage.SECURE_BOOT_AUTHORITY, Usage.SECURE_BOOT_SIGNING}
    return replace(
        chosen, certificates=tuple(replace(spec, key=KeyType.RSA_2048) if spec.usage in boot else spec for spec in chosen.certificates)
    )


def make(directory: Path, *, chosen: Profile | None = None, at: datetime | None = None, passphrase: str | None = None) -> Store:
    """Make a PKI as `everest-secure pki init` does."""
    return store.create(directory, profile=chosen or small(), tools=HostTools(), now=at or now(), passphrase=passphrase)


def access(*, passphrase: str = PASSPHRASE, tokens: Tokens | None = None, **elsewhere: str) -> Access:
    """Reach keys as a command does that is told one passphrase, one PIN, and where keys are that are not in the directory."""
    return Access(HostTools(), tokens or Tokens(lambda _: PIN, MODULE), lambda _purpose, _new: passphrase, elsewhere)


def verify(pki: Store, name: str, *, keyring: Path, crl: bool = False, purpose: str = "any", chain: Path | None = None) -> str:
    """Ask OpenSSL for its judgement of a certificate: empty when it accepts, else the reason."""
    authorities = chain or pki.chain(name)
    offered: list[Argument] = ["-untrusted", authorities] if authorities.is_file() else []
    lists: list[Argument] = ["-crl_check_all"] if crl else []
    argv: list[Argument] = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", keyring, *offered, *lists]
    done = attempt([*argv, pki.certificate(name)])
    said = (done.errors + done.output).decode()
    assert (done.code == 0) == (": OK" in said)
    reasons = [line.partition("lookup: ")[2] for line in said.splitlines() if "lookup: " in line]
    return "" if done.code == 0 else reasons[0]


def issuer(pki: Store, name: str) -> Issuer:
    """Return an authority of a PKI, ready to sign."""
    return Issuer(certificates.load_one(pki.certificate(name)), keys.load(pki.key(name)))


def add_signer(pki: Store, name: str, *, at: datetime | None = None, key: KeyType = KeyType.ECDSA_P256, days: int = 30) -> None:
    """Let the intermediate issue one more bundle signer."""
    spec = CertificateSpec(name, f"Signer {name}", Usage.BUNDLE_SIGNING, key, days)
    made = keys.generate(key)
    certificate = certificates.issue(spec, profile=small(), key=made, issuer=issuer(pki, "intermediate"), now=at or now())
    _write(pki, name, made, certificate)


def add_odd_signer(
    pki: Store, name: str, *, purposes: list[ObjectIdentifier], digital_signature: bool = True, authority: bool = False
) -> None:
    """Let the intermediate issue a certificate that no profile would: other purposes, other key usage."""
    made = keys.generate(KeyType.ECDSA_P256)
    above = issuer(pki, "intermediate")
    usage = x509.KeyUsage(digital_signature, not digital_signature, False, False, False, authority, False, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificates.name(f"Odd {name}", organization="Test"))
        .issuer_name(above.certificate.subject)
        .public_key(made.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key()), critical=False)
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    _write(pki, name, made, builder.sign(above.key, keys.signature_hash(above.key)))


def _write(pki: Store, name: str, key: keys.PrivateKey, certificate: x509.Certificate) -> None:
    write_new(pki.key(name), keys.to_pem(key), mode=KEY_MODE)
    write_new(pki.certificate(name), certificates.to_pem(certificate), mode=0o644)
