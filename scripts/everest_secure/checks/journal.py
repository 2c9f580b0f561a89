"""The journal and who watches it: LOG-02, LOG-03."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from posixpath import dirname, join, normpath

from everest_secure.checks.activation import never
from everest_secure.checks.common import at, configuration, started, units_of
from everest_secure.checks.core import NotApplicable, Notes, Root, Scope, check
from everest_secure.checks.deeds import deeds
from everest_secure.checks.journal_sources import keeps_level
from everest_secure.checks.ocpp import ocpp_configurations, place
from everest_secure.checks.steady import lies_on_the_root, search_path_on_the_root
from everest_secure.parse.conf_files import places
from everest_secure.parse.everest_config import Module
from everest_secure.parse.journald_conf import read_journald_conf
from everest_secure.parse.mounts import lasting, read_mounts
from everest_secure.parse.ocpp_multi import speaks_16
from everest_secure.parse.timespan import seconds
from everest_secure.parse.tmpfiles import Link, age_seconds, read_ages, read_links, read_removals
from everest_secure.parse.unit_file import Assignment
from everest_secure.policy.parameters import Parameters

RETENTION = 7 * 86400
"""Seconds that an entry is kept at least, size permitting."""
JOURNAL = "/var/log/journal"
DAEMON, FLUSH = "systemd-journald.service", "systemd-journal-flush.service"
_REMOVES = re.compile(r"\bjournalctl\b[^\n;|&]*\s--vacuum-|\brm\b[^\n;|&]*\s/var/log(?:/?\*?|/journal(?:/\S*)?)(?=[\s'\"]|$)")
_MIB = 1024 * 1024
_MAX_LINKS = 16
_MONITOR = "Install everest-security-monitor."


@check("LOG-02", on=Scope.ROOT)
def journal_is_kept_on_the_data_partition_within_a_size(root: Root, policy: Parameters, note: Notes) -> None:
    """Journald's configuration with its drop-ins, and what is mounted where it writes."""
    conf = read_journald_conf(root.tree)
    remedy = "Install everest-journal: Storage=persistent and SystemMaxUse= in a drop-in."
    storage, bound = conf.storage, conf.system_max_use
    for path in sorted({each.path for each in (storage, bound) if each is not None}):
        lies_on_the_root(root, path, note)
    if storage is None or storage.value != "persistent":
        what = (
            f"the journal is not kept: Storage={storage.value}" if storage else "the journal is not kept for certain: Storage= is not set"
        )
        note.finding(what, at=at(root, storage.path if storage else "", storage.line if storage else 0), remedy=remedy)
    if conf.bytes is None:
        what = f"the journal has no bound: SystemMaxUse={bound.value}" if bound else "the journal has no bound: SystemMaxUse= is not set"
        note.finding(what, at=at(root, bound.path if bound else "", bound.line if bound else 0), remedy=remedy)
    elif bound is not None and conf.bytes > policy.journal_max_mib * _MIB:
        what = f"the journal may take {bound.value} of the data partition, {policy.journal_max_mib} MiB are allowed"
        note.finding(what, at=at(root, bound.path, bound.line), remedy="Set EVEREST_JOURNAL_MAX lower.")
    for each, least in ((conf.max_level_store, "info"), (conf.max_retention, f"{RETENTION}s")):
        if each is not None and not _keeps(each):
            what = f"the journal forgets what it is asked for later: {each.key}={each.value}"
            note.finding(what, at=at(root, each.path, each.line), remedy=f"Take the line out, or set it to at least {least}.")
    search_path_on_the_root(root, places("systemd/journald.conf.d"), note, ".conf")
    where = next((node.path for path in (JOURNAL, "/var/log") if (node := root.tree.resolve(path)) is not None), JOURNAL)
    if any(lasting(path, read_mounts(root.tree, started(root))) is None for path in (JOURNAL, where)):
        what = f"{where} is not on the data partition, so that the journal is gone with a reboot"
        note.finding(what, at=at(root, where), remedy="Set VOLATILE_LOG_DIR to no, and keep /var on the data partition.")
    if DAEMON not in started(root):
        what = f"{DAEMON} does not start, so that there is no journal"
        note.finding(what, at=at(root, units_of(root.tree).unit(DAEMON).path), remedy="Unmask it; sysinit.target wants it by itself.")
    if FLUSH not in started(root):
        what = f"{FLUSH} does not start, so that the journal stays in memory"
        note.finding(what, at=at(root, units_of(root.tree).unit(FLUSH).path), remedy="Unmask it; sysinit.target wants it by itself.")
    if storage and bound:
        note.saw(f"{storage.path}:{storage.line}: Storage={storage.value}; {bound.path}:{bound.line}: SystemMaxUse={bound.value}")


