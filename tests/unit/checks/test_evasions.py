"""Ways around a check: what a careless or hostile integrator leaves beside the file that everybody looks at."""

from collections.abc import Callable

import pytest

from everest_secure.checks.kern_cmdline import weakening
from everest_secure.parse.cmdline import parse_cmdline
from everest_secure.parse.everest_manifests import MODULES
from everest_secure.parse.loaders import extlinux_settings, grub_settings, systemd_boot_settings
from support.elf import Program
from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import LOCAL, UNITS, RootFs, failing, good_root, hawkbit, layer, mqtt_api

Change = Callable[[RootFs], object]
TMPFILES = "/etc/tmpfiles.d/zz.conf"
RULES = "/etc/udev/rules.d/99-x.rules"
API, BROKER = "/etc/mosquitto/everest-mqtt-api.conf", "/etc/mosquitto/everest-broker.conf"
OPENSSL, RAUC, CRYPTTAB = "/etc/everest/openssl.cnf", "/etc/rauc/system.conf", "/etc/crypttab"
CONFIG = "/etc/everest/config.yaml"
REPART = "/usr/lib/repart.d/50-data.conf"


def file(path: str, text: str) -> Change:
    return lambda fs: fs.file(path, text)


def dropped(unit: str, text: str) -> Change:
    return file(f"{LOCAL}/{unit}.d/zz.conf", text)


def unit(name: str, text: str) -> Change:
    return lambda fs: fs.file(f"{UNITS}/{name}", text).link(f"{LOCAL}/multi-user.target.wants/{name}", f"{UNITS}/{name}")


def service(command: str) -> str:
    return f"[Service]\nExecStart=\nExecStart={command}\n"


def api(change: Change) -> Change:
    return lambda fs: change(mqtt_api(fs))


def updater(change: Change) -> Change:
    return lambda fs: change(hawkbit(fs).file("/etc/bad.conf", "[client]\nhawkbit_server=x\nssl=false\n"))


def encrypted(change: Change) -> Change:
    def both(fs: RootFs) -> object:
        fs.file(CRYPTTAB, layer("recipes-core/everest-data-partition/files/crypttab"))
        fs.replace(REPART, "^Encrypt=.*$", "Encrypt=tpm2").replace(f"{UNITS}/var.mount", "^What=.*$", "What=/dev/mapper/data")
        return change(fs)

    return both


