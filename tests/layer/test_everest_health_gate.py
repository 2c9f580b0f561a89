"""The parts of the health check that a machine without a charger can answer; the whole of it, and the gate, run in tests/boot (RAUC-06)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.layer import UNITS, Bench, contents
from support.ordinary import ordinary_user
from support.shells import any_shell, shell

pytestmark = pytest.mark.layer

PROGRAMS = "usr/libexec/everest-secure"
RW = "36 25 254:5 / /var rw,nosuid,nodev,noexec,relatime shared:1 - ext4 /dev/vda5 rw\n"
SANDBOX = "36 25 254:5 / /var ro,nosuid,nodev,noexec,relatime shared:1 - ext4 /dev/vda5 rw,discard\n"
BROKEN = "36 25 254:5 / /var rw,relatime shared:1 - ext4 /dev/vda5 ro\n"
ELSEWHERE = "36 25 254:5 / /var/lib rw,relatime shared:1 - ext4 /dev/vda5 rw\n"


def ask(layer: Bench, sh: str, tmp_path: Path, checks: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = layer.package("everest-health-gate").files / PROGRAMS / "everest-health-check"
    variables = {
        **os.environ,
        "EVEREST_HEALTH_CHECKS": checks,
        "EVEREST_HEALTH_PROGRAMS": str(tmp_path / "health.d"),
        "EVEREST_VERDICT": str(tmp_path / "unhealthy"),
        **environment,
    }
    return subprocess.run([*shell(sh), script], env=variables, capture_output=True, text=True, check=False)


@any_shell
@pytest.mark.parametrize(
    ("mounts", "healthy"),
    [(RW, True), (SANDBOX, True), (BROKEN, False), (ELSEWHERE, False)],
    ids=["data", "in a sandbox", "broken", "missing"],
)
def test_the_data_partition_is_one_that_can_be_written_to(layer: Bench, sh: str, tmp_path: Path, mounts: str, healthy: bool) -> None:
    (tmp_path / "mountinfo").write_text("22 1 254:0 / / ro,relatime - squashfs /dev/dm-0 ro\n" + mounts)
    done = ask(layer, sh, tmp_path, "data", EVEREST_MOUNTS=str(tmp_path / "mountinfo"))
    assert (done.returncode == 0) == healthy
    assert ("the data partition is not mounted" in done.stderr) != healthy


@any_shell
def test_a_clock_before_the_image_is_wrong(layer: Bench, sh: str, tmp_path: Path) -> None:
    image = tmp_path / "os-release"
    image.touch()
    assert ask(layer, sh, tmp_path, "clock", EVEREST_BUILT=str(image)).returncode == 0
    os.utime(image, (4102444800, 4102444800))
    assert "the clock is before" in ask(layer, sh, tmp_path, "clock", EVEREST_BUILT=str(image)).stderr


@any_shell
def test_a_product_is_asked_too(layer: Bench, sh: str, tmp_path: Path) -> None:
    (tmp_path / "health.d").mkdir()
    program = tmp_path / "health.d/meter"
    program.write_text("#!/bin/sh\nexit 0\n")
    assert ask(layer, sh, tmp_path, "").returncode == 0
    program.chmod(0o755)
    assert ask(layer, sh, tmp_path, "").returncode == 0
    assert not (tmp_path / "unhealthy").exists()
    program.write_text("#!/bin/sh\nexit 1\n")
    done = ask(layer, sh, tmp_path, "")
    assert (done.returncode, done.stderr) == (1, "everest-health-check: meter failed\n")


@any_shell
def test_what_the_service_user_finds_unhealthy_is_kept_for_this_start(layer: Bench, sh: str) -> None:
    with ordinary_user() as user:
        script = Path(shutil.copy(layer.package("everest-health-gate").files / PROGRAMS / "everest-health-check", user.directory))
        verdict = user.directory / "unhealthy"
        done = user.run(*shell(sh), script, env={"EVEREST_HEALTH_CHECKS": "typo", "EVEREST_VERDICT": str(verdict)})
        assert done.returncode == 1
        assert verdict.read_text() == Path("/proc/sys/kernel/random/boot_id").read_text()


@any_shell
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can show what root does not write")
def test_root_writes_nothing_into_the_service_user_s_directory_which_may_lead_elsewhere(layer: Bench, sh: str, tmp_path: Path) -> None:
    (tmp_path / "version-floor").write_text("2.0.0\n")
    (tmp_path / "unhealthy").symlink_to(tmp_path / "version-floor")
    assert ask(layer, sh, tmp_path, "typo").returncode == 1
    assert (tmp_path / "version-floor").read_text() == "2.0.0\n"


@any_shell
def test_what_is_missing_is_said_of_each_part(layer: Bench, sh: str, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nothing")
    done = ask(layer, sh, tmp_path, "broker tpm typo", EVEREST_BROKER_SOCKET=nowhere, EVEREST_TPM=nowhere)
    assert done.returncode == 1
    for sentence in (f"there is no broker on {nowhere}", f"there is no TPM at {nowhere}", "there is no check 'typo'"):
        assert f"everest-health-check: {sentence}\n" in done.stderr


def test_the_product_decides_what_is_checked_and_when(layer: Bench) -> None:
    files = layer.package("everest-health-gate", EVEREST_HEALTH_CHECKS="data clock", EVEREST_UPDATE_TRIAL="20min").files
    assert "${EVEREST_HEALTH_CHECKS-data clock}" in (files / PROGRAMS / "everest-health-check").read_text()
    assert "\nOnBootSec=20min\n" in (files / UNITS / "everest-update-gate.timer").read_text()


def test_gate_check_and_units_are_there(layer: Bench) -> None:
    assert contents(layer.package("everest-health-gate")) == {
        f"/{PROGRAMS}/everest-health-check": 0o755,
        f"/{PROGRAMS}/everest-update-gate": 0o755,
        f"/{UNITS}/everest-update-gate.service": 0o644,
        f"/{UNITS}/everest-update-gate.timer": 0o644,
    }


@any_shell
def test_without_a_slot_on_trial_the_gate_does_nothing(layer: Bench, sh: str, tmp_path: Path) -> None:
    script = layer.package("everest-health-gate").files / PROGRAMS / "everest-update-gate"
    environment = {"PATH": "/usr/bin:/bin", "EVEREST_UPDATE_STATE": str(tmp_path)}
    done = subprocess.run([*shell(sh), script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@any_shell
@pytest.mark.parametrize(
    ("trial", "running", "says", "stays"),
    [
        ("B {boot}", "A", "slot B waits for the next start", True),
        ("B another-boot", "A", "slot B was written and slot A runs: the update did not come up", False),
    ],
    ids=["before the restart", "after a fallback"],
)
def test_the_gate_knows_an_update_that_waits_from_one_that_fell_back(
    layer: Bench, sh: str, tmp_path: Path, trial: str, running: str, says: str, stays: bool
) -> None:
    script = layer.package("everest-health-gate").files / PROGRAMS / "everest-update-gate"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (tmp_path / "trial").write_text(trial.format(boot=boot) + "\n")
    (tmp_path / "cmdline").write_text(f"ro rauc.slot={running} quiet\n")
    environment = {"PATH": "/usr/bin:/bin", "EVEREST_UPDATE_STATE": str(tmp_path), "EVEREST_COMMAND_LINE": str(tmp_path / "cmdline")}
    done = subprocess.run([*shell(sh), script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"everest-update-gate: {says}\n")
    assert (tmp_path / "trial").exists() == stays