@check("LOG-02", on=Scope.ROOT)
def nothing_moves_or_removes_the_journal(root: Root, policy: Parameters, note: Notes) -> None:
    """No line of tmpfiles.d links the journal's directories to what is gone with a reboot or removes what is in them, and no command does."""
    links, removals = read_links(root.tree), tuple(read_removals(root.tree))
    mounts = read_mounts(root.tree, started(root))
    for there, link in _followed(JOURNAL, links).items():
        if lasting(there, mounts) is None:
            what = f"systemd-tmpfiles links the journal to {there}, which is not on the data partition, so that it is gone with a reboot"
            note.finding(what, at=at(root, link.source, link.line), remedy="Take the line out.")
    for line in (*removals, *(each for each in read_ages(root.tree) if _is_short(each.age))):
        if any(fnmatchcase(place, line.path.rstrip("/")) for place in (dirname(JOURNAL), JOURNAL)):
            what = f"systemd-tmpfiles removes the journal: {line.path}"
            note.finding(what, at=at(root, line.source, line.line), remedy="Take the line out: journald removes what is old by itself.")
    for who, path in deeds(root, _REMOVES):
        what = f"{who} removes the journal by a command"
        note.finding(what, at=at(root, path), remedy="Take the command out: journald removes what is old by itself.")
    note.saw(f"tmpfiles.d: {len(links)} links, {len(removals)} removals")


def _followed(path: str, links: Sequence[Link]) -> Mapping[str, Link]:
    """Return where a path may lead when systemd-tmpfiles has made its links, with the last link on the way; of links within links every order counts."""
    found: dict[str, Link] = {}
    todo = [path]
    while todo and len(found) < _MAX_LINKS:
        here = todo.pop()
        for link in (each for each in links if f"{here}/".startswith(f"{each.path}/")):
            there = normpath(join(dirname(link.path), link.target)) + here.removeprefix(link.path)
            if there != path and there not in found:
                found[there] = link
                todo.append(there)
    return found


def _is_short(age: str) -> bool:
    """Whether systemd-tmpfiles-clean.service removes what is younger than what is kept."""
    length = age_seconds(age)
    return length is not None and length < RETENTION


def _keeps(each: Assignment) -> bool:
    """Whether a level keeps what services say, and a time of retention a week; 0 is for ever (journald.conf(5))."""
    if each.key == "MaxLevelStore":
        return keeps_level(each.value)
    length = seconds(each.value)
    return length is None or length == 0 or length >= RETENTION


@check("LOG-03", on=Scope.ROOT)
def security_events_are_watched(root: Root, policy: Parameters, note: Notes) -> None:
    """Each unit of the policy that watches for security events starts."""
    for name in policy.monitor_units:
        for what in never(root, name):
            path = units_of(root.tree).unit(name).path
            note.finding(f"{what}, so that nobody sees an attack", at=at(root, path), remedy=_MONITOR)
        start = started(root).get(name)
        if start is not None:
            note.saw(f"{start.path}: {name}, {start.reason}")


@check("LOG-03", on=Scope.ROOT)
def the_csms_is_told_of_security_events(root: Root, policy: Parameters, note: Notes) -> None:
    """OCPP 1.6 may leave security events in its log; 2.x always reports them. Of a configuration that is missing OCPP-01 tells."""
    missing = Notes()
    config = configuration(root, missing)
    if config is not None and not any(map(_speaks_16, config.modules)):
        note.saw(f"{config.path}: no module speaks OCPP 1.6")
        return
    found = [ocpp for _, ocpp in ocpp_configurations(root, missing) if _speaks_16(ocpp.module)]
    if not found:
        raise NotApplicable("the configuration of OCPP 1.6 is missing, of which OCPP-01 tells")
    for ocpp in found:
        silent = ocpp.switch("DisableSecurityEventNotifications")
        if silent.on:
            what = "the CSMS is told of no security event: DisableSecurityEventNotifications is true"
            note.finding(what, at=place(root, silent), remedy="Set DisableSecurityEventNotifications to false.")
        note.saw(f"{ocpp.path}: DisableSecurityEventNotifications is {silent.shown}")


def _speaks_16(module: Module) -> bool:
    return module.type == "OCPP" or (module.type == "OCPPmulti" and speaks_16(module))
