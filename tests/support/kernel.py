"""The layer's kernel fragments, read as the audit's class reads them but by other means."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from support.layer import LAYER

FEATURES = LAYER / "recipes-kernel/linux/files/everest-kmeta/everest-secure"
EVERY_MACHINE = "everest-secure"
MACHINES: Mapping[str, tuple[str, Sequence[str]]] = {
    "qemux86-64": ("x86_64", (EVERY_MACHINE, "hardening-x86", "tpm-acpi", "qemu", "efi")),
    "qemuarm64": ("arm64", (EVERY_MACHINE, "hardening-arm64", "qemu", "efi")),
    "raspberrypi4-64": ("arm64", (EVERY_MACHINE, "hardening-arm64", "tpm-spi", "raspberrypi")),
    "imx8mp-lpddr4-evk": ("arm64", (EVERY_MACHINE, "hardening-arm64", "tpm-spi", "imx8m")),
}
"""Machine to the kernel's name of its architecture and the features that the layer gives it."""
CHOSEN = ("erofs",)
"""Features that a knob adds, for any machine."""


def fragments(*features: str) -> list[Path]:
    """Return the fragments of features and of all that they include, in the order in which they are merged."""
    return [fragment for feature in features for fragment in _fragments(FEATURES / f"{feature}.scc")]


def _fragments(feature: Path) -> Iterator[Path]:
    for kind, name in re.findall(r"^(include|kconf hardware) (\S+)$", feature.read_text(), re.MULTILINE):
        if kind == "include":
            yield from _fragments(FEATURES / name)
        else:
            yield FEATURES / name


def options(text: str) -> dict[str, str]:
    """Return the options of a fragment or of a finished configuration; `n` for one that must not be set."""
    found = dict(re.findall(r"^(CONFIG_\w+)=(.+)$", text, re.MULTILINE))
    return found | dict.fromkeys(re.findall(r"^# (CONFIG_\w+) is not set$", text, re.MULTILINE), "n")


@cache
def configuration(machine: str = "qemux86-64", *, version: str = "6.6.144") -> str:
    """Return what a kernel of the layer has in its `.config`, as far as fragments decide it, with the head that the kernel's build writes."""
    architecture, features = MACHINES[machine]
    head = f"#\n# Automatically generated file; DO NOT EDIT.\n# Linux/{architecture} {version} Kernel Configuration\n#\n"
    merged: dict[str, str] = {"CONFIG_X86_64" if architecture == "x86_64" else "CONFIG_ARM64": "y"}
    for fragment in fragments(*features):
        merged |= options(fragment.read_text())
    return head + "".join(f"# {name} is not set\n" if value == "n" else f"{name}={value}\n" for name, value in merged.items())