MANAGER = "/usr/bin/manager --conf /etc/everest/config.yaml"
HAWKBIT = "/usr/bin/rauc-hawkbit-updater"
CASES: dict[str, dict[str, Change]] = {
    "ACC-05": {
        "another unit starts a manager": unit("everest-boot-entries.service", f"[Service]\nExecStart={MANAGER}\n"),
        "a wrapper starts it": unit(
            "everest-boot-entries.service", "[Service]\nExecStart=/usr/bin/nice -n 5 manager --config /etc/everest/b.yaml\n"
        ),
        "a script starts it": lambda fs: unit("everest-boot-entries.service", "[Service]\nExecStart=/usr/bin/x\n")(
            fs.file("/usr/bin/x", "#!/bin/sh\nexec /usr/bin/manager --conf /etc/everest/b.yaml\n", mode=0o755)
        ),
        "a link to the manager starts": lambda fs: unit("everest-boot-entries.service", "[Service]\nExecStart=/usr/bin/b\n")(
            fs.link("/usr/bin/b", "manager")
        ),
        "another unit starts a module": unit("everest-boot-entries.service", f"[Service]\nExecStart={MODULES}/OCPP/OCPP --prefix /usr\n"),
        "a command for stopping starts it": dropped("mosquitto.service", f"[Service]\nExecStopPost={MANAGER}\n"),
        "udev starts it": file(RULES, f'SUBSYSTEM=="net", RUN+="{MANAGER}"\n'),
        "the service starts another manager first": lambda fs: dropped(
            "everest.service", "[Service]\nExecStartPre=/usr/bin/manager --config /etc/everest/b.yaml\n"
        )(fs.file("/etc/everest/b.yaml", fs.nodes[CONFIG][1])),
        "the service starts a module by itself": dropped("everest.service", f"[Service]\nExecStartPre={MODULES}/OCPP/OCPP --prefix /usr\n"),
    },
    "ACC-03": {
        "another configuration is tried than the one that counts": lambda fs: dropped(
            "everest.service",
            "[Service]\nExecStartPre=/usr/bin/manager --check --config /etc/everest/config.yaml\nExecStart=\n"
            "ExecStart=/usr/bin/manager --config /etc/everest/b.yaml\n",
        )(fs.file("/etc/everest/b.yaml", fs.nodes[CONFIG][1].replace(b"  run_as_user: everest\n", b""))),
    },
    "NET-05": {
        "tmpfiles turns forwarding on": file(TMPFILES, "w /proc/sys/net/ipv4/ip_forward - - - - 1\n"),
        "tmpfiles turns it on for a pattern": file(TMPFILES, "w+! /proc/sys/net/ipv4/conf/*/forwarding - - - - 1\n"),
        "udev turns forwarding on": file(RULES, 'SUBSYSTEM=="net", SYSCTL{net.ipv4.ip_forward}="1"\n'),
        "udev runs sysctl": file(RULES, 'SUBSYSTEM=="net", RUN+="/sbin/sysctl -w net.ipv4.ip_forward=1"\n'),
        "a unit writes to proc": dropped(
            "mosquitto.service", "[Service]\nExecStartPre=/bin/sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'\n"
        ),
        "a unit reads settings of its own": dropped("systemd-networkd.service", "[Service]\nExecStartPost=/sbin/sysctl -p /etc/x.conf\n"),
        "a script sets them": lambda fs: fs.file("/usr/bin/x", "#!/bin/sh\nsysctl -w net.ipv4.ip_forward=1\n", mode=0o755).file(
            f"{LOCAL}/dbus.service.d/x.conf", "[Service]\nExecStartPre=/usr/bin/x\n"
        ),
        "networkd believes any source": file(
            "/etc/systemd/network/10-everest-plc.network.d/x.conf", "[Network]\nIPv4ReversePathFilter=no\n"
        ),
        "a file is a link to the data partition": lambda fs: fs.link("/etc/sysctl.d/99-x.conf", "/var/lib/x.conf"),
        "the directory is a link to the data partition": lambda fs: fs.directory("/var/lib/s").link("/etc/sysctl.d", "/var/lib/s"),
        "a file lies in /lib": file("/lib/sysctl.d/99-x.conf", "net.ipv4.ip_forward=1\n"),
        "a condition keeps the settings from being made": dropped("systemd-sysctl.service", "[Unit]\nConditionPathExists=/nonexistent\n"),
        "settings lie where nothing of the image counts": lambda fs: fs.file(
            "/run/sysctl.d/60-everest.conf", fs.nodes["/usr/lib/sysctl.d/60-everest.conf"][1]
        ).file("/usr/lib/sysctl.d/60-everest.conf", ""),
        "every service is kept from the settings of the kernel": file(
            f"{UNITS}/service.d/50-harden.conf", "[Service]\nProtectKernelTunables=yes\n"
        ),
        "the settings are made for another network": dropped("systemd-sysctl.service", "[Service]\nPrivateNetwork=yes\n"),
        "something else runs in the place of systemd-sysctl": dropped("systemd-sysctl.service", service("/bin/true")),
    },
    "NET-08": {
        "tmpfiles lets every device in": file(TMPFILES, "w /sys/bus/usb/devices/*/authorized_default - - - - 1\n"),
        "a unit lets devices in": dropped(
            "mosquitto.service", "[Service]\nExecStartPre=/bin/sh -c 'echo 1 > /sys/bus/usb/devices/usb1/authorized_default'\n"
        ),
        "modprobe changes the default": file("/etc/modprobe.d/x.conf", "options usbcore authorized_default=1\n"),
        "a rule lies in /lib": file("/lib/udev/rules.d/x.rules", 'SUBSYSTEM=="usb", ATTR{authorized}="1"\n'),
        "a rule is written with other blanks": file(RULES, 'SUBSYSTEM=="usb" , ATTR{authorized} = "1"\n'),
        "a rule names the attribute of another device": file(RULES, 'ACTION=="add", ATTR{[usb/usb1]authorized_default}="1"\n'),
        "rules lie on the data partition": lambda fs: fs.link(RULES, "/var/lib/x.rules"),
    },
    "TPM-03": {
        "tmpfiles opens the TPM to everyone": file(TMPFILES, "z /dev/tpmrm0 0666 - - -\n"),
        "a rule with another condition does": file(RULES, 'KERNEL=="tpm*", ATTR{tpm_version_major}=="2", MODE="0666"\n'),
        "a rule runs chmod": file(RULES, 'KERNEL=="tpmrm*", RUN+="/bin/chmod 0666 /dev/tpmrm0"\n'),
        "of two devices the last counts": dropped(
            "tpm2-abrmd.service", service("/usr/sbin/tpm2-abrmd --tcti=device:/dev/tpmrm0 --tcti=device:/dev/tpm0")
        ),
    },
    "LOG-02": {
        "only emergencies are kept": file("/etc/systemd/journald.conf.d/99.conf", "[Journal]\nMaxLevelStore=emerg\n"),
        "entries are kept for a second": file("/etc/systemd/journald.conf.d/99.conf", "[Journal]\nMaxRetentionSec=1s\n"),
        "a drop-in lies in /lib": file("/lib/systemd/journald.conf.d/99.conf", "[Journal]\nStorage=none\n"),
    },
    "LOG-03": {
        "the monitor's service is masked": lambda fs: fs.link(f"{LOCAL}/everest-security-monitor.service", "/dev/null"),
        "the monitor's service is missing": lambda fs: fs.remove(f"{UNITS}/everest-security-monitor.service"),
        "the monitor runs nothing": dropped("everest-security-monitor.service", "[Service]\nExecStart=\n"),
        "the timer says no time": file(f"{UNITS}/everest-security-monitor.timer", "[Timer]\n"),
        "the timer starts something else": dropped("everest-security-monitor.timer", "[Timer]\nUnit=everest-nothing.service\n"),
        "the timer is skipped": dropped("everest-security-monitor.timer", "[Unit]\nConditionPathExists=/nonexistent\n"),
        "the service is skipped": dropped("everest-security-monitor.service", "[Unit]\nConditionPathExists=!/etc/passwd\n"),
    },
    "BOOT-05": {
        "systemd drives another device": file("/etc/systemd/system.conf.d/99.conf", "[Manager]\nWatchdogDevice=/dev/null\n"),
        "only a watchdog of its own restarts EVerest": dropped("everest.service", "[Service]\nRestart=on-watchdog\n"),
        "EVerest stays down when it is killed": dropped("everest.service", "[Service]\nRestartPreventExitStatus=SIGKILL\n"),
        "EVerest is given up": dropped("everest.service", "[Unit]\nStartLimitIntervalSec=infinity\nStartLimitBurst=1\n"),
        "the driver is loaded so that it can be stopped": file("/etc/modprobe.d/x.conf", "options i6300esb nowayout=0\n"),
    },
    "NET-01": {
        "a variable of every service names a TCP broker": file(
            "/etc/systemd/system.conf.d/x.conf", "[Manager]\nDefaultEnvironment=MQTT_SERVER_ADDRESS=10.0.0.1\n"
        ),
        "a part of the configuration lies on the data partition": lambda fs: fs.directory("/var/lib/m").append(
            BROKER, "\ninclude_dir /var/lib/m\n"
        ),
        "a second broker has another name": lambda fs: unit(
            "everest-boot-entries.service", "[Service]\nExecStart=/usr/sbin/everest-b -p 1884\n"
        )(fs.file("/usr/sbin/mosquitto", Program().content, mode=0o755).link("/usr/sbin/everest-b", "mosquitto")),
        "a second broker starts before the first": dropped("mosquitto.service", "[Service]\nExecStartPre=/usr/sbin/mosquitto -d -p 1883\n"),
    },
    "NET-02": {
        "a part of the API's configuration lies on the data partition": api(
            lambda fs: fs.directory("/var/lib/m").append(API, "\ninclude_dir /var/lib/m\n")
        ),
        "a plugin of one listener decides": api(
            lambda fs: fs.replace(API, r"\A", "per_listener_settings true\nallow_anonymous false\n").append(API, "\nplugin /usr/lib/x.so\n")
        ),
        "an indented line takes the certificate back": api(lambda fs: fs.append(API, "\n  require_certificate false\n")),
    },
    "NET-09": {
        "the option is written without a blank": updater(dropped("rauc-hawkbit-updater.service", service(f"{HAWKBIT} -s -c/etc/bad.conf"))),
        "the option is written with another": updater(dropped("rauc-hawkbit-updater.service", service(f"{HAWKBIT} -sc /etc/bad.conf"))),
        "of two files the last counts": updater(
            dropped("rauc-hawkbit-updater.service", service(f"{HAWKBIT} -c /etc/rauc-hawkbit-updater/config.conf -c /etc/bad.conf"))
        ),
    },
    "TLS-02": {
        "the manager starts without environment": dropped("everest.service", service(f"/usr/bin/env -i {MANAGER}")),
        "env names another policy": dropped("everest.service", service(f"/usr/bin/env OPENSSL_CONF=/etc/x.cnf {MANAGER}")),
        "a shell names another policy": dropped("everest.service", service(f"/bin/sh -c 'OPENSSL_CONF=/dev/null exec {MANAGER}'")),
        "session keys of every service are written": file(
            "/etc/systemd/system.conf.d/x.conf", "[Manager]\nDefaultEnvironment=SSLKEYLOGFILE=/var/log/k\n"
        ),
        "session keys are written": dropped("everest.service", "[Service]\nEnvironment=SSLKEYLOGFILE=/var/log/k\n"),
        "code comes from the data partition": dropped("everest.service", "[Service]\nEnvironment=LD_PRELOAD=/var/lib/x.so\n"),
        "an option weakens TLS": lambda fs: fs.replace(OPENSSL, "^(MinProtocol.*)$", r"\1\nOptions = UnsafeLegacyRenegotiation"),
    },
    "RAUC-01": {
        "an option overrides the configuration": dropped(
            "rauc.service", service("/usr/bin/rauc service -C keyring:check-purpose=any --confopt=keyring:path=/etc/x.pem")
        ),
    },
    "RAUC-06": {
        "the bus marks the slot good": unit(
            "everest-boot-entries.service",
            "[Service]\nExecStart=/usr/bin/busctl call de.pengutronix.rauc / de.pengutronix.rauc.Installer Mark ss good booted\n",
        ),
        "a script marks the slot good": lambda fs: unit("everest-boot-entries.service", "[Service]\nExecStart=/usr/bin/mg\n")(
            fs.file("/usr/bin/mg", "#!/bin/sh\nrauc status mark-good\n", mode=0o755)
        ),
        "the end of EVerest marks the slot good": dropped("everest.service", "[Service]\nExecStopPost=/usr/bin/rauc status mark-good\n"),
        "a health check that may fail is none": lambda fs: fs.file("/usr/bin/rauc", b"\x7fELF", mode=0o755).replace(
            f"{UNITS}/everest-update-gate.service",
            "^ExecStart=.*$",
            "ExecStartPre=-/usr/libexec/everest-secure/everest-health-check\nExecStart=/usr/bin/rauc status mark-good",
        ),
        "the gate's timer says no time": file(f"{LOCAL}/everest-update-gate.timer", "[Timer]\n"),
        "the gate is skipped": dropped("everest-update-gate.service", "[Unit]\nConditionPathExists=/nonexistent\n"),
    },
    "FS-04": {
        "an empty key opens the partition, too": encrypted(lambda fs: fs.replace(REPART, "^Encrypt=.*$", "Encrypt=key-file+tpm2")),
        "the volume is no LUKS": encrypted(lambda fs: fs.replace(CRYPTTAB, "tpm2-device=auto", "tpm2-device=auto,plain")),
        "an empty password is tried": encrypted(
            lambda fs: fs.replace(CRYPTTAB, "tpm2-device=auto", "tpm2-device=auto,try-empty-password=yes")
        ),
        "no TPM is named": encrypted(lambda fs: fs.replace(CRYPTTAB, "tpm2-device=auto", "tpm2-device=")),
        "another partition is mounted in clear": encrypted(file("/etc/fstab", "/dev/mmcblk0p9 /var/log ext4 nodev,nosuid,noexec 0 2\n")),
        "memory is swapped in clear": encrypted(file("/etc/fstab", "/dev/mmcblk0p9 none swap sw 0 0\n")),
        "a key lies where systemd looks for it": encrypted(file("/etc/cryptsetup-keys.d/data.key", "secret")),
        "a drop-in takes the encryption back": encrypted(file("/etc/repart.d/50-data.conf.d/x.conf", "[Partition]\nEncrypt=off\n")),
    },
    "BIN-01": {
        "every program loads a library of the data partition": file("/etc/ld.so.preload", "/var/lib/x.so\n"),
        "libraries are looked for where an included file says": lambda fs: fs.file("/etc/ld.so.conf", "include acme/*.conf\n").file(
            "/etc/acme/x.conf", "/var/lib/x\ninclude /etc/ld.so.conf\n"
        ),
        "libraries are looked for on the data partition": file("/etc/ld.so.conf.d/x.conf", "/var/lib/x\n"),
    },
}
MUTATIONS = [Mutation(name, requirement, change) for requirement, cases in CASES.items() for name, change in cases.items()]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: f"{each.requirement}: {sentence(each)}")
def test_what_is_done_beside_the_usual_place_is_found(mutation: Mutation) -> None:
    check_mutation(mutation)


