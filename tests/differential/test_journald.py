"""systemd-journald itself, and what we make of its configuration (LOG-02, LOG-03)."""

import re
from math import inf
from pathlib import Path

import pytest

from everest_secure.parse.journald_conf import JournaldConf, level, read_journald_conf
from everest_secure.parse.rate_limit import RateLimit, read_rate_limit
from support.journald import needs_journald
from support.journald_settings import QUIET, journald
from support.rootfs import RootFs

pytestmark = needs_journald

VALUES = {
    "Storage": ("persistent", "auto", "none", "volatile", "", "bogus", "Persistent", '"persistent"', "persistent  "),
    "SystemMaxUse": (
        "64M", "1G 512M", "1G512M", "512M 1G", "64MB", "64m", "64k", "64 M", "1.5G", "1.G", ".5G", "+64M", "-64M", "0x10M", "10%", "", "soon", "infinity",
        "67108864", "67108864B", "1K 1B", "1B 1K", "16E", "0", "64M 5", "64M,5",
    ),
    "MaxLevelStore": ("err", "ERR", "7", "8", "0x7", "07", "-1", "+3", "warning", "warn", "", "debug", "err debug"),
    "MaxRetentionSec": (
        "1h", "1week", "1h 30min", "1h30m", "5", "", "soon", "infinity", "infinite", "0", "+5", "-5", ".5h", "5.h", "1.5h", "5 parsecs", "5 H", "1M", "1 month", "5,5",
        "1h;", "2years", "3µs", "99999999999999999999", "1.5.5h",
    ),
    "ReadKMsg": ("yes", "no", "y", "F", "ON", "off", "0", "1", "2", "", "nein", "no "),
    "RateLimitIntervalSec": ("30s", "0", "", "infinity", "1min 5s", "soon", "-1", "1e3"),
    "RateLimitBurst": ("2000", "0x10", "0X10", "010", "0b11", "0o17", "09", "", "-1", "-0", "+5", "4294967295", "4294967296", "1K", "2 000", "infinity", "0x", "1.0"),
}  # fmt: skip


def ours(files: dict[str, str]) -> tuple[JournaldConf, RateLimit]:
    """What we read of the same files; those of /run lie in the place after it, which counts below /etc as well, since nothing in an image's /run counts."""
    fs = RootFs()
    for name, text in files.items():
        path = name.replace("run/", "/usr/local/lib/systemd/journald.conf.d/") if name.startswith("run/") else f"/etc/systemd/{name}"
        fs.file(path, text)
    return read_journald_conf(fs.root.tree), read_rate_limit(fs.root.tree)


def test_what_journald_cannot_read_changes_nothing_and_nothing_else_does_not(tmp_path: Path) -> None:
    lines = [(key, value) for key, values in VALUES.items() for value in values]
    text = "[Journal]\n" + "".join(f"{key}={value}\n" for key, value in lines)
    refused = {
        int(found[1])
        for said in journald(tmp_path, {"journald.conf": text, "journald.conf.d/00-quiet.conf": QUIET}).said
        if (found := re.search(r"journald\.conf:(\d+): ", said))
    }
    theirs = {line for number, line in enumerate(lines, start=2) if number in refused}
    unread = (JournaldConf(None, None, None, None, None), RateLimit())
    assert {line for line in lines if ours({"journald.conf": f"[Journal]\n{line[0]}={line[1]}\n"}) == unread} == theirs
    assert 0 < len(theirs) < len(lines)


@pytest.mark.parametrize(
    "files",
    [
        {"journald.conf": "[Journal]\n"},
        {"journald.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=64M\n"},
        {"journald.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=1G 512M\n"},
        {"journald.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=1.5G\nSystemMaxUse=\nStorage=\n"},
        {"journald.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=0\n"},
        {"journald.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=32M\nSystemMaxUse=64MB\n"},
        {"journald.conf": "[Journal]\n# Storage=none\n; Storage=none\nStorage = persistent\nSystemMaxUse=\\\n48M\nstorage=none\n"},
        {"journald.conf": "Storage=none\n[Manager]\nStorage=none\n[Journal]\nStorage=volatile\n"},
        {"journald.conf": "[Journal]\nStorage=none\n"},
        {"journald.conf": "[Journal]\nStorage=none\n", "journald.conf.d/50-a.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=40M\n"},
        {"journald.conf.d/50-a.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=40M\n", "run/50-a.conf": "[Journal]\nStorage=none\n"},
        {"journald.conf.d/50-a.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=40M\n", "run/60-b.conf": "[Journal]\nSystemMaxUse=24M\n"},
        {"journald.conf.d/50-a.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=40M\n", "run/60-b.cnf": "[Journal]\nStorage=none\n"},
        {"journald.conf.d/50-a.conf": "", "run/50-a.conf": "[Journal]\nStorage=persistent\n"},
    ],
)  # fmt: skip
def test_journald_keeps_its_journal_where_and_as_large_as_we_read(tmp_path: Path, files: dict[str, str]) -> None:
    files = {**files, "journald.conf.d/00-quiet.conf": QUIET}
    conf, _ = ours(files)
    found = journald(tmp_path, files).journals
    storage = conf.storage.value if conf.storage else "auto"
    assert (
        set(found)
        == {"persistent": {"System Journal"}, "volatile": {"Runtime Journal"}, "auto": {"Runtime Journal"}, "none": set()}[storage]
    )
    if conf.system_max_use is not None and storage == "persistent":
        assert found["System Journal"] == (conf.bytes or 0)


@pytest.mark.parametrize(
    "text", ["", "MaxLevelStore=err", "MaxLevelStore=5\nMaxLevelStore=", "MaxLevelStore=0x4\nMaxLevelStore=DEBUG", "MaxLevelStore=emerg"]
)
def test_journald_keeps_the_levels_that_we_read(tmp_path: Path, text: str) -> None:
    files = {"journald.conf": f"[Journal]\nStorage=persistent\nSystemMaxUse=64M\n{text}\n", "journald.conf.d/00-quiet.conf": QUIET}
    conf, _ = ours(files)
    most = 7 if conf.max_level_store is None else level(conf.max_level_store.value)
    assert most is not None
    assert set(journald(tmp_path, files, lines=1, levels=tuple(range(8))).lines) == set(range(most + 1))


@pytest.mark.parametrize(
    "text",
    [
        "RateLimitBurst=50\n",
        "RateLimitBurst=0x20\nRateLimitIntervalSec=1h\n",
        "RateLimitBurst=040\nRateLimitBurst=\n",
        "RateLimitBurst=50\nRateLimitBurst=1K\n",
        "RateLimitBurst=50\nRateLimitInterval=0\n",
        "RateLimitBurst=50\nRateLimitIntervalSec=infinity\n",
        "RateLimitBurst=50\nRateLimitIntervalSec=\n",
        "RateLimitBurst=0\n",
    ],
)
def test_journald_drops_what_a_service_says_beyond_the_burst_that_we_read(tmp_path: Path, text: str) -> None:
    """A journal of a mebibyte has no room for more than the burst (burst_modulate() of journald-rate-limit.c)."""
    files = {"journald.conf": f"[Journal]\nStorage=volatile\nRuntimeMaxUse=1M\n{text}", "journald.conf.d/00-quiet.conf": QUIET}
    _, limit = ours(files)
    most = 200 if limit.lines_per_second == inf else limit.burst
    least = 200 if limit.none else limit.burst
    assert len(journald(tmp_path, files, lines=200).lines) in (least, most)
