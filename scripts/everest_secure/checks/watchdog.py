"""A charger that hangs restarts: BOOT-05."""

from collections.abc import Iterator

from everest_secure.checks.common import at, entries_of, units_of, words
from everest_secure.checks.common import place_of as place_of_entry
from everest_secure.checks.core import STARTING, Location, Notes, Root, Scope, Starting, check
from everest_secure.checks.kern import hold_to_rules, kernels, place_of
from everest_secure.checks.steady import search_path_on_the_root
from everest_secure.checks.subjects import roots_that_start
from everest_secure.image.tree import Tree
from everest_secure.parse.cmdline import NO
from everest_secure.parse.conf_files import places, read_daemon_conf
from everest_secure.parse.kconfig import KernelConfig
from everest_secure.parse.kernel_configs import module_directories
from everest_secure.parse.kernel_modules import module_of
from everest_secure.parse.modprobe import blacklisted_modules, module_name, module_options, refused_modules
from everest_secure.parse.timespan import seconds
from everest_secure.parse.unit_file import Assignment
from everest_secure.parse.units import Unit
from everest_secure.policy.parameters import Parameters

_CONF = "/etc/systemd/system.conf"
_DEFAULT_REBOOT = "10min"
"""RebootWatchdogSec= of a systemd that is told nothing (systemd-system.conf(5))."""
_DRIVERS = (
    "ARM_SBSA_WATCHDOG", "ARM_SMC_WATCHDOG", "ARM_SP805_WATCHDOG", "CADENCE_WATCHDOG", "DW_WATCHDOG", "MV64X60_WDT", "OMAP_WATCHDOG",
    "ORION_WATCHDOG", "S3C2410_WATCHDOG", "SP5100_TCO", "STM32_WATCHDOG", "SUNXI_WATCHDOG", "TEGRA_WATCHDOG", "XILINX_WATCHDOG", "K3_RTI_WATCHDOG",
    "AT91SAM9X_WATCHDOG", "SAMA5D4_WATCHDOG", "DAVINCI_WATCHDOG", "ASPEED_WATCHDOG", "XEN_WDT",
)  # fmt: skip
"""Drivers of hardware watchdogs whose names do not end in `_WDT` (drivers/watchdog/Kconfig); SOFT_WATCHDOG hangs with the kernel and is none."""
_PLACE = "kernel/drivers/watchdog"
_NO_HARDWARE = ("softdog", "watchdog")
"""Modules of drivers/watchdog that hang with the kernel, or are the core of the others; governors are called `pretimeout_...`."""
_RESTARTED = ("always", "on-failure", "on-abnormal", "on-abort")
"""Values of Restart= with which systemd starts a service again that was killed (systemd.service(5))."""
_OFF = ("0", "n", "no", "off", "false")


@check("BOOT-05", on=Scope.ROOT)
def systemd_drives_the_hardware_watchdog(root: Root, policy: Parameters, note: Notes) -> None:
    """RuntimeWatchdogSec= is on and no longer than the policy allows, and the watchdog runs during a shutdown as well."""
    search_path_on_the_root(root, places("systemd/system.conf.d"), note, ".conf")
    set_to = {each.key: each for each in read_daemon_conf(root.tree, "system.conf") if each.section == "Manager"}
    device = set_to.get("WatchdogDevice")
    if device is not None and device.value and not device.value.startswith("/dev/watchdog"):
        what = f"systemd drives {device.value} instead of a watchdog"
        note.finding(what, at=at(root, device.path, device.line), remedy="Take WatchdogDevice= out, or name the hardware's /dev/watchdogN.")
    _judge(root, "RuntimeWatchdogSec", set_to.get("RuntimeWatchdogSec"), "off", policy.watchdog_seconds, note)
    reboot = set_to.get("RebootWatchdogSec") or set_to.get("ShutdownWatchdogSec")
    _judge(root, "RebootWatchdogSec", reboot, _DEFAULT_REBOOT, policy.reboot_watchdog_seconds, note)


def _judge(root: Root, key: str, found: Assignment | None, default: str, limit: int, note: Notes) -> None:
    """Judge a span; `default`, the word, leaves the device's own and is on. An empty value is systemd's default."""
    value = found.value if found and found.value else default
    place = at(root, found.path, found.line) if found else at(root, _CONF)
    length = seconds(value)
    remedy = f"Set {key}= to at most {limit} in a drop-in of system.conf.d (everest-watchdog)."
    if value == "default":
        note.finding(f"{key}= is left to the device, so that nobody knows how long it waits", at=place, remedy=remedy)
    elif not length:
        note.finding(f"systemd does not drive the hardware watchdog: {key}={value}", at=place, remedy=remedy)
    elif length > limit:
        note.finding(f"the hardware watchdog waits longer than {limit} seconds: {key}={value}", at=place, remedy=remedy)
    else:
        note.saw(f"{place}: {key}={value}")


@check("BOOT-05", on=Scope.ROOT)
def the_kernel_has_a_watchdog_that_cannot_be_stopped(root: Root, policy: Parameters, note: Notes) -> None:
    """The configuration has a driver of a hardware watchdog, and NOWAYOUT; where all are modules, one is in the image and may be loaded."""
    for config in kernels(root):
        hold_to_rules(config, "BOOT-05", policy, note)
        built_in, as_modules = _drivers(config, "y"), _drivers(config, "m")
        remedy = "Add the driver of the board's watchdog to the kernel (EVEREST_KERNEL_FEATURES), and its module to the image."
        if built_in:
            note.saw(f"{place_of(config)}: {', '.join(built_in[:5])}")
        elif not as_modules:
            note.finding("the kernel has no driver of a hardware watchdog", at=place_of(config), remedy=remedy)
        else:
            modules = _modules(root.tree, config)
            usable = modules - blacklisted_modules(root.tree) - refused_modules(root.tree)
            if usable:
                note.saw(f"{place_of(config)}: {', '.join(sorted(usable)[:5])}, a module")
            else:
                which = f"modprobe refuses {words(modules)}" if modules else f"no module of {words(as_modules[:5])} is in the image"
                note.finding(f"no driver of a hardware watchdog is ever loaded: {which}", at=place_of(config), remedy=remedy)


