"""Runs mkosi: the root tree from Debian packages with this layer's packages on top, and the initial RAM disk."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from everest_secure.errors import ToolError
from everest_secure.paths import PACKAGE
from everest_secure.reference.archive import Archive
from everest_secure.run import Argument, Tools

CONFIGURATIONS = PACKAGE / "reference" / "mkosi"


def build_tree(*, base: Path, packages: Path, names: Sequence[str], output: Path, cache: Path, archive: Archive, tools: Tools) -> Path:
    """Build the root tree and return its directory below `output`.

    The tree of Debian's packages, with the local ones in the directory `base`, is kept in `cache`; those of `packages` called `names` are
    installed on top each time. Beside the tree lie `root.manifest` (JSON, every package with its version) and `root.vmlinuz`. Raises ToolError.
    """
    options = _options(base, packages, names)
    _mkosi("root", options, output=output, cache=cache, archive=archive, tools=tools, paths=[base, packages])
    return output / "root"


def build_initrd(*, base: Path, packages: Path, names: Sequence[str], output: Path, cache: Path, archive: Archive, tools: Tools) -> Path:
    """Build the compressed initrd below `output`, of Debian's packages and those of `packages` called `names`; see `build_tree`. Raises ToolError."""
    options = _options(base, packages, names)
    _mkosi("initrd", options, output=output, cache=cache, archive=archive, tools=tools, paths=[base, packages])
    return output / "initrd.cpio.zst"


def _options(base: Path, packages: Path, names: Sequence[str]) -> list[Argument]:
    """Return the options by which mkosi keeps the tree of Debian's packages and puts ours on top."""
    options: list[Argument] = ["--incremental=yes", "--package-directory", base, "--volatile-package-directory", packages]
    for name in names:
        options += ["--volatile-package", name]
    return options


def _mkosi(
    image: str, options: Sequence[Argument], *, output: Path, cache: Path, archive: Archive, tools: Tools, paths: Sequence[Path]
) -> None:
    """Run `mkosi build` on a copy of the configuration of `image` that names the archive."""
    configuration = cache / "mkosi" / image
    shutil.rmtree(configuration, ignore_errors=True)
    shutil.copytree(CONFIGURATIONS / image, configuration)
    sources = configuration / "mkosi.sandbox/etc/apt/sources.list.d/mkosi.sources"
    sources.parent.mkdir(parents=True)
    sources.write_text(archive.sources())
    # Each image has a tree cache of its own: mkosi names them after the distribution alone and would throw the other's away.
    places = {name: cache / name for name in ("package-cache", f"tree-cache-{image}", "workspace")}
    for place in (output, *places.values()):
        place.mkdir(parents=True, exist_ok=True)
    command: list[Argument] = ["mkosi", "--directory", configuration, "--output-directory", output, "--force"]
    command += [
        "--package-cache-dir",
        places["package-cache"],
        "--cache-dir",
        places[f"tree-cache-{image}"],
        "--workspace-dir",
        places["workspace"],
    ]
    try:
        tools.run([*command, *options, "build"], paths=[configuration, output, *places.values(), *paths])
    except ToolError as error:
        raise ToolError(f"mkosi could not build the {image} tree from {archive.main}: {error}") from None
