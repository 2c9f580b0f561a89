"""Private keys on PKCS#11 tokens, as `cryptography` uses keys of its own.

A signature is made by the token and verified at once with its public key, so that a wrong key or a broken token never ends in a certificate.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding, PKCS1v15
from cryptography.utils import Buffer
from pkcs11 import Mechanism

from everest_secure.pki.errors import PkiError
from everest_secure.pki.uri import TokenUri

_RSA = {"sha256": Mechanism.SHA256_RSA_PKCS, "sha384": Mechanism.SHA384_RSA_PKCS, "sha512": Mechanism.SHA512_RSA_PKCS}


class Signer(Protocol):
    """The private half, as the library of PKCS#11 gives it."""

    def sign(self, data: bytes, *, mechanism: Mechanism) -> bytes:
        """Return a signature over data by one of the standard's mechanisms."""
        ...


class _OnToken:
    """What a private key on a token cannot do: leave it, or do anything but sign."""

    def private_numbers(self) -> object:
        raise PkiError("a private key on a token never leaves it; use the token")

    def private_bytes(self, *_: object) -> bytes:
        raise PkiError("a private key on a token never leaves it; use the token")

    def decrypt(self, *_: object) -> bytes:
        raise PkiError("this key signs and does nothing else; use a key that is meant for it")

    exchange = decrypt


class TokenRsaKey(_OnToken, rsa.RSAPrivateKey):  # type: ignore[misc]  # the answers of _OnToken are errors whatever they are asked
    """An RSA key on a token."""

    def __init__(self, handle: Signer, public: rsa.RSAPublicKey) -> None:
        self._handle, self._public = handle, public

    @property
    def key_size(self) -> int:
        """Bits of the modulus."""
        return self._public.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """Return the public half."""
        return self._public

    def sign(
        self, data: Buffer, padding: AsymmetricPadding, algorithm: utils.Prehashed | hashes.HashAlgorithm | utils.NoDigestInfo
    ) -> bytes:
        """Sign with PKCS #1 v1.5, which certificates, lists and RAUC's bundles use; raises PkiError."""
        if not isinstance(padding, PKCS1v15) or not isinstance(algorithm, hashes.HashAlgorithm):
            raise PkiError("a token key signs with PKCS #1 v1.5 over whole data; use a key in a file for anything else")
        content = bytes(data)
        with sentences():
            signature = bytes(self._handle.sign(content, mechanism=_RSA[algorithm.name]))
        return _proven(signature, lambda: self._public.verify(signature, content, padding, algorithm))

    def __copy__(self) -> "TokenRsaKey":
        return self

    def __deepcopy__(self, memo: object) -> "TokenRsaKey":
        return self


class TokenEcKey(_OnToken, ec.EllipticCurvePrivateKey):  # type: ignore[misc]  # as above
    """An ECDSA key on a token."""

    def __init__(self, handle: Signer, public: ec.EllipticCurvePublicKey) -> None:
        self._handle, self._public = handle, public

    @property
    def curve(self) -> ec.EllipticCurve:
        """The named curve."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """Bits of the curve."""
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public half."""
        return self._public

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Sign a digest made here, because every token knows CKM_ECDSA and few the mechanisms that hash; raises PkiError."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, utils.Prehashed):
            raise PkiError("a token key signs whole data; use a key in a file for anything else")
        digest = hashes.Hash(algorithm)
        digest.update(data)
        with sentences():
            raw = bytes(self._handle.sign(digest.finalize(), mechanism=Mechanism.ECDSA))
        half = len(raw) // 2
        signature = utils.encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
        return _proven(signature, lambda: self._public.verify(signature, data, signature_algorithm))

    def __copy__(self) -> "TokenEcKey":
        return self

    def __deepcopy__(self, memo: object) -> "TokenEcKey":
        return self


def _proven(signature: bytes, verify: Callable[[], None]) -> bytes:
    try:
        verify()
    except InvalidSignature:
        raise PkiError(
            "what the token signed does not verify with the public key; check that the URI names the key that belongs to the certificate"
        ) from None
    return signature


@contextmanager
def sentences(uri: TokenUri | None = None) -> Iterator[None]:
    """Turn what a token answers into one sentence."""
    try:
        yield
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        where = f" of '{uri}'" if uri else ""
        raise PkiError(f"the token{where} did not do what it was asked: {answer(error)}; look at it with its maker's tool") from None


def answer(error: Exception) -> str:
    """Name the answer of a token: the class is called after the standard's return code (CKR_DEVICE_REMOVED)."""
    return " ".join(part for part in (type(error).__name__, str(error)) if part)
