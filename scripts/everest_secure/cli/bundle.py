"""`everest-secure bundle`: make, verify and show RAUC bundles."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.cli.command import command, group
from everest_secure.cli.passphrase import passphrase_arguments
from everest_secure.errors import ExitCode

if TYPE_CHECKING:
    from everest_secure.bundle.inspect import BundleInfo

group("bundle", summary="Make, verify and show update bundles")


def create_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `bundle create`."""
    parser.add_argument("description", type=Path, metavar="DESCRIPTION", help="YAML file that names compatible, version and images")
    parser.add_argument("output", type=Path, metavar="BUNDLE", help="the bundle to make; it must not exist")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the signer's private key")
    parser.add_argument("--cert", type=Path, required=True, metavar="FILE", help="the signer's certificate")
    parser.add_argument(
        "--intermediate",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="authorities between signer and root; may be repeated",
    )
    keyring_argument(parser, required=True)
    passphrase_arguments(parser)


def keyring_argument(parser: ArgumentParser, *, required: bool) -> None:
    """Add the trust anchors of a device."""
    parser.add_argument(
        "--keyring", type=Path, required=required, metavar="FILE", help="the keyring of the devices, best taken from the image"
    )


def output_arguments(parser: ArgumentParser) -> None:
    """Add what commands that read a bundle share."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle to read")
    parser.add_argument("--json", action="store_true", help="write JSON instead of a table")


@command("bundle create", summary="Pack, sign and verify a bundle", arguments=create_arguments)
def create(options: Namespace) -> ExitCode:
    """Pack images into a verity bundle, sign it, and verify it with the devices' keyring before it gets its name.

    Certificate, chain, purpose, dates, key and free space are checked before anything is written.
    """
    from datetime import UTC, datetime

    from everest_secure.bundle import create as making
    from everest_secure.bundle import description
    from everest_secure.bundle.signing import Signer
    from everest_secure.cli.passphrase import passphrase_of
    from everest_secure.run import HostTools

    wanted = description.load(options.description)
    signer = Signer(options.key, options.cert, tuple(options.intermediate), passphrase_of(options.key, options))
    found = making.create(wanted, output=options.output, signer=signer, keyring=options.keyring, tools=HostTools(), now=datetime.now(UTC))
    print(f"{options.output}: {found.compatible} {found.version}, signed and verified")
    return ExitCode.OK


def verify_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `bundle verify`."""
    output_arguments(parser)
    keyring_argument(parser, required=True)


@command("bundle verify", summary="Verify a bundle as a device would", arguments=verify_arguments)
def verify(options: Namespace) -> ExitCode:
    """Verify a bundle as a device with this keyring would: signature, chain, purpose, format and payload. Exit code 2 when it is refused."""
    from everest_secure.bundle import inspect
    from everest_secure.run import HostTools

    return _show(inspect.verify(options.bundle, keyring=options.keyring, tools=HostTools()), options)


@command("bundle info", summary="Show what a bundle says of itself", arguments=output_arguments)
def info(options: Namespace) -> ExitCode:
    """Show what a bundle says of itself; nothing is verified."""
    from everest_secure.bundle import inspect
    from everest_secure.run import HostTools

    return _show(inspect.info(options.bundle, tools=HostTools()), options)


def _show(found: "BundleInfo", options: Namespace) -> ExitCode:
    from rich.console import Console

    from everest_secure.bundle import render

    if options.json:
        print(render.to_json(found))
    else:
        render.show(found, console=Console())
    return ExitCode.OK
