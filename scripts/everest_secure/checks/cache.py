"""Results of earlier checks, kept in a directory by what they depend on: content, names, parameters, day, and the program itself.

A result is used again only when all of that is the same. Whoever can write to the directory decides what checks say; so it must be this user's own, as must
every entry, and an entry that is anything else than what this program writes is not there.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from everest_secure import __version__
from everest_secure.errors import UserError
from everest_secure.paths import PACKAGE
from everest_secure.result import CheckResult, Finding, Location, Outcome

FORMAT = 1
MAX_BYTES = 64 * 1024 * 1024
"""Of one entry."""
MOST_ENTRIES = 512
"""Entries that are kept, those used last."""
_LIBRARIES = ("asn1crypto", "cryptography", "lz4", "pyyaml", "zstandard")
"""What readers and parsers rely on."""

Results = Mapping[str, CheckResult]
"""What each check said, by the check's key."""


class ResultCache:
    """A directory of results."""

    def __init__(self, directory: Path) -> None:
        """Make the directory if there is none. Raises UserError when it is another user's, or others can write to it."""
        self._directory = directory
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            status = directory.stat()
        except OSError as error:
            raise UserError(f"{directory} cannot hold results: {error.strerror}; name another directory for --cache") from None
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise UserError(
                f"{directory} belongs to somebody else or can be written by others, who could decide there what checks say; name another for --cache"
            )

    def get(self, key: str) -> Results:
        """Return the results of a key; empty when there is no entry, or one that this program did not write."""
        try:
            descriptor = os.open(self._file(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if (
                    not stat.S_ISREG(status.st_mode)
                    or status.st_uid != os.geteuid()
                    or status.st_mode & 0o077
                    or status.st_size > MAX_BYTES
                ):
                    return {}
                content = file.read(MAX_BYTES)
                os.utime(descriptor)
            return _results(json.loads(content), key)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}

    def put(self, key: str, results: Results) -> None:
        """Keep results under a key, at once as a whole, for this user alone; a directory that is full or gone costs nothing but the time saved."""
        entries = {name: _plain(result) for name, result in results.items()}
        content = json.dumps({"format": FORMAT, "key": key, "sha256": _seal(entries), "results": entries})
        unfinished = self._directory / f".{key}.{os.getpid()}"
        with suppress(OSError):
            try:
                with os.fdopen(
                    os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="ascii"
                ) as file:
                    file.write(content)
                unfinished.replace(self._file(key))
            finally:
                unfinished.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove the entries that were not used for longest."""
        with suppress(OSError):
            entries = sorted(self._directory.glob("*.json"), key=lambda file: file.lstat().st_mtime_ns, reverse=True)
            for file in entries[MOST_ENTRIES:]:
                file.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._directory / f"{key}.json"


def key_of(**parts: object) -> str:
    """Return the key of everything that a result depends on, as JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def program() -> str:
    """Return a digest of this program: its version, its files, the interpreter, and the libraries that read for it."""
    from importlib.metadata import version

    found = hashlib.sha256(f"{__version__} {sys.version}".encode())
    for library in _LIBRARIES:
        found.update(version(library).encode())
    for file in sorted(PACKAGE.rglob("*.py")):
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def _seal(entries: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def _plain(result: CheckResult) -> dict[str, Any]:
    findings = [[found.what, found.at.artefact, found.at.path, found.at.line, found.remedy] for found in result.findings]
    return {
        "check": result.check,
        "subject": result.subject,
        "outcome": str(result.outcome),
        "reason": result.reason,
        "seen": list(result.seen),
        "findings": findings,
    }


def _results(value: Any, key: str) -> Results:  # noqa: ANN401 - any JSON value
    if value["format"] != FORMAT or value["key"] != key or value["sha256"] != _seal(value["results"]):
        raise ValueError(key)
    return {name: _result(entry) for name, entry in value["results"].items()}


def _result(entry: Any) -> CheckResult:  # noqa: ANN401 - any JSON value
    texts = [entry["check"], entry["subject"], entry["reason"], *entry["seen"]]
    findings = tuple(Finding(what, Location(artefact, path, line), remedy) for what, artefact, path, line, remedy in entry["findings"])
    texts += [text for found in findings for text in (found.what, found.at.artefact, found.at.path, found.remedy)]
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(found.at.line, int) for found in findings):
        raise TypeError
    return CheckResult(entry["check"], entry["subject"], Outcome(entry["outcome"]), entry["reason"], tuple(entry["seen"]), findings)
