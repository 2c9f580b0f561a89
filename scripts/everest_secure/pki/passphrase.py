"""Passphrases of encrypted keys and PINs of tokens: from an environment variable, a file descriptor or a prompt, never from the command line."""

import os
import sys
from dataclasses import dataclass
from getpass import getpass

from everest_secure.pki.errors import PkiError

MIN_LENGTH = 12
"""Characters of a new passphrase."""
MAX_BYTES = 512
"""OpenSSL reads at most 1024 bytes (PEM_BUFSIZE)."""


@dataclass(frozen=True, slots=True)
class PassphraseSource:
    """Where a passphrase or PIN comes from; with neither, the terminal is asked."""

    variable: str | None = None
    """Name of an environment variable."""
    descriptor: int | None = None
    """Number of an open file descriptor; its first line is read."""
    word: str = "passphrase"
    """What it is called: `passphrase` or `PIN`."""

    @property
    def options(self) -> str:
        """The options that say it, for a message."""
        return f"--{self.word.lower()}-env or --{self.word.lower()}-fd"


def read(source: PassphraseSource, *, purpose: str, new: bool = False) -> str:
    """Return a passphrase or PIN; `purpose` tells a person at a prompt what for.

    With `new` it is asked for twice and must have 12 characters. Raises PkiError when there is none, it is too short or too long, or both
    answers differ.
    """
    return _judged(_given(source, purpose=purpose, new=new), source.word, new=new)


@dataclass(slots=True)
class Secrets:
    """The passphrases or PINs of one command: from a variable or descriptor one for all of them, at a terminal one for each purpose."""

    source: PassphraseSource
    _given: str | None = None

    def read(self, purpose: str, *, new: bool = False) -> str:
        """Return the one for a purpose as `read` does, and as it was given before where it cannot be given again."""
        if self.source.descriptor is None:
            return read(self.source, purpose=purpose, new=new)
        if self._given is None:
            self._given = read(self.source, purpose=purpose, new=new)
        return _judged(self._given, self.source.word, new=new)


def _judged(given: str, word: str, *, new: bool) -> str:
    if not given:
        raise PkiError(f"the {word} is empty; give one that is not")
    if not given.isprintable() or len(given.encode()) > MAX_BYTES:
        raise PkiError(f"the {word} has control characters or more than {MAX_BYTES} bytes; choose another")
    if new and len(given) < MIN_LENGTH:
        raise PkiError(f"the {word} has fewer than {MIN_LENGTH} characters; choose a longer one")
    return given


def _given(source: PassphraseSource, *, purpose: str, new: bool) -> str:
    word = source.word
    if source.variable is not None:
        found = os.environ.get(source.variable)
        if found is None:
            raise PkiError(f"the environment variable {source.variable} that should hold the {word} is not set; set it")
        return found
    if source.descriptor is not None:
        return _from_descriptor(source.descriptor, word)
    if not sys.stdin.isatty():
        raise PkiError(f"there is no terminal to ask for the {word} of {purpose}; use {source.options}")
    try:
        first = getpass(f"{word[0].upper()}{word[1:]} of {purpose}: ")
        again = getpass("The same again: ") if new else first
    except EOFError:
        raise PkiError(f"no {word} of {purpose} was given at the terminal; try again, or use {source.options}") from None
    if again != first:
        raise PkiError(f"the two {word}s differ; try again")
    return first


def _from_descriptor(descriptor: int, word: str) -> str:
    try:
        with os.fdopen(os.dup(descriptor), "rb") as file:
            line = file.readline(MAX_BYTES + 2)
        return line.removesuffix(b"\n").decode()
    except OSError as error:
        raise PkiError(f"file descriptor {descriptor} cannot be read: {error.strerror}; open it for reading") from None
    except OverflowError:
        raise PkiError(f"there is no file descriptor {descriptor}; correct its number") from None
    except UnicodeDecodeError:
        raise PkiError(f"the {word} from file descriptor {descriptor} is no UTF-8 text; choose another") from None
