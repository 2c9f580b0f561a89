"""The layer's cases for OE-Core's testimage, run by OE-Core's own library on the demonstration's image in a container (SUP-04).

A container has no firmware, TPM, verity or kernel of its own: cases about those fail here, by name, and everything else has to hold.
Run by `make boot`, after `make demo`, as root; skipped where OE-Core is out of reach.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from everest_secure.build import upstream
from everest_secure.build.kas import Kas
from everest_secure.proof.proofs import OEQA_CASES, read_proofs
from everest_secure.result import Outcome
from support.booted import packages
from support.container import boot, unpack
from support.kas import TOP_FILES
from support.reference import REPOSITORY

pytestmark = pytest.mark.boot

RUNNER = REPOSITORY / "tests/support/run_oeqa.py"
ABSENT = {
    "the root cannot be written",
    "the command line opens no door",
    "the root is verified",
    "a usb device is not used unasked",
    "the firmware checks what it starts",
    "the kernel is locked down",
    "the service user reaches the tpm through openssl",
    "keys are made in the tpm at the first start",
}
"""What a container has not."""
VARIABLES = {
    "DISTRO_FEATURES": "everest-secure tpm2 systemd",
    "EVEREST_VERITY": "1",
    "EVEREST_DATA_ENCRYPTION": "0",
    "EVEREST_SECURE_BOOT": "1",
    "EVEREST_BOOT_CHAIN": "uki",
    "EVEREST_COMPATIBLE": "everest-secure-reference",
    "EVEREST_MANAGEMENT_INBOUND_TCP": "",
    "EVEREST_PLC_INBOUND_TCP": "50000 61341 64109",
    "MLPREFIX": "",
}
STANDING_IN = ("dropbear", "openssl-bin", "util-linux-setpriv")
"""OE-Core's names of what the image has, and of the login."""
WITHOUT = frozenset({"rauc", "everest-rauc-dbus-policy"})
"""RAUC does not start where no slot was booted."""
CONFIGURATION = {"MACHINE": "a container", "IMAGE_BASENAME": "everest-secure-image-development", "STARTTIME": "20260101000000"}
OUTSIDE = """
tries=0
until [ -e root/ready ] || [ $((tries += 1)) -gt 600 ]; do sleep 0.1; done
leader=$(pgrep --parent "$(pgrep --parent $$ systemd-nspawn)")
{python} {runner} {library}/meta/lib {library}/meta/lib/oeqa/runtime/cases {cases} "$leader" "$(cat settings.json)" "$PWD"
touch root/done
"""
PROBE = "touch /ready; tries=0; until [ -e /done ] || [ $((tries += 1)) -gt 600 ]; do sleep 0.1; done; systemctl --no-block poweroff"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OE-Core at the commit of the lock; its library is all that is checked out."""
    (core,) = (each for each in Kas((TOP_FILES[0],), REPOSITORY).configuration().repositories if each.path.endswith("openembedded-core"))
    if upstream.unreachable([core], environment=os.environ):
        pytest.skip(f"upstream is out of reach: {upstream.hosts([core])}")
    place = tmp_path_factory.mktemp("core")
    git = ["git", "-C", str(place)]
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", core.url, str(place)], check=True)
    subprocess.run([*git, "checkout", "--quiet", core.revision, "--", "meta/lib"], check=True)
    return place


def test_the_cases_for_testimage_hold_on_the_image_but_for_what_a_container_has_not(tmp_path: Path, library: Path) -> None:
    image = unpack(tmp_path)
    release = json.loads((image / "etc/everest/everest_release.json").read_text())
    place = tmp_path / "machine"
    place.mkdir()
    variables = {**VARIABLES, "EVEREST_VERSION": release["version"]}
    settings = {"variables": variables, "packages": [*(packages() - WITHOUT), *STANDING_IN], "configuration": CONFIGURATION}
    (place / "settings.json").write_text(json.dumps(settings))
    outside = OUTSIDE.format(python=sys.executable, runner=RUNNER, library=library, cases=REPOSITORY / OEQA_CASES)
    outcome = boot(image, place, probe=PROBE, outside=outside)
    assert (place / "testresults.json").is_file(), outcome.outside
    (run,) = read_proofs(place / "testresults.json")
    said = {scenario.part.check: scenario.part for scenario in run.scenarios}
    failed = {check: part.reason for check, part in said.items() if part.outcome is Outcome.FAIL}
    assert {check: reason for check, reason in failed.items() if check not in ABSENT} == {}
    assert set(failed) <= ABSENT
    assert len([part for part in said.values() if part.outcome is Outcome.PASS]) >= 15
