"""How commands that read or make encrypted keys get a passphrase."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everest_secure.pki.passphrase import PassphraseSource


def passphrase_arguments(parser: ArgumentParser) -> None:
    """Add the two ways in which a script gives a passphrase; without them the terminal is asked."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--passphrase-env", metavar="NAME", help="read the passphrase of encrypted keys from this environment variable")
    source.add_argument("--passphrase-fd", metavar="N", type=int, help="read it from this file descriptor, up to the end of its first line")


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
