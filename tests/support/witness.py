"""What a scenario on a running target shows (tests/boot/conftest.py)."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

LINES = 200
"""Lines of a console that an excerpt may have."""


@dataclass
class Witness:
    """What one scenario shows for its requirements."""

    lines: list[str] = field(default_factory=list)
    pictures: list[dict[str, str]] = field(default_factory=list)

    def excerpt(self, lines: Iterable[str]) -> None:
        """Add what the target said, the lines that matter."""
        self.lines += [line.rstrip() for line in lines][: LINES - len(self.lines)]

    def screenshot(self, picture: Path, title: str) -> None:
        """Add a picture of the target's screen, a PNG file."""
        self.pictures.append({"title": title, "png": base64.b64encode(picture.read_bytes()).decode()})
