"""`everest-secure matrix`: where each requirement is built in, checked and proven."""

import sys
from argparse import ArgumentParser, Namespace

from everest_secure.cli.command import command
from everest_secure.errors import ExitCode
from everest_secure.report.matrix import FORMATS


def arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--format", choices=tuple(FORMATS), default="table", help="what to print (default: table)")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every place in the table")


@command("matrix", summary="Show for each requirement where it is built in, checked and proven", arguments=arguments)
def run(options: Namespace) -> ExitCode:
    """Print the traceability matrix: the lines that build a requirement in, the functions that check it, the tests that prove it, the clauses it helps to meet."""
    from everest_secure.policy.catalogue import load_catalogue
    from everest_secure.report.output import terminal
    from everest_secure.traceability import trace

    sys.stdout.write(FORMATS[options.format](trace(load_catalogue()), terminal(int(options.verbose))))
    return ExitCode.OK
