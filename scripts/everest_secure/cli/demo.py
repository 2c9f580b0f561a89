"""`everest-secure demo`: from new keys to a verified, signed image."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from everest_secure.cli.command import command
from everest_secure.errors import ExitCode

QUIET, NORMAL = -1, 0
"""Detail of what is printed of the report: the verdict alone, or every requirement."""


def arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--directory", type=Path, default=Path("build"), metavar="DIR", help="where everything goes (default: build)")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="where downloads and intermediate trees are kept (default: cache in that directory)"
    )
    parser.add_argument("--layer", type=Path, metavar="DIR", help="the layer to build from (default: the project's own)")


@command("demo", summary="Make keys, a reference image and its bundle, and verify them", arguments=arguments)
def run(options: Namespace) -> ExitCode:
    """Make a development PKI, build the reference image from the layer's recipes, sign an update bundle and verify both.

    The results are in DIR/demo; keys and caches beside it are used again the next time.
    """
    from everest_secure.cli.steps import step
    from everest_secure.reference.demo import demonstrate
    from everest_secure.report.output import print_report

    print("From new keys to a verified, signed image:")
    done = demonstrate(options.directory, cache=options.cache, layer=options.layer, step=step)
    print_report(done.report, name="table", detail=QUIET if done.report.exit_code is ExitCode.OK else NORMAL)
    for what, path in (("image", done.image.disk), ("bundle", done.image.bundle), ("report", done.page), ("keys", done.keys.directory)):
        print(f"  {what:<8}{path}")
    return done.report.exit_code
