"""Measures `everest-cert check` of a full store, 50 certificates with two keys in a TPM in software, and prints it; asserts nothing.

`PYTHONPATH=.:scripts:tests python bench/certificates.py`, part of `make bench`. The rest of the store is roots, and chains that were renewed.
"""

import statistics
import tempfile
import time
from pathlib import Path

from support.certificates import certified
from support.layer import bench
from support.shells import SHELLS

RUNS = 5
CHAIN = ["secc", "sub2", "sub1"]
RENEWED = 10
ROOTS = 12


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as work:
        layer = bench(Path(work))
        for name, shell in SHELLS.items():
            with certified(layer, tuple(shell)) as shop:
                charger = shop.with_store(
                    {
                        **{f"client/cso/SECC_LEAF_{number}.pem": {"certificates": CHAIN} for number in range(RENEWED)},
                        "ca/mo/MO_ROOT_CA.pem": {"certificates": ["other-root"] * ROOTS},
                    }
                )
                taken = []
                for _ in range(RUNS):
                    started = time.monotonic()
                    said = charger.box.done("check", "csms", "secc", tpm=charger.tpm)
                    taken.append(time.monotonic() - started)
                print(f"{name}: {statistics.median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f}); {said.strip()}")


if __name__ == "__main__":
    main()
