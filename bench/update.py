"""Prints how long an update keeps a charger from its work and what it writes, in QEMU, and what an adaptive one writes. `PYTHONPATH=.:scripts:tests python bench/update.py`.

The demonstration has to be there. Downtime goes from the restart into the new slot to the moment at which EVerest runs there.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from everest_secure.pki.store import Store
from support.adaptive import update_adaptively
from support.booted import KEYS
from support.recorded import UPDATE, record
from support.settled import settle
from support.steps import SAYS, demonstration

MIB = 1 << 20


def main() -> None:
    """Update a charger once, and one of adaptive updates twice."""
    try:
        _, bundle = demonstration()
    except pytest.skip.Exception as lacking:
        print(f"update      not measured: {lacking}")
        return
    with TemporaryDirectory(prefix="everest-bench-") as work:
        place = Path(work)
        for name in ("settled", "update"):
            (place / name).mkdir()
        settled = settle(place / "settled", Store(KEYS))
        recording, console = record(settled, place / "update", f"{UPDATE}off", bundle)
        installation = console.seconds_between(f"{SAYS}steps: install update.raucb", f"{SAYS}steps: installed update.raucb")
        downtime = console.seconds_between(f"{SAYS}steps: restart", f"{SAYS}ready")
        written = recording.written()
    print(f"update      installed in {installation:.0f} s, downtime {downtime:.0f} s (software emulation unless KVM works)")
    print("            written: " + ", ".join(f"{label} {size / MIB:.1f} MiB" for label, size in sorted(written.items())))
    with TemporaryDirectory(prefix="everest-bench-") as work:
        updates = update_adaptively(Path(work))
        full, small = updates.written("b"), updates.written("a")
        print(
            f"adaptive    into a slot never written: installed in {updates.seconds('first'):.0f} s, {full / MIB:.1f} MiB written to its partitions"
        )
        print(
            f"            a small change: installed in {updates.seconds('second'):.0f} s, {small / MIB:.1f} MiB, {small / full:.2%} of that"
        )


if __name__ == "__main__":
    main()
