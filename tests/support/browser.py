"""Chromium without a window, driven as a user would: by its DevTools protocol over a pipe, which needs no port and no library."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
LIMIT = 240
"""Seconds after which a browser that says nothing more is taken to hang."""


@dataclass
class Browser:
    """One page in a browser."""

    write: int
    read: int
    session: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    """Everything that the browser said on its own."""
    _number: int = 0
    _rest: bytes = b""

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters} | ({"sessionId": self.session} if self.session else {})
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            said = self._message()
            if said.get("id") == self._number:
                assert "error" not in said, said
                result: dict[str, Any] = said["result"]
                return result
            self.events.append(said)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self.read, 1 << 20)
            assert more, "the browser ended"
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def open(self, page: Path) -> None:
        """Load a page and wait for it."""
        self.ask("Page.navigate", url=page.as_uri())
        while not [event for event in self.events if event.get("method") == "Page.loadEventFired"]:
            self.events.append(self._message())

    def run(self, expression: str) -> Any:  # any JSON value
        """Return the value of an expression of JavaScript in the page."""
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.ask("Input.insertText", text=text)

    def picture(self, file: Path) -> None:
        """Write what is seen as PNG."""
        file.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=False)["data"]))

    def said(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of all events of one name."""
        return [event["params"] for event in self.events if event.get("method") == method]


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start a browser with an empty profile; skips the test where there is none."""
    if PROGRAM is None:
        pytest.skip("no chromium or google-chrome on this machine")
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
        "--disable-dev-shm-usage",
    ]
    # The protocol is on descriptors 3 and 4.
    shell = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec timeout {LIMIT} "$@"'
    process = subprocess.Popen(
        ["bash", "-c", shell, "sh", PROGRAM, *options, "about:blank"],
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        found = Browser(ours_out, ours_in)
        target = next(entry for entry in found.ask("Target.getTargets")["targetInfos"] if entry["type"] == "page")
        found.session = found.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            found.ask(f"{domain}.enable")
        yield found
    finally:
        os.close(ours_out)
        os.close(ours_in)
        process.terminate()
        process.wait()
