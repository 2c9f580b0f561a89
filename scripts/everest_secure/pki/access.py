"""Where the private keys of a PKI directory are: read for signing, and made, in files or on tokens."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from everest_secure.pki import keys, uri
from everest_secure.pki.certificates import Issuer
from everest_secure.pki.change import Change
from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import CERTIFICATE_MODE, KEY_MODE, read_bounded
from everest_secure.pki.keys import KeyType, PrivateKey
from everest_secure.pki.token import Tokens
from everest_secure.pki.uri import TokenUri
from everest_secure.run import Tools

if TYPE_CHECKING:
    from everest_secure.pki.inventory import Entry
    from everest_secure.pki.store import Store

ReadPassphrase = Callable[[str, bool], str]
"""Returns a passphrase for a purpose, which is told to a person; new when the second argument says so. Raises PkiError."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A private key that was made, and the file that says where it is."""

    key: PrivateKey
    content: bytes
    """PKCS#8, or the URI of a key on a token."""
    on_token: bool

    def add(self, edit: Change, store: "Store", name: str) -> None:
        """Write its file in a change; raises PkiError when the name has a key already."""
        edit.add(self.path(store, name), self.content, mode=self.mode)

    def path(self, store: "Store", name: str) -> Path:
        """Return the file for a name."""
        return store.key_uri(name) if self.on_token else store.key(name)

    @property
    def mode(self) -> int:
        """Mode of the file; a URI is no secret."""
        return CERTIFICATE_MODE if self.on_token else KEY_MODE


@dataclass(frozen=True, slots=True)
class Access:
    """How one command reaches private keys."""

    tools: Tools
    tokens: Tokens
    read_passphrase: ReadPassphrase
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Keys that are not in the directory: file or PKCS#11 URI by name."""

    def issuer(self, store: "Store", entry: "Entry") -> Issuer:
        """Return an authority ready to sign; raises PkiError as `load` does."""
        return Issuer(entry.certificate, self.load(store, entry))

    def load(self, store: "Store", entry: "Entry") -> PrivateKey:
        """Return the private key of an entry.

        Raises PkiError when it is nowhere, cannot be opened, or does not belong to the certificate.
        """
        public = entry.certificate.public_key()
        place = self.elsewhere.get(entry.name)
        if place is None:
            place = _place(store, entry.name)
        key = self.tokens.find(uri.parse(place), public=public) if uri.is_uri(place) else self._from_file(Path(place))
        if key.public_key() != public:
            raise PkiError(f"the key {place} does not belong to the certificate of '{entry.name}'; give the one that does")
        return key

    def _from_file(self, path: Path) -> PrivateKey:
        encrypted = keys.is_encrypted(read_bounded(path))
        return keys.load(path, passphrase=self.read_passphrase(f"the key {path}", False) if encrypted else None)

    def make(
        self, name: str, key_type: KeyType, *, on_token: TokenUri | None = None, encrypted: bool = True, label: str | None = None
    ) -> NewKey:
        """Make a private key called `name`: in a file, encrypted or not, or on a token, there under `label` if it is given.

        A URI that names a key is of one that is on the token already and is to be used. Raises PkiError and ToolError.
        """
        if on_token is not None:
            named, key = self._on_token(label or name, key_type, on_token)
            return NewKey(key, f"{named}\n".encode(), on_token=True)
        passphrase = self.read_passphrase(f"the new key '{name}'", True) if encrypted else None
        key = keys.generate(key_type)
        pem = keys.to_pem(key) if passphrase is None else keys.to_encrypted_pem(key, passphrase=passphrase, tools=self.tools)
        return NewKey(key, pem, on_token=False)

    def _on_token(self, label: str, key_type: KeyType, token: TokenUri) -> tuple[TokenUri, PrivateKey]:
        if not token.names_key:
            return self.tokens.generate(replace(token, object=label), key_type)
        key = self.tokens.find(token)
        _require_type(key.public_key(), key_type, token)
        return token, key


def _place(store: "Store", name: str) -> str:
    if store.key(name).is_file():
        return str(store.key(name))
    if store.key_uri(name).is_file():
        return read_uri(store.key_uri(name))
    raise PkiError(
        f"the private key of '{name}' is not in {store.directory}; say where it is with --key {name}=FILE, or give its PKCS#11 URI there"
    )


def read_uri(path: Path) -> str:
    """Return the PKCS#11 URI in a file; raises PkiError when it holds none."""
    text = read_bounded(path).decode(errors="replace").strip()
    return str(uri.parse(text))


def _require_type(key: PublicKeyTypes, wanted: KeyType, token: TokenUri) -> None:
    if keys.describe(key) != wanted:
        raise PkiError(f"the key of '{token}' is {keys.describe(key)} where {wanted} is wanted; name another key or ask for that type")
