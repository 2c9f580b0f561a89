"""`everest-secure diff`: what changed between two images or two reports."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from everest_secure.cli.command import command
from everest_secure.cli.reporting import file_arguments, policy_arguments, print_arguments, report_files
from everest_secure.errors import ExitCode
from everest_secure.report.diff_views import FORMATS

if TYPE_CHECKING:
    from everest_secure.report.posture import Posture


def arguments(parser: ArgumentParser) -> None:
    """Add the options; every form but the table can also be written to a file."""
    parser.add_argument("old", metavar="OLD", type=Path, help="artefact, or JSON report of an earlier check")
    parser.add_argument("new", metavar="NEW", type=Path, help="the same, newer")
    policy_arguments(parser, of=" for artefacts")
    file_arguments(parser, [(name, f"the comparison as {name}") for name in FORMATS])
    print_arguments(parser, FORMATS, verbose="every finding")


@command("diff", summary="Show what changed between two images or two reports", arguments=arguments)
def run(options: Namespace) -> ExitCode:
    """Compare two artefacts, or two JSON reports of artefacts, requirement by requirement and finding by finding.

    Exit code 1 says that something got worse: a requirement, or a finding that is new and not waived.
    """
    import sys

    from everest_secure.report.diff import diff
    from everest_secure.report.output import terminal, write_texts
    from everest_secure.report.renderer import Look

    files = report_files(options, inputs=[options.old, options.new, options.policy])
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
