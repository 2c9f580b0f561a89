from dataclasses import replace

import pytest

from everest_secure.parse.journald_conf import size
from everest_secure.parse.rate_limit import read_rate_limit, unit_rate_limit
from everest_secure.parse.security_events import event_sources
from everest_secure.parse.units import Units
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.profile import load_profile
from support.mutation import Mutation, check_mutation, move_behind, sentence
from support.rootfs import LOCAL, UNITS, RootFs, failing, good_root

OURS = "/usr/lib/systemd/journald.conf.d/50-everest.conf"
MONITOR = "everest-security-monitor"


TMPFILES = "/etc/tmpfiles.d/zz.conf"


def service(name: str, text: str, unit: str = "everest.service") -> Mutation:
    return Mutation(name, "LOG-02", lambda fs: fs.file(f"{LOCAL}/{unit}.d/zz.conf", f"[Service]\n{text}\n"))


def swallowed(name: str, text: str, unit: str = "everest.service") -> Mutation:
    return Mutation(name, "LOG-03", lambda fs: fs.file(f"{LOCAL}/{unit}.d/zz.conf", f"[Service]\n{text}\n"))


def made(name: str, line: str) -> Mutation:
    return Mutation(name, "LOG-02", lambda fs: fs.file(TMPFILES, f"{line}\n"))


def dropped(name: str, text: str) -> Mutation:
    return Mutation(name, "LOG-02", lambda fs: fs.file("/etc/systemd/journald.conf.d/90-x.conf", f"[Journal]\n{text}\n"))


def ours(name: str, old: str, new: str) -> Mutation:
    return Mutation(name, "LOG-02", lambda fs: fs.replace(OURS, old, new))


