"""Tokens behind PKCS#11 libraries: found by URI, opened with a PIN, asked for keys that are there and for new ones."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import cast

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Attribute, Mechanism, MechanismFlag, ObjectClass, TokenFlag
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType, PrivateKey
from everest_secure.pki.token_keys import Signer, TokenEcKey, TokenRsaKey, answer, sentences
from everest_secure.pki.uri import TokenUri

CURVES = {KeyType.ECDSA_P256: "secp256r1", KeyType.ECDSA_P384: "secp384r1"}
_PRIVATE = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}

ReadPin = Callable[[str], str]
"""Returns the PIN of the token whose label it is given; raises PkiError."""


@dataclass(slots=True)
class Tokens:
    """The tokens of one command: each is opened once, when a key on it is wanted, and closed at the end."""

    read_pin: ReadPin
    module: Path | None = None
    """PKCS#11 library of tokens whose URI names none."""
    _sessions: dict[tuple[bytes, str, bool], pkcs11.Session] = field(default_factory=dict)
    """By serial number and label of the token, and whether it can be written to."""

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
        with sentences(uri):
            handle = _only(session, uri, ObjectClass.PRIVATE_KEY, "private key")
            return _key(handle, public or _public_half(session, uri, handle))

    def generate(self, uri: TokenUri, key_type: KeyType) -> tuple[TokenUri, PrivateKey]:
        """Make a key that never leaves its token, with the label that `uri` gives it, and return the URI that names it and the key.

        Raises PkiError as `find` does, and when the token holds a key of that label or cannot make the key.
        """
        session = self._session(uri, rw=True)
        with sentences(uri):
            if any(True for _ in session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: uri.object})):
                raise PkiError(
                    f"the token holds a key '{uri.object}' already, which is never overwritten; use that one by its URI, or another name"
                )
            named = replace(uri, id=_free_id(session))
            public, handle = _generate(session, named, key_type)
            return named, _key(handle, _exported(public))

    def _session(self, uri: TokenUri, *, rw: bool = False) -> pkcs11.Session:
        token = _token(uri.of_token(), self._module(uri))
        wanted = (token.serial, token.label, rw)
        if wanted not in self._sessions:
            login = TokenFlag.LOGIN_REQUIRED in token.flags and not {each[:2] for each in self._sessions} & {wanted[:2]}
            self._sessions[wanted] = _open(token, self.read_pin(token.label) if login else None, rw=rw)
        return self._sessions[wanted]

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
        raise PkiError(f"the PKCS#11 library {module} cannot be used: {answer(error)}; check its configuration") from None
    found = [token for slot in slots for token in _tokens_in(slot) if _fits(token, uri)]
    if len(found) != 1:
        what = "more than one token fits" if found else "there is no token that fits"
        raise PkiError(f"{what} '{uri}' in {module}; {'add its serial to the URI' if found else 'connect it or correct the URI'}")
    return found[0]


def _open(token: pkcs11.Token, pin: str | None, *, rw: bool) -> pkcs11.Session:
    """Open a token; the first session of a program logs in for all of them (PKCS #11, 5.6.8)."""
    try:
        return token.open(rw=rw, user_pin=pin)
    except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid):
        raise PkiError(f"the token '{token.label}' refuses the PIN{_tries(token)}") from None
    except pkcs11.PinLocked:
        raise PkiError(f"the PIN of the token '{token.label}' is locked; let its security officer set a new one") from None
    except pkcs11.UserPinNotInitialized:
        raise PkiError(f"the token '{token.label}' has no user PIN yet; initialize it with its maker's tool") from None
    except pkcs11.PKCS11Error as error:
        raise PkiError(f"the token '{token.label}' cannot be opened: {answer(error)}; look at it with its maker's tool") from None


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
    """Say what a wrong PIN has done, and what to do."""
    flags = token.slot.get_token().flags
    if TokenFlag.USER_PIN_LOCKED in flags:
        return " and has locked it; let its security officer set a new one"
    if TokenFlag.USER_PIN_FINAL_TRY in flags:
        return ", and one more wrong one locks it; check it before you try again"
    return "; check it before you try again"


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
    signer = cast(Signer, handle)  # an object of the class PRIVATE_KEY is one
    if isinstance(public, rsa.RSAPublicKey):
        return TokenRsaKey(signer, public)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return TokenEcKey(signer, public)
    raise PkiError(f"the key is neither RSA nor ECDSA; use one of {', '.join(KeyType)}")


def _free_id(session: pkcs11.Session) -> bytes:
    """Return an identifier that no object has, of two bytes as some tokens want it (YubiHSM), and neither their lowest nor their highest."""
    while True:
        chosen = (1 + secrets.randbelow(0xFFFE)).to_bytes(2)
        if not any(True for _ in session.get_objects({Attribute.ID: chosen})):
            return chosen


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
