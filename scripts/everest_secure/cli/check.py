"""`everest-secure check`: images and bundles against the policy."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from everest_secure.cli.command import command
from everest_secure.errors import ExitCode
from everest_secure.report.renderer import renderers


def arguments(parser: ArgumentParser) -> None:
    """Add the options; each registered renderer is a format and an option that names a file."""
    parser.add_argument(
        "artefacts",
        metavar="ARTEFACT",
        nargs="+",
        type=Path,
        help="root directory, file system image, disk, RAUC bundle, or a build's deploy folder",
    )
    policy = parser.add_mutually_exclusive_group()
    policy.add_argument("--profile", metavar="NAME", help="production (the default), development or reference")
    policy.add_argument("--policy", metavar="FILE", type=Path, help="your own policy file, which extends a profile")
    parser.add_argument(
        "--secure-boot-cert",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="certificate of the db, or of the key that U-Boot requires, in place of the policy's; may be repeated (BOOT-01)",
    )
    parser.add_argument(
        "--decryption-key", metavar="FILE", type=Path, help="private key of a recipient (RSA or ECDSA), which opens encrypted bundles"
    )
    for name, entry in renderers().items():
        parser.add_argument(f"--{name}", metavar="FILE", type=Path, dest=f"file_{name}", help=f"also write {entry.summary}")
    parser.add_argument("--format", choices=tuple(renderers()), default="table", help="what to print (default: table)")
    parser.add_argument("--jobs", metavar="N", type=positive_number, help="processes to use (default: as many as cores and memory allow)")
    parser.add_argument("--cache", metavar="DIR", type=Path, help="keep results here, and use those of content that has not changed")
    detail = parser.add_mutually_exclusive_group()
    detail.add_argument("-q", "--quiet", dest="detail", action="store_const", const=-1, default=0, help="print the verdict alone")
    detail.add_argument("-v", "--verbose", dest="detail", action="store_const", const=1, help="print everything that was seen")


def positive_number(text: str) -> int:
    """Return a number of at least 1; raises ValueError, which argparse makes a sentence of."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


@command("check", summary="Verify images and bundles against the policy", arguments=arguments)
def run(options: Namespace) -> ExitCode:
    """Verify images and bundles against the policy.

    Nothing is mounted, extracted or changed, and no privileges are needed. Give a disk and its update bundle together, so that the bundle is
    verified with the keyring that the disk holds.
    """
    from everest_secure.checks.session import check_artefacts
    from everest_secure.cli.progress import progress
    from everest_secure.report.output import prepare, print_report, write_reports

    files = {name: file for name in renderers() if (file := getattr(options, f"file_{name}"))}
    named = [file for file in (options.policy, options.decryption_key) if file]
    prepare(files.values(), inputs=[*options.artefacts, *named, *options.secure_boot_cert])
    with progress(wanted=options.detail >= 0) as told:
        report = check_artefacts(
            options.artefacts,
            profile=options.profile,
            policy_file=options.policy,
            secure_boot_certificates=options.secure_boot_cert,
            decryption_key=options.decryption_key,
            jobs=options.jobs,
            cache=options.cache,
            progress=told,
        )
    write_reports(report, files)
    print_report(report, name=options.format, detail=options.detail)
    return report.exit_code
