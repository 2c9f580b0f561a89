from collections.abc import Callable
from dataclasses import replace

import pytest

from everest_secure.parse.patterns import matches
from everest_secure.paths import data
from support.mutation import Mutation, add_unit, check_mutation, move_behind, script, sentence
from support.rootfs import LOCAL, UNITS, RootFs, failing, good_root, production

BROKER = "/etc/mosquitto/everest-broker.conf"
CONFIG = "/etc/everest/config.yaml"
SERVICE = "[Service]\nExecStart=/usr/bin/a\n"
MEANS_OF_STARTING: dict[str, Callable[[RootFs], object]] = {
    "a unit fails": lambda fs: fs.file(f"{LOCAL}/everest.service.d/x.conf", "[Unit]\nOnFailure=a.service\n"),
    "a unit ends": lambda fs: fs.file(f"{LOCAL}/everest.service.d/x.conf", "[Unit]\nOnSuccess=a.service\n"),
    "a service names it as its socket's": lambda fs: (
        fs.file(f"{LOCAL}/a.socket", "[Socket]\nListenStream=23\n"),
        fs.file(f"{LOCAL}/everest.service.d/x.conf", "[Service]\nSockets=a.socket\n"),
    ),
    "a udev rule wants it": lambda fs: fs.file("/etc/udev/rules.d/9.rules", 'SUBSYSTEM=="net", ENV{SYSTEMD_WANTS}+="a.service"\n'),
    "a udev rule starts it": lambda fs: fs.file(
        "/etc/udev/rules.d/9.rules", 'SUBSYSTEM=="net", RUN+="/bin/systemctl --no-block start a.service"\n'
    ),
    "a script of a udev rule starts it": lambda fs: fs.file("/etc/udev/rules.d/9.rules", 'SUBSYSTEM=="net", RUN+="plugged"\n').file(
        "/usr/lib/udev/plugged", "#!/bin/sh\n[ -e /x ] && systemctl start a b\n", mode=0o755
    ),
    "a script of a unit starts it": lambda fs: script(fs, "if true; then systemctl restart 'a.service' >/dev/null; fi"),
    "a script in Python starts it": lambda fs: script(fs, 'run(["systemctl", "start", "a"], check=True)'),
    "the bus starts it": lambda fs: fs.file(
        "/usr/lib/dbus-1/system-services/a.service", "[D-BUS Service]\nName=a.b\nExec=/bin/false\nSystemdService=a.service\n"
    ).link("/lib", "usr/lib"),
    "a bus program has no unit": lambda fs: fs.file(
        "/usr/share/dbus-1/system-services/a.service", "[D-BUS Service]\nName=a.b\nExec=/usr/bin/a --x\nUser=root\n"
    ),
    "a link of systemctl's own directory wants it": lambda fs: fs.link(
        "/etc/systemd/system.control/multi-user.target.wants/a.service", f"{UNITS}/a.service"
    ),
    "a generator makes it": lambda fs: fs.file("/etc/systemd/system-generators/systemd-a", "#!/bin/sh\n", mode=0o755),
    "a generator makes the environment of every service": lambda fs: fs.file(
        "/etc/systemd/system-environment-generators/a", "#!/bin/sh\necho SSLKEYLOGFILE=/var/log/k\n", mode=0o755
    ),
    "a runlevel starts its script": lambda fs: (
        fs.file("/usr/lib/systemd/system-generators/systemd-sysv-generator", "\x7fELF", mode=0o755),
        fs.file("/etc/init.d/b", "#!/bin/sh\n", mode=0o755),
        fs.link("/etc/rc3.d/S01b", "../init.d/b"),
    ),
    "rc.local is executable": lambda fs: (
        fs.file("/usr/lib/systemd/system-generators/systemd-rc-local-generator", "\x7fELF", mode=0o755),
        fs.file(f"{UNITS}/rc-local.service", "[Service]\nExecStart=/etc/rc.local start\n"),
        fs.file("/etc/rc.local", "#!/bin/sh\n", mode=0o755),
    ),
}


