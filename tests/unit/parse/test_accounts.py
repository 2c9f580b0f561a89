import grp
import pwd
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.accounts import parse_group, parse_passwd, parse_shadow, read_accounts
from everest_secure.parse.pam import parse_pam
from support.rootfs import RootFs, good_root


def test_this_machines_accounts_are_those_that_the_c_library_reads() -> None:
    users = parse_passwd(Path("/etc/passwd").read_text())
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    assert {(user.name, user.uid, user.gid, user.home, user.shell) for user in users} <= {
        (entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_shell) for entry in known.values()
    }
    groups = parse_group(Path("/etc/group").read_text())
    assert {(group.name, group.gid, group.members) for group in groups} <= {(g.gr_name, g.gr_gid, tuple(g.gr_mem)) for g in grp.getgrall()}


@pytest.mark.parametrize(
    ("field", "locked"), [("*", True), ("!", True), ("!!", True), ("!$6$x", True), ("", False), ("$6$x", False), ("x", False)]
)
def test_a_password_field_is_locked_or_not(field: str, *, locked: bool) -> None:
    assert parse_shadow(f"a:{field}:1::::::\n")[0].locked is locked


@pytest.mark.parametrize("line", ["root:x:0:0\n", "root:x:zero:0::/:/bin/sh\n", "root:x:-1:0::/:/bin/sh\n"])
def test_a_line_that_is_no_account_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(ArtefactError, match="/etc/passwd:2"):
        parse_passwd("# comment\n" + line)


def test_memberships_are_read_from_the_groups() -> None:
    assert "tss" in read_accounts(good_root().tree).memberships("everest")


def test_a_root_without_passwd_cannot_be_judged() -> None:
    with pytest.raises(ArtefactError, match="/etc/passwd"):
        read_accounts(RootFs().directory("/").tree)


def test_pam_lines_that_accept_empty_passwords_are_known() -> None:
    rules = parse_pam(
        "auth [success=1 default=ignore] pam_unix.so nullok # x\n-auth optional pam_x.so\n@include common\npassword required pam_unix.so nullok\n",
        "x",
    )
    assert [rule.accepts_empty_password for rule in rules] == [True, False, False]
