"""Measures `everest-cert check` of a full store, 50 certificates with two keys in a TPM in software, and prints it; asserts nothing.

`PYTHONPATH=.:scripts:tests python bench/certificates.py`, part of `make bench`. The rest of the store is roots, and chains that were renewed.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from support.authority import issue
from support.certificates import certified
from support.layer import bench
from support.shells import SHELLS

RUNS = 5
RENEWED = 10
ROOTS = 12


def fill(store: Path) -> None:
    """Add chains that were renewed, of the same authorities, and roots."""
    root = issue("V2G Root", authority=True)
    sub1 = issue("Sub 1", by=root, authority=True)
    sub2 = issue("Sub 2", by=sub1, authority=True)
    roots = "".join(issue(f"Root {number}", authority=True).pem for number in range(ROOTS - 1))
    bundle = "ca/v2g/V2G_ROOT_CA.pem"
    files = {bundle: (store / bundle).read_text() + root.pem + roots}
    for number in range(RENEWED):
        files[f"client/cso/SECC_LEAF_{number}.pem"] = issue(f"Charger {number}", by=sub2).pem + sub2.pem + sub1.pem
    for name, text in files.items():
        (store / name).write_text(text)
        if os.geteuid() == 0:
            os.chown(store / name, 1500, 1500)


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as work:
        layer = bench(Path(work))
        for name, shell in SHELLS.items():
            with certified(layer, tuple(shell)) as shop:
                charger = shop.with_store()
                fill(charger.box.store)
                taken, spent = [], os.times()
                for _ in range(RUNS):
                    started = time.monotonic()
                    said = charger.box.done("check", "csms", "secc", tpm=charger.tpm)
                    taken.append(time.monotonic() - started)
                now = os.times()
                processor = (now.children_user + now.children_system - spent.children_user - spent.children_system) / RUNS
                print(
                    f"{name}: {statistics.median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f}), {processor:.2f} s of a processor; {said.strip()}"
                )


if __name__ == "__main__":
    main()
