"""`everest-secure pki`: certificates issued, renewed, rotated and revoked."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.cli.access import access_arguments, new_key_arguments, open_access
from everest_secure.cli.command import command
from everest_secure.cli.pki import directory_argument
from everest_secure.errors import ExitCode

if TYPE_CHECKING:
    from everest_secure.pki.lifecycle import KeyWish


def issue_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `pki issue`."""
    directory_argument(parser)
    parser.add_argument("name", metavar="NAME", help="name of the new files")
    parser.add_argument("--issuer", required=True, metavar="NAME", help="the authority that issues it")
    parser.add_argument(
        "--usage", required=True, metavar="USAGE", help="bundle-signing, tls-server, tls-client, authority, secure-boot-signing"
    )
    parser.add_argument("--common-name", required=True, metavar="TEXT", help="common name (CN) of the subject")
    parser.add_argument("--days", required=True, type=int, metavar="N", help="validity; it never outlasts its issuer")
    parser.add_argument("--key-type", metavar="TYPE", help="rsa-4096, ecdsa-p256, ecdsa-p384, ... (default: that of the issuer)")
    parser.add_argument(
        "--path-length", type=int, metavar="N", help="for an authority: how many authorities may follow below it (default: 0)"
    )
    parser.add_argument("--dns", action="append", default=[], metavar="NAME", help="a DNS name in the certificate; may be repeated")
    parser.add_argument("--ip", action="append", default=[], metavar="ADDRESS", help="an IP address in the certificate; may be repeated")
    parser.add_argument("--csr", type=Path, metavar="FILE", help="certify the key of this request instead of making one")
    new_key_arguments(parser)
    access_arguments(parser)


@command("pki issue", summary="Issue a certificate under an authority", arguments=issue_arguments)
def issue(options: Namespace) -> ExitCode:
    """Issue a certificate under an authority of the directory: for a new key, or for that of a request.

    Of a request (PKCS#10) nothing is believed but the key: its signature, key type and digest are checked, and it may ask for no name,
    usage or right that the command line does not give.
    """
    from datetime import UTC, datetime

    from everest_secure.pki import lifecycle, wishes

    with open_access(options) as access:
        spec = wishes.spec(
            options.directory,
            name=options.name,
            issuer=options.issuer,
            usage=options.usage,
            common_name=options.common_name,
            days=options.days,
            key_type=options.key_type,
            path_length=options.path_length,
            dns_names=options.dns,
            addresses=options.ip,
        )
        made = lifecycle.issue(options.directory, spec, access=access, now=datetime.now(UTC), wish=_key_wish(options), request=options.csr)
    print(f"{options.directory}: '{options.name}' issued, valid until {made.not_valid_after_utc:%Y-%m-%d}")
    return ExitCode.OK


def renew_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `pki renew`."""
    directory_argument(parser)
    parser.add_argument("name", metavar="NAME", help="the certificate to renew")
    parser.add_argument("--days", type=int, metavar="N", help="validity (default: as long as it had)")
    parser.add_argument("--new-key", action="store_true", help="with a new key of the same type, for a certificate that issues no others")
    new_key_arguments(parser)
    access_arguments(parser)


@command("pki renew", summary="Issue a certificate again under its name", arguments=renew_arguments)
def renew(options: Namespace) -> ExitCode:
    """Issue a certificate again with the same subject and a new validity, for the same key or a new one.

    The files keep their names; what they were lies under DIR/retired and stays valid until it ends or is revoked.
    """
    from datetime import UTC, datetime

    from everest_secure.pki import lifecycle
    from everest_secure.pki.errors import PkiError

    if not options.new_key and (options.on_token or options.plain_key):
        raise PkiError("--on-token and --plain-key are about a new key; add --new-key or leave them out")
    wish = _key_wish(options) if options.new_key else None
    with open_access(options) as access:
        made = lifecycle.renew(options.directory, options.name, access=access, now=datetime.now(UTC), days=options.days, new_key=wish)
    print(f"{options.directory}: '{options.name}' renewed, valid until {made.not_valid_after_utc:%Y-%m-%d}")
    return ExitCode.OK


def rotate_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `pki rotate`."""
    directory_argument(parser)
    parser.add_argument("name", metavar="NAME", help="the certificate that gets a successor")
    parser.add_argument("--issuer", metavar="NAME", help="the authority that issues the successor (default: the one that issued NAME)")
    parser.add_argument("--days", type=int, metavar="N", help="validity (default: as long as NAME had)")
    new_key_arguments(parser)
    access_arguments(parser)


