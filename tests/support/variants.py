"""The demonstration's image once more, with what a product sets besides."""

import shutil
from contextlib import nullcontext
from pathlib import Path

from everest_secure.pki.store import Store
from everest_secure.reference.build import ReferenceImage, Workspace, build
from support.booted import KEYS
from support.reference import REPOSITORY


def variant(output: Path, **knobs: str) -> ReferenceImage:
    """Build it into the existing directory `output`, of what `make demo` has downloaded."""
    workspace = Workspace(cache=REPOSITORY / "build/cache", work=output / "work")
    made = build(keys=Store(KEYS), output=output, workspace=workspace, knobs=knobs, step=lambda _: nullcontext())
    shutil.rmtree(workspace.work)
    return made
