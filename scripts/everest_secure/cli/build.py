"""`everest-secure build`: from kas files to a checked image."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from everest_secure.cli.command import command
from everest_secure.errors import ExitCode


def arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("files", metavar="KAS-FILE", nargs="+", help="kas files, merged in this order; kas's A.yml:B.yml works too")
    parser.add_argument("--directory", type=Path, default=Path("build/yocto"), metavar="DIR", help="work directory (default: build/yocto)")
    parser.add_argument("--profile", metavar="NAME", help="what to check against: production (the default), development or reference")
    parser.add_argument("--keys", type=Path, metavar="DIR", help="development PKI that 'pki init' made; its files sign the bundle")
    parser.add_argument("--space", type=int, metavar="GB", help="free disk space to ask for (default: 90 for a first build, 10 after)")


@command("build", summary="Build an image from kas files and verify it", arguments=arguments)
def run(options: Namespace) -> ExitCode:
    """Build an image from kas files and verify it.

    Looks first whether the build can succeed: the files, the keys, the disk, the repositories. kas and BitBake then show their own progress.
    Images, bundle and reports are in DIR/images afterwards.
    """
    from everest_secure.build.session import build
    from everest_secure.cli.steps import step
    from everest_secure.report.output import print_report

    done = build(
        [Path(name) for chain in options.files for name in chain.split(":")],
        directory=options.directory,
        profile=options.profile,
        keys=options.keys,
        space=None if options.space is None else options.space * 10**9,
        step=step,
    )
    print_report(done.report, name="table", detail=0)
    for what, path in (*(("artefact", path) for path in done.collection.artefacts), ("report", done.page)):
        print(f"  {what:<10}{path}")
    return done.report.exit_code
