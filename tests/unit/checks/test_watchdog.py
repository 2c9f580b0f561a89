import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import checks
from everest_secure.checks.core import Boot, Scope, registered, run_check
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.parse.kernel_modules import MAGIC
from support.images import unified_kernel
from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import KERNEL_CONFIG, LOCAL, MODULES, UNITS, WATCHDOG, RootFs, failing, good_root, production


def runtime(value: str) -> Mutation:
    return Mutation(
        f"RuntimeWatchdogSec is {value}",
        "BOOT-05",
        lambda fs: fs.replace(WATCHDOG, "^RuntimeWatchdogSec=.*$", f"RuntimeWatchdogSec={value}"),
    )


WATCHDOGS = f"{MODULES}/kernel/drivers/watchdog"
IMX2 = f"{WATCHDOGS}/imx2_wdt.ko"


def module(option: str, path: str, fs: RootFs | None = None) -> RootFs:
    """Put the only driver into a module, signed as all are."""
    content = bytes(99) + MAGIC
    fs = fs or good_root()
    if option:
        fs.replace(KERNEL_CONFIG, "^CONFIG_I6300ESB_WDT=y$", option)
    return fs.file(path, lzma.compress(content) if path.endswith(".xz") else content)


def absent(name: str, change: Callable[[RootFs], object]) -> Mutation:
    return Mutation(name, "BOOT-05", lambda fs: change(module("CONFIG_IMX2_WDT=m", IMX2, fs)))


MUTATIONS = [
    runtime("off"),
    runtime("0"),
    runtime("infinity"),
    runtime("default"),
    runtime("5min"),
    runtime(""),
    Mutation("the drop-in is missing", "BOOT-05", lambda fs: fs.remove(WATCHDOG)),
    Mutation(
        "a later drop-in takes the watchdog back",
        "BOOT-05",
        lambda fs: fs.file("/etc/systemd/system.conf.d/60-x.conf", "[Manager]\nRuntimeWatchdogSec=off\n"),
    ),
    Mutation("the drop-in is masked", "BOOT-05", lambda fs: fs.link("/etc/systemd/system.conf.d/50-everest-watchdog.conf", "/dev/null")),
    Mutation("a shutdown is not watched", "BOOT-05", lambda fs: fs.replace(WATCHDOG, "^RebootWatchdogSec=.*$", "RebootWatchdogSec=0")),
    Mutation("a shutdown may take an hour", "BOOT-05", lambda fs: fs.replace(WATCHDOG, "^RebootWatchdogSec=.*$", "RebootWatchdogSec=1h")),
    Mutation(
        "the watchdog can be stopped",
        "BOOT-05",
        lambda fs: fs.replace(KERNEL_CONFIG, "^CONFIG_WATCHDOG_NOWAYOUT=y$", "# CONFIG_WATCHDOG_NOWAYOUT is not set"),
    ),
    Mutation(
        "the only watchdog is the kernel's own",
        "BOOT-05",
        lambda fs: fs.replace(KERNEL_CONFIG, "^CONFIG_I6300ESB_WDT=y$", "CONFIG_SOFT_WATCHDOG=y\nCONFIG_CLOCKSOURCE_WATCHDOG=y"),
    ),
    absent("the driver is a module that nobody installed", lambda fs: fs.remove(IMX2)),
    absent("the only module hangs with the kernel", lambda fs: module("", f"{WATCHDOGS}/softdog.ko", fs.remove(IMX2))),
    absent("the module is another kernel's", lambda fs: module("", IMX2.replace("6.6.144", "6.1.1"), fs.remove(IMX2))),
    absent("the module is on the black list", lambda fs: fs.file("/etc/modprobe.d/x.conf", "blacklist imx2-wdt\n")),
    absent("modprobe loads nothing for it", lambda fs: fs.file("/etc/modprobe.d/x.conf", "install imx2_wdt /bin/true\n")),
    Mutation("EVerest stays down", "BOOT-05", lambda fs: fs.file(f"{LOCAL}/everest.service.d/90-x.conf", "[Service]\nRestart=no\n")),
    Mutation("the broker stays down", "BOOT-05", lambda fs: fs.replace(f"{UNITS}/mosquitto.service", "^Restart=.*$", "Restart=on-success")),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


@pytest.mark.parametrize("value", ["30", "30s", "1min", "500ms", "1h"])
def test_spans_of_time_are_read_as_systemd_reads_them(value: str) -> None:
    fs = good_root().replace(WATCHDOG, "^RuntimeWatchdogSec=.*$", f"RuntimeWatchdogSec={value}")
    assert bool(failing(fs)) is (value == "1h")


@pytest.mark.parametrize("driver", ["CONFIG_BCM2835_WDT=y", "CONFIG_DW_WATCHDOG=y"])
def test_the_driver_of_any_board_will_do(driver: str) -> None:
    assert failing(good_root().replace(KERNEL_CONFIG, "^CONFIG_I6300ESB_WDT=y$", driver)) == {}


@pytest.mark.parametrize(("driver", "file"), [("CONFIG_IMX2_WDT=m", "imx2_wdt.ko"), ("CONFIG_SP5100_TCO=m", "sp5100_tco.ko.xz")])
def test_a_driver_that_is_a_module_of_the_image_will_do(driver: str, file: str) -> None:
    assert failing(module(driver, f"{WATCHDOGS}/{file}")) == {}


def test_an_own_file_in_etc_takes_the_place_of_systemd_s_and_drop_ins_still_count() -> None:
    fs: RootFs = good_root().file("/etc/systemd/system.conf", "[Manager]\nRuntimeWatchdogSec=off\n[Other]\nRebootWatchdogSec=0\n")
    assert failing(fs) == {}


def test_the_old_name_of_the_setting_for_shutdowns_counts() -> None:
    assert failing(good_root().replace(WATCHDOG, "^RebootWatchdogSec=120$", "ShutdownWatchdogSec=0")) != {}


@pytest.mark.parametrize(
    ("line", "found"),
    [("ro", False), ("module_blacklist=a,imx2_wdt", True), ("modprobe.blacklist=imx2-wdt", True), ("module_blacklist=a", False)],
)
def test_a_command_line_may_keep_the_module_of_the_watchdog_from_loading(tmp_path: Path, line: str, found: bool) -> None:
    uki = open_artefact(unified_kernel(tmp_path / "a.efi", {".cmdline": line.encode(), ".linux": b"kernel"}))
    disk = Boot(Artefact("disk", "gpt", children=(uki,)), (module("CONFIG_IMX2_WDT=m", IMX2).root,))
    checks.load()
    (entry,) = [each for each in registered() if each.scope is Scope.BOOT and each.function.__module__.endswith(".watchdog")]
    assert bool(run_check(entry, disk, "disk", production()).findings) is found


def test_a_service_that_must_be_started_again_and_is_missing_or_masked_is_a_finding() -> None:
    policy = replace(production(), restarted_services=("everest.service", "meter.service"))
    for fs in (good_root(), good_root().link("/etc/systemd/system/meter.service", "/dev/null")):
        assert failing(fs, policy) == {"BOOT-05": ("meter.service is missing or masked",)}
    fs = good_root().file(f"{UNITS}/meter.service", "[Service]\nExecStart=/usr/bin/meter\nRestart=always\nStartLimitIntervalSec=0\n")
    assert "meter.service is missing or masked" not in failing(fs, policy).get("BOOT-05", ())
