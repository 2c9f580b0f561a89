"""What a device brings along when it judges a bundle: its keyring, and the rules of its system.conf and of the policy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509

from everest_secure.bundle.signing import MIN_RSA_BITS
from everest_secure.image.enveloped import DecryptionKey, load_decryption_key
from everest_secure.keyfile import words
from everest_secure.parse.rauc_conf import RaucConfig, Slot
from everest_secure.parse.revocation import RevocationList, parse_revocation_lists
from everest_secure.pki import certificates
from everest_secure.pki.files import read_bounded

MAX_SIGNATURE = 64 * 1024
"""Bytes of the signature that RAUC accepts, unless its system.conf says otherwise (`max-bundle-signature-size`)."""
FORMATS = ("verity", "crypt")
"""Bundle formats of RAUC whose payload is verified block by block (RAUC-01)."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who can decrypt a crypt bundle."""

    key_file: Path
    key: DecryptionKey


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the field, or a policy for all of them."""

    name: str
    """What to call it in a message, such as `the keyring FILE`."""
    keyring: Path
    anchors: tuple[x509.Certificate, ...]
    revocation_lists: tuple[RevocationList, ...] = ()
    check_crl: bool = False
    """Whether lists count, and every authority of a chain must have one that is in date (`check-crl` of system.conf)."""
    formats: tuple[str, ...] = FORMATS
    compatible: str = ""
    """Empty: any."""
    least_version: str = ""
    """Bundles below this are a downgrade (`min-bundle-version`); empty: none is."""
    components: tuple[str, ...] = ()
    """Slot classes that the bundle must have an image for (RAUC-07)."""
    signers: tuple[str, ...] | None = None
    """Common names of which a signer has to have one (`allowed-signer-cns` of system.conf); None: any."""
    signature_bytes: int = MAX_SIGNATURE
    """Most bytes of a signature; one that is encrypted grows with its recipients."""
    written: frozenset[str] | None = None
    """Classes of the slots that it writes, and its repositories of artifacts; None: any."""
    slots: tuple[Slot, ...] = ()
    """Its slots, which have types; none: images of any type fit."""
    rsa_bits: int = MIN_RSA_BITS
    """Least size of keys (RAUC-03); of elliptic curves the equivalent."""
    recipient: Recipient | None = None
    accept_unencrypted: bool = False
    """Whether a crypt bundle may still wait for its recipients, as it does before it is published."""


def load_device(
    keyring: Path,
    *,
    check_crl: bool = False,
    formats: Sequence[str] = FORMATS,
    compatible: str = "",
    least_version: str = "",
    components: Sequence[str] = (),
    rsa_bits: int = MIN_RSA_BITS,
    decryption_key: Path | None = None,
) -> Device:
    """Return a device with this keyring, which checks revocation lists when it is told to or the keyring holds any.

    Raises PkiError, ArtefactError or UserError when keyring or key cannot be used.
    """
    lists = parse_revocation_lists(read_bounded(keyring), str(keyring))
    return Device(
        name=f"the keyring {keyring}",
        keyring=keyring,
        anchors=certificates.load_all(keyring),
        revocation_lists=lists,
        check_crl=check_crl or bool(lists),
        formats=tuple(formats),
        compatible=compatible,
        least_version=least_version,
        components=tuple(components),
        rsa_bits=rsa_bits,
        recipient=load_recipient(decryption_key) if decryption_key else None,
    )


def configured(device: Device, config: RaucConfig) -> Device:
    """Return a device with what its system.conf wants of a bundle."""
    signers = config.file.get("keyring", "allowed-signer-cns")
    return replace(
        device,
        check_crl=config.file.boolean("keyring", "check-crl", default=False),
        formats=tuple(form for form in FORMATS if form in config.bundle_formats),
        compatible=config.compatible,
        least_version=config.file.value("system", "min-bundle-version"),
        signers=words(signers.value) if signers else None,
        signature_bytes=config.signature_bytes or MAX_SIGNATURE,
        written=config.written if config.slots else None,
        slots=config.slots,
    )


def load_recipient(key_file: Path) -> Recipient:
    """Return who holds a private key; raises UserError when it cannot be used."""
    return Recipient(key_file, load_decryption_key(key_file))
