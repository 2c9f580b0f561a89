"""`everest-secure diff`: what changed between two images or two reports."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.cli.command import command
from everest_secure.errors import ExitCode
from everest_secure.report.diff_views import FORMATS

if TYPE_CHECKING:
    from everest_secure.report.posture import Posture


def arguments(parser: ArgumentParser) -> None:
    """Add the options; every form but the table can also be written to a file."""
    parser.add_argument("old", metavar="OLD", type=Path, help="artefact, or JSON report of an earlier check")
    parser.add_argument("new", metavar="NEW", type=Path, help="the same, newer")
    policy = parser.add_mutually_exclusive_group()
    policy.add_argument("--profile", metavar="NAME", help="profile for artefacts: production (the default), development or reference")
    policy.add_argument("--policy", metavar="FILE", type=Path, help="your own policy file for artefacts")
    for name in FORMATS:
        parser.add_argument(f"--{name}", metavar="FILE", type=Path, dest=f"file_{name}", help=f"also write the comparison as {name}")
    parser.add_argument("--format", choices=tuple(FORMATS), default="table", help="what to print (default: table)")
    detail = parser.add_mutually_exclusive_group()
    detail.add_argument("-q", "--quiet", dest="detail", action="store_const", const=-1, default=0, help="print the verdict alone")
    detail.add_argument("-v", "--verbose", dest="detail", action="store_const", const=1, help="print every finding")


@command("diff", summary="Show what changed between two images or two reports", arguments=arguments)
def run(options: Namespace) -> ExitCode:
    """Compare two artefacts, or two JSON reports of artefacts, requirement by requirement and finding by finding.

    Exit code 1 says that something got worse: a requirement, or a finding that is new and not waived.
    """
    import sys

    from everest_secure.report.diff import diff
    from everest_secure.report.output import prepare, terminal, write_texts
    from everest_secure.report.renderer import Look

    files = {name: file for name in FORMATS if (file := getattr(options, f"file_{name}"))}
    prepare(files.values(), inputs=[options.old, options.new, *([options.policy] if options.policy else [])])
    found = diff(_posture(options.old, options), _posture(options.new, options))
    write_texts({file: FORMATS[name](found, Look()) for name, file in files.items()})
    sys.stdout.write(FORMATS[options.format](found, terminal(options.detail)))
    return found.exit_code


def _posture(path: Path, options: Namespace) -> "Posture":
    from everest_secure.checks.session import check_artefacts
    from everest_secure.report.posture import is_report, of_report, read_report

    if is_report(path):
        return read_report(path)
    return of_report(check_artefacts([path], profile=options.profile, policy_file=options.policy), source=str(path))
