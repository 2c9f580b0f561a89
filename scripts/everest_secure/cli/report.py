"""`everest-secure report`: what to do with a report that was written before."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from everest_secure.cli.command import command, group
from everest_secure.cli.reporting import file_arguments, print_arguments, report_files
from everest_secure.errors import ExitCode

group("report", summary="Merge what a running target showed into a report, and show a report in other forms")


def arguments(parser: ArgumentParser) -> None:
    """Add the options; each registered renderer is a format and an option that names a file."""
    parser.add_argument("report", metavar="REPORT", type=Path, help="JSON report, which 'everest-secure check --json' wrote")
    parser.add_argument(
        "proofs",
        metavar="PROOFS",
        nargs="*",
        type=Path,
        help="what scenarios showed on a target that ran the same artefacts: proofs.json of 'make boot', or testresults.json of OE-Core's testimage",
    )
    file_arguments(parser)
    print_arguments(parser)


@command("report merge", summary="Merge what a running target showed into a report", arguments=arguments)
def run(options: Namespace) -> ExitCode:
    """Merge what scenarios showed on a running target into a JSON report, and show it in any form.

    A scenario that failed is a finding, and the exit code is that of the whole. Proofs that were made with another image are refused. Without
    any the report is shown as it is.
    """
    from everest_secure.proof.merge import merge
    from everest_secure.proof.proofs import read_proofs
    from everest_secure.proof.reading import read_whole
    from everest_secure.report.output import print_report, write_reports

    files = report_files(options, inputs=[options.report, *options.proofs])
    merged = merge(read_whole(options.report), [proofs for path in options.proofs for proofs in read_proofs(path)])
    write_reports(merged, files)
    print_report(merged, name=options.format, detail=options.detail)
    return merged.exit_code
