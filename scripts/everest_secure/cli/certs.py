"""`everest-secure certs`: certificate stores of chargers, checked wherever they lie and laid out for provisioning."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.cli.access import named
from everest_secure.cli.command import command, group
from everest_secure.cli.reporting import file_arguments, policy_arguments, print_arguments, report_files
from everest_secure.errors import ExitCode

if TYPE_CHECKING:
    from everest_secure.certs.offer import OfferedLeaf

group("certs", summary="Check the certificate store of a charger, and lay one out for provisioning")


def judging_arguments(parser: ArgumentParser) -> None:
    """Add what a store is held against, and how it is laid out."""
    policy_arguments(parser)
    parser.add_argument("--config", metavar="FILE", type=Path, help="EVerest's configuration, when its EvseSecurity has paths of its own")


def check_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `certs check`; each registered renderer is a format."""
    help_ = "certificate store (directory or archive), root directory, file system image, disk or RAUC bundle"
    parser.add_argument("artefacts", metavar="STORE", nargs="+", type=Path, help=help_)
    judging_arguments(parser)
    file_arguments(parser)
    print_arguments(parser)


@command("certs check", summary="Check certificate stores wherever they lie", arguments=check_arguments)
def check(options: Namespace) -> ExitCode:
    """Check certificate stores wherever they lie: CERT-01 to CERT-04, and that keys are of the TPM (TPM-04).

    The same checks are part of `everest-secure check`. Of a system, its own store and that of the data partition beside it are checked; of anything
    else, every store in it. Nothing is mounted, extracted or changed, and no privileges are needed.
    """
    from everest_secure.certs.check import check_stores
    from everest_secure.report.output import print_report, write_reports

    files = report_files(options, inputs=[*options.artefacts, options.policy, options.config])
    report = check_stores(options.artefacts, profile=options.profile, policy_file=options.policy, configuration=options.config)
    write_reports(report, files)
    print_report(report, name=options.format, detail=options.detail)
    return report.exit_code


def stage_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `certs stage`."""
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="what to make: an archive when the name ends in .tar, else a directory")
    parser.add_argument(
        "--ca",
        dest="roots",
        metavar="KIND=FILE",
        type=authority,
        action="append",
        default=[],
        help="root authorities of a kind, v2g, csms, mf or mo, in PEM or DER; may be repeated",
    )
    for name, towards in (("csms", "the CSMS"), ("secc", "vehicles")):
        parser.add_argument(f"--{name}", metavar="FILE", type=Path, help=f"chain towards {towards}, leaf first, without the root")
        proof = parser.add_mutually_exclusive_group()
        proof.add_argument(f"--{name}-key", metavar="FILE", type=Path, help="its key, which goes into the store")
        proof.add_argument(
            f"--{name}-request", metavar="FILE", type=Path, help="the request that it was issued for: the key is in the charger"
        )
    judging_arguments(parser)
    file_arguments(parser)


def authority(text: str) -> tuple[str, Path]:
    """Read KIND=FILE; raises ArgumentTypeError for anything else."""
    from everest_secure.certs.offer import KINDS

    kind, where = named(text)
    if kind not in KINDS:
        raise ArgumentTypeError(f"'{kind}' is no kind of authority; known are {', '.join(KINDS)}")
    return kind, Path(where)


@command("certs stage", summary="Lay a charger's certificates out for provisioning", arguments=stage_arguments)
def stage(options: Namespace) -> ExitCode:
    """Lay a charger's certificates out for provisioning, as a certificate store in a new archive or directory.

    Everything is checked first as `certs check` does, and that each key is that of its chain. What is refused leaves nothing behind, and nothing is
    overwritten. Owners and modes are those on the charger; in a directory they are when root makes it.
    """
    from everest_secure.certs.check import policy_of
    from everest_secure.certs.offer import Given, Offer, given
    from everest_secure.certs.render import refused, written
    from everest_secure.certs.stage import stage as make
    from everest_secure.report.output import write_reports

    leaves = [getattr(options, f"{name}{part}") for name in ("csms", "secc") for part in ("", "_key", "_request")]
    roots_given = (file for _, file in options.roots)
    files = report_files(options, inputs=[options.output, options.policy, options.config, *leaves, *roots_given])
    roots: dict[str, tuple[Given, ...]] = {}
    for kind, file in options.roots:
        roots[kind] = (*roots.get(kind, ()), given(file))
    layout = given(options.config).content if options.config else None
    offer = Offer(roots, _leaf(options, "csms"), _leaf(options, "secc"), layout)
    staged = make(options.output, offer, policy=policy_of(options.profile, options.policy))
    write_reports(staged.report, files)
    if not staged.members:
        sys.stdout.write(refused(options.output, staged.report))
        return staged.report.exit_code
    sys.stdout.write(written(options.output, staged))
    return ExitCode.OK


def _leaf(options: Namespace, name: str) -> "OfferedLeaf | None":
    """Return the chain of a name with what goes with it; raises UserError when a key or request has no chain."""
    from everest_secure.certs.offer import OfferedLeaf, StageError, given

    chain, key, request = (getattr(options, f"{name}{suffix}") for suffix in ("", "_key", "_request"))
    if chain is None and (key or request):
        raise StageError(f"{key or request} belongs to a chain that is not given; name it with --{name}")
    if chain is None:
        return None
    return OfferedLeaf(given(chain), given(key) if key else None, given(request) if request else None)
