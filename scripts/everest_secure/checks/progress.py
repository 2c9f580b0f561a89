"""How far a check has come, for whoever wants to show it."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""`progress(done, all, what)`: how many checks are done of how many, and which was the last."""


def unseen(done: int, everything: int, what: str) -> None:
    """Show nothing."""
