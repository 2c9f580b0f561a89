"""The good root: everything that the policy asks for, from the layer's own files as far as they are there."""

import json
from functools import cache

from everest_secure.parse.kernel_modules import MAGIC
from support.authority import issue
from support.charger import SCHEMA, manifests, ocpp16_schemas, ocpp_components, program
from support.elf import Program
from support.kernel import configuration
from support.rootfs.judge import production
from support.rootfs.layer_files import EVEREST_CONFIG, everest_configuration, layer
from support.rootfs.tree import RootFs

UNITS = "/usr/lib/systemd/system"
LOCAL = "/etc/systemd/system"
MODULES = "/usr/lib/modules/6.6.144"
KERNEL_CONFIG = f"{MODULES}/config"
USB_RULES = "/usr/lib/udev/rules.d/60-everest-usb.rules"
WATCHDOG = "/usr/lib/systemd/system.conf.d/50-everest-watchdog.conf"


@cache
def _everests_own() -> dict[str, str]:
    """EVerest's schema and manifests for every configuration that the layer can make."""
    choices = [everest_configuration(iso15118, ocpp) for iso15118 in ("2", "2+20") for ocpp in ("1.6", "2.0.1", "multi")]
    schemas = ocpp16_schemas(layer(f"{EVEREST_CONFIG}/ocpp-1.6.json"))
    return {
        "/usr/share/everest/schemas/config.yaml": json.dumps(SCHEMA),
        **{f"/usr/libexec/everest/modules/{name}/manifest.yaml": text for name, text in manifests(*choices).items()},
        **{f"/usr/share/everest/modules/OCPP/profile_schemas/{name}.json": text for name, text in schemas.items()},
    }


@cache
def _device_model() -> dict[str, str]:
    return ocpp_components([layer(f"{EVEREST_CONFIG}/{name}.json") for name in ("device-model", "device-model-2.0.1")])


@cache
def keyring() -> str:
    """Return a release root in PEM."""
    return issue("Release root", authority=True, days=3650).pem


def good_root() -> RootFs:
    """Return a root file system in which every check holds."""
    fs = RootFs()
    fs.directory("/")
    for path in ("/home", "/proc", "/run", "/sys", "/var", "/usr/bin", "/etc"):
        fs.directory(path)
    fs.directory("/tmp", mode=0o1777)
    _accounts(fs)
    _units(fs)
    _services(fs)
    _everest(fs)
    _rauc(fs)
    _tpm(fs)
    _kernel(fs)
    _updates(fs)
    _network(fs)
    _journal(fs)
    _origin(fs)
    return fs


def _accounts(fs: RootFs) -> None:
    fs.file(
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/false\nmosquitto:x:980:980::/var/lib/mosquitto:/bin/false\n"
        "everest:x:1500:1500::/home/everest:/bin/false\n",
    )
    fs.file("/etc/shadow", "root:*:19000::::::\nmosquitto:!:19000::::::\neverest:!*:19000::::::\n", mode=0o400)
    fs.file(
        "/etc/group",
        "root:x:0:\nsystemd-journal:x:101:everest\ndialout:x:20:everest\ntty:x:5:everest\ntss:x:982:everest\n"
        "mosquitto:x:980:everest\ngpio:x:1501:everest\neverest:x:1500:\n",
    )
    fs.file("/etc/gshadow", "root:*::\neverest:!::\n", mode=0o400)
    fs.file("/etc/pam.d/common-auth", "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n")
    fs.file("/etc/machine-id", "")
    fs.file("/usr/lib/os-release", 'ID=everest-secure\nVERSION_ID="1.0"\n')