@pytest.mark.parametrize(
    "command",
    [
        "/var/lib/product/hook",
        "-/bin/sh -e /var/lib/product/hook.sh start",
        "/usr/bin/env python3 /var/lib/product/app.py",
        "/bin/sh -c '. /var/lib/product/env; exec /usr/bin/true'",
        "/bin/busybox sh /run/hook",
        "/usr/bin/hook",
    ],
)
def test_what_lies_on_the_data_partition_is_no_program(command: str) -> None:
    fs = good_root().file("/var/lib/product/hook", mode=0o755).link("/usr/bin/hook", "/var/lib/product/hook")
    assert set(failing(fs)) <= {"FS-05"}
    fs.file(f"{LOCAL}/dbus.service.d/x.conf", f"[Service]\nExecStartPre={command}\n")
    assert set(failing(fs)) == {"NET-06"}


@pytest.mark.parametrize(
    "command",
    ["/bin/sh -c 'cat /var/lib/x'", "/usr/bin/cat /var/lib/x", "/bin/sh /usr/bin/x /var/lib/x", "/usr/bin/python3 -m x /var/lib/x"],
)
def test_a_program_may_be_given_what_lies_on_the_data_partition(command: str) -> None:
    assert failing(good_root().file(f"{LOCAL}/dbus.service.d/x.conf", f"[Service]\nExecStartPre={command}\n")) == {}


@pytest.mark.parametrize(
    "text",
    [
        ". /var/lib/product/env",
        "[ -r /x ] && . /var/lib/product/env",
        "if true; then sh -e '/var/lib/product/x.sh'; fi",
        "exec python3 /var/x.py",
    ],
)
def test_what_lies_on_the_data_partition_is_no_part_of_a_script(text: str) -> None:
    fs = good_root()
    script(fs, text)
    assert set(failing(fs)) == {"NET-06"}


def test_a_script_may_read_the_data_partition_and_run_the_root() -> None:
    fs = good_root()
    script(fs, 'sh /usr/bin/y /var/lib/x\n. "${library}/x.sh"\n[ -r /x ] && cat /var/lib/x\n. /etc/default/x')
    assert failing(fs) == {}


def test_a_rule_of_udev_runs_nothing_of_the_data_partition() -> None:
    fs = good_root().file("/etc/udev/rules.d/9.rules", 'SUBSYSTEM=="net", RUN+="/bin/sh /var/lib/product/plugged"\n')
    assert set(failing(fs)) == {"NET-06"}


@pytest.mark.parametrize("means", MEANS_OF_STARTING)
def test_nothing_unlisted_starts_when(means: str) -> None:
    fs = good_root().file(f"{UNITS}/a.service", SERVICE)
    assert failing(fs) == {}
    MEANS_OF_STARTING[means](fs)
    assert set(failing(fs)) == {"NET-06"}


@pytest.mark.parametrize(
    ("path", "text"),
    [("/usr/lib/tmpfiles.d/pod.conf", "f /var/lib/systemd/linger/everest\n"), ("/var/lib/systemd/linger/everest", "")],
)
def test_a_user_that_lingers_has_a_manager_that_starts_what_it_wants(path: str, text: str) -> None:
    fs = good_root().file(f"{UNITS}/user@.service", "[Service]\nUser=%i\nExecStart=/usr/lib/systemd/systemd --user\n")
    fs.file(f"{UNITS}/systemd-logind.service", "[Service]\nExecStart=/usr/lib/systemd/systemd-logind\n")
    fs.link(f"{UNITS}/multi-user.target.wants/systemd-logind.service", "../systemd-logind.service")
    assert failing(fs) == {}
    found = failing(fs.file(path, text))
    assert "user@1500.service starts" in found["NET-06"][0]


def test_a_script_that_asks_systemctl_starts_nothing() -> None:
    fs = good_root().file(f"{UNITS}/a.service", SERVICE)
    script(fs, "systemctl is-active a && systemctl stop a; systemctl try-restart a.service\n# systemctl start a")
    assert failing(fs) == {}


def test_a_masked_generator_and_a_script_with_a_unit_start_nothing() -> None:
    fs = good_root().file("/usr/lib/systemd/system-generators/a", "#!/bin/sh\n", mode=0o755)
    fs.link("/etc/systemd/system-generators/a", "/dev/null")
    fs.file("/usr/lib/systemd/system-generators/systemd-sysv-generator", "\x7fELF", mode=0o755)
    fs.file("/etc/init.d/mosquitto", "#!/bin/sh\n", mode=0o755).link("/etc/rc3.d/S01mosquitto", "../init.d/mosquitto")
    assert failing(fs) == {}


