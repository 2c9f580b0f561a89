import pytest

from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import RootFs, failing, good_root

ACTIVATION = "/usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service"
RULES = "/usr/share/polkit-1/rules.d"
ACTIONS = "/usr/share/polkit-1/actions"
AUTHORITY = "/etc/polkit-1/localauthority/50-local.d"


def action(name: str, anyone: str) -> str:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN" "http://www.freedesktop.org/standards/PolicyKit/1/policyconfig.dtd">
<policyconfig>
  <action id="{name}">
    <description>Manage units</description>
    <defaults><allow_any>{anyone}</allow_any><allow_inactive>yes</allow_inactive><allow_active>yes</allow_active></defaults>
  </action>
</policyconfig>
"""


def implying(anyone: str, actions: str) -> str:
    """An action of a vendor's that stands for others (polkit(8), "Known annotations")."""
    annotation = f'<annotate key="org.freedesktop.policykit.imply">{actions}</annotate>'
    return action("com.example.maintain", anyone).replace("</action>", f"{annotation}</action>")


def entry(identity: str, actions: str, result: str = "ResultAny") -> str:
    return f"[Charger]\nIdentity={identity}\nAction={actions}\n{result}=yes\n"


def installed(fs: RootFs) -> RootFs:
    """Polkit as it should be: its own rules, and actions that ask for authentication."""
    fs.file(
        ACTIVATION,
        "[D-BUS Service]\nName=org.freedesktop.PolicyKit1\nExec=/usr/lib/polkit-1/polkitd\nUser=root\nSystemdService=polkit.service\n",
    )
    fs.file(f"{RULES}/50-default.rules", 'polkit.addAdminRule(function(action, subject) { return ["unix-group:sudo"]; });\n')
    fs.file(f"{ACTIONS}/org.freedesktop.login1.policy", action("org.freedesktop.login1.inhibit-block-idle", "yes"))
    return fs.file(f"{ACTIONS}/org.freedesktop.systemd1.policy", action("org.freedesktop.systemd1.manage-units", "auth_admin"))


def with_polkit(name: str, path: str, text: str) -> Mutation:
    return Mutation(name, "ACC-06", lambda fs: installed(fs).file(path, text))


MUTATIONS = [
    with_polkit(
        "everyone may manage units", f"{ACTIONS}/org.freedesktop.systemd1.policy", action("org.freedesktop.systemd1.manage-units", " yes ")
    ),
    with_polkit(
        "an action that everyone may do implies others",
        f"{ACTIONS}/com.example.policy",
        implying("yes", "org.freedesktop.login1.reboot org.freedesktop.systemd1.manage-unit-files"),
    ),
    Mutation(
        "an entry is for an action that implies another",
        "ACC-06",
        lambda fs: installed(fs)
        .file(f"{ACTIONS}/com.example.policy", implying("auth_admin", "org.freedesktop.systemd1.manage-units"))
        .file(f"{AUTHORITY}/a.pkla", entry("unix-user:everest", "com.example.*")),
    ),
    with_polkit("nobody has read a rule", "/etc/polkit-1/rules.d/10-everest.rules", "polkit.addRule(function() { return polkit.Result.YES; });"),
    with_polkit("an entry lets the service user manage units", f"{AUTHORITY}/a.pkla", entry("unix-user:everest", "org.freedesktop.systemd1.manage-units")),
    with_polkit("an entry is for every action", f"{AUTHORITY}/a.pkla", entry("unix-group:everest;unix-user:root", "*")),
    with_polkit("an entry is for a family of actions", "/var/lib/polkit-1/localauthority/10-vendor.d/a.pkla", entry("unix-user:*", "x;org.freedesktop.sys*")),
]  # fmt: skip


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def test_polkit_that_gives_nothing_away_is_no_fault() -> None:
    fs = installed(good_root())
    fs.file(f"{AUTHORITY}/a.pkla", entry("unix-user:root", "*") + entry("unix-user:everest", "*", "ResultActive").replace("Charger", "B"))
    fs.file(f"{AUTHORITY}/b.pkla", entry("unix-user:everest", "org.freedesktop.login1.reboot"))
    fs.file(f"{ACTIONS}/com.example.policy", implying("auth_admin", "org.freedesktop.systemd1.manage-units"))
    fs.file(f"{ACTIONS}/com.example.b.policy", implying("yes", "org.freedesktop.login1.reboot").replace("maintain", "restart"))
    assert failing(fs) == {}


@pytest.mark.parametrize(
    ("path", "text"),
    [(f"{ACTIONS}/a.policy", "<policyconfig>"), (f"{ACTIONS}/a.policy", "<!ENTITY a 'b'>"), (f"{AUTHORITY}/a.pkla", "no section")],
)
def test_files_that_polkit_cannot_read_are_errors(path: str, text: str) -> None:
    found = failing(installed(good_root()).file(path, text))
    assert list(found) == ["ACC-06"]
    assert found["ACC-06"][0].startswith("error: ")


def test_without_its_daemon_rules_decide_nothing() -> None:
    assert failing(good_root().file("/etc/polkit-1/rules.d/a.rules", "x")) == {}
