"""Where the sources come from: a checkout that nobody changed, of the release that the image names."""

from __future__ import annotations

import subprocess
from pathlib import Path

from everest_policy.facts import Data, is_on


def everest(d: Data) -> str:
    """SUP-03: EVerest's checkout, which its recipe builds as it lies there, is a clean one of a tag."""
    path = d.getVar("EVEREST_CORE_PATH")
    if not path or (is_on(d, "EVEREST_CHANGED_CHECKOUT") and not is_on(d, "EVEREST_PRODUCTION")):
        return ""
    path = str(Path(path).resolve())
    changed = _git(path, "status", "--porcelain")
    if changed is None:
        return f"SUP-03: {path} is no checkout of EVerest that git can read; let kas make it from the lock file"
    if changed:
        return f"SUP-03: EVerest's checkout {path} was changed ('{changed.splitlines()[0].strip()}'); undo that, or set EVEREST_CHANGED_CHECKOUT to 1 for the workshop"
    tags = (_git(path, "tag", "--points-at", "HEAD") or "").split()
    version = d.getVar("EVEREST_VERSION") or ""
    if version not in tags:
        return f"SUP-03: EVerest's checkout {path} is not at the tag {version}; check that tag out or set EVEREST_VERSION to what is there"
    return ""


def _git(path: str, *arguments: str) -> str | None:
    """Return what git says, or nothing when it cannot say."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", path, *arguments], capture_output=True, text=True, timeout=120, check=False
        )
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout
