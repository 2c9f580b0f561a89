"""Command lines of units (systemd.service(5), "Command lines"), and the commands that a shell's `-c` holds."""

import re
import shlex
from collections.abc import Iterator

from everest_secure.errors import ArtefactError

MAX_DEPTH = 16
"""Programs that do nothing but run another, one within the other."""
PREFIXES = "@-:+!|"
"""Signs before the program that change how it is run."""
SHELLS = ("sh", "bash", "dash", "ash")
_WRAPPERS = ("exec", "env", "command", "busybox", "toybox")
_INTERPRETERS = re.compile(r"(?:ba|da|a|z|k)?sh|\.|source|python[\d.]*|perl[\d.]*|lua[\w.]*|ruby[\d.]*|tclsh[\d.]*|node")
_KEYWORDS = ("if", "then", "else", "elif", "while", "until", "do", "!", "{", "(")


def separated(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Split the words of one line at `;`, which separates commands."""
    command: list[str] = []
    for word in (*words, ";"):
        if word != ";":
            command.append(word)
        elif command:
            yield tuple(command)
            command = []


def program(command: tuple[str, ...]) -> str:
    """Return the name of the program without its directory; systemd looks one without up in its search path."""
    return command[0].rsplit("/", 1)[-1]


def files_run(command: tuple[str, ...]) -> Iterator[str]:
    """Yield the absolute paths that a command runs: its program, and the file that an interpreter is given; not what follows `-c`, see `expanded`."""
    words = [command[0]]
    if _INTERPRETERS.fullmatch(program(command)) and not any(_is_script_option(word) for word in command[1:]):
        words += [word for word in command[1:] if not word.startswith("-")][:1]
    yield from (word for word in words if word.startswith("/"))


def expanded(command: tuple[str, ...], *, depth: int = 0) -> Iterator[tuple[str, ...]]:
    """Yield a command, what `env` or a multi-call program runs by it, and the simple commands of a shell's `-c`.

    Of the shell's language only quotes, separators and assignments are known: variables stay as they are.
    Raises ArtefactError for commands within more than `MAX_DEPTH` others.
    """
    if depth > MAX_DEPTH:
        raise ArtefactError(
            f"a command line runs '{program(command)}' within {MAX_DEPTH} other commands; it is taken for hostile and not read"
        )
    yield command
    if program(command) in SHELLS:
        script = next((command[at + 1] for at, word in enumerate(command[:-1]) if _is_script_option(word)), None)
        for simple in _simple_commands(script) if script is not None else ():
            yield from expanded(simple, depth=depth + 1)
    elif program(command) in _WRAPPERS:
        inner = _without_assignments(command[1:])
        if inner:
            yield from expanded(inner, depth=depth + 1)


def _is_script_option(word: str) -> bool:
    return word.startswith("-") and not word.startswith("--") and word.endswith("c")


def _without_assignments(words: tuple[str, ...]) -> tuple[str, ...]:
    """Drop options, variables and keywords before a program's name."""
    for at, word in enumerate(words):
        if not (word.startswith("-") or word in _KEYWORDS or _is_assignment(word)):
            return words[at:]
    return ()


def _is_assignment(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()


def _simple_commands(script: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(script.replace("\n", ";"), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command: list[str] = []
    try:
        found = list(lexer)
    except ValueError:
        return
    for word in (*found, ";"):
        if word.strip("();&|"):
            command.append(word)
            continue
        if simple := _without_assignments(tuple(command)):
            yield simple
        command = []