def test_an_include_of_the_data_partition_may_change_the_openssl_policy_even_when_it_is_missing() -> None:
    found = failing(good_root().append(OPENSSL, "\n.include /var/lib/everest/o.cnf\n"))
    assert set(found) == {"TLS-02", "TPM-05"}


def test_an_api_that_is_hidden_in_a_script_is_no_pass() -> None:
    fs = mqtt_api(good_root()).file(f"{LOCAL}/everest-mqtt-api.service.d/x.conf", service("/usr/bin/start-broker"))
    assert set(failing(fs)) == {"NET-02"}


@pytest.mark.parametrize("name", ["AcmeOCPP", "OCPP21", "MyOcpp2.0.1"])
def test_a_module_of_others_that_speaks_ocpp_is_no_pass(name: str) -> None:
    fs = good_root().replace("/etc/everest/config.yaml", r"^(\s+)module: OCPP201$", rf"\1module: {name}")
    assert "OCPP-01" in failing(fs)


def test_a_unit_that_systemctl_starts_counts_as_started() -> None:
    fs = good_root().file(f"{UNITS}/sshd.service", "[Service]\nExecStart=/usr/bin/x\n")
    fs.file(f"{LOCAL}/everest.service.d/x.conf", "[Service]\nExecStartPost=/bin/systemctl --no-block start sshd\n")
    assert set(failing(fs)) == {"NET-06"}


