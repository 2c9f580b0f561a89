"""`everest-secure explain`: what one requirement asks for."""

import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from everest_secure.cli.command import command
from everest_secure.errors import ExitCode


def arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("id", metavar="ID", nargs="?", help="requirement such as NET-01; upper or lower case")
    what.add_argument("--page", action="store_true", help="all requirements as Markdown, as the page docs/checks.md is")
    parser.add_argument("--policy", metavar="FILE", type=Path, help="your own policy file, whose requirements are known, too")


@command("explain", summary="Say what a requirement asks for, why, and how it is met and checked", arguments=arguments)
def run(options: Namespace) -> ExitCode:
    """Print one requirement, with the lines that build it in, the functions that check it and the tests that prove it."""
    from everest_secure.policy.catalogue import load_catalogue
    from everest_secure.policy.profile import load_policy
    from everest_secure.report.explain import explanation, page
    from everest_secure.traceability import trace

    catalogue = load_catalogue()
    declared = load_policy(options.policy, catalogue=catalogue).declared if options.policy else ()
    if options.page:
        sys.stdout.write(page(trace(catalogue, declared)))
        return ExitCode.OK
    requirement = catalogue.extended([entry.requirement for entry in declared]).get(options.id.upper())
    width = min(100, shutil.get_terminal_size().columns)
    sys.stdout.write(explanation(trace(catalogue, declared).get(requirement.id), width=width))
    return ExitCode.OK
