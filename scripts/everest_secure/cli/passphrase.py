"""How commands get the passphrases of encrypted keys and the PINs of tokens."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from everest_secure.pki.passphrase import PassphraseSource


def passphrase_arguments(parser: ArgumentParser) -> None:
    """Add the two ways in which a script gives a passphrase; without them the terminal is asked."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--passphrase-env", metavar="NAME", help="read the passphrase of encrypted keys from this environment variable")
    source.add_argument("--passphrase-fd", metavar="N", type=int, help="read it from this file descriptor, up to the end of its first line")


def pin_arguments(parser: ArgumentParser) -> None:
    """Add how a token is reached whose key a URI names: its library, and the two ways in which a script gives its PIN."""
    parser.add_argument("--pkcs11-module", metavar="FILE", type=Path, help="library of tokens whose URI has no module-path")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--pin-env", metavar="NAME", help="read the PIN of tokens from this environment variable; else the terminal is asked"
    )
    source.add_argument("--pin-fd", metavar="N", type=int, help="read it from this file descriptor, up to the end of its first line")


def pin_reader(options: Namespace) -> "Callable[[str], str]":
    """Return what reads the PIN of a token by the token's label and raises PkiError."""
    from everest_secure.pki import passphrase
    from everest_secure.pki.passphrase import PassphraseSource

    source = PassphraseSource(options.pin_env, options.pin_fd, "PIN")
    return lambda label: passphrase.read(source, purpose=f"the token '{label}'")


def new_passphrase(purpose: str, options: Namespace) -> str:
    """Return the passphrase for keys that are to be made; raises PkiError."""
    from everest_secure.pki import passphrase

    return passphrase.read(_source(options), purpose=purpose, new=True)


def passphrase_of(key: Path, options: Namespace) -> str | None:
    """Return the passphrase of a key file, None when it is not encrypted; raises PkiError."""
    from everest_secure.pki import files, keys, passphrase

    if not keys.is_encrypted(files.read_bounded(key)):
        return None
    return passphrase.read(_source(options), purpose=f"the key {key}")


def _source(options: Namespace) -> "PassphraseSource":
    from everest_secure.pki.passphrase import PassphraseSource

    return PassphraseSource(options.passphrase_env, options.passphrase_fd)
