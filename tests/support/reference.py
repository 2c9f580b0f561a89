"""Parts of the reference image small enough for a unit test: recipes' packages, a root tree, a root that programs are entered in."""

import os
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import ToolError
from everest_secure.reference.recipes.harness import BuiltPackage
from everest_secure.reference.toolsroot import ToolsRoot
from everest_secure.run import is_installed

REPOSITORY = Path(__file__).resolve().parents[2]
AS_ROOT = REPOSITORY / "scripts" / "as-root.sh"
UNREACHABLE = "http://127.0.0.1:9/debian"
"""An archive at the discard port, where nobody listens."""


def package(
    files: Path,
    *,
    name: str = "charger",
    depends: tuple[str, ...] = (),
    recommends: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    users: tuple[str, ...] = (),
    memberships: tuple[str, ...] = (),
) -> BuiltPackage:
    """Return a package as the recipe harness does."""
    return BuiltPackage(name, "A test", files, depends, recommends, (), groups, users, memberships, (), enabled=False)


def require(*programs: str) -> None:
    """Skip the test unless all programs are installed; fail where EVEREST_SECURE_INSTALLED says that the caller has installed what tests need (Makefile)."""
    for program in programs:
        if not is_installed(program):
            outcome = pytest.fail if os.environ.get("EVEREST_SECURE_INSTALLED") else pytest.skip
            outcome(f"{program} is not installed")


def root_command(*argv: str | Path) -> list[str]:
    """Return the command that runs `argv` as root; skips the test where this user has no ids for that."""
    if subprocess.run([AS_ROOT, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not be root in a namespace of its own")
    return [str(part) for part in (AS_ROOT, *argv)]


def machine_as_tools_root() -> ToolsRoot:
    """Return a tools root over this machine's own directories; skips the test where bubblewrap may not enter one."""
    require("bwrap")
    tools = ToolsRoot(Path("/"))
    try:
        tools.run(["true"])
    except ToolError as error:
        pytest.skip(f"bubblewrap may not make a sandbox here: {error}")
    return tools
