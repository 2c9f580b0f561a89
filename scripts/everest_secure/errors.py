"""Errors that a user can act on, and the exit codes of every command.

A message is one sentence: what is wrong, where, and what to do about it. The command line prints it without a traceback.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `everest-secure` (documented in docs/exit-codes.md)."""

    OK = 0
    FINDINGS = 1
    """The work was done and something does not hold."""
    FAILED = 2
    """The work could not be done: unreadable input, missing tool, refused operation."""
    USAGE = 64
    """The command line itself is wrong (EX_USAGE of sysexits.h)."""


class UserError(Exception):
    """Something the user can mend; its text is one sentence shown as is."""


class ArtefactError(UserError):
    """An artefact is empty, truncated, corrupt, hostile, of unknown type or unreadable."""


class PolicyError(UserError):
    """A policy file is wrong; the text names the file and the key."""


class ToolError(UserError):
    """An external program is missing or failed."""


class ProgramFailedError(ToolError):
    """An external program ran and said no."""
