"""Which lines of tmpfiles.d empty a directory of what is old, by our reading and by systemd-tmpfiles, a month from now."""

from pathlib import Path

import pytest

from everest_secure.parse.tmpfiles import read_cleaning
from support.reference import require
from support.rootfs import RootFs
from support.tmpfiles import tmpfiles

PLACE, RULES = "/var/log/sessions", "/usr/lib/tmpfiles.d/b.conf"


@pytest.mark.parametrize(
    "lines",
    [
        f"e {PLACE} - - - 30d",
        f"d {PLACE} - - - 30d",
        f"Q {PLACE} - - - 30d",
        f"e {PLACE}/ - - - 30d",
        f'e "{PLACE}" - - - 4w',
        f"e- {PLACE} - - - 1month",
        f"e {PLACE} - - - bmA:30d",
        f"e {PLACE} - - - ~m:30d",
        f"e {PLACE} - - - m:~30d",
        f"e {PLACE} - - - :30d",
        f"e {PLACE} - - - 30days12h",
        f"e {PLACE} - - - 2592000",
        f"d {PLACE} 0755 root root -\ne {PLACE} - - - 30d",
        f"e {PLACE} - - - 30d\nx {PLACE}",
        f"e {PLACE} - - - 30d\nX {PLACE}",
        f"x {PLACE}\ne {PLACE} - - - 30d",
        f"e {PLACE} - - - 30d\nx {PLACE}/*",
        f"e {PLACE} - - - 30d\nx {PLACE}/session",
        f"e {PLACE} - - - 30d\nx /var/log/*/*",
        f"x {PLACE}",
        f"e {PLACE}",
        f"e {PLACE} - - - -",
        f"e! {PLACE} - - - 30d",
        f"e {PLACE} - - - 30x",
        f"e {PLACE} - - - x:30d",
        f"e {PLACE} - - - infinity",
        f"f {PLACE} - - - 30d",
        "e /var/log/others - - - 30d",
    ],
)
def test_a_line_removes_what_is_old_if_it_does_for_systemd(tmp_path: Path, lines: str) -> None:
    require("faketime", "systemd-tmpfiles")
    log = tmp_path / PLACE[1:] / "session/eventlog.csv"
    log.parent.mkdir(parents=True)
    log.touch()
    rules = tmp_path / RULES[1:]
    rules.parent.mkdir(parents=True)
    rules.write_text(f"{lines}\n")
    tmpfiles(tmp_path, "--clean", days=32, check=False)
    ours = read_cleaning(RootFs().directory("/").file(RULES, rules.read_text()).tree, PLACE)
    assert (ours is not None) == (not log.exists())
