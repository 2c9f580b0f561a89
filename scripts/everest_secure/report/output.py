"""Where reports go: files that are complete or absent, and the terminal."""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path

from everest_secure.errors import UserError
from everest_secure.report.model import Report
from everest_secure.report.renderer import Look, renderers


def prepare(files: Iterable[Path], *, inputs: Sequence[Path]) -> None:
    """Make way for report files before the work starts: an old report must not be taken for the result of a check that failed.

    Raises UserError when a file is one of the inputs, is named twice, is no regular file, or lies in a directory that does not exist.
    """
    named = list(files)
    for file in named:
        if len([other for other in named if _same(file, other)]) > 1:
            raise UserError(f"{file} is named for two reports; give each a file of its own")
        if any(_same(file, given) for given in inputs):
            raise UserError(f"{file} is one of the inputs and would be overwritten by a report; name another file")
        if not file.parent.is_dir():
            raise UserError(f"the directory {file.parent} for the report {file.name} does not exist; make it first")
        if file.exists() and not file.is_file():
            raise UserError(f"{file} is no regular file and cannot be replaced by a report; name another file")
    for file in named:
        file.unlink(missing_ok=True)


def write_reports(report: Report, files: Mapping[str, Path]) -> None:
    """Write the report to a file for each renderer's name; all are rendered before the first is written, and each appears at once as a whole."""
    write_texts({file: renderers()[name].render(report, Look()) for name, file in files.items()})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write files, each at once as a whole. Raises UserError."""
    for file, text in texts.items():
        _write(file, text)


def print_report(report: Report, *, name: str, detail: int) -> None:
    """Print the report with one renderer."""
    sys.stdout.write(renderers()[name].render(report, terminal(detail)))


def terminal(detail: int = 0) -> Look:
    """Return the look of standard output: as wide as the terminal, in colour when it is one and NO_COLOR is not set (no-color.org).

    What standard output cannot encode is escaped from here on.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return Look(width=max(60, shutil.get_terminal_size((100, 24)).columns), colour=colour, detail=detail)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _write(file: Path, text: str) -> None:
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        try:
            with unfinished.open("x", encoding="utf-8", errors="backslashreplace") as temporary:
                temporary.write(text)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"the report {file} cannot be written: {error.strerror}; check the directory's permissions and free space"
        ) from None
