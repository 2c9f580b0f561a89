"""An ordinary user with ids of his own to give away, as mmdebstrap and other makers of whole trees need (subuid(5))."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from support.ordinary import NOBODY, Ordinary, ordinary_user

FILES = ("/etc/subuid", "/etc/subgid")
RANGE = "1000000000:65536"
BECOME = 'mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid && shift && exec "$@"'


@contextmanager
def subordinate_user() -> Iterator[Ordinary]:
    """Yield who runs the tests, or an ordinary user who has a range in the eyes of his own programs alone where that is the superuser."""
    with ordinary_user() as user:
        if user.become:
            ranges = user.directory / "subordinate-ids"
            ranges.write_text(f"{pwd.getpwuid(NOBODY).pw_name}:{RANGE}\n")
            yield replace(user, become=("unshare", "--mount", "sh", "-euc", BECOME, "sh", str(ranges), *user.become))
        else:
            names = {pwd.getpwuid(os.geteuid()).pw_name, str(os.geteuid())}
            if not all(
                names & {line.partition(":")[0] for line in Path(file).read_text().splitlines()} for file in FILES if Path(file).is_file()
            ):
                pytest.skip("this user has no range in /etc/subuid and /etc/subgid")
            yield user