def _units(fs: RootFs) -> None:
    fs.link(f"{UNITS}/default.target", "multi-user.target")
    fs.file(f"{UNITS}/multi-user.target", "[Unit]\nRequires=basic.target\n")
    fs.file(f"{UNITS}/basic.target", "[Unit]\nRequires=sysinit.target\nWants=sockets.target timers.target\n")
    fs.file(f"{UNITS}/sysinit.target", "[Unit]\nWants=local-fs.target swap.target\n")
    for name in ("local-fs.target", "sockets.target", "timers.target", "getty.target", "rescue.target", "emergency.target"):
        fs.file(f"{UNITS}/{name}", "[Unit]\nDescription=a target\n")
    fs.file(f"{UNITS}/systemd-journald.service", "[Service]\nExecStart=/usr/lib/systemd/systemd-journald\n")
    fs.file(f"{UNITS}/systemd-journald.socket", "[Socket]\nListenStream=/run/systemd/journal/stdout\n")
    fs.link(f"{UNITS}/sockets.target.wants/systemd-journald.socket", "../systemd-journald.socket")
    fs.file(f"{UNITS}/dbus.socket", "[Socket]\nListenStream=/run/dbus/system_bus_socket\n")
    fs.file(f"{UNITS}/dbus.service", "[Service]\nExecStart=/usr/bin/dbus-daemon --system\n")
    fs.link(f"{UNITS}/sockets.target.wants/dbus.socket", "../dbus.socket")
    fs.link(f"{UNITS}/multi-user.target.wants/getty.target", "../getty.target")
    fs.link(f"{LOCAL}/getty.target.wants/getty@tty1.service", f"{UNITS}/getty@.service")
    for name in ("getty@.service", "serial-getty@.service", "console-getty.service", "container-getty@.service"):
        fs.file(f"{UNITS}/{name}", "[Service]\nExecStart=-/sbin/agetty --noclear %I linux\nStandardInput=tty\n")
    fs.file(f"{UNITS}/debug-shell.service", "[Service]\nExecStart=/bin/sh\nStandardInput=tty\n")
    for name in ("rescue.service", "emergency.service"):
        fs.file(f"{UNITS}/{name}", "[Service]\nExecStart=-/usr/lib/systemd/systemd-sulogin-shell rescue\n")
    fs.file(f"{UNITS}/systemd-tmpfiles-clean.timer", "[Timer]\nOnBootSec=15min\nOnUnitActiveSec=1d\n")
    fs.file(f"{UNITS}/systemd-tmpfiles-clean.service", "[Service]\nType=oneshot\nExecStart=systemd-tmpfiles --clean\n")
    fs.link(f"{UNITS}/timers.target.wants/systemd-tmpfiles-clean.timer", "../systemd-tmpfiles-clean.timer")
    for name in production().masked_units:
        fs.link(f"{LOCAL}/{name}", "/dev/null")
    for name in ("emergency.target", "rescue.target"):
        fs.file(f"{LOCAL}/{name}", layer("recipes-core/everest-watchdog/files/emergency.target"))
    fs.file(f"{UNITS}/everest-failed-boot.service", layer("recipes-core/everest-watchdog/files/everest-failed-boot.service"))
    fs.file(
        "/usr/lib/systemd/system-preset/20-everest-secure.preset", layer("recipes-core/everest-unit-policy/files/20-everest-secure.preset")
    )


