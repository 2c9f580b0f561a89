"""Measures what the layer adds to the time in which BitBake parses all layers, and prints it; asserts nothing.

`PYTHONPATH=scripts:tests python bench/parse.py`, with upstream or mirrors of it in reach. Both runs have the same distro features and parse from
nothing; the first parses everything once before, so that neither reads cold files.
"""

import os
import shutil
import statistics
import sys
import time

from everest_secure.paths import data
from support.ordinary import ordinary_user
from support.yocto import Checkout, prepare

RUNS = int(os.environ.get("RUNS", "3"))
TOP = "kas/qemux86-64.yml"
FEATURES = 'DISTRO = "nodistro"\nINIT_MANAGER = "systemd"\nDISTRO_FEATURES:append = " everest-secure rauc seccomp security tpm2"\n'
WITHOUT = 'BBLAYERS:remove = "{layer}"\n'


def seconds(checkout: Checkout, *, layer: bool) -> float:
    """Return the wall time of one parse from nothing."""
    build = checkout.user.directory / "build"
    for directory in ("cache", "tmp"):
        shutil.rmtree(build / directory, ignore_errors=True)
    configuration = build / "conf/bblayers.conf"
    kept = configuration.read_text()
    ours = str(checkout.user.directory / data("meta-everest-secure").name)
    if not layer:
        configuration.write_text(kept + WITHOUT.format(layer=ours))
    environment = f". {checkout.user.directory}/layers/openembedded-core/oe-init-build-env {build} > /dev/null"
    started = time.monotonic()
    done = checkout.user.run(
        "bash", "-c", f"{environment} && bitbake --parse-only", env={"LC_ALL": "en_US.UTF-8", "BB_SERVER_TIMEOUT": "0"}
    )
    took = time.monotonic() - started
    configuration.write_text(kept)
    if done.returncode:
        sys.exit(done.stdout)
    return took


def main() -> None:
    """Print the medians and what the layer adds."""
    with ordinary_user() as user:
        checkout = prepare(user, user.python())
        checkout.shell(TOP, "true", lines=FEATURES)
        seconds(checkout, layer=True)
        pairs = [(seconds(checkout, layer=False), seconds(checkout, layer=True)) for _ in range(RUNS)]
    without, with_it = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"parse of all layers without ours {without:.1f} s, with it {with_it:.1f} s: {100 * (with_it / without - 1):+.1f} %")


if __name__ == "__main__":
    main()