@pytest.mark.parametrize(
    "text",
    [
        "systemctl is-active --quiet mosquitto.service || systemctl try-restart mosquitto",
        "chown mosquitto:mosquitto /run/mosquitto; su -s /bin/sh mosquitto -c true",
        "systemctl stop getty@tty1.service; killall agetty || true",
        "sh /etc/x.sh </dev/null",
    ],
)
def test_a_script_may_speak_of_broker_and_login(text: str) -> None:
    fs = good_root()
    script(fs, text)
    assert failing(fs) == {}


MUTATIONS = [
    Mutation("the broker's configuration is a link to the data partition", "NET-01", lambda fs: move_behind(fs, BROKER)),
    Mutation(
        "everyone may connect to the broker",
        "NET-01",
        lambda fs: fs.append(f"{UNITS}/mosquitto.service.d/50-everest-broker.conf", "RuntimeDirectoryMode=0755\nUMask=0\n"),
    ),
    Mutation("the broker has no listener line and is on TCP", "NET-01", lambda fs: fs.replace(BROKER, "^listener .*$", "")),
    Mutation("the broker also listens on TCP", "NET-01", lambda fs: fs.append(BROKER, "listener 1883\n")),
    Mutation(
        "the broker's socket is elsewhere", "NET-01", lambda fs: fs.replace(BROKER, "/run/mosquitto/everest.sock", "/tmp/mosquitto.sock")
    ),
    Mutation("the broker refuses EVerest", "NET-01", lambda fs: fs.replace(BROKER, "^allow_anonymous true$", "")),
    Mutation("the broker is bridged", "NET-01", lambda fs: fs.append(BROKER, "connection cloud\naddress example.org\n")),
    Mutation(
        "the broker's command line opens a port",
        "NET-01",
        lambda fs: fs.replace(f"{UNITS}/mosquitto.service.d/50-everest-broker.conf", "(^ExecStart=/.*)$", r"\1 -p 1884"),
    ),
    Mutation(
        "the drop-in that names the broker's configuration is missing",
        "NET-01",
        lambda fs: (fs.remove(f"{UNITS}/mosquitto.service.d"), fs.directory("/etc/mosquitto/conf.d")),
    ),
    Mutation(
        "a listener comes from an include directory",
        "NET-01",
        lambda fs: (
            fs.append(BROKER, "include_dir /etc/mosquitto/conf.d\n"),
            fs.file("/etc/mosquitto/conf.d/x.conf", "listener 8883\n"),
        ),
    ),
    Mutation("a script starts a second broker", "NET-01", lambda fs: script(fs, "/usr/sbin/mosquitto -d -c /etc/b.conf")),
    Mutation("a script in Python starts a second broker", "NET-01", lambda fs: script(fs, 'Popen(["mosquitto", "-p", "1883"])')),
    Mutation(
        "udev starts a login on an adapter that is plugged in",
        "NET-07",
        lambda fs: fs.file("/etc/udev/rules.d/9.rules", 'KERNEL=="ttyUSB0", RUN+="/sbin/getty -L ttyUSB0 115200 vt100"\n'),
    ),
    Mutation("a script offers a login", "NET-07", lambda fs: script(fs, "while true; do\n\tsetsid agetty -L 115200 ttyS0 vt100\ndone")),
    Mutation("a script offers a shell", "NET-07", lambda fs: script(fs, "setsid sh -i </dev/ttyS0 >/dev/ttyS0 2>&1 &")),
    Mutation(
        "an option in an include directory opens the default port",
        "NET-01",
        lambda fs: (
            fs.append(BROKER, "include_dir /etc/mosquitto/conf.d\n"),
            fs.file("/etc/mosquitto/conf.d/limits.conf", "max_connections 50\n"),
        ),
    ),
    Mutation(
        "the broker does not start",
        "NET-01",
        lambda fs: (
            fs.remove(f"{LOCAL}/multi-user.target.wants/mosquitto.service"),
            fs.replace(f"{UNITS}/everest.service", "^Requires=.*$", ""),
        ),
    ),
    Mutation("EVerest uses another socket", "NET-01", lambda fs: fs.replace(CONFIG, "/run/mosquitto/everest.sock", "/tmp/x.sock")),
    Mutation("EVerest uses TCP", "NET-01", lambda fs: fs.replace(CONFIG, "^  mqtt_broker_socket_path.*$", "  mqtt_broker_host: localhost")),
    Mutation(
        "the unit names a TCP broker",
        "NET-01",
        lambda fs: fs.append(
            f"{UNITS}/everest.service.d/50-everest-secure.conf", '[Service]\nEnvironment="MQTT_SERVER_ADDRESS=10.0.0.1"\n'
        ),
    ),
    Mutation(
        "a second broker starts by its bare name",
        "NET-01",
        lambda fs: add_unit(fs, "everest-boot-entries.service", "[Service]\nExecStart=mosquitto -p 1884\n"),
    ),
    Mutation(
        "a shell starts a second broker",
        "NET-01",
        lambda fs: add_unit(fs, "everest-boot-entries.service", "[Service]\nExecStart=/bin/sh -c 'exec mosquitto -p 1884'\n"),
    ),
    Mutation(
        "a login waits for a switched terminal",
        "NET-07",
        lambda fs: (
            fs.file(f"{UNITS}/systemd-logind.service", SERVICE),
            fs.link(f"{LOCAL}/multi-user.target.wants/systemd-logind.service", f"{UNITS}/systemd-logind.service"),
            fs.file(f"{LOCAL}/autovt@.service", "[Service]\nExecStart=/bin/sh\nStandardInput=tty\n"),
        ),
        also=("NET-06",),
    ),
    Mutation(
        "a unit that nobody listed is called like ours",
        "NET-06",
        lambda fs: add_unit(fs, "everest-shell.service", "[Service]\nExecStart=/usr/bin/socat TCP-LISTEN:4444 EXEC:/bin/sh\n"),
    ),
    Mutation(
        "a shell reads a device",
        "NET-07",
        lambda fs: add_unit(fs, "everest-boot-entries.service", "[Service]\nExecStart=/bin/sh\nStandardInput=file:/dev/ttyS0\n"),
    ),
    Mutation(
        "a multi-call program is the login",
        "NET-07",
        lambda fs: add_unit(fs, "everest-boot-entries.service", "[Service]\nExecStart=/bin/busybox getty 115200 ttyS0\n"),
    ),
    Mutation(
        "a page of the admin panel is a link", "NET-03", lambda fs: fs.link("/usr/share/everest/www/index.html", "/usr/share/panel.html")
    ),
    Mutation("the admin panel's controller is installed", "NET-03", lambda fs: fs.file("/usr/bin/controller", b"\x7fELF", mode=0o755)),
    Mutation("the admin panel's pages are installed", "NET-03", lambda fs: fs.file("/usr/share/everest/www/index.html", "<html>")),
    Mutation(
        "the admin panel's package is installed",
        "NET-03",
        lambda fs: fs.file("/var/lib/dpkg/status", "Package: everest-admin-panel\nStatus: install ok installed\nVersion: 1\n"),
    ),
    Mutation(
        "an SSH server starts", "NET-06", lambda fs: add_unit(fs, "ssh.service", "[Service]\nExecStart=/usr/bin/sshd-by-another-name -D\n")
    ),
    Mutation(
        "a socket starts a service",
        "NET-06",
        lambda fs: add_unit(fs, "telnet.socket", "[Socket]\nListenStream=23\nAccept=yes\n", wanted_by="sockets.target"),
    ),
    Mutation(
        "a timer starts a service", "NET-06", lambda fs: add_unit(fs, "backup.timer", "[Timer]\nOnBootSec=1\n", wanted_by="timers.target")
    ),
    Mutation(
        "a service is pulled in by a drop-in of a target",
        "NET-06",
        lambda fs: (
            fs.file(f"{UNITS}/evil.service", "[Service]\nExecStart=/usr/bin/evil\n"),
            fs.file(f"{LOCAL}/basic.target.d/x.conf", "[Unit]\nWants=evil.service\n"),
        ),
    ),
    Mutation(
        "extensions of the data partition are laid over the root",
        "NET-06",
        lambda fs: add_unit(fs, "systemd-sysext.service", "[Service]\nExecStart=/usr/bin/systemd-sysext refresh\n"),
    ),
    Mutation(
        "a service starts over D-Bus",
        "NET-06",
        lambda fs: (
            fs.file(
                "/usr/share/dbus-1/system-services/org.x.service",
                "[D-BUS Service]\nName=org.x\nExec=/bin/false\nSystemdService=x.service\n",
            ),
            fs.file(f"{UNITS}/x.service", "[Service]\nExecStart=/usr/bin/x\n"),
        ),
    ),
    Mutation(
        "presets would enable a service at first boot",
        "NET-06",
        lambda fs: (
            fs.remove("/etc/machine-id"),
            fs.remove("/usr/lib/systemd/system-preset"),
            fs.file(f"{UNITS}/snmpd.service", "[Service]\nExecStart=/usr/sbin/snmpd\n[Install]\nWantedBy=multi-user.target\n"),
        ),
    ),
    Mutation("an SSH server is installed", "NET-06", lambda fs: fs.file("/usr/sbin/sshd", b"\x7fELF", mode=0o755)),
    Mutation(
        "an SSH server's package is installed",
        "NET-06",
        lambda fs: fs.file("/var/lib/dpkg/status", "Package: openssh-server\nStatus: install ok installed\nVersion: 1:9\n"),
    ),
    Mutation("the debug shell is not masked", "NET-07", lambda fs: fs.remove(f"{LOCAL}/debug-shell.service")),
    Mutation(
        "the mask leads elsewhere",
        "NET-07",
        lambda fs: (
            fs.remove(f"{LOCAL}/rescue.service"),
            fs.link(f"{LOCAL}/rescue.service", f"{UNITS}/rescue.service"),
        ),
    ),
    Mutation(
        "an instance has a unit file that the template's mask does not reach",
        "NET-07",
        lambda fs: fs.file(f"{LOCAL}/serial-getty@ttyS0.service", "[Service]\nExecStart=-/sbin/agetty ttyS0\n"),
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def test_a_login_that_starts_is_no_listed_service_either() -> None:
    fs = good_root()
    add_unit(fs, "console.service", "[Service]\nExecStart=/sbin/agetty ttyS0\n")
    assert set(failing(fs)) == {"NET-06", "NET-07"}


def test_a_getty_without_its_mask_is_a_login_and_a_service_that_is_not_listed() -> None:
    fs = good_root()
    fs.remove(f"{LOCAL}/getty@.service")
    assert set(failing(fs)) == {"NET-06", "NET-07"}


def test_an_emptied_mask_file_masks_like_a_link_to_null() -> None:
    fs = good_root()
    fs.remove(f"{LOCAL}/debug-shell.service")
    fs.file(f"{LOCAL}/debug-shell.service", "")
    assert not failing(fs)


def test_every_unit_of_the_layer_is_listed_and_nothing_that_is_only_called_like_one() -> None:
    of_the_root = (path for path in data("meta-everest-secure").rglob("everest*.*") if "everest-initramfs" not in path.parts)
    names = {path.name for path in of_the_root if path.suffix in (".service", ".socket", ".timer", ".path")}
    listed = production().enabled_units
    assert len(names) > 10
    assert {name for name in names if not matches(name, listed)} == set()
    assert not any(matches(f"everest-x{suffix}", listed) for suffix in (".service", ".socket", ".timer", ".path"))


def test_nothing_that_is_only_called_like_a_unit_of_systemd_is_listed() -> None:
    listed = production().enabled_units
    assert not any(wildcard in each for each in listed for wildcard in "*?[")
    names = (
        "journald-x.socket",
        "networkd-x.socket",
        "pcrx.service",
        "tmpfiles-x.service",
        "tpm2-x.service",
        "udev-x.service",
        "udevd-x.socket",
    )
    assert not any(matches(f"systemd-{name}", listed) for name in names)


@pytest.mark.parametrize(
    ("listed", "refused"),
    [
        ("worker@.service", set()),
        ("worker@one.service", {"worker@two.service"}),
        ("worker@[!t]*.service", {"worker@two.service"}),
        ("work*@.service", set()),
        ("worker.service", {"worker@one.service", "worker@two.service"}),
    ],
)
def test_a_list_names_a_template_or_single_instances(listed: str, refused: set[str]) -> None:
    fs = good_root().file(f"{UNITS}/worker@.service", SERVICE)
    for name in ("worker@one.service", "worker@two.service"):
        fs.link(f"{LOCAL}/multi-user.target.wants/{name}", f"{UNITS}/worker@.service")
    policy = replace(production(), enabled_units=(*production().enabled_units, listed))
    found = failing(fs, policy).get("NET-06", ())
    assert {each.partition(" ")[0] for each in found} == refused
