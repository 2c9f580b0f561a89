"""What commands that judge have in common: the policy, the files of reports, and what is printed."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path

from everest_secure.report.renderer import renderers


def policy_arguments(parser: ArgumentParser, *, of: str = "") -> None:
    """Add what is held against: a profile or a policy file; `of` says for what, if not for all."""
    policy = parser.add_mutually_exclusive_group()
    policy.add_argument("--profile", metavar="NAME", help=f"profile{of}: production (the default), development or reference")
    policy.add_argument("--policy", metavar="FILE", type=Path, help=f"your own policy file{of}, which extends a profile")


def file_arguments(parser: ArgumentParser, summaries: Iterable[tuple[str, str]] | None = None) -> None:
    """Add an option that names a file for each form, by default each registered renderer; a summary says what it writes."""
    for name, summary in summaries or [(name, entry.summary) for name, entry in renderers().items()]:
        parser.add_argument(f"--{name}", metavar="FILE", type=Path, dest=f"file_{name}", help=f"also write {summary}")


def print_arguments(parser: ArgumentParser, forms: Iterable[str] | None = None, *, verbose: str = "everything that was seen") -> None:
    """Add which form is printed, by default one of the registered renderers', and how much of it: `options.detail` is -1, 0 or 1."""
    parser.add_argument("--format", choices=tuple(forms or renderers()), default="table", help="what to print (default: table)")
    detail = parser.add_mutually_exclusive_group()
    detail.add_argument("-q", "--quiet", dest="detail", action="store_const", const=-1, default=0, help="print the verdict alone")
    detail.add_argument("-v", "--verbose", dest="detail", action="store_const", const=1, help=f"print {verbose}")


def report_files(options: Namespace, *, inputs: Iterable[Path | None]) -> dict[str, Path]:
    """Return the files that `file_arguments` asked for, by form, with the way free for them; raises UserError when one would overwrite an input."""
    from everest_secure.report.output import prepare

    named = {name.removeprefix("file_"): file for name, file in vars(options).items() if name.startswith("file_") and file}
    prepare(named.values(), inputs=[file for file in inputs if file])
    return named