@command("pki rotate", summary="Make a successor with a key of its own", arguments=rotate_arguments)
def rotate(options: Namespace) -> ExitCode:
    """Make a successor of a certificate, with a new key and the next number behind its name; the old one stays valid beside it.

    A root's successor is a root as well. The old root signs it too, so that devices which trust the old one alone accept what stands below
    the new one, and the keyring holds both.
    """
    from datetime import UTC, datetime

    from everest_secure.pki import lifecycle

    wish = _key_wish(options)
    with open_access(options) as access:
        made = lifecycle.rotate(
            options.directory, options.name, access=access, now=datetime.now(UTC), wish=wish, issuer=options.issuer, days=options.days
        )
    print(f"{options.directory}: '{made}' stands beside '{options.name}', which goes on being valid until it ends or is revoked")
    return ExitCode.OK


def revoke_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `pki revoke`."""
    directory_argument(parser)
    parser.add_argument("name", metavar="NAME", help="the certificate to revoke")
    parser.add_argument(
        "--reason", default="unspecified", metavar="WORD", help="key-compromise, ca-compromise, superseded, ... (default: unspecified)"
    )
    _list_arguments(parser)


def _list_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--days", type=int, metavar="N", help="the list is valid for N days (default: as long as its authority)")
    access_arguments(parser)


@command("pki revoke", summary="Put a certificate on its issuer's revocation list", arguments=revoke_arguments)
def revoke(options: Namespace) -> ExitCode:
    """Put a certificate, and what it was before it was renewed, on the revocation list of its issuer, which gets the next number.

    Devices know of it when they have the list: `pki export-keyring --lists` writes the keyring for the next image.
    """
    from datetime import UTC, datetime

    from everest_secure.pki import revocation, wishes

    reason = wishes.reason(options.reason)
    with open_access(options) as access:
        found = revocation.revoke(options.directory, options.name, reason=reason, access=access, now=datetime.now(UTC), days=options.days)
    print(
        f"{options.directory}: '{options.name}' revoked ({len(found)} certificate{'s' if len(found) > 1 else ''}); ship the list with 'pki export-keyring --lists'"
    )
    return ExitCode.OK


def crl_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `pki crl`."""
    directory_argument(parser)
    parser.add_argument("name", metavar="NAME", help="the authority")
    _list_arguments(parser)


@command("pki crl", summary="Issue an authority's revocation list anew", arguments=crl_arguments)
def crl(options: Namespace) -> ExitCode:
    """Issue the revocation list of an authority anew with what is revoked already, which may be nothing, and the next number."""
    from datetime import UTC, datetime

    from everest_secure.pki import revocation

    with open_access(options) as access:
        made = revocation.issue_list(options.directory, options.name, access=access, now=datetime.now(UTC), days=options.days)
    print(f"{options.directory}: list {revocation.number(made)} of '{options.name}', valid until {revocation.ends(made):%Y-%m-%d}")
    return ExitCode.OK


def _key_wish(options: Namespace) -> "KeyWish":
    from everest_secure.pki import uri
    from everest_secure.pki.lifecycle import KeyWish

    return KeyWish(uri.parse(options.on_token) if options.on_token else None, encrypted=False if options.plain_key else None)
