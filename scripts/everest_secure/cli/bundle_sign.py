"""`everest-secure bundle create` and `bundle resign`."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.cli.access import pin_arguments
from everest_secure.cli.bundle import device_arguments, device_of, key_argument, keyring_argument
from everest_secure.cli.command import command
from everest_secure.cli.passphrase import passphrase_arguments
from everest_secure.errors import ExitCode
from everest_secure.text import printable

if TYPE_CHECKING:
    from everest_secure.bundle.finish import Release
    from everest_secure.bundle.signing import Signer


def signer_arguments(parser: ArgumentParser) -> None:
    """Add who signs, for whom, and where that is written down."""
    parser.add_argument("--key", required=True, metavar="FILE|URI", help="the signer's private key, a file or a PKCS#11 URI without a PIN")
    parser.add_argument("--cert", type=Path, required=True, metavar="FILE", help="the signer's certificate")
    parser.add_argument(
        "--intermediate",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="authorities between signer and root; all of them travel in the bundle; may be repeated",
    )
    parser.add_argument(
        "--recipient",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="certificates to encrypt a crypt bundle for; may be repeated",
    )
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="the release log that gets a line, by default release-log.jsonl beside the bundle"
    )
    device_arguments(parser)
    key_argument(parser)
    passphrase_arguments(parser)
    pin_arguments(parser)


def create_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `bundle create`."""
    parser.add_argument("description", type=Path, metavar="DESCRIPTION", help="YAML file that names compatible, version and images")
    parser.add_argument("output", type=Path, metavar="BUNDLE", help="the bundle to make; it must not exist")
    keyring_argument(parser)
    signer_arguments(parser)


@command("bundle create", summary="Pack, sign and verify a bundle", arguments=create_arguments)
def create(options: Namespace) -> ExitCode:
    """Pack images into a bundle, sign it, and verify it twice with the devices' keyring before it gets its name.

    Certificate, chain, purpose, dates, key and free space are checked before anything is written.
    """
    from everest_secure.bundle import create as making
    from everest_secure.bundle import description

    wanted = description.load(options.description)
    with signer_of(options) as signer, _release(options) as release:
        found = making.create(wanted, release, signer)
    print(printable(f"{options.output}: {found.compatible} {found.version}, signed and verified"))
    return ExitCode.OK


def resign_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `bundle resign`."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle to sign again; it is not changed")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="the bundle to make; it must not exist")
    parser.add_argument("--keyring", dest="old_keyring", type=Path, required=True, metavar="FILE", help="the keyring that accepts BUNDLE")
    keyring_argument(parser, name="--signing-keyring")
    signer_arguments(parser)


@command("bundle resign", summary="Sign a bundle again with other keys", arguments=resign_arguments)
def resign(options: Namespace) -> ExitCode:
    """Sign a bundle of the build with the keys of the release; its payload stays as it is, byte by byte.

    BUNDLE is verified with its own keyring, and the new bundle twice with that of the devices before it gets its name. The options for devices
    are about the new one.
    """
    from everest_secure.bundle.device import load_device
    from everest_secure.bundle.resign import Source
    from everest_secure.bundle.resign import resign as sign_again

    old = load_device(options.old_keyring, rsa_bits=0, decryption_key=options.decryption_key)
    with signer_of(options) as signer, _release(options) as release:
        found = sign_again(Source(options.bundle, old), release, signer)
    print(printable(f"{options.output}: {found.compatible} {found.version}, signed and verified"))
    return ExitCode.OK


@contextmanager
def _release(options: Namespace) -> Iterator["Release"]:
    from datetime import UTC, datetime

    from everest_secure.bundle.finish import Release
    from everest_secure.bundle.releaselog import NAME
    from everest_secure.run import HostTools

    log = options.log or options.output.parent / NAME
    with device_of(options) as device:
        yield Release(options.output, device, datetime.now(UTC), HostTools(), tuple(options.recipient), log)


@contextmanager
def signer_of(options: Namespace) -> Iterator["Signer"]:
    """Yield the signer that the options name; a token is closed at the end."""
    from everest_secure.bundle.signing import Signer
    from everest_secure.cli.passphrase import passphrase_of
    from everest_secure.pki import uri
    from everest_secure.pki.passphrase import PassphraseSource, read
    from everest_secure.pki.token import Tokens

    intermediates = tuple(options.intermediate)
    if not uri.is_uri(options.key):
        key = Path(options.key)
        yield Signer(key, options.cert, intermediates, passphrase_of(key, options))
        return
    place = uri.parse(options.key)
    pins: list[str] = []

    def read_pin(label: str) -> str:
        """Ask once for the one token of this command, which rauc and this program both open."""
        if not pins:
            pins.append(read(PassphraseSource(options.pin_env, options.pin_fd, "PIN"), purpose=f"the token '{label}'"))
        return pins[0]

    with Tokens(read_pin, options.pkcs11_module) as tokens:
        yield Signer(place, options.cert, intermediates, tokens=tokens)
