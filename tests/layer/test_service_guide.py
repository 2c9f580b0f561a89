"""docs/service.md is followed to the letter, from an empty charger to one that is ready to charge (CERT-08, TPM-06)."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.empty_charger import empty_charger
from support.layer import Bench
from support.provisioning import charger, share
from support.shells import any_shell, shell
from support.tpm import resource_manager, software_tpm

pytestmark = [pytest.mark.layer, pytest.mark.skipif(os.geteuid() != 0, reason="root alone makes a charger with its own paths and users")]

GUIDE = Path(__file__).parents[2] / "docs/service.md"
END = "EVerest takes the new chain"
BLOCK = re.compile(r"^ *```(?P<words>[a-z ]*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """Commands of the guide, and what it says that they print."""

    where: str
    """`charger`, `charger root` where only root may, or `desk`."""
    lines: tuple[str, ...]
    prints: tuple[str, ...] | None


def steps() -> list[Step]:
    """Return what the guide has a technician do until the charger is ready."""
    guide, found, _ = GUIDE.read_text().partition(END)
    assert found
    blocks = [
        (block["words"], tuple(line.strip() for line in block["text"].splitlines() if line.strip())) for block in BLOCK.finditer(guide)
    ]
    return [
        Step(words.removeprefix("sh "), text, following[1] if not following[0] else None)
        for (words, text), following in zip(blocks, [*blocks[1:], ("sh", ())], strict=True)
        if words
    ]


def shape(lines: tuple[str, ...]) -> list[str]:
    """Leave out of what is printed which TPM this is, and versions."""
    return [re.sub(r"^(TPM +).*", r"\1", re.sub(r"\d+\.\d+\.\d+\S*", "VERSION", line)) for line in lines]


@any_shell
@pytest.mark.parametrize("user", ["root", "everest"])
def test_the_guide_leads_from_an_empty_charger_to_one_that_is_ready(layer: Bench, sh: str, user: str) -> None:
    guide = steps()
    assert {step.where for step in guide} == {"charger", "charger root", "desk"}
    assert sum(step.prints is not None for step in guide) >= 3
    with charger(layer, tuple(shell(sh))) as box, software_tpm(box.place) as tpm:
        site = empty_charger(layer, box.place / "site", box.place, shell(sh))
        desk = box.place / "desk"
        desk.mkdir()
        desk.chmod(0o1777)
        with resource_manager(tpm, box.place, accounts=box.accounts) as found:
            share(tpm)
            # The one thing that is not as on a charger: its TPM is no device.
            on_charger = {
                **found,
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "EVEREST_TPM_TCTI": found["TPM2TOOLS_TCTI"],
                "EVEREST_TPM_BROKER": found["TPM2TOOLS_TCTI"],
            }
            not_ready = site.run("everest-cert check csms secc", user=user, cwd=desk, env=on_charger)
            assert not_ready.returncode == 1, not_ready.stderr
            for step in guide:
                printed = ""
                for line in step.lines:
                    if step.where == "desk":
                        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
                        done = subprocess.run(
                            ["sh", "-c", line], cwd=desk, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
                        )
                    else:
                        done = site.run(line, user="root" if "root" in step.where else user, cwd=desk, env=on_charger)
                    assert (done.returncode, done.stderr) == (0, ""), line
                    printed += done.stdout
                if step.prints is not None:
                    assert shape(tuple(printed.splitlines())) == shape(step.prints)
