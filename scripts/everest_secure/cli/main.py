"""Entry point of `everest-secure`: finds the command, runs it, and turns errors into one sentence and an exit code."""

import atexit
import gc
import os
import shutil
import sys
import textwrap
import traceback
import warnings
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter, _SubParsersAction
from collections.abc import Sequence
from inspect import getdoc
from typing import NoReturn

from everest_secure import __version__
from everest_secure.ending import heeding_requests
from everest_secure.errors import ExitCode, UserError
from everest_secure.text import printable

PROGRAM = "everest-secure"
EXIT_CODES = "exit codes: 0 all holds, 1 findings, 2 the work could not be done, 64 wrong command line"
TRACEBACK = "EVEREST_SECURE_TRACEBACK"
"""Environment variable that makes an internal error show where it came from."""
ALLOCATIONS = 200_000
"""Objects after which Python looks for cycles among them, of which a run makes few: modules and a tree of 20,000 files are not searched again and again."""


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line in one sentence and exit with EX_USAGE."""
        self.exit(ExitCode.USAGE, f"{PROGRAM}: {message}; see '{self.prog} --help'\n")


def build_parser() -> ArgumentParser:
    """Return the parser of all registered commands; the chosen `Command.run` is in `options.run`."""
    from everest_secure.cli.command import commands, group_summary

    parser = _Parser(prog=PROGRAM, description="Build, sign and verify hardened EVerest images.", epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    top = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    groups: dict[str, _SubParsersAction[_Parser]] = {}
    for name, entry in commands().items():
        *first, last = name.split()
        for word in first:
            if word not in groups:
                holder = top.add_parser(word, help=group_summary(word), description=group_summary(word), epilog=EXIT_CODES)
                groups[word] = holder.add_subparsers(title="commands", metavar="COMMAND", required=True)
        place = groups[first[0]] if first else top
        own = place.add_parser(
            last,
            help=entry.summary,
            description=_paragraphs(getdoc(entry.run) or ""),
            epilog=EXIT_CODES,
            formatter_class=RawDescriptionHelpFormatter,
        )
        entry.arguments(own)
        own.set_defaults(run=entry.run)
    return parser


def _paragraphs(text: str) -> str:
    width = shutil.get_terminal_size((80, 24)).columns - 2
    return "\n\n".join(textwrap.fill(paragraph, width) for paragraph in text.split("\n\n"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see docs/exit-codes.md."""
    gc.set_threshold(ALLOCATIONS)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries warn their callers, such as of a hostile certificate that they still read
    atexit.register(gc.freeze)  # nor once more at the end, when all memory is given back anyway
    try:
        with heeding_requests():
            code = run(build_parser().parse_args(argv))
        sys.stdout.flush()
    except KeyboardInterrupt as error:
        return _failed(str(error) or "interrupted")
    except BrokenPipeError:
        # The reader, such as `head`, has what it wanted; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    return code


def run(options: Namespace) -> ExitCode:
    """Run the chosen command; every error ends as one line on standard error and exit code 2, never as the 1 that means findings."""
    try:
        code: ExitCode = options.run(options)
    except UserError as error:
        return _failed(str(error))
    except KeyboardInterrupt as error:
        return _failed(str(error) or "interrupted")
    except BrokenPipeError:
        raise
    except OSError as error:
        return _failed(
            f"{error.filename or 'input or output'}: {error.strerror or error}; check the path, its permissions and the free space"
        )
    except Exception as error:
        if TRACEBACK in os.environ:
            traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        return _failed(
            f"internal error ({what}); please report it with the output of the same command with {TRACEBACK}=1 in the environment"
        )
    return code


def _failed(sentence: str) -> ExitCode:
    sys.stderr.write(f"{PROGRAM}: {printable(sentence)}\n")
    return ExitCode.FAILED
