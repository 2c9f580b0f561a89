"""`everest-secure explain`: what one requirement asks for."""

import shutil
import sys
from argparse import ArgumentParser, Namespace

from everest_secure.cli.command import command
from everest_secure.errors import ExitCode


def arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("id", metavar="ID", help="requirement such as NET-01; upper or lower case")


@command("explain", summary="Say what a requirement asks for, why, and how it is met and checked", arguments=arguments)
def run(options: Namespace) -> ExitCode:
    """Print one requirement of the catalogue."""
    from everest_secure.policy.catalogue import load_catalogue
    from everest_secure.report.explain import explanation

    width = min(100, shutil.get_terminal_size().columns)
    sys.stdout.write(explanation(load_catalogue().get(options.id.upper()), width=width))
    return ExitCode.OK
