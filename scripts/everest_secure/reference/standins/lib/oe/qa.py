"""Stand-in for OE-Core's `oe.qa`: a finding is an error, a warning or a note by its class."""

from typing import Protocol

import bb


class Data(Protocol):
    """What is used of BitBake's datastore; the names are BitBake's."""

    def getVar(self, name: str) -> str | None:  # noqa: N802 - BitBake's name
        """Return a variable's value, expanded."""
        ...

    def setVar(self, name: str, value: str) -> None:  # noqa: N802 - BitBake's name
        """Set a variable."""
        ...


def handle_error(error_class: str, error_msg: str, d: Data) -> bool:
    """Report a QA finding; returns False when it is an error, as OE-Core's function of the same name."""
    if error_class in (d.getVar("ERROR_QA") or "").split():
        d.setVar("QA_ERRORS_FOUND", "True")
        bb.error(f"QA Issue: {error_msg} [{error_class}]")
        return False
    if error_class in (d.getVar("WARN_QA") or "").split():
        bb.warn(f"QA Issue: {error_msg} [{error_class}]")
    else:
        bb.note(f"QA Issue: {error_msg} [{error_class}]")
    return True


def exit_if_errors(d: Data) -> None:
    """Stop when `handle_error` reported an error."""
    if d.getVar("QA_ERRORS_FOUND"):
        bb.fatal("Fatal QA errors were found, failing task.")
