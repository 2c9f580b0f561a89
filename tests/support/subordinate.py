"""An ordinary user with ids of his own to give away, as mmdebstrap and other makers of whole trees need (subuid(5))."""

import os
import pwd
from pathlib import Path

import pytest


def subordinate_user() -> int:
    """Return who runs the tests, or the first ordinary user of /etc/subuid where that is the superuser; skips the test when there is none."""
    ranges = Path("/etc/subuid").read_text().splitlines() if Path("/etc/subuid").is_file() else []
    names = {line.partition(":")[0] for line in ranges}
    users = [user for user in pwd.getpwall() if names & {user.pw_name, str(user.pw_uid)} and user.pw_uid]
    mine = [user.pw_uid for user in users if os.geteuid() in {0, user.pw_uid}]
    if not mine:
        pytest.skip("no ordinary user who could run this test has a range in /etc/subuid")
    return mine[0]
