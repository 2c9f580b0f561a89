"""A kernel's finished configuration, `.config` (Documentation/kbuild/kconfig.rst)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from everest_secure.errors import ArtefactError

MAX_CONFIG = 4 * 1024 * 1024
"""Bytes of a configuration; that of a distribution has 300,000."""
ARCHITECTURES = {"X86_64": "x86_64", "ARM64": "arm64", "ARM": "arm", "RISCV": "riscv", "X86_32": "x86"}
"""Option to the name that rules have for the architecture."""
_SET = re.compile(r"^CONFIG_(\w+)=(.*)$", re.MULTILINE)
_VERSION = re.compile(r"^# Linux/\S+ ([0-9]{1,3})\.([0-9]{1,3})\S* Kernel Configuration$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class KernelConfig:
    """What a kernel was built with, and where that is said."""

    artefact: str
    path: str
    """File in the artefact; empty when the artefact is the kernel itself."""
    options: Mapping[str, str]
    """Value by name without `CONFIG_`: `y`, `m`, a number, or a text without its quotes."""
    version: tuple[int, int] | None
    """Major and minor version; None when the file does not begin with it."""
    text: bytes = field(repr=False)
    """The whole file."""

    def value(self, option: str) -> str:
        """Return the value of an option; `n` when it is not set or does not exist."""
        return self.options.get(option, "n")

    @property
    def architecture(self) -> str:
        """The name that rules have for it; empty for one that they do not know."""
        return next((name for option, name in ARCHITECTURES.items() if self.value(option) == "y"), "")


def parse_kconfig(data: bytes, *, artefact: str, path: str = "") -> KernelConfig:
    """Parse a configuration; raises ArtefactError when it sets no option at all, as a file of another kind or an empty one does."""
    text = data.decode("utf-8", "replace")
    options = {name: value.strip().strip('"') for name, value in _SET.findall(text)}
    if not options:
        raise ArtefactError(f"{artefact}: {path or 'its configuration'} sets no option of a kernel; build the image again")
    version = _VERSION.search(text)
    return KernelConfig(artefact, path, options, (int(version[1]), int(version[2])) if version else None, data)
