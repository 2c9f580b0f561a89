from collections.abc import Callable

import pytest

from support.images import ACL
from support.mutation import Mutation, check_mutation, move_behind, sentence
from support.rootfs import LOCAL, UNITS, RootFs, failing, good_root

CONFIG = "/etc/everest/config.yaml"
DROP_IN = f"{UNITS}/everest.service.d/50-everest-secure.conf"


def without(key: str) -> Callable[[RootFs], object]:
    return lambda fs: fs.replace(DROP_IN, f"^{key}=.*$", "")


def allowing(device: str) -> Callable[[RootFs], object]:
    return lambda fs: fs.append(DROP_IN, f"[Service]\nDeviceAllow={device} rw\n")


MUTATIONS = [
    Mutation(
        "root has a second name",
        "ACC-01",
        lambda fs: (fs.append("/etc/passwd", "toor:x:0:0::/:/bin/sh\n"), fs.append("/etc/shadow", "toor:*:1::::::\n")),
    ),
    Mutation(
        "a user record has a password",
        "ACC-01",
        lambda fs: fs.file("/etc/userdb/a.user", '{"userName": "a", "privileged": {"hashedPassword": ["$6$a$b"]}}'),
    ),
    Mutation("a credential sets a password", "ACC-01", lambda fs: fs.file("/etc/credstore/passwd.hashed-password.root", "$6$a$b")),
    Mutation(
        "another configuration is named by the beginning of the option",
        "ACC-03",
        lambda fs: (
            fs.replace(f"{UNITS}/everest.service", "--conf .*$", "--co /etc/everest/b.yaml"),
            fs.file("/etc/everest/b.yaml", fs.nodes[CONFIG][1].replace(b"  run_as_user: everest\n", b"")),
        ),
    ),
    Mutation(
        "a command goes around the restrictions", "ACC-05", lambda fs: fs.replace(f"{UNITS}/everest.service", "^ExecStart=", "ExecStart=+")
    ),
    Mutation("the service may write the root", "ACC-05", lambda fs: fs.append(DROP_IN, "[Service]\nReadWritePaths=-/etc\n")),
    Mutation(
        "the service has a directory of the root for itself",
        "ACC-05",
        lambda fs: fs.append(DROP_IN, "[Service]\nConfigurationDirectory=everest\n"),
    ),
    Mutation("the service may open the memory", "ACC-05", lambda fs: fs.append(DROP_IN, "[Service]\nDeviceAllow=/dev/mem rw\n")),
    *(
        Mutation(f"the service may open {device}", "ACC-05", allowing(device))
        for device in ("/dev/disk/by-partlabel/rootfs-a", "/dev/mapper/data", "/dev/mtd0", "char-mtd")
    ),
    Mutation("the service may open every disk", "ACC-05", lambda fs: fs.append(DROP_IN, "[Service]\nDeviceAllow=block-* rwm\n")),
    Mutation("the service has another root", "ACC-05", lambda fs: fs.append(DROP_IN, "[Service]\nRootDirectory=/opt\n")),
    Mutation(
        "something else is bound over the configuration",
        "ACC-05",
        lambda fs: fs.append(DROP_IN, "[Service]\nBindReadOnlyPaths=/var/x:/etc/everest/config.yaml\n"),
    ),
    Mutation(
        "another directory than the charger's identity is bound over the OCPP configuration",
        "ACC-05",
        lambda fs: fs.append(DROP_IN, "[Service]\nBindReadOnlyPaths=/var/x:/etc/everest/ocpp\n"),
    ),
    Mutation("the bounding set starts anew", "ACC-05", lambda fs: fs.append(DROP_IN, "[Service]\nCapabilityBoundingSet=~\n")),
    Mutation("the service user owns a directory above the configuration", "ACC-06", lambda fs: fs.chown("/etc", 1500, 1500)),
    Mutation(
        "the configuration has an access list",
        "ACC-06",
        lambda fs: fs.file(CONFIG, fs.nodes[CONFIG][1], xattrs={"system.posix_acl_access": ACL}),
    ),
    Mutation("the configuration is a link to the data partition", "ACC-06", lambda fs: move_behind(fs, CONFIG)),
    Mutation(
        "user-config is a link to the data partition, and nothing is there yet",
        "ACC-06",
        lambda fs: fs.link("/etc/everest/user-config", "/var/lib/everest/user-config"),
    ),
    Mutation(
        "user-config is a mount of its own",
        "ACC-06",
        lambda fs: fs.directory("/etc/everest/user-config").file(
            "/etc/fstab", "/var/lib/everest/user-config /etc/everest/user-config none bind,nodev,nosuid,noexec 0 0\n"
        ),
    ),
    Mutation(
        "a file lies in user-config beside the file that the configuration is a link to",
        "ACC-06",
        lambda fs: (
            fs.file("/usr/share/charger/ac.yaml", fs.nodes[CONFIG][1]).link(CONFIG, "/usr/share/charger/ac.yaml"),
            fs.file("/usr/share/charger/user-config/ac.yaml", "active_modules: {}\n"),
        ),
    ),
    Mutation(
        "a file lies in user-config beside a configuration elsewhere",
        "ACC-06",
        lambda fs: (
            fs.replace(f"{UNITS}/everest.service", "/etc/everest/config", "/etc/ev/config"),
            fs.file("/etc/ev/config.yaml", fs.nodes[CONFIG][1]),
            fs.file("/etc/ev/user-config/config.yaml", "a: 1\n"),
        ),
    ),
    Mutation("root may log in with a password", "ACC-01", lambda fs: fs.replace("/etc/shadow", r"^root:\*", "root:$6$salt$hash")),
    Mutation("an account has an empty password", "ACC-01", lambda fs: fs.replace("/etc/shadow", "^mosquitto:!", "mosquitto:")),
    Mutation("an account needs no password by passwd", "ACC-01", lambda fs: fs.replace("/etc/passwd", "^root:x", "root:")),
    Mutation("a hash lies in the world-readable passwd", "ACC-01", lambda fs: fs.replace("/etc/passwd", "^root:x", "root:$1$salt$hash")),
    Mutation("shadow is missing", "ACC-01", lambda fs: fs.remove("/etc/shadow")),
    Mutation("a group has a password", "ACC-01", lambda fs: fs.replace("/etc/gshadow", r"^root:\*", "root:$6$salt$hash")),
    Mutation(
        "the service user is missing", "ACC-02", lambda fs: fs.replace("/etc/passwd", "^everest:.*$", "other:x:1500:1500::/:/bin/false")
    ),
    Mutation("the service user has another uid", "ACC-02", lambda fs: fs.replace("/etc/passwd", "^everest:x:1500", "everest:x:980")),
    Mutation("the service user has a shell", "ACC-02", lambda fs: fs.replace("/etc/passwd", "(^everest.*)/bin/false", r"\1/bin/sh")),
    Mutation("the service user has another home", "ACC-02", lambda fs: fs.replace("/etc/passwd", "/home/everest", "/tmp")),
    Mutation(
        "the service user lacks the group tss", "ACC-02", lambda fs: fs.replace("/etc/group", "^(tss.*:)everest", r"\1"), also=("TPM-03",)
    ),
    Mutation("the service user is in the group root", "ACC-02", lambda fs: fs.replace("/etc/group", "^root:x:0:", "root:x:0:everest")),
    Mutation("the group gpio has another gid", "ACC-02", lambda fs: fs.replace("/etc/group", "^gpio:x:1501", "gpio:x:1502")),
    Mutation(
        "another account shares the uid of the service user",
        "ACC-02",
        lambda fs: (fs.append("/etc/passwd", "twin:x:1500:1500::/:/bin/false\n"), fs.append("/etc/shadow", "twin:*:1::::::\n")),
    ),
    Mutation("modules run as root", "ACC-03", lambda fs: fs.replace(CONFIG, "^  run_as_user: everest\n", "")),
    Mutation("modules run as another user", "ACC-03", lambda fs: fs.replace(CONFIG, "run_as_user: everest", "run_as_user: mosquitto")),
    Mutation(
        "a module lacks its capability and the bounding set is too large for the rest",
        "ACC-04",
        lambda fs: fs.replace(CONFIG, r"    capabilities:\n      - CAP_NET_RAW\n", ""),
        also=("ACC-05",),
    ),
    Mutation(
        "a module has a capability that the bounding set does not have",
        "ACC-04",
        lambda fs: fs.replace(CONFIG, "- CAP_NET_RAW", "- CAP_NET_RAW\n      - CAP_SYS_ADMIN"),
        also=("ACC-05",),
    ),
    Mutation("the service has no bounding set", "ACC-05", lambda fs: fs.replace(DROP_IN, "^CapabilityBoundingSet=.*$", "")),
    Mutation("the bounding set holds SYS_ADMIN", "ACC-05", lambda fs: fs.replace(DROP_IN, "CAP_SETPCAP", "CAP_SETPCAP CAP_SYS_ADMIN")),
    Mutation(
        "a later line adds to the bounding set",
        "ACC-05",
        lambda fs: fs.append(DROP_IN, "[Service]\nCapabilityBoundingSet=CAP_SYS_PTRACE\n"),
    ),
    Mutation("the bounding set lacks SETPCAP", "ACC-05", lambda fs: fs.replace(DROP_IN, "CAP_SETPCAP ", "")),
    Mutation("the unit switches the user itself", "ACC-05", lambda fs: fs.append(DROP_IN, "[Service]\nUser=everest\n")),
    Mutation(
        "every module gets ambient capabilities", "ACC-05", lambda fs: fs.append(DROP_IN, "[Service]\nAmbientCapabilities=CAP_NET_RAW\n")
    ),
    *(
        Mutation(f"the service runs without {key}", "ACC-05", without(key))
        for key in ("NoNewPrivileges", "PrivateTmp", "ProtectSystem", "ProtectHome", "UMask")
    ),
    Mutation("a mask is no number, for which systemd takes its own", "ACC-05", lambda fs: fs.replace(DROP_IN, "^UMask=0077", "UMask=0789")),
    Mutation("keys would be readable by the group", "ACC-05", lambda fs: fs.replace(DROP_IN, "^UMask=0077", "UMask=0027")),
    Mutation(
        "the system is only protected in part", "ACC-05", lambda fs: fs.replace(DROP_IN, "ProtectSystem=strict", "ProtectSystem=full")
    ),
    Mutation("the service may open every device", "ACC-05", lambda fs: fs.replace(DROP_IN, "^DevicePolicy=.*\n(DeviceAllow=.*\n)+", "")),
    Mutation(
        "a drop-in in /etc with a later name loosens the sandbox",
        "ACC-05",
        lambda fs: fs.file(f"{LOCAL}/everest.service.d/90-local.conf", "[Service]\nNoNewPrivileges=no\n"),
    ),
    Mutation(
        "a drop-in for all services loosens the sandbox where the service's own say nothing",
        "ACC-05",
        lambda fs: (
            fs.replace(DROP_IN, "^ProtectHome=.*$", ""),
            fs.file(f"{UNITS}/service.d/10-all.conf", "[Service]\nProtectHome=no\n"),
        ),
    ),
    Mutation(
        "the manager starts without a configuration file",
        "ACC-05",
        lambda fs: fs.replace(f"{UNITS}/everest.service", "--conf .*$", "--db=/var/lib/everest/db"),
    ),
    Mutation("the service user owns the configuration", "ACC-06", lambda fs: fs.chown(CONFIG, 1500, 1500)),
    Mutation(
        "a group of the service user may write the configuration", "ACC-06", lambda fs: (fs.chown(CONFIG, 0, 1500), fs.chmod(CONFIG, 0o664))
    ),
    Mutation("the service user owns the directory of the configuration", "ACC-06", lambda fs: fs.chown("/etc/everest", 1500, 1500)),
    Mutation(
        "a file is merged over the configuration",
        "ACC-06",
        lambda fs: fs.file("/etc/everest/user-config/config.yaml", "active_modules: {}\n"),
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


@pytest.mark.parametrize(
    "command",
    [
        "agetty --autologin root",
        "agetty --auto=root",
        "agetty -a root",
        "agetty -aroot",
        "agetty -8Jaroot",
        "login -f root",
        "login -pf root",
    ],
)
def test_an_account_that_may_log_in_by_itself_is_found(command: str) -> None:
    fs = good_root()
    fs.file(f"{UNITS}/kiosk.service", f"[Service]\nExecStart=/sbin/{command} tty7\n")
    fs.link(f"{LOCAL}/multi-user.target.wants/kiosk.service", f"{UNITS}/kiosk.service")
    assert set(failing(fs)) == {"ACC-01", "NET-06", "NET-07"}


def test_a_missing_configuration_is_a_finding_of_every_requirement_that_reads_it() -> None:
    fs = good_root()
    fs.remove(CONFIG)
    found = failing(fs)
    assert {
        *("ACC-03", "ACC-04", "ACC-05", "ACC-06", "NET-01", "BIN-02", "FS-03", "CERT-01", "CERT-07", "TLS-01", "OCPP-01", "OCPP-02"),
        *("TPM-04", "LOG-01", "RAUC-06"),
    } == set(found)
    assert not any(each.startswith("error") for wrong in found.values() for each in wrong)


def test_a_configuration_that_cannot_be_read_is_an_error_and_never_a_pass() -> None:
    fs = good_root()
    fs.file(CONFIG, "settings: [\n")
    assert all(wrong[0].startswith("error: ") for requirement, wrong in failing(fs).items() if requirement != "ACC-05")