MUTATIONS = [
    dropped("the journal is kept in memory", "Storage=volatile"),
    dropped("the journal is kept if somebody made a directory for it", "Storage=auto"),
    ours("nobody says where the journal is kept", "Storage=persistent", "Storage="),
    dropped("there is no journal", "Storage=none"),
    dropped("packets that the firewall refuses are not in the journal", "ReadKMsg=no\nReadKMsg=perhaps"),
    Mutation(
        "failed logins are not in the journal",
        "LOG-02",
        lambda fs: fs.link("/etc/systemd/system/systemd-journald-dev-log.socket", "/dev/null"),
    ),
    ours("the journal takes what it likes", "SystemMaxUse=.*", "SystemMaxUse="),
    dropped("the journal takes more than is allowed", "SystemMaxUse=1G"),
    ours("the bound is no size", "SystemMaxUse=.*", "SystemMaxUse=10%"),
    ours("the bound has two units", "SystemMaxUse=.*", "SystemMaxUse=64MB"),
    dropped("levels are left out, which an empty line does not take back", "MaxLevelStore=err\nMaxLevelStore="),
    dropped("levels are left out, by a number of another base", "MaxLevelStore=0x3"),
    dropped("entries are kept for an hour, which a line that is no time does not take back", "MaxRetentionSec=1h\nMaxRetentionSec=soon"),
    dropped("the bound is none", "SystemMaxUse=0"),
    Mutation("the drop-in is missing", "LOG-02", lambda fs: fs.remove(OURS)),
    Mutation("the drop-in is a link to the data partition", "LOG-02", lambda fs: move_behind(fs, OURS)),
    Mutation("the drop-in is masked", "LOG-02", lambda fs: fs.link("/etc/systemd/journald.conf.d/50-everest.conf", "/dev/null")),
    Mutation(
        "logs lie on a file system of memory",
        "LOG-02",
        lambda fs: (
            fs.file(f"{UNITS}/var-log.mount", "[Mount]\nWhat=tmpfs\nWhere=/var/log\nType=tmpfs\n"),
            fs.link(f"{LOCAL}/local-fs.target.requires/var-log.mount", f"{UNITS}/var-log.mount"),
        ),
        also=("FS-03",),
    ),
    Mutation(
        "logs are a link to a file system of memory",
        "LOG-02",
        lambda fs: (fs.directory("/run/log"), fs.link("/var/log", "/run/log")),
    ),
    Mutation(
        "nobody moves the journal to the data partition",
        "LOG-02",
        lambda fs: fs.link(f"{LOCAL}/systemd-journal-flush.service", "/dev/null"),
    ),
    Mutation("there is no daemon", "LOG-02", lambda fs: fs.link(f"{LOCAL}/systemd-journald.service", "/dev/null")),
    made("logs become a link to a file system of memory at boot", "L+ /var/log - - - - /run/log"),
    made("the journal becomes a link beside the data partition", "L+ /var/log/journal - - - - ../../run/journal"),
    made("a link leads to another link", "L+ /var/log/journal - - - - /var/x\nL /var/x - - - - /tmp/x"),
    made("a link lies within another", "L+ /var/log - - - - /var/x\nL+ /var/log/journal - - - - /run/y"),
    made("the journal is removed at boot", "R! /var/log/journal"),
    made("logs are emptied at boot", "D /var/log 0755 - - -"),
    made("the journal is removed when it is a day old", "e /var/log/journal - - - 1d"),
    made("logs are removed by when they were changed", "e /var/log - - - ~m:1h"),
    service("a command shortens the journal", "ExecStartPre=/usr/bin/journalctl --vacuum-time=1h"),
    service("a command removes the journal", "ExecStartPre=/bin/sh -c 'rm -rf /var/log/journal/*'"),
    service("a command removes all logs", "ExecStartPre=/bin/rm -rf /var/log"),
    service("what EVerest says goes nowhere", "StandardOutput=null"),
    service("EVerest's errors go nowhere", "StandardError=null"),
    service("what EVerest says goes to its input, which is nothing", "StandardOutput=inherit"),
    service("what EVerest says goes to a file without bound", "StandardOutput=append:/var/log/everest.log"),
    service("what EVerest says goes to the console", "StandardOutput=tty"),
    service("a line that systemd does not understand takes nothing back", "StandardOutput=null\nStandardOutput="),
    service("EVerest says emergencies alone", "LogLevelMax=emerg"),
    service("EVerest has a journal of its own", "LogNamespace=everest"),
    service("lines are left out", "LogFilterPatterns=~failed"),
    service("what the broker says goes nowhere", "StandardOutput=null", "mosquitto.service"),
    service("RAUC's errors go nowhere", "StandardError=null", "rauc.service"),
    service("a drop-in of all services takes the output away", "StandardOutput=null", "service"),
    Mutation(
        "systemd's default is to throw it away",
        "LOG-02",
        lambda fs: fs.file("/etc/systemd/system.conf.d/zz.conf", "[Manager]\nDefaultStandardOutput=null\n"),
    ),
    dropped("nothing bounds what a service says", "RateLimitBurst=0"),
    dropped("a service may say everything in no time", "RateLimitIntervalSec=0"),
    dropped("a service may say a thousand lines a second", "RateLimitInterval=1s"),
    service("nothing bounds what EVerest says", "LogRateLimitIntervalSec=0"),
    service("nothing bounds what a service without events says", "LogRateLimitBurst=4294967295", "systemd-journal-flush.service"),
    service("a drop-in lifts the limit of all services", "LogRateLimitBurst=100k\nLogRateLimitBurst=0", "service"),
    swallowed("EVerest is heard a hundred times", "LogRateLimitBurst=100"),
    swallowed("the broker is heard again after an hour", "LogRateLimitIntervalSec=1h", "mosquitto.service"),
    replace(
        swallowed("the broker has no limit or is never heard again", "LogRateLimitIntervalSec=infinity", "mosquitto.service"),
        also=("LOG-02",),
    ),
    swallowed("EVerest is heard sixteen times", "LogRateLimitBurst=0x10"),
    swallowed("the monitor's own lines are dropped", "LogRateLimitBurst=10", f"{MONITOR}.service"),
    Mutation(
        "few lines are taken of all services",
        "LOG-03",
        lambda fs: fs.file("/etc/systemd/journald.conf.d/90-x.conf", "[Journal]\nRateLimitBurst=50\n"),
    ),
    Mutation(
        "few lines are taken of a service that the product's own table looks at",
        "LOG-03",
        lambda fs: (
            fs.file("/usr/lib/everest-secure/security-events.d/meter.tsv", "meter-opened\t4\tmeter.service\tcover opened\n"),
            fs.file(f"{UNITS}/meter.service", "[Service]\nExecStart=/usr/bin/meter\nLogRateLimitBurst=20\n"),
        ),
    ),
    Mutation("nobody is told of events", "LOG-03", lambda fs: fs.remove(f"{LOCAL}/timers.target.wants/{MONITOR}.timer")),
    Mutation("the monitor is not installed", "LOG-03", lambda fs: fs.remove(f"{UNITS}/{MONITOR}.timer")),
    Mutation("the monitor is masked", "LOG-03", lambda fs: fs.link(f"{LOCAL}/{MONITOR}.timer", "/dev/null")),
    Mutation("nobody follows the journal", "LOG-03", lambda fs: fs.remove(f"{LOCAL}/multi-user.target.wants/{MONITOR}.service")),
    Mutation("nothing is looked at daily", "LOG-03", lambda fs: fs.remove(f"{UNITS}/{MONITOR}-daily.service")),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


@pytest.mark.parametrize(
    "text",
    [
        "StandardOutput=journal+console",
        "StandardOutput=null\nStandardOutput=journal",
        "StandardError=inherit",
        "StandardOutput=syslog",
        "LogLevelMax=debug",
        "LogRateLimitBurst=5000",
        "LogRateLimitIntervalSec=60\nLogRateLimitBurst=20000",
        "LogRateLimitIntervalSec=soon\nLogRateLimitBurst=-1\nLogRateLimitBurst=",
        "LogRateLimitBurst=1\nLogRateLimitBurst=3000",
    ],
)
def test_what_still_reaches_the_journal_is_no_finding(text: str) -> None:
    assert failing(good_root().file(f"{LOCAL}/everest.service.d/zz.conf", f"[Service]\n{text}\n")) == {}


@pytest.mark.parametrize(
    "lines",
    [
        "d /var/log 0755 - - -\nL /var/log - - - - /run/log",
        "L+ /var/log - - - - /var/volatile/log",
        "e /var/log - - - 30d",
        "L /var/log2 - - - - /run/x",
    ],
)
def test_what_tmpfiles_does_elsewhere_or_not_at_all_is_no_finding(lines: str) -> None:
    assert failing(good_root().file(TMPFILES, f"{lines}\n")) == {}


@pytest.mark.parametrize("command", ["/usr/bin/journalctl --flush", "/bin/rm -rf /var/log/everest/old", "/bin/rm /var/log/x.log"])
def test_a_command_that_leaves_the_journal_alone_is_no_finding(command: str) -> None:
    assert failing(good_root().file(f"{LOCAL}/everest.service.d/zz.conf", f"[Service]\nExecStartPre={command}\n")) == {}


def test_a_circle_of_links_is_followed_no_further() -> None:
    assert failing(good_root().file(TMPFILES, "L /var/log - - - - /var/x\nL /var/x - - - - /var/log\n")) == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("64M", 64 << 20),
        ("1.5G", 3 << 29),
        ("8388608", 8 << 20),
        ("512K", 1 << 19),
        ("4 G", 4 << 30),
        ("1G 512M", 3 << 29),
        ("64M1", (64 << 20) + 1),
        ("1KB", None),
        ("512M 1G", None),
        ("0", 0),
        ("", None),
        ("16E", None),
        ("x", None),
    ],
)
def test_a_size_is_in_powers_of_1024(text: str, found: int | None) -> None:
    assert size(text) == found


