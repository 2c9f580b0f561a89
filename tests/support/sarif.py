"""The public validator of SARIF files, Microsoft's Multitool, with the schema that it brings."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(sys.prefix) / "npm/node_modules/@microsoft/sarif-multitool-linux"
"""Where `make test` puts it."""


def require_validator() -> Path:
    """Return the program, or skip the test."""
    program = PACKAGE / "Sarif.Multitool"
    if not program.is_file():
        pytest.skip("the SARIF Multitool is not installed; 'make test' does that where npm is")
    return program


def schema() -> dict[str, Any]:
    """Return the JSON schema of SARIF 2.1.0."""
    require_validator()
    found: dict[str, Any] = json.loads((PACKAGE / "sarif-2.1.0.json").read_text(encoding="utf-8-sig"))
    return found


def complaints(log: Path, *, kinds: str = "Sarif") -> list[str]:
    """Return what the validator calls an error; `kinds` are sets of its rules, `Ghas` those of GitHub's code scanning."""
    program = require_validator()
    done = subprocess.run(
        [program, "validate", log, "--level", "Error", "--rule-kind", kinds],
        capture_output=True,
        text=True,
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        timeout=120,
        check=False,
    )
    assert "1 files scanned" in done.stdout, done.stdout + done.stderr
    return re.findall(r"^.*: error .*$", done.stdout, re.MULTILINE)
