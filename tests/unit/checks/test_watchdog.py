import pytest

from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import KERNEL_CONFIG, LOCAL, UNITS, WATCHDOG, RootFs, failing, good_root


def runtime(value: str) -> Mutation:
    return Mutation(
        f"RuntimeWatchdogSec is {value}",
        "BOOT-05",
        lambda fs: fs.replace(WATCHDOG, "^RuntimeWatchdogSec=.*$", f"RuntimeWatchdogSec={value}"),
    )


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


@pytest.mark.parametrize("driver", ["CONFIG_BCM2835_WDT=y", "CONFIG_IMX2_WDT=m", "CONFIG_SP5100_TCO=m", "CONFIG_DW_WATCHDOG=y"])
def test_the_driver_of_any_board_will_do(driver: str) -> None:
    assert failing(good_root().replace(KERNEL_CONFIG, "^CONFIG_I6300ESB_WDT=y$", driver)) == {}


def test_an_own_file_in_etc_takes_the_place_of_systemd_s_and_drop_ins_still_count() -> None:
    fs: RootFs = good_root().file("/etc/systemd/system.conf", "[Manager]\nRuntimeWatchdogSec=off\n[Other]\nRebootWatchdogSec=0\n")
    assert failing(fs) == {}


def test_the_old_name_of_the_setting_for_shutdowns_counts() -> None:
    assert failing(good_root().replace(WATCHDOG, "^RebootWatchdogSec=120$", "ShutdownWatchdogSec=0")) != {}