def test_a_module_of_the_kernel_under_a_name_of_the_policy_is_not_taken_for_a_watchdog_that_can_be_stopped() -> None:
    assert failing(good_root().file("/etc/modprobe.d/x.conf", "options i6300esb nowayout=1 heartbeat=30\n")) == {}


def test_a_configuration_may_be_named_without_directory_and_ending() -> None:
    fs = good_root().replace(f"{UNITS}/everest.service", "/etc/everest/config.yaml", "config")
    assert not failing(fs)
    assert "LOG-01" in failing(fs.replace("/etc/everest/config.yaml", "session_logging: true", "session_logging: false"))


def test_a_configuration_may_be_tried_before_the_manager_starts() -> None:
    trial = "[Service]\nExecStartPre=/usr/bin/manager --check --conf /etc/everest/config.yaml\n"
    assert failing(good_root().file(f"{LOCAL}/everest.service.d/x.conf", trial)) == {}


def test_a_root_whose_usr_is_not_merged_holds_as_well() -> None:
    moved = ("systemd", "sysctl.d", "modprobe.d", "tmpfiles.d", "udev", "repart.d")
    places = tuple(f"/usr/lib/{name}/" for name in moved)
    fs = RootFs()
    for path, (node, content) in good_root().nodes.items():
        new = path.removeprefix("/usr") if path.startswith(places) else path
        target = node.target.removeprefix("/usr") if node.target.startswith(places) else node.target
        fs._parents(new)
        fs.nodes[new] = (node._replace(path=new, target=target), content)
    assert failing(fs) == {}