def _services(fs: RootFs) -> None:
    fs.file("/usr/bin/nft", mode=0o755)
    fs.file("/usr/sbin/everest-factory-reset", layer("recipes-core/everest-factory-reset/files/everest-factory-reset"), mode=0o755)
    fs.file("/etc/nftables/everest-firewall.nft", layer("recipes-connectivity/everest-firewall/files/everest-firewall.nft"))
    fs.file(f"{UNITS}/everest-firewall.service", layer("recipes-connectivity/everest-firewall/files/everest-firewall.service"))
    fs.link(f"{LOCAL}/sysinit.target.wants/everest-firewall.service", f"{UNITS}/everest-firewall.service")
    closed = "50-everest-firewall.conf"
    fs.file(f"{UNITS}/systemd-networkd.service.d/{closed}", layer(f"recipes-connectivity/everest-firewall/files/{closed}"))
    fs.file(
        f"{UNITS}/mosquitto.service",
        "[Service]\nExecStartPre=/bin/mkdir -m 740 -p /run/mosquitto\nExecStart=/usr/sbin/mosquitto -c /etc/mosquitto/mosquitto.conf\n"
        "Restart=on-failure\n"
        "[Install]\nWantedBy=multi-user.target\n",
    )
    broker = "recipes-connectivity/everest-broker-conf/files"
    fs.file(f"{UNITS}/mosquitto.service.d/50-everest-broker.conf", layer(f"{broker}/50-everest-broker.conf"))
    fs.file("/etc/mosquitto/mosquitto.conf", "listener 1883\ninclude_dir /etc/mosquitto/conf.d\n")
    fs.file("/etc/mosquitto/everest-broker.conf", layer(f"{broker}/everest-broker.conf"))
    fs.link(f"{LOCAL}/multi-user.target.wants/mosquitto.service", f"{UNITS}/mosquitto.service")
    fs.file(f"{UNITS}/var.mount", "[Mount]\nWhat=/dev/disk/by-partlabel/data\nWhere=/var\nType=ext4\nOptions=nodev,nosuid,noexec\n")
    fs.link(f"{LOCAL}/local-fs.target.requires/var.mount", f"{UNITS}/var.mount")
    reset = "everest-factory-reset.service"
    fs.file(f"{UNITS}/{reset}", layer(f"recipes-core/everest-factory-reset/files/{reset}"))
    fs.link(f"{LOCAL}/local-fs.target.wants/{reset}", f"{UNITS}/{reset}")
    fs.file(
        f"{UNITS}/etc-everest-certs.mount",
        "[Mount]\nWhat=/var/lib/everest/certs\nWhere=/etc/everest/certs\nType=none\nOptions=bind,nodev,nosuid,noexec\n",
    )
    fs.link(f"{LOCAL}/multi-user.target.wants/etc-everest-certs.mount", f"{UNITS}/etc-everest-certs.mount")


def _everest(fs: RootFs) -> None:
    fs.file(
        f"{UNITS}/everest.service",
        "[Unit]\nRequires=mosquitto.service\n[Service]\nRestart=always\nExecStart=/usr/bin/manager --conf /etc/everest/config.yaml\n",
    )
    hardening = "recipes-core/everest-service-hardening/files/50-everest-secure.conf"
    fs.file(f"{UNITS}/everest.service.d/50-everest-secure.conf", layer(hardening))
    identity = "recipes-core/everest-identity/files"
    fs.file(f"{UNITS}/everest.service.d/40-everest-identity.conf", layer(f"{identity}/40-everest-identity.conf"))
    fs.file(f"{UNITS}/everest-identity.service", layer(f"{identity}/everest-identity.service"))
    fs.link(f"{LOCAL}/multi-user.target.wants/everest.service", f"{UNITS}/everest.service")
    fs.file("/usr/bin/manager", Program().content, mode=0o755)
    fs.file("/usr/lib/libc.so.6", Program(imports=("_dl_argv",), needed=("ld-linux-x86-64.so.2",), exports=("printf",)).content, mode=0o755)
    fs.file("/etc/everest/config.yaml", everest_configuration())
    fs.file("/etc/everest/openssl.cnf", layer("recipes-security/everest-openssl-policy/files/openssl.cnf"))
    fs.directory("/etc/everest/certs")
    fs.directory("/usr/share/everest/www")
    for path, text in _everests_own().items():
        fs.file(path, text)
    for name, text in _device_model().items():
        fs.file(f"/etc/everest/ocpp/component_config/standardized/{name}.json", text)
    fs.file("/usr/libexec/everest/modules/EvseSecurity/EvseSecurity", program("?provider=default", "?provider=tpm2"), mode=0o755)
    fs.file("/usr/lib/tmpfiles.d/everest-logs.conf", layer(f"{EVEREST_CONFIG}/everest-logs.conf"))
    fs.file("/usr/lib/repart.d/50-data.conf", layer("recipes-core/everest-data-partition/files/50-data.conf"))
    fs.file(
        "/etc/everest/everest_release.json",
        '{"channel": "release", "version": "2026.02.1", "components": [{"name": "everest-core", "version": "2026.02.1"}]}',
    )
    rows = [line.split("\t") for line in layer("recipes-core/everest-state/files/state.tsv").splitlines() if not line.startswith("#")]
    fs.file("/usr/lib/tmpfiles.d/everest-state.conf", "".join(f"d {row[0]} {row[3]} {row[1]} {row[2]} -\n" for row in rows))


