"""Measures how long the reference image takes from power on in software emulation, and the size of its root.

Run by `make bench`, after `make demo`: `python bench/boot.py`.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from everest_secure.image.artefact import open_artefact
from everest_secure.target.machine import Accelerator
from support.booted import DISK
from support.charger_in_qemu import BOOT_SECONDS, READY, STARTED, UP, new_machine, switched_on

GOAL_SECONDS, GOAL_MB = 45, 150
STEPS = {"the firmware starts the image": STARTED, "everest.service is up": UP, "all modules run": READY}


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    root = next(part for part in open_artefact(DISK).walk() if part.name.endswith(":rootfs-a") and part.kind == "squashfs")
    size = (root.blob.size if root.blob else 0) / 1e6
    print(f"root of the reference image, packed: {size:.0f} MB (at most {GOAL_MB})")
    missed = size > GOAL_MB
    with TemporaryDirectory(prefix="everest-bench-") as work:
        machine = new_machine(Path(work) / "machine", accelerator=Accelerator.TCG)
        for start in ("first start", "second start"):
            with switched_on(machine) as session:
                session.wait_for(READY, seconds=BOOT_SECONDS)
                seconds = {step: session.seconds_to(text) for step, text in STEPS.items()}
                session.power_down()
            print(f"{start}, seconds from power on: {', '.join(f'{step} {value:.1f}' for step, value in seconds.items())}")
            missed = missed or seconds["everest.service is up"] > GOAL_SECONDS
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
