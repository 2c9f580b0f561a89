"""What becomes of a boot that fails (BOOT-05)."""

from collections.abc import Callable

import pytest

from everest_secure import checks
from everest_secure.checks.core import Boot, Bundle, Outcome, Scope, registered, run_check
from everest_secure.image.artefact import Artefact
from everest_secure.image.cpio import KIND as INITRAMFS
from everest_secure.result import CheckResult
from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import LOCAL, UNITS, RootFs, failing, good_root, production
from support.rootfs.layer_files import layer

WATCHDOG = "recipes-core/everest-watchdog/files"
FAILED_BOOT = f"{UNITS}/everest-failed-boot.service"
TARGET = f"{LOCAL}/emergency.target"
REBOOT = "systemd-reboot.service"


def wants_reboot(fs: RootFs) -> RootFs:
    """Have the target want systemd's own service."""
    return fs.file(f"{UNITS}/{REBOOT}", "[Unit]\nSuccessAction=reboot-force\n").file(TARGET, f"[Unit]\nWants={REBOOT}\n")


def fault(name: str, change: Callable[[RootFs], object]) -> Mutation:
    return Mutation(name, "BOOT-05", change)


MUTATIONS = [
    fault("systemd's own target, whose shell is masked", lambda fs: fs.file(TARGET, "[Unit]\nRequires=emergency.service\n")),
    fault("the target is masked", lambda fs: fs.link(TARGET, "/dev/null")),
    fault("there is no target", lambda fs: fs.remove(TARGET).remove(f"{UNITS}/emergency.target")),
    fault("what it requires is missing", lambda fs: fs.remove(FAILED_BOOT)),
    fault("what it requires is masked", lambda fs: fs.link(f"{LOCAL}/everest-failed-boot.service", "/dev/null")),
    fault("what it requires does nothing at its end", lambda fs: fs.replace(FAILED_BOOT, "^(Success|Failure)Action=.*\n", "")),
    fault("what it requires restarts only when it fails itself", lambda fs: fs.replace(FAILED_BOOT, "^SuccessAction=.*\n", "")),
    fault("the target alone says that it restarts", lambda fs: fs.file(TARGET, "[Unit]\nSuccessAction=reboot-force\n")),
    fault(
        "a limit for a target that nothing holds up", lambda fs: fs.file(TARGET, "[Unit]\nJobTimeoutSec=9\nJobTimeoutAction=reboot-force\n")
    ),
    fault("what it wants is not there", lambda fs: fs.file(TARGET, "[Unit]\nWants=systemd-reboot.service\n")),
    fault("what it wants is masked", lambda fs: wants_reboot(fs).link(f"{LOCAL}/{REBOOT}", "/dev/null")),
    fault("the machine goes off", lambda fs: fs.replace(FAILED_BOOT, "Action=reboot-force$", "Action=poweroff")),
    fault("a drop-in requires a shell besides", lambda fs: fs.file(f"{TARGET}.d/x.conf", "[Unit]\nRequires=emergency.service\n")),
]
RESTARTS: dict[str, Callable[[RootFs], object]] = {
    "ours": lambda fs: fs,
    "the target is another name of reboot.target": lambda fs: fs.link(TARGET, f"{UNITS}/reboot.target").file(
        f"{UNITS}/reboot.target", "[Unit]\n"
    ),
    "the target wants systemd's service": wants_reboot,
    "a link wants it": lambda fs: wants_reboot(fs).file(TARGET, "[Unit]\n").link(f"{TARGET}.wants/{REBOOT}", f"../{REBOOT}"),
}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def ram_disk(change: Callable[[RootFs], object] = lambda fs: fs) -> Artefact:
    """An initial RAM disk of systemd, with a change."""
    fs = RootFs(INITRAMFS).file("/usr/lib/systemd/systemd", mode=0o755)
    fs.file(f"{UNITS}/emergency.target", "[Unit]\nRequires=emergency.service\n").link(f"{LOCAL}/emergency.service", "/dev/null")
    fs.file(TARGET, layer(f"{WATCHDOG}/emergency.target")).file(FAILED_BOOT, layer(f"{WATCHDOG}/everest-failed-boot.service"))
    change(fs)
    return Artefact("disk.raw:a.efi:.initrd", INITRAMFS, tree=fs.tree)


def judge(scope: Scope, *inside: Artefact) -> CheckResult:
    """Run the check of a scope on a container with these parts."""
    container = Artefact("disk.raw", "gpt", children=inside)
    checks.load()
    (entry,) = [each for each in registered() if each.scope is scope and each.function.__module__.endswith(".failed_boots")]
    subject = Boot(container, ()) if scope is Scope.BOOT else Bundle(container, ())
    return run_check(entry, subject, "disk.raw", production())


@pytest.mark.parametrize("scope", [Scope.BOOT, Scope.BUNDLE])
@pytest.mark.parametrize("way", RESTARTS)
def test_an_initial_ram_disk_may_restart_in_any_way(scope: Scope, way: str) -> None:
    assert judge(scope, ram_disk(RESTARTS[way])).outcome is Outcome.PASS


@pytest.mark.parametrize("scope", [Scope.BOOT, Scope.BUNDLE])
@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_an_initial_ram_disk_that_leaves_the_machine_standing_is_found(scope: Scope, mutation: Mutation) -> None:
    result = judge(scope, ram_disk(), ram_disk(mutation.apply))
    assert result.outcome is Outcome.FAIL
    assert result.findings[0].what.startswith("a boot that fails does not start again: emergency.target ")


@pytest.mark.parametrize("scope", [Scope.BOOT, Scope.BUNDLE])
def test_an_initial_ram_disk_without_systemd_is_not_judged(scope: Scope) -> None:
    assert judge(scope, ram_disk(lambda fs: fs.remove("/usr/lib/systemd/systemd"))).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("way", RESTARTS)
def test_a_root_may_restart_in_any_way(way: str) -> None:
    fs = good_root()
    RESTARTS[way](fs)
    assert failing(fs) == {}
