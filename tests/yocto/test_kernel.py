"""The fragments merged by the kernel's own tools: every option exists, and what it depends on is met (KERN-01, KERN-02)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.kernel import CHOSEN, MACHINES, fragments, options

pytestmark = pytest.mark.yocto

COMPILERS = {"x86_64": "", "arm64": "aarch64-linux-gnu-"}
STARTS = [("qemux86-64", "defaults"), ("qemuarm64", "defaults"), *((machine, "defconfig") for machine in MACHINES)]
"""What the fragments are merged onto: linux-yocto starts from the defaults, kernels of boards from a defconfig."""


@pytest.fixture(scope="module")
def kernel() -> Path:
    """Sources of Linux 6.6."""
    source = os.environ.get("EVEREST_KERNEL_SOURCE")
    if not source:
        pytest.skip("EVEREST_KERNEL_SOURCE names no clean source tree of Linux 6.6")
    tree = Path(source)
    assert "PATCHLEVEL = 6\n" in (tree / "Makefile").read_text(), f"{tree} is no Linux 6.6"
    return tree


@pytest.mark.parametrize(("machine", "base"), STARTS)
def test_every_option_makes_it_into_the_kernel_s_configuration(kernel: Path, tmp_path: Path, machine: str, base: str) -> None:
    architecture, features = MACHINES[machine]
    prefix = COMPILERS[architecture]
    if shutil.which(f"{prefix}gcc") is None:
        pytest.skip(f"{prefix}gcc is not installed")
    defconfig = {"x86_64": "x86/configs/x86_64_defconfig", "arm64": "arm64/configs/defconfig"}[architecture]
    start = [kernel / "arch" / defconfig] if base == "defconfig" else []
    asked = fragments(*features, *CHOSEN)
    done = subprocess.run(
        ["scripts/kconfig/merge_config.sh", "-O", tmp_path, *start, *asked],
        cwd=kernel,
        env={**os.environ, "ARCH": architecture, "CROSS_COMPILE": prefix},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    have = options((tmp_path / ".config").read_text())
    wanted = {name: value for fragment in asked for name, value in options(fragment.read_text()).items()}
    assert {name: have.get(name, "n") for name in wanted} == wanted


def test_every_option_is_one_of_the_kernel(kernel: Path) -> None:
    words = [line.split() for file in kernel.rglob("Kconfig*") if file.is_file() for line in file.read_text(errors="replace").splitlines()]
    known = {f"CONFIG_{name[1]}" for name in words if len(name) == 2 and name[0] in {"config", "menuconfig"}}
    assert len(known) > 10_000
    asked = {name for _, features in MACHINES.values() for path in fragments(*features) for name in options(path.read_text())}
    assert asked - known == set()