def _drivers(config: KernelConfig, value: str) -> list[str]:
    """Return the drivers of hardware watchdogs that a kernel has with a value, `y` or `m`."""
    return [name for name, found in config.options.items() if found == value and (name.endswith("_WDT") or name in _DRIVERS)]


def _modules(tree: Tree, config: KernelConfig | None = None) -> frozenset[str]:
    """Return the names of the modules in a kernel's directory of watchdogs that drive hardware; of all kernels' without a configuration that names one."""
    directories = module_directories(tree)
    if config is not None and config.path:
        parts = config.path.replace("/config-", "/").split("/")
        directories = [each for each in directories if each.name in parts]
    names = (module_of(node) for each in directories for node in tree.under(f"{each.path}/{_PLACE}") if node.is_file)
    return frozenset(name for name in names if name and name not in _NO_HARDWARE and not name.startswith("pretimeout_"))


@check("BOOT-05", on=Scope.ROOT)
def services_that_fail_are_started_again(root: Root, policy: Parameters, note: Notes) -> None:
    """Each service of the policy's list is restarted when it is killed, and is not given up for good."""
    for name in policy.restarted_services:
        unit = units_of(root.tree).unit(name)
        place = at(root, unit.path) if unit.path else Location(root.artefact.name)
        if not unit.exists:
            note.finding(f"{name} is missing or masked", at=place, remedy="Install it, or take it out of 'restarted_services'.")
            continue
        value = unit.value("Service", "Restart", "no")
        for what, remedy in _given_up(unit):
            note.finding(f"{name} {what}", at=place, remedy=remedy)
        if value in _RESTARTED:
            note.saw(f"{unit.path}: Restart={value}")
        else:
            note.finding(
                f"{name} stays down when it fails: Restart={value}", at=place, remedy="Set Restart=always in a drop-in of the unit."
            )


def _given_up(unit: Unit) -> Iterator[tuple[str, str]]:
    """Yield why systemd may leave a service down although Restart= is set (systemd.service(5), systemd.unit(5))."""
    kept_down = unit.words("Service", "RestartPreventExitStatus")
    if kept_down:
        yield f"stays down when it ends with {', '.join(kept_down)}", "Take RestartPreventExitStatus= out of the unit."
    interval = unit.last("Unit", "StartLimitIntervalSec") or unit.last("Unit", "StartLimitInterval")
    length = seconds(interval.value) if interval else 0
    burst, pause = unit.value("Unit", "StartLimitBurst", "5"), seconds(unit.value("Service", "RestartSec", "100ms"))
    if interval and (length is None or length > (int(burst) if burst.isascii() and burst.isdigit() else 5) * (pause or 0)):
        yield f"is given up after {burst} starts: StartLimitIntervalSec={interval.value}", "Set StartLimitIntervalSec=0."


@check("BOOT-05", on=Scope.ROOT)
def no_parameter_lets_a_watchdog_be_stopped(root: Root, policy: Parameters, note: Notes) -> None:
    """No line of modprobe.d loads a driver with nowayout=0."""
    options = list(module_options(root.tree))
    for option in options:
        if option.name == "nowayout" and option.value.lower() in _OFF:
            what = f"the watchdog of {option.module} can be stopped: nowayout={option.value}"
            note.finding(what, at=at(root, option.path, option.line), remedy="Take the line out.")
    note.saw(f"modprobe.d: {len(options)} parameters of modules")


@check("BOOT-05", on=STARTING)
def no_command_line_takes_the_watchdog_away(starting: Starting, policy: Parameters, note: Notes) -> None:
    """No boot entry has parameters that stop the watchdog, or put others in the place of system.conf's."""
    drivers = {name for root in roots_that_start(starting) for name in _modules(root.tree)}
    for entry in entries_of(starting):
        for name, value in entry.command_line.parameters:
            key = name.replace("-", "_")
            refused = name in _REFUSING and drivers.intersection(map(module_name, (value or "").split(",")))
            ignored = key == _SERVICES and (value or "yes").lower() in NO
            if key in _OVERRIDING or refused or ignored or (name.endswith(".nowayout") and (value or "").lower() in _OFF):
                what = f"the command line holds '{name}{'' if value is None else f'={value}'}', which changes the watchdog"
                note.finding(what, at=place_of_entry(entry), remedy="Take the parameter out of the command line.")
        note.saw(f"{place_of_entry(entry)}: {len(entry.command_line.parameters)} parameters")


_REFUSING = ("module_blacklist", "modprobe.blacklist", "rd.modprobe.blacklist")
"""Parameters with the names of modules that are not loaded: the kernel's (kernel/module/main.c) and libkmod's (modprobe(8))."""
_OVERRIDING = (
    "systemd.watchdog_sec",
    "systemd.watchdog_device",
    "systemd.watchdog_pre_timeout_sec",
    "systemd.watchdog_pretimeout_governor",
)
"""kernel-command-line(7): they count before system.conf."""
_SERVICES = "systemd.service_watchdogs"
"""With no, systemd passes over WatchdogSec= and over what units say shall be done after a failure or a success, such as a restart (systemd(1))."""
