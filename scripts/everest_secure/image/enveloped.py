"""CMS EnvelopedData (RFC 5652, section 6) for recipients with RSA or elliptic curves: what RAUC wraps the signed manifest of a crypt bundle in."""

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from everest_secure.errors import ArtefactError, UserError

if TYPE_CHECKING:
    from asn1crypto.cms import RecipientInfo

DecryptionKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_MAX_KEY_FILE = 64 * 1024
_MAX_RECIPIENTS = 1000
_KEY_SIZES = {"aes128_cbc": 16, "aes192_cbc": 24, "aes256_cbc": 32}


def load_decryption_key(path: Path) -> DecryptionKey:
    """Read a recipient's private key, PEM and not encrypted; raises UserError when it cannot be used or when others may read it."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UserError(f"{path} can be read by others than its owner; chmod 600 it, and think about whether it is still secret")
        with path.open("rb") as file:
            key = load_pem_private_key(file.read(_MAX_KEY_FILE), password=None)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; name the recipient's private key") from None
    except (ValueError, TypeError):
        raise UserError(f"{path} is no private key in PEM without a passphrase; name the recipient's key, decrypted for this run") from None
    if not isinstance(key, DecryptionKey):
        raise UserError(f"{path} is neither a key of RSA nor of an elliptic curve (ECDSA); name the key of a recipient that has one")
    return key


def decrypt(der: bytes, key: DecryptionKey, where: str) -> bytes:
    """Return the content of a DER EnvelopedData; raises ArtefactError when it is none, or when the key is none of its recipients'."""
    from asn1crypto.cms import ContentInfo

    try:
        info = ContentInfo.load(der, strict=True)
        if info["content_type"].native != "enveloped_data":
            raise ValueError
        recipients = list(info["content"]["recipient_infos"])[:_MAX_RECIPIENTS]
        content = info["content"]["encrypted_content_info"]
        algorithm = content["content_encryption_algorithm"]
        size = _KEY_SIZES[algorithm["algorithm"].native]
        iv, encrypted = bytes(algorithm["parameters"].native), bytes(content["encrypted_content"].native)
        candidates = list(_keys(recipients, key))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise ArtefactError(
            f"{where} is encrypted in a way that cannot be read; encrypt it with rauc, for recipients with keys of RSA or an elliptic curve"
        ) from None
    for candidate in candidates:
        found = _decrypted(encrypted, candidate, iv) if len(candidate) == size else None
        if found is not None:
            return found
    raise ArtefactError(f"{where} is not encrypted for the key that was given; give the key of one of its {len(recipients)} recipients")


def _keys(recipients: "Sequence[RecipientInfo]", key: DecryptionKey) -> Iterator[bytes]:
    """Yield what could be the content's key: a wrong key of RSA does not fail, it gives other bytes (implicit rejection)."""
    for each in recipients:
        if each.name == "ktri" and isinstance(key, rsa.RSAPrivateKey):
            try:
                yield key.decrypt(bytes(each.chosen["encrypted_key"].native), padding.PKCS1v15())
            except ValueError:
                continue
        elif each.name == "kari" and isinstance(key, ec.EllipticCurvePrivateKey):
            from everest_secure.image.agreement import agreed_keys

            yield from agreed_keys(each.chosen, key)


def _decrypted(content: bytes, key: bytes, iv: bytes) -> bytes | None:
    """Return the content when key and padding are right and it is a SEQUENCE, as any CMS is."""
    try:
        decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        unpadder = PKCS7(128).unpadder()
        found = unpadder.update(decryptor.update(content) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        return None
    return found if found[:1] == b"\x30" else None