@pytest.mark.parametrize(
    "parameter",
    ["mitigations=off", "nokaslr", "init_on_alloc=0", "intel_iommu=off", "iommu=pt", "iommu.passthrough=1", "lsm=yama,landlock", "rodata=off",
     "module.sig_enforce=0", "mitigations=auto,off", "vsyscall=native", "kgdboc=ttyS0", "debugfs=on", "randomize-kstack-offset=0", "spectre_bhi=off",
     "indirect_target_selection=off", "tsa=off", "vmscape=off", "cfi=off", "iomem=relaxed", "hash_pointers=never", "clearcpuid=rdseed,smep"],
)  # fmt: skip
def test_a_parameter_that_takes_hardening_away_is_found(parameter: str) -> None:
    assert weakening(parse_cmdline(f"ro quiet {parameter} lockdown=integrity")) == [parameter]


@pytest.mark.parametrize(
    "parameter",
    [
        "mitigations=auto,nosmt",
        "init_on_alloc=1",
        "iommu=force",
        "lsm=lockdown,yama",
        "vsyscall=none",
        "pti=on",
        "clearcpuid=rdrand",
        "cfi=kcfi",
    ],
)
def test_a_parameter_that_hardens_is_left_alone(parameter: str) -> None:
    assert weakening(parse_cmdline(parameter)) == []


@pytest.mark.parametrize("text", ["editor no\ntimeout\t10\n", 'editor "yes"\n', "editor nope\n", "editor no\neditor\tyes\n", "editor No\n"])
def test_systemd_boot_reads_more_spellings_than_one(text: str) -> None:
    assert len(systemd_boot_settings(text)) == 1


@pytest.mark.parametrize("text", ["TIMEOUT\t50\n", "  timeout   50\n", "INCLUDE other.conf\n", "menu include other.conf\n", "PROMPT\t1\n"])
def test_extlinux_reads_tabs_and_other_files(text: str) -> None:
    assert len(extlinux_settings(text)) == 1


@pytest.mark.parametrize("line", ["source /grub/custom.cfg", "configfile /x.cfg", ". /x.cfg"])
def test_grub_reads_other_files(line: str) -> None:
    good = "set superusers=root\npassword_pbkdf2 root grub.pbkdf2.x\nset timeout=0\n"
    assert grub_settings(good) == []
    assert len(grub_settings(good + line + "\n")) == 1
