"""Keys on PKCS#11 tokens: made, found, and used by `cryptography` like any other key.

A signature is made by the token and verified at once with its public key, so that a wrong key or a broken token never ends in a certificate.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, cast

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.utils import Buffer
from pkcs11 import Attribute, Mechanism, MechanismFlag, ObjectClass, TokenFlag
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType, PrivateKey
from everest_secure.pki.uri import TokenUri

CURVES = {KeyType.ECDSA_P256: "secp256r1", KeyType.ECDSA_P384: "secp384r1"}
_RSA = {"sha256": Mechanism.SHA256_RSA_PKCS, "sha384": Mechanism.SHA384_RSA_PKCS, "sha512": Mechanism.SHA512_RSA_PKCS}
_PRIVATE = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}

ReadPin = Callable[[str], str]
"""Returns the PIN of the token whose label it is given; raises PkiError."""


class _Signer(Protocol):
    """The private half, as the library of PKCS#11 gives it."""

    def sign(self, data: bytes, *, mechanism: Mechanism) -> bytes: ...


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

    def __init__(self, handle: _Signer, public: rsa.RSAPublicKey) -> None:
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
        with _sentences():
            signature = bytes(self._handle.sign(content, mechanism=_RSA[algorithm.name]))
        return _proven(signature, lambda: self._public.verify(signature, content, padding, algorithm))

    def __copy__(self) -> "TokenRsaKey":
        return self

    def __deepcopy__(self, memo: object) -> "TokenRsaKey":
        return self


class TokenEcKey(_OnToken, ec.EllipticCurvePrivateKey):  # type: ignore[misc]  # as above
    """An ECDSA key on a token."""

    def __init__(self, handle: _Signer, public: ec.EllipticCurvePublicKey) -> None:
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
        with _sentences():
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


@dataclass(slots=True)
class Tokens:
    """The tokens of one command: each is opened once, when a key on it is wanted, and closed at the end."""

    read_pin: ReadPin
    module: Path | None = None
    """PKCS#11 library of tokens whose URI names none."""
    _sessions: dict[TokenUri, pkcs11.Session] = field(default_factory=dict)

    def __enter__(self) -> "Tokens":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for session in self._sessions.values():
            try:
                session.close()
            except pkcs11.PKCS11Error:
                continue  # a token that was pulled out has closed it already

    def find(self, uri: TokenUri, *, public: PublicKeyTypes | None = None) -> PrivateKey:
        """Return the key that a URI names; `public` is its public half where that is known, as from its certificate.

        Raises PkiError when there is no such token or key, more than one, or the PIN is refused.
        """
        session = self._session(uri)
        with _sentences(uri):
            handle = _only(session, uri, ObjectClass.PRIVATE_KEY, "private key")
            return _key(handle, public or _public_half(session, uri, handle))

    def generate(self, uri: TokenUri, key_type: KeyType) -> tuple[TokenUri, PrivateKey]:
        """Make a key that never leaves its token, with the label that `uri` gives it, and return the URI that names it and the key.

        Raises PkiError as `find` does, and when the token holds a key of that label or cannot make the key.
        """
        session = self._session(uri)
        with _sentences(uri):
            if any(True for _ in session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: uri.object})):
                raise PkiError(
                    f"the token holds a key '{uri.object}' already, which is never overwritten; use that one by its URI, or another name"
                )
            named = replace(uri, id=secrets.token_bytes(8))
            public, handle = _generate(session, named, key_type)
            return named, _key(handle, _exported(public))

    def _session(self, uri: TokenUri) -> pkcs11.Session:
        wanted = uri.of_token()
        if wanted not in self._sessions:
            self._sessions[wanted] = self._open(wanted)
        return self._sessions[wanted]

    def _open(self, uri: TokenUri) -> pkcs11.Session:
        token = _token(uri, self._module(uri))
        pin = self.read_pin(token.label) if TokenFlag.LOGIN_REQUIRED in token.flags else None
        try:
            return token.open(rw=True, user_pin=pin)
        except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid):
            raise PkiError(f"the token '{token.label}' refuses the PIN{_tries(token)}; check it before you try again") from None
        except pkcs11.PinLocked:
            raise PkiError(f"the PIN of the token '{token.label}' is locked; let its security officer set a new one") from None
        except pkcs11.UserPinNotInitialized:
            raise PkiError(f"the token '{token.label}' has no user PIN yet; initialize it with its maker's tool") from None
        except pkcs11.PKCS11Error as error:
            raise PkiError(f"the token '{token.label}' cannot be opened: {_what(error)}; look at it with its maker's tool") from None

    def _module(self, uri: TokenUri) -> Path:
        module = Path(uri.module_path) if uri.module_path else self.module
        if module is None:
            raise PkiError(f"nothing says which library drives the token of '{uri}'; name it with --pkcs11-module")
        if not module.is_file():
            raise PkiError(f"the PKCS#11 library {module} does not exist; install it or correct its path")
        return module