def test_the_release_profile_waives_nothing() -> None:
    assert not load_profile("production", catalogue=load_catalogue()).waivers


def test_without_a_line_the_limit_is_systemds_own() -> None:
    limit = read_rate_limit(RootFs().directory("/").tree)
    assert (limit.shown, limit.line) == ("10000 lines within 30 s", None)


def test_a_service_that_is_limited_in_part_has_the_rest_of_all_services() -> None:
    fs = RootFs().file(
        "/etc/systemd/journald.conf", "[Journal]\nRateLimitIntervalSec=10s\nRateLimitBurst=1500\n[Other]\nRateLimitBurst=1\n"
    )
    fs.file(f"{UNITS}/a.service", "[Service]\nExecStart=/bin/a\nLogRateLimitBurst=2500\n[Unit]\nLogRateLimitIntervalSec=1\n")
    assert unit_rate_limit(Units(fs.tree).unit("a.service"), read_rate_limit(fs.tree)).shown == "2500 lines within 10 s"


def test_units_whose_lines_are_looked_at_are_read_from_the_monitors_tables() -> None:
    fs = good_root().file(
        "/usr/lib/everest-secure/security-events.d/x.tsv", "# a\tb\tc.service\td\nopened\t4\tmeter.service\tcover\nshort\t4\n"
    )
    fs.file("/usr/lib/everest-secure/security-events.d/x.tsv.old", "opened\t4\told.service\tcover\n")
    assert {"meter.service", "everest.service", "rauc.service", "systemd-journald.service"} <= set(event_sources(fs.tree))
    assert not {"*", "kernel", "c.service", "old.service"} & set(event_sources(fs.tree))
