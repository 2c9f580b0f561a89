"""`everest-secure check`: images and bundles against the policy."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from everest_secure.cli.command import command
from everest_secure.cli.reporting import file_arguments, policy_arguments, print_arguments, report_files
from everest_secure.errors import ExitCode


def arguments(parser: ArgumentParser) -> None:
    """Add the options; each registered renderer is a format and an option that names a file."""
    parser.add_argument(
        "artefacts",
        metavar="ARTEFACT",
        nargs="+",
        type=Path,
        help="root directory, file system image, disk, RAUC bundle, or a build's deploy folder",
    )
    policy_arguments(parser)
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
    file_arguments(parser)
    print_arguments(parser)
    parser.add_argument("--jobs", metavar="N", type=positive_number, help="processes to use (default: as many as cores and memory allow)")
    parser.add_argument("--cache", metavar="DIR", type=Path, help="keep results here, and use those of content that has not changed")


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
    from everest_secure.report.output import print_report, write_reports

    inputs = [*options.artefacts, options.policy, options.decryption_key, *options.secure_boot_cert]
    files = report_files(options, inputs=inputs)
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
