"""Runs kas, which fetches the layers and drives BitBake."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from everest_secure.build.configuration import Configuration, parse
from everest_secure.build.errors import BuildError
from everest_secure.run import Argument, attempt, stream

KAS: tuple[Argument, ...] = (sys.executable, "-m", "kas")
LEFT_OUT = ("finish_setup_repos", "repos_checkout")
"""Steps that kas leaves out when it shall only read its files. It still fetches a repository from which a file is included."""

RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - (?P<level>[A-Z]+) +- (?P<message>.*)")
"""A line of kas's log; lines without this head belong to the record before."""
EMPTY_PHRASES = ("Config file validation Error:", "For a list of supported configuration elements")


@dataclass(frozen=True, slots=True)
class Kas:
    """kas with the files of one build."""

    files: tuple[Path, ...]
    """kas files in the order in which they are merged."""
    directory: Path
    """Work directory: `layers/` and `build/` are made in it."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment, such as the names of key files."""

    @property
    def build_directory(self) -> Path:
        """BitBake's TOPDIR."""
        return self.directory.resolve() / "build"

    @property
    def environment(self) -> Mapping[str, str]:
        """What is added to kas's environment: places, and that the files alone decide what is built, lest an older image be taken for the result."""
        places = {"KAS_WORK_DIR": str(self.directory.resolve()), "KAS_BUILD_DIR": str(self.build_directory)}
        return {**self.variables, **places, "KAS_TARGET": "", "KAS_TASK": "build"}

    def configuration(self) -> Configuration:
        """Return what the files say, read by kas without a network unless they include files of other repositories.

        Raises BuildError with kas's own words when a file is missing or wrong.
        """
        skip = [word for step in LEFT_OUT for word in ("--skip", step)]
        return parse(self._ask("dump", "--format", "json", *skip, self._chain(), purpose="read"))

    def build(self) -> None:
        """Fetch the layers and build the targets, with kas and BitBake talking to the terminal. Raises BuildError when the build fails."""
        code = stream([*KAS, "build", self._chain()], env=self.environment)
        if code:
            raise BuildError(
                f"the build failed (kas ended with exit code {code}); its errors stand above, and the logs of all tasks lie in {self.build_directory}"
            )

    def variable(self, name: str) -> str:
        """Return the value of a variable of BitBake's configuration, once the layers are checked out. Raises BuildError."""
        output = self._ask("shell", self._chain(), "--command", f"bitbake-getvar --value {name}", purpose="evaluate")
        lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
        if not lines:
            raise BuildError(f"BitBake has no value for {name}; look at 'bitbake-getvar {name}' in a 'kas shell'")
        return lines[-1]

    def _ask(self, *arguments: Argument, purpose: str) -> bytes:
        done = attempt([*KAS, *arguments], env=self.environment)
        if done.code:
            names = ", ".join(str(file) for file in self.files)
            raise BuildError(f"kas cannot {purpose} {names}: {complaint(done.errors.decode(errors='replace'))}; mend it and try again")
        return done.output

    def _chain(self) -> str:
        return ":".join(str(file) for file in self.files)


def complaint(log: str) -> str:
    """Return what kas's log complains of, in one line and without its empty phrases; the log's last line when it has no error."""
    errors: list[str] = []
    level = ""
    for line in log.partition("Traceback (most recent call last):")[0].splitlines():
        record = RECORD.fullmatch(line)
        level = record["level"] if record else level
        message = record["message"] if record else line
        if level in {"ERROR", "CRITICAL"} and message.strip() and not message.startswith(EMPTY_PHRASES):
            errors.append(message.strip())
    return "; ".join(errors) or next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "it said nothing")


def require_files(files: Sequence[Path]) -> None:
    """Raise BuildError unless each kas file is a readable file whose name kas can take: it separates names with a colon."""
    for file in files:
        if not file.is_file():
            raise BuildError(f"the kas file {file} does not exist; the project's own lie in kas/")
        if not os.access(file, os.R_OK):
            raise BuildError(f"the kas file {file} cannot be read; check its permissions")
        if ":" in str(file):
            raise BuildError(f"the name {file} has a colon, which separates kas files; rename it or its directory")
