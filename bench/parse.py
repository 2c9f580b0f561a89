"""Measures what the layer adds to the time in which BitBake parses all layers, and prints it; asserts nothing.

`PYTHONPATH=scripts:tests python bench/parse.py`, with upstream or mirrors of it in reach. Both runs have the same distro features and parse from
nothing; the first parses everything once before, so that neither reads cold files. Processor time tells more than wall time on a busy machine.
"""

import ctypes
import os
import resource
import shutil
import statistics
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from everest_secure.paths import data
from support.ordinary import ordinary_user
from support.yocto import Checkout, prepare

RUNS = int(os.environ.get("RUNS", "3"))
TOP = "kas/qemux86-64.yml"
FEATURES = 'DISTRO = "nodistro"\nINIT_MANAGER = "systemd"\nDISTRO_FEATURES:append = " everest-secure rauc seccomp security tpm2"\n'
WITHOUT = 'BBLAYERS:remove = "{layer}"\n'


PR_SET_CHILD_SUBREAPER = 36
"""linux/prctl.h: BitBake's server leaves its parent, and comes back to us when it has ended, with the time that it took."""


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds of one parse from nothing."""

    wall: float
    processor: float


def parse(checkout: Checkout, *, layer: bool) -> Time:
    """Parse all recipes once."""
    build = checkout.user.directory / "build"
    for directory in (build / "cache", *build.glob("tmp*")):
        shutil.rmtree(directory, ignore_errors=True)
    configuration = build / "conf/bblayers.conf"
    kept = configuration.read_text()
    ours = str(checkout.user.directory / data("meta-everest-secure").name)
    if not layer:
        configuration.write_text(kept + WITHOUT.format(layer=ours))
    environment = f". {checkout.user.directory}/layers/openembedded-core/oe-init-build-env {build} > /dev/null"
    started, before = time.monotonic(), processor()
    done = checkout.user.run(
        "bash", "-c", f"{environment} && bitbake --parse-only", env={"LC_ALL": "en_US.UTF-8", "BB_SERVER_TIMEOUT": "0"}
    )
    wall = time.monotonic() - started
    configuration.write_text(kept)
    if done.returncode:
        sys.exit(done.stdout)
    return Time(wall, processor() - before)


def processor() -> float:
    """Wait for all children, and return the processor time of all that have ended."""
    with suppress(ChildProcessError):
        while True:
            os.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the medians and what the layer adds."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with ordinary_user() as user:
        checkout = prepare(user, user.python())
        checkout.shell(TOP, "true", lines=FEATURES)
        parse(checkout, layer=True)
        pairs = [(parse(checkout, layer=False), parse(checkout, layer=True)) for _ in range(RUNS)]
    for kind in ("wall", "processor"):
        without, with_it = (statistics.median(getattr(parsed, kind) for parsed in column) for column in zip(*pairs, strict=True))
        print(
            f"parse of all layers, {kind} time: without ours {without:.1f} s, with it {with_it:.1f} s: {100 * (with_it / without - 1):+.1f} %"
        )


if __name__ == "__main__":
    main()
