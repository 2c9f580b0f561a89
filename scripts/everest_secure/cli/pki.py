"""`everest-secure pki`: authorities, certificates and keys."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from everest_secure.cli.command import command, group
from everest_secure.cli.passphrase import new_passphrase, passphrase_arguments
from everest_secure.errors import ExitCode

group("pki", summary="Make and watch the authorities, certificates and keys that sign bundles and boot programs")


def init_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `pki init`."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="the directory to make; it must not exist")
    parser.add_argument(
        "--profile", default="development", metavar="NAME", help="development (default), release, or the path of a .yml file"
    )
    passphrase_arguments(parser)


@command("pki init", summary="Make all keys and certificates of a profile", arguments=init_arguments)
def init(options: Namespace) -> ExitCode:
    """Make all keys and certificates of a profile in a new directory, which appears complete or not at all.

    Keys have mode 0600. Those of the release profile are encrypted under one passphrase, asked for at the terminal unless given.
    """
    from datetime import UTC, datetime

    from everest_secure.pki import files, profile, store
    from everest_secure.run import HostTools

    chosen = profile.load(options.profile)
    files.refuse_existing(options.directory)
    secret = new_passphrase(f"the new keys in {options.directory}", options) if chosen.encrypted_keys else None
    made = store.create(options.directory, profile=chosen, tools=HostTools(), now=datetime.now(UTC), passphrase=secret)
    print(f"{made.directory}: {len(chosen.certificates)} keys and certificates; devices get {made.keyring}")
    return ExitCode.OK


def status_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `pki status`."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a directory that `pki init` made")


@command("pki status", summary="Show certificates, expiry and where each key is", arguments=status_arguments)
def status(options: Namespace) -> ExitCode:
    """Show the certificates of a PKI directory as a tree; exit code 1 when something is not in order."""
    from datetime import UTC, datetime

    from rich.console import Console

    from everest_secure.pki import render
    from everest_secure.pki import status as pki_status

    found = pki_status.read(options.directory, now=datetime.now(UTC))
    render.show(found, console=Console())
    return ExitCode.FINDINGS if found.problems else ExitCode.OK