def _kernel(fs: RootFs) -> None:
    fs.file(KERNEL_CONFIG, configuration())
    usb = "recipes-core/everest-usb-policy/files"
    fs.file(USB_RULES, layer(f"{usb}/60-everest-usb.rules"))
    fs.file("/usr/lib/modprobe.d/everest-usb.conf", layer(f"{usb}/everest-usb.conf"))
    fs.file(WATCHDOG, layer("recipes-core/everest-watchdog/files/50-everest-watchdog.conf"))
    fs.file(f"{MODULES}/kernel/net/a.ko", Program(kind=1, interpreter=False).content + MAGIC)


def _rauc(fs: RootFs) -> None:
    rauc = "recipes-core/rauc/rauc-conf"
    fs.file("/etc/rauc/system.conf", layer(f"{rauc}/system.conf") + layer(f"{rauc}/slots-uki.conf"))
    fs.file("/etc/rauc/keyring.pem", keyring())
    fs.file(
        "/usr/share/dbus-1/system.conf",
        '<busconfig><policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>'
        '<allow send_destination="org.freedesktop.DBus"/></policy><includedir>system.d</includedir>'
        "<includedir>/etc/dbus-1/system.d</includedir></busconfig>",
    )
    fs.file(
        "/usr/share/dbus-1/system.d/de.pengutronix.rauc.conf",
        '<busconfig><policy user="root"><allow own="de.pengutronix.rauc"/></policy><policy context="default">'
        '<allow send_destination="de.pengutronix.rauc"/><allow receive_sender="de.pengutronix.rauc"/></policy></busconfig>',
    )
    fs.file("/etc/dbus-1/system.d/everest-rauc.conf", layer("recipes-security/everest-rauc-dbus-policy/files/everest-rauc.conf"))


def _tpm(fs: RootFs) -> None:
    fs.file("/usr/lib/ossl-modules/tpm2.so", program("TPM 2.0 Provider", "1.3.0"))
    for name in ("device", "tabrmd"):
        fs.file(f"/usr/lib/libtss2-tcti-{name}.so.0.0.0", program(name)).link(
            f"/usr/lib/libtss2-tcti-{name}.so.0", f"libtss2-tcti-{name}.so.0.0.0"
        )
    fs.file("/usr/lib/udev/rules.d/60-tpm-udev.rules", 'KERNEL=="tpmrm[0-9]*", TAG+="systemd", MODE="0660", OWNER="tss", GROUP="tss"\n')
    fs.file(
        f"{UNITS}/tpm2-abrmd.service",
        "[Service]\nType=dbus\nBusName=com.intel.tss2.Tabrmd\nExecStart=/usr/sbin/tpm2-abrmd\n[Install]\nWantedBy=multi-user.target\n",
    )
    broker = "recipes-security/everest-tpm-broker/files/50-everest-tpm-broker.conf"
    fs.file(f"{UNITS}/tpm2-abrmd.service.d/50-everest-tpm-broker.conf", layer(broker))
    fs.link(f"{LOCAL}/multi-user.target.wants/tpm2-abrmd.service", f"{UNITS}/tpm2-abrmd.service")
    tpm = "recipes-security/everest-tpm/files"
    fs.file("/usr/sbin/everest-tpm", layer(f"{tpm}/everest-tpm"), mode=0o755)
    fs.file(f"{UNITS}/everest-tpm-provision.service", layer(f"{tpm}/everest-tpm-provision.service"))
    fs.link(f"{LOCAL}/multi-user.target.wants/everest-tpm-provision.service", f"{UNITS}/everest-tpm-provision.service")
    fs.file("/usr/sbin/everest-cert", layer("recipes-security/everest-cert/files/everest-cert"), mode=0o755)