def _token(uri: TokenUri, module: Path) -> pkcs11.Token:
    try:
        slots = pkcs11.lib(str(module)).get_slots(token_present=True)
    except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
        raise PkiError(f"the PKCS#11 library {module} cannot be used: {_what(error)}; check its configuration") from None
    found = [token for slot in slots for token in _tokens_in(slot) if _fits(token, uri)]
    if len(found) != 1:
        what = "more than one token fits" if found else "there is no token that fits"
        raise PkiError(f"{what} '{uri}' in {module}; {'add its serial to the URI' if found else 'connect it or correct the URI'}")
    return found[0]


def _tokens_in(slot: pkcs11.Slot) -> Iterator[pkcs11.Token]:
    try:
        token = slot.get_token()
    except pkcs11.PKCS11Error:
        return  # it was pulled out, or is none that the library knows
    if TokenFlag.TOKEN_INITIALIZED in token.flags:
        yield token


def _fits(token: pkcs11.Token, uri: TokenUri) -> bool:
    serial = token.serial.decode("ascii", "replace")
    pairs = ((uri.token, token.label), (uri.serial, serial), (uri.manufacturer, token.manufacturer_id), (uri.model, token.model))
    return all(wanted is None or wanted == has for wanted, has in pairs)


def _tries(token: pkcs11.Token) -> str:
    flags = token.slot.get_token().flags
    if TokenFlag.USER_PIN_LOCKED in flags:
        return " and has locked it"
    if TokenFlag.USER_PIN_FINAL_TRY in flags:
        return ", and one more wrong one locks it"
    return ""


def _only(session: pkcs11.Session, uri: TokenUri, kind: ObjectClass, what: str) -> pkcs11.Object:
    wanted = {Attribute.CLASS: kind, Attribute.LABEL: uri.object, Attribute.ID: uri.id}
    found = list(session.get_objects({name: value for name, value in wanted.items() if value is not None}))
    if len(found) != 1:
        raise PkiError(
            f"'{uri}' names {len(found) or 'no'} {what}{'s' if len(found) > 1 else ''} on its token; name the one to use by object and id"
        )
    return found[0]


def _public_half(session: pkcs11.Session, uri: TokenUri, handle: pkcs11.Object) -> PublicKeyTypes:
    """Return the public key beside a private one: of the same identifier, which both share (PKCS #11, 4.7)."""
    same = TokenUri(id=bytes(handle[Attribute.ID]) or None, object=uri.object)
    return _exported(_only(session, same, ObjectClass.PUBLIC_KEY, "public key"))


def _exported(public: pkcs11.Object) -> PublicKeyTypes:
    if public[Attribute.KEY_TYPE] == pkcs11.KeyType.RSA:
        modulus, exponent = (int.from_bytes(public[name]) for name in (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT))
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    if public[Attribute.KEY_TYPE] == pkcs11.KeyType.EC:
        return load_der_public_key(encode_ec_public_key(cast(pkcs11.PublicKey, public)))
    raise PkiError(f"the key is neither RSA nor ECDSA; use one of {', '.join(KeyType)}")


def _key(handle: pkcs11.Object, public: PublicKeyTypes) -> PrivateKey:
    signer = cast(_Signer, handle)  # an object of the class PRIVATE_KEY is one
    if isinstance(public, rsa.RSAPublicKey):
        return TokenRsaKey(signer, public)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return TokenEcKey(signer, public)
    raise PkiError(f"the key is neither RSA nor ECDSA; use one of {', '.join(KeyType)}")


def _generate(session: pkcs11.Session, uri: TokenUri, key_type: KeyType) -> tuple[pkcs11.PublicKey, pkcs11.PrivateKey]:
    label, capabilities = uri.object, MechanismFlag.SIGN | MechanismFlag.VERIFY
    if key_type in CURVES:
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters(CURVES[key_type])}, local=True
        )
        return parameters.generate_keypair(
            mechanism=Mechanism.EC_KEY_PAIR_GEN, store=True, label=label, id=uri.id, capabilities=capabilities, private_template=_PRIVATE
        )
    bits = int(key_type.removeprefix("rsa-"))
    return session.generate_keypair(
        pkcs11.KeyType.RSA, bits, store=True, label=label, id=uri.id, capabilities=capabilities, private_template=_PRIVATE
    )


@contextmanager
def _sentences(uri: TokenUri | None = None) -> Iterator[None]:
    """Turn what a token answers into one sentence."""
    try:
        yield
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        where = f" of '{uri}'" if uri else ""
        raise PkiError(f"the token{where} did not do what it was asked: {_what(error)}; look at it with its maker's tool") from None


def _what(error: Exception) -> str:
    """Name the answer of a token: the class is called after the standard's return code (CKR_DEVICE_REMOVED)."""
    return " ".join(part for part in (type(error).__name__, str(error)) if part)
