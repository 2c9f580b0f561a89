"""PKCS#11 URIs (RFC 7512): the name of a token, or of a key on it, never with a PIN in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from urllib.parse import quote, unquote_to_bytes

from everest_secure.pki.errors import PkiError

SCHEME = "pkcs11:"
MAX_LENGTH = 4096
_SECRETS = ("pin-value", "pin-source")
_SAFE = ":[]@!$'()*+,=&"
"""What may stand in a value of the path as it is, beside letters, digits and `-._~` (RFC 7512, 2.3: pk11-pchar)."""
_ALLOWED = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=&?/|;-]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True)
class TokenUri:
    """A token, and with `object` or `id` a key on it; what is None fits everything."""

    token: str | None = None
    """Label of the token."""
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    object: str | None = None
    """Label of the key (CKA_LABEL)."""
    id: bytes | None = None
    """Identifier of the key (CKA_ID)."""
    module_path: str | None = None
    """PKCS#11 library of the token."""

    @property
    def names_key(self) -> bool:
        """Whether it names a key and not only its token."""
        return self.object is not None or self.id is not None

    def of_token(self) -> "TokenUri":
        """Return it without what names a key."""
        return replace(self, object=None, id=None)

    def __str__(self) -> str:
        path = ";".join(f"{name}={value}" for name, value in self._path())
        return f"{SCHEME}{path}{';type=private' if self.names_key else ''}{self._query()}"

    def _path(self) -> Iterator[tuple[str, str]]:
        for field in fields(self)[:-1]:
            value = getattr(self, field.name)
            if value is not None:
                yield field.name, "".join(f"%{byte:02X}" for byte in value) if isinstance(value, bytes) else _quoted(value)

    def _query(self) -> str:
        return "" if self.module_path is None else f"?module-path={quote(self.module_path)}"


def _quoted(value: str) -> str:
    return quote(value, safe=_SAFE)


def is_uri(text: str) -> bool:
    """Whether a text is meant as a PKCS#11 URI and not as the name of a file."""
    return text.startswith(SCHEME)


def parse(text: str) -> TokenUri:
    """Return a PKCS#11 URI; a key's must be private.

    Raises PkiError when it is none, has a PIN in it, or attributes by which this program does not look for tokens and keys.
    """
    path, _, query = text.removeprefix(SCHEME).partition("?")
    if any(name in text for name in _SECRETS):
        raise PkiError("a PKCS#11 URI with a PIN in it is seen by every user of the machine; take it out and use --pin-env or --pin-fd")
    if not is_uri(text) or len(text) > MAX_LENGTH or not _ALLOWED.fullmatch(path) or not _ALLOWED.fullmatch(query):
        raise PkiError(f"'{text[:80]}' is no PKCS#11 URI; write one such as 'pkcs11:token=release;object=signer'")
    found: dict[str, str | bytes] = {}
    for name, value in (*_pairs(path, ";", text), *_pairs(query, "&", text)):
        if name in found:
            raise PkiError(f"'{text}' says '{name}' twice; say it once")
        found[name] = value if name == "id" else _text(value, text)
    if found.pop("type", "private") != "private":
        raise PkiError(f"'{text}' names no private key; leave 'type' out or say type=private")
    module = found.pop("module-path", None)
    known = {field.name for field in fields(TokenUri)[:-1]}
    for name in found.keys() - known:
        raise PkiError(f"'{text}' looks for '{name}'; use {', '.join(sorted(known))} and module-path")
    return TokenUri(**found, module_path=module)  # type: ignore[arg-type]  # `id` alone is bytes


def _pairs(part: str, separator: str, text: str) -> Iterator[tuple[str, bytes]]:
    for piece in part.split(separator) if part else ():
        name, equals, value = piece.partition("=")
        if not equals or not name:
            raise PkiError(f"'{text}' is no PKCS#11 URI: '{piece}' is no attribute with a value; write one such as token=release")
        yield name, unquote_to_bytes(value)


def _text(value: bytes, text: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise PkiError(f"'{text}' holds a value that is no UTF-8 text; correct it") from None
