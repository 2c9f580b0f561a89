"""How commands reach private keys: where they are, the passphrases of their files and the PINs of their tokens."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.cli.passphrase import passphrase_arguments

if TYPE_CHECKING:
    from everest_secure.pki.access import Access, ReadPassphrase
    from everest_secure.pki.token import ReadPin


def access_arguments(parser: ArgumentParser) -> None:
    """Add how a command that signs reaches the keys it signs with."""
    parser.add_argument(
        "--key",
        dest="keys",
        type=named,
        action="append",
        default=[],
        metavar="NAME=WHERE",
        help="the key of NAME is not in the directory but in this file or under this PKCS#11 URI; may be repeated",
    )
    passphrase_arguments(parser)
    pin_arguments(parser)


def pin_arguments(parser: ArgumentParser) -> None:
    """Add how a token is reached: its library, and the two ways in which a script gives its PIN."""
    parser.add_argument("--pkcs11-module", metavar="FILE", type=Path, help="library of the tokens whose URI has no module-path")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--pin-env", metavar="NAME", help="read the PIN of tokens from this environment variable")
    source.add_argument("--pin-fd", metavar="N", type=int, help="read it from this file descriptor, up to the end of its first line")


def new_key_arguments(parser: ArgumentParser) -> None:
    """Add where a new key is made."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--on-token",
        metavar="URI",
        help="make the new key on this token, under the certificate's name; with 'object' or 'id', use the key that is there",
    )
    place.add_argument("--plain-key", action="store_true", help="do not encrypt the new key, because a service reads it by itself")


def named(text: str) -> tuple[str, str]:
    """Read NAME=WHERE; raises ArgumentTypeError for anything else."""
    name, equals, where = text.partition("=")
    if not name or not equals or not where:
        raise ArgumentTypeError(f"'{text}' is not of the form NAME=WHERE")
    return name, where


def by_name(pairs: Sequence[tuple[str, str]], *, option: str) -> dict[str, str]:
    """Return what an option said for each name; raises PkiError for a name that it was given twice."""
    from everest_secure.pki.errors import PkiError

    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise PkiError(f"{option} says twice where the key of '{name}' is; say it once")
    return dict(pairs)


@contextmanager
def open_access(options: Namespace) -> Iterator["Access"]:
    """Yield how a command reaches keys; tokens are closed at the end."""
    from everest_secure.pki.access import Access
    from everest_secure.pki.token import Tokens
    from everest_secure.run import HostTools

    with Tokens(_pin_reader(options), options.pkcs11_module) as tokens:
        yield Access(HostTools(), tokens, _passphrase_reader(options), by_name(options.keys, option="--key"))


def _pin_reader(options: Namespace) -> "ReadPin":
    from everest_secure.pki.passphrase import PassphraseSource, Secrets

    secrets = Secrets(PassphraseSource(options.pin_env, options.pin_fd, "PIN"))
    return lambda label: secrets.read(f"the token '{label}'")


def _passphrase_reader(options: Namespace) -> "ReadPassphrase":
    from everest_secure.pki.passphrase import PassphraseSource, Secrets

    secrets = Secrets(PassphraseSource(options.passphrase_env, options.passphrase_fd))
    return lambda purpose, new: secrets.read(purpose, new=new)
