"""`everest-secure pki`: a PKI made and looked at; what changes one is in `pki_change`."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from everest_secure.cli.access import by_name, named, open_access, pin_arguments
from everest_secure.cli.command import command, group
from everest_secure.cli.passphrase import new_passphrase, passphrase_arguments
from everest_secure.errors import ExitCode

group("pki", summary="Make and watch the authorities, certificates and keys that sign bundles and boot programs")


def directory_argument(parser: ArgumentParser) -> None:
    """Add the PKI directory."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a directory that `pki init` made")


def init_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `pki init`."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="the directory to make; it must not exist")
    parser.add_argument(
        "--profile",
        default="development",
        metavar="NAME",
        help="development (default), release, mqtt-api, charger-test, or the path of a .yml file",
    )
    parser.add_argument(
        "--on-token",
        type=named,
        action="append",
        default=[],
        metavar="NAME=URI",
        help="make the key of NAME on this token; with 'object' or 'id' in the URI, use the key that is there; may be repeated",
    )
    passphrase_arguments(parser)
    pin_arguments(parser)


@command("pki init", summary="Make all keys and certificates of a profile", arguments=init_arguments)
def init(options: Namespace) -> ExitCode:
    """Make all keys and certificates of a profile in a new directory, which appears complete or not at all.

    Keys in files have mode 0600. Those of the release profile are encrypted under one passphrase, asked for at the terminal unless given.
    """
    from datetime import UTC, datetime

    from everest_secure.pki import files, profile, store, uri

    chosen = profile.load(options.profile)
    files.refuse_existing(options.directory)
    on_token = {name: uri.parse(where) for name, where in by_name(options.on_token, option="--on-token").items()}
    in_files = any(spec.encrypted_key and spec.name not in on_token for spec in chosen.certificates)
    secret = new_passphrase(f"the new keys in {options.directory}", options) if chosen.encrypted_keys and in_files else None
    options.keys = []
    with open_access(options) as access:
        made = store.create(
            options.directory,
            profile=chosen,
            tools=access.tools,
            now=datetime.now(UTC),
            passphrase=secret,
            tokens=access.tokens,
            on_token=on_token,
        )
    what = f"; devices get {made.keyring}" if chosen.keyring else ""
    print(f"{made.directory}: {len(chosen.certificates)} keys and certificates{what}")
    return ExitCode.OK


def status_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `pki status`."""
    directory_argument(parser)
    parser.add_argument("--json", action="store_true", help="write JSON instead of a table")
    parser.add_argument(
        "--warn-days", type=int, choices=range(14611), default=60, metavar="N", help="warn of what ends within N days (default: 60)"
    )
    parser.add_argument("--fail-on-warning", action="store_true", help="exit with 1 for warnings too")


@command("pki status", summary="Show certificates, expiry and where each key is", arguments=status_arguments)
def status(options: Namespace) -> ExitCode:
    """Show the certificates of a PKI directory as a tree; exit code 1 when something is not in order.

    Files alone are read: no passphrase and no PIN is asked for. A change that was interrupted after it was decided is completed first.
    """
    from datetime import UTC, datetime, timedelta

    from rich.console import Console

    from everest_secure.pki import change, render
    from everest_secure.pki import status as pki_status

    change.finish(options.directory)
    found = pki_status.read(options.directory, now=datetime.now(UTC), soon=timedelta(days=options.warn_days))
    if options.json:
        print(render.to_json(found))
    else:
        render.show(found, console=Console())
    return ExitCode.FINDINGS if found.problems or (options.fail_on_warning and found.warnings) else ExitCode.OK


def export_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `pki export-keyring`."""
    directory_argument(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="the keyring to write; it must not exist")
    parser.add_argument(
        "--root", action="append", default=[], metavar="NAME", help="a root to put in (default: those of the directory's keyring)"
    )
    parser.add_argument(
        "--lists", action="store_true", help="with the revocation lists of all authorities, for a device that checks them (check-crl)"
    )


@command("pki export-keyring", summary="Write a keyring for devices", arguments=export_arguments)
def export_keyring(options: Namespace) -> ExitCode:
    """Write the roots that devices trust, and on demand the revocation lists of all authorities below them, into one file.

    With EVEREST_CHECK_CRL set to 1 an image wants the lists, else it refuses them. Exit code 2 when a list is missing or has ended.
    """
    from datetime import UTC, datetime

    from everest_secure.pki import change, keyring

    change.finish(options.directory)
    names = keyring.export(options.directory, options.file, roots=options.root, with_lists=options.lists, now=datetime.now(UTC))
    print(f"{options.file}: {', '.join(names)}{' with revocation lists' if options.lists else ''}")
    return ExitCode.OK
