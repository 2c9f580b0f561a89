"""`everest-secure bundle`: verify, show and unpack RAUC bundles; what signs them is in `bundle_sign`."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.cli.command import command, group
from everest_secure.errors import ExitCode
from everest_secure.text import printable

if TYPE_CHECKING:
    from everest_secure.bundle.device import Device
    from everest_secure.bundle.judge import Judgement
    from everest_secure.run import Tools

group("bundle", summary="Make, sign, verify and show update bundles")


def keyring_argument(parser: ArgumentParser, *, name: str = "--keyring") -> None:
    """Add the trust anchors of a device, in a file or in its image."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(name, dest="keyring", type=Path, metavar="FILE", help="the keyring of the devices")
    which.add_argument(
        "--device",
        type=Path,
        metavar="IMAGE",
        help="an image of the devices, from which their keyring and the rules of their system.conf are taken",
    )


def device_arguments(parser: ArgumentParser) -> None:
    """Add what a device wants of a bundle besides its keyring."""
    parser.add_argument(
        "--check-crl", action="store_true", help="want a revocation list of every authority; so it is when the keyring has any"
    )
    parser.add_argument("--compatible", metavar="NAME", help="refuse a bundle for another product")
    parser.add_argument("--min-version", type=_version, metavar="VERSION", help="refuse a bundle with a lower version")
    parser.add_argument(
        "--component",
        action="append",
        default=[],
        metavar="SLOT",
        help="refuse a bundle without an image for this slot class; may be repeated",
    )
    parser.add_argument("--crypt", action="store_true", help="refuse a bundle that is not encrypted")
    parser.add_argument(
        "--min-rsa-bits",
        type=int,
        default=4096,
        metavar="BITS",
        help="least size of RSA keys, 4096 by default; of elliptic curves the equivalent",
    )


def _version(text: str) -> str:
    from everest_secure.bundle.version import precedence

    if precedence(text) is None:
        raise ArgumentTypeError(f"'{text}' is no semantic version such as 1.2.3")
    return text


def key_argument(parser: ArgumentParser) -> None:
    """Add the key that opens a crypt bundle."""
    parser.add_argument("--decryption-key", type=Path, metavar="FILE", help="a recipient's private key, for a bundle of the format crypt")


@contextmanager
def device_of(options: Namespace) -> Iterator["Device"]:
    """Yield the device that the options describe; raises UserError when keyring, image or key cannot be used."""
    from dataclasses import replace

    from everest_secure.bundle.device import load_recipient

    with _named_device(options) as found:
        yield replace(
            found,
            check_crl=options.check_crl or found.check_crl,
            formats=("crypt",) if options.crypt else found.formats,
            compatible=options.compatible or found.compatible,
            least_version=options.min_version or found.least_version,
            components=tuple(options.component),
            rsa_bits=options.min_rsa_bits,
            recipient=load_recipient(options.decryption_key) if options.decryption_key else None,
        )


def _named_device(options: Namespace) -> AbstractContextManager["Device"]:
    if options.device:
        from everest_secure.bundle.in_image import device_in

        return device_in(options.device)
    from everest_secure.bundle.device import load_device

    return nullcontext(load_device(options.keyring))


def verifier_arguments(parser: ArgumentParser) -> None:
    """Add which verifiers are asked."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--independent-only", action="store_true", help="verify without rauc, which then need not be installed")
    which.add_argument("--thorough", action="store_true", help="let rauc read the payload, too, for which it unpacks it below TMPDIR")


@contextmanager
def judged(options: Namespace, *, payload: bool = True) -> Iterator["Judgement"]:
    """Yield what the chosen verifiers say of the bundle."""
    from datetime import UTC, datetime

    from everest_secure.bundle.judge import judge
    from everest_secure.run import HostTools

    tools: Tools | None = None if options.independent_only else HostTools()
    thorough = payload and options.thorough
    with device_of(options) as device:
        yield judge(options.bundle, device=device, now=datetime.now(UTC), tools=tools, payload=payload, thorough=thorough)


def bundle_argument(parser: ArgumentParser) -> None:
    """Add the bundle that is read."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle to read")


def json_argument(parser: ArgumentParser) -> None:
    """Add the form for programs."""
    parser.add_argument("--json", action="store_true", help="write JSON instead of a table")


def verify_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `bundle verify`."""
    bundle_argument(parser)
    json_argument(parser)
    keyring_argument(parser)
    device_arguments(parser)
    key_argument(parser)
    verifier_arguments(parser)


@command("bundle verify", summary="Verify a bundle as a device would, twice", arguments=verify_arguments)
def verify(options: Namespace) -> ExitCode:
    """Verify a bundle as a device with this keyring would, with rauc and without it.

    Signature, chain, purpose, dates, revocation, format, every block of the payload, the digest of each image, and what the options ask for. Exit code
    1 when it is refused; 2 when it cannot be judged or the two verifiers differ.
    """
    from rich.console import Console

    from everest_secure.bundle import render
    from everest_secure.bundle.errors import BundleError

    with judged(options) as found:
        if options.json:
            print(render.judgement_to_json(found))
        else:
            render.show_judgement(found, console=Console())
    if found.difference:
        raise BundleError(f"the two verifiers differ: {found.difference}; do not ship it, and report this with the bundle")
    return ExitCode.OK if found.accepted else ExitCode.FINDINGS


def info_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `bundle info`."""
    bundle_argument(parser)
    json_argument(parser)
    key_argument(parser)


@command("bundle info", summary="Show what a bundle says of itself", arguments=info_arguments)
def info(options: Namespace) -> ExitCode:
    """Show what a bundle says of itself; nothing is verified."""
    from rich.console import Console

    from everest_secure.bundle import inspect, render
    from everest_secure.bundle.device import load_recipient

    recipient = load_recipient(options.decryption_key) if options.decryption_key else None
    found = inspect.info(options.bundle, recipient=recipient)
    if options.json:
        print(render.to_json(found))
    else:
        render.show(found, console=Console())
    return ExitCode.OK


def extract_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `bundle extract`."""
    bundle_argument(parser)
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="where the images are written; no file there is overwritten")
    parser.add_argument("--image", action="append", default=[], metavar="SLOT", help="only the image for this slot class; may be repeated")
    keyring_argument(parser)
    device_arguments(parser)
    key_argument(parser)
    verifier_arguments(parser)


@command("bundle extract", summary="Take images out of a bundle", arguments=extract_arguments)
def extract(options: Namespace) -> ExitCode:
    """Take all images, or some, out of a bundle whose signature a device with this keyring accepts; each has the digest that was signed."""
    from everest_secure.bundle.extract import extract as take_out

    with judged(options, payload=False) as found:
        for path in take_out(found, options.directory, slot_classes=options.image):
            print(printable(str(path)))
    return ExitCode.OK