def _updates(fs: RootFs) -> None:
    programs = "/usr/libexec/everest-secure"
    gate = "recipes-core/everest-health-gate/files"
    fs.file(f"{programs}/everest-update-guard", layer("recipes-core/everest-update-guard/files/everest-update-guard"), mode=0o755)
    for name in ("everest-health-check", "everest-update-gate"):
        fs.file(f"{programs}/{name}", layer(f"{gate}/{name}"), mode=0o755)
    for name in ("everest-update-gate.service", "everest-update-gate.timer"):
        fs.file(f"{UNITS}/{name}", layer(f"{gate}/{name}"))
    fs.link(f"{LOCAL}/timers.target.wants/everest-update-gate.timer", f"{UNITS}/everest-update-gate.timer")
    fs.file(f"{UNITS}/rauc.service", "[Service]\nType=dbus\nBusName=de.pengutronix.rauc\nExecStart=/usr/bin/rauc service\n")
    fs.file(
        f"{UNITS}/rauc-mark-good.service",
        "[Unit]\nAfter=boot-complete.target\n[Service]\nExecStart=/usr/bin/rauc status mark-good\n[Install]\nWantedBy=multi-user.target\n",
    )
    fs.link(f"{LOCAL}/rauc-mark-good.service", "/dev/null")


def _journal(fs: RootFs) -> None:
    fs.file("/etc/systemd/journald.conf", "[Journal]\n#Storage=auto\n")
    fs.file("/usr/lib/systemd/journald.conf.d/00-systemd-conf.conf", "[Journal]\nForwardToSyslog=yes\nRuntimeMaxUse=64M\n")
    fs.file("/usr/lib/systemd/journald.conf.d/50-everest.conf", layer("recipes-core/everest-journal/files/50-everest.conf"))
    fs.file(f"{UNITS}/systemd-journal-flush.service", "[Service]\nExecStart=/usr/bin/journalctl --flush\n")
    fs.link(f"{UNITS}/sysinit.target.wants/systemd-journal-flush.service", "../systemd-journal-flush.service")
    for name in ("everest-security-monitor.service", "everest-security-monitor-daily.service", "everest-security-monitor.timer"):
        fs.file(f"{UNITS}/{name}", layer(f"recipes-core/everest-security-monitor/files/{name}"))
    fs.file("/usr/lib/everest-secure/security-events.tsv", layer("recipes-core/everest-security-monitor/files/security-events.tsv"))
    fs.link(f"{LOCAL}/timers.target.wants/everest-security-monitor.timer", f"{UNITS}/everest-security-monitor.timer")
    fs.link(f"{LOCAL}/multi-user.target.wants/everest-security-monitor.service", f"{UNITS}/everest-security-monitor.service")


def _origin(fs: RootFs) -> None:
    rule = "-----------------------"
    fs.file(
        "/etc/buildinfo",
        f"{rule}\nBuild Configuration:  |\n{rule}\nMACHINE = qemux86-64\nDISTRO = everest-secure\nEVEREST_VERSION = 2026.02.1\n"
        f"{rule}\nLayer Revisions:      |\n{rule}\nmeta              = HEAD:543550522f{'0' * 30}\nmeta-everest-secure = main:{'a' * 40}\n",
    )
    fs.file(
        "/usr/share/common-licenses/license.manifest",
        "PACKAGE NAME: rauc\nPACKAGE VERSION: 1.15.2\nRECIPE NAME: rauc\nLICENSE: LGPL-2.1-or-later\n\n",
    )


def _network(fs: RootFs) -> None:
    network = "recipes-connectivity/everest-network/files"
    for name in ("10-everest-plc.network", "15-everest-management.network", "79-everest-other.network"):
        fs.file(f"/usr/lib/systemd/network/{name}", layer(f"{network}/{name}"))
    fs.file("/usr/lib/systemd/network/80-wired.network", "[Match]\nType=ether\n[Network]\nDHCP=yes\n")
    fs.file("/usr/lib/sysctl.d/50-default.conf", "net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\n")
    fs.file("/usr/lib/sysctl.d/60-everest.conf", layer("recipes-core/everest-sysctl/files/60-everest.conf"))
    for name in ("systemd-sysctl.service", "systemd-networkd.service"):
        fs.file(f"{UNITS}/{name}", f"[Service]\nExecStart=/usr/lib/systemd/{name.removesuffix('.service')}\n")
    fs.link(f"{UNITS}/sysinit.target.wants/systemd-sysctl.service", "../systemd-sysctl.service")
    fs.link(f"{LOCAL}/multi-user.target.wants/systemd-networkd.service", f"{UNITS}/systemd-networkd.service")
