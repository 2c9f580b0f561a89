import os
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import ToolError
from everest_secure.reference.deb import Deb, account_script, build_deb, from_recipe
from everest_secure.run import HostTools, run
from support.reference import package, require, root_command

ACCOUNTS = {
    "passwd": "root:x:0:0::/root:/bin/sh\nold:x:900:900::/:/bin/old\n",
    "group": "root:x:0:\nold:x:900:\ntty:x:5:\n",
    "shadow": "root:*:1::::::\nold:*:1::::::\n",
    "gshadow": "root:*::\nold:*::\ntty:*::\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\n",
    "login.defs": "USERGROUPS_ENAB yes\n",
    "pam.d/other": "auth sufficient pam_permit.so\naccount sufficient pam_permit.so\n",
}


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """An /etc with root, the user `old` and the group `tty`."""
    for name, text in ACCOUNTS.items():
        file = tmp_path / "etc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "etc"


def install(script: str, etc: Path) -> None:
    """Run a preinst as root on a root file system that is this machine's but for /etc."""
    require("bwrap", "useradd", "groupmems")
    preinst = etc.parent / "preinst"
    preinst.write_text(script)
    sandbox = ("bwrap", "--cap-add", "ALL", "--ro-bind", "/", "/", "--bind", etc, "/etc", "--tmpfs", "/run", "--dev", "/dev")
    done = subprocess.run(root_command(*sandbox, "sh", preinst), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def entries(file: Path) -> dict[str, list[str]]:
    return {line.split(":")[0]: line.split(":")[1:] for line in file.read_text().splitlines()}


def test_users_and_groups_are_made_as_the_recipe_says(tmp_path: Path, etc: Path) -> None:
    script = account_script(
        package(
            tmp_path,
            groups=("-g 1500 charger", "-g 1501 'gpio'"),
            users=("-u 1500 -g charger -G tty,gpio -d /home/charger -s /bin/false charger",),
            memberships=("-g tty -a old",),
        )
    )
    install(script, etc)
    assert entries(etc / "passwd")["charger"] == ["x", "1500", "1500", "", "/home/charger", "/bin/false"]
    assert entries(etc / "shadow")["charger"][0] == "!"
    groups = entries(etc / "group")
    assert groups["charger"][:2] == ["x", "1500"]
    assert groups["gpio"] == ["x", "1501", "charger"]
    assert set(groups["tty"][2].split(",")) == {"charger", "old"}


def test_accounts_that_exist_are_kept_and_a_second_installation_changes_nothing(tmp_path: Path, etc: Path) -> None:
    script = account_script(
        package(
            tmp_path,
            groups=("-g 77 old", "-g 1500 charger"),
            users=("-u 78 -g old -s /bin/false old", "-u 1500 -g charger charger"),
            memberships=("--group tty --add charger",),
        )
    )
    install(script, etc)
    assert entries(etc / "passwd")["old"] == ["x", "900", "900", "", "/", "/bin/old"]
    assert entries(etc / "group")["old"][1] == "900"
    files = [etc / name for name in ("passwd", "group", "shadow", "gshadow")]
    before = [file.read_text() for file in files]
    install(script, etc)
    assert [file.read_text() for file in files] == before


def test_the_account_script_is_clean_posix_shell(tmp_path: Path) -> None:
    require("shellcheck")
    script = account_script(
        package(tmp_path, groups=("-g 1500 charger",), users=("-c 'The charger' charger",), memberships=("-g tty -a charger",))
    )
    file = tmp_path / "preinst"
    file.write_text(script)
    run(["sh", "-n", file])
    run(["shellcheck", "--shell=sh", file])


def test_a_package_without_accounts_has_no_script(tmp_path: Path) -> None:
    assert account_script(package(tmp_path)) == ""


def test_only_dependencies_inside_the_layer_are_kept(tmp_path: Path) -> None:
    built = package(tmp_path, depends=("everest-user (>= 1.0)", "mosquitto", "everest-config"))
    deb = from_recipe(built, version="1.0", siblings=frozenset({"everest-user", "everest-config"}))
    assert deb.depends == ("everest-user", "everest-config")


def test_dpkg_reads_the_package_and_all_in_it_belongs_to_root(tmp_path: Path) -> None:
    require("dpkg-deb")
    files = tmp_path / "files"
    (files / "etc/charger").mkdir(parents=True)
    (files / "etc/charger").chmod(0o750)
    (files / "etc/charger/secret").write_text("x")
    (files / "etc/charger/secret").chmod(0o640)
    (files / "etc/unit").symlink_to("/dev/null")
    if os.geteuid() == 0:
        os.chown(files / "etc/charger/secret", 1234, 1234)
    deb = Deb("charger", "1.0", "A test", depends=("other", "more"), provides=("thing",), preinst="#!/bin/sh\nexit 0\n")
    made = build_deb(deb, files, into=tmp_path / "debs", work=tmp_path / "work", tools=HostTools())
    assert made.name == "charger_1.0_all.deb"
    fields = run(["dpkg-deb", "--field", made]).decode()
    assert "Package: charger\nVersion: 1.0\nArchitecture: all\n" in fields
    assert "Depends: other, more\n" in fields
    assert "Provides: thing\n" in fields
    listed = [line.split() for line in run(["dpkg-deb", "--contents", made]).decode().splitlines()]
    assert {words[1] for words in listed} == {"root/root"}
    modes = {words[5]: words[0] for words in listed}
    assert modes["./etc/charger/"] == "drwxr-x---"
    assert modes["./etc/charger/secret"] == "-rw-r-----"
    assert modes["./etc/unit"] == "lrwxrwxrwx"
    assert "preinst" in run(["dpkg-deb", "--info", made]).decode()


def test_a_package_is_built_anew_without_what_the_last_one_held(tmp_path: Path) -> None:
    require("dpkg-deb")
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
        made = build_deb(Deb("charger", "1", "x"), tmp_path / name, into=tmp_path / "debs", work=tmp_path / "work", tools=HostTools())
    names = [line.split()[5] for line in run(["dpkg-deb", "--contents", made]).decode().splitlines()]
    assert names == ["./", "./new"]


def test_a_name_that_dpkg_refuses_is_one_sentence(tmp_path: Path) -> None:
    require("dpkg-deb")
    with pytest.raises(ToolError, match=r"^'dpkg-deb' failed with exit code 2: .*\n?$"):
        build_deb(Deb("Not A Name", "1", "x"), None, into=tmp_path / "debs", work=tmp_path / "work", tools=HostTools())
