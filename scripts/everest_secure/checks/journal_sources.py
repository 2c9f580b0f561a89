"""What reaches the journal: LOG-02. A journal that is kept is of no use when the services whose events matter write elsewhere."""

from collections.abc import Iterator, Mapping

from everest_secure.checks.common import at, entries_of, place_of, units_of
from everest_secure.checks.core import STARTING, Notes, Root, Scope, Starting, check
from everest_secure.parse.conf_files import read_daemon_conf
from everest_secure.parse.journald_conf import LEVELS, level, read_journald_conf
from everest_secure.parse.unit_file import Assignment, boolean
from everest_secure.parse.units import Unit
from everest_secure.policy.parameters import Parameters

_KEPT = LEVELS.index("notice")
"""The lowest level with which what services say is kept (MaxLevelStore= of journald.conf(5), LogLevelMax= of systemd.exec(5))."""
_JOURNAL = ("journal", "journal+console", "syslog", "syslog+console")
"""Values with which a stream is the journal's; systemd reads the last two, which are obsolete, as the first two."""
_OUTPUTS = (*_JOURNAL, "inherit", "null", "tty", "kmsg", "kmsg+console", "socket")
_FILES = ("fd:", "file:", "append:", "truncate:")
_STREAMS = ("StandardOutput", "StandardError")
"""By default the journal, and whatever the first is (systemd-system.conf(5), DefaultStandardOutput= and DefaultStandardError=)."""
_REMEDY = "Take the line out: the journal is systemd's default."
_SYSLOG = "systemd-journald-dev-log.socket"
"""The socket behind syslog(3), by which PAM and others say who failed to log in."""
_ON_COMMAND_LINE = ("systemd.default_standard_output", "systemd.default_standard_error", "systemd.journald.max_level_store")
"""They count before system.conf and journald.conf (kernel-command-line(7), systemd-journald.service(8))."""


def keeps_level(text: str) -> bool:
    """Whether what services say of is kept with a level; with what is no level it is not."""
    number = level(text)
    return number is not None and number >= _KEPT


@check("LOG-02", on=Scope.ROOT)
def what_services_say_reaches_the_journal(root: Root, policy: Parameters, note: Notes) -> None:
    """Output and errors of each service of the policy's list go to the journal that is bounded and kept, with nothing left out."""
    defaults = {
        each.key: each for each in read_daemon_conf(root.tree, "system.conf") if each.section == "Manager" and _is_output(each.value)
    }
    for name in policy.journal_services:
        unit = units_of(root.tree).unit(name)
        if not unit.exists:
            continue
        for what, line in (*_elsewhere(unit, defaults), *_left_out(unit)):
            note.finding(f"{name} {what}", at=at(root, line.path, line.line), remedy=_REMEDY)
        note.saw(f"{unit.path}: output and errors")


def _elsewhere(unit: Unit, defaults: Mapping[str, Assignment]) -> Iterator[tuple[str, Assignment]]:
    """Yield the streams that are not the journal's. Errors that are inherited go where the output goes; output never inherits the journal."""
    for key in _STREAMS:
        line = _stream(unit, key, defaults)
        if line is not None and line.value not in _JOURNAL and not (key == "StandardError" and line.value == "inherit"):
            yield f"does not write to the journal: {line.key}={line.value}", line


def _stream(unit: Unit, key: str, defaults: Mapping[str, Assignment]) -> Assignment | None:
    """Return the line that counts for a stream; None for systemd's own default. Lines that systemd cannot read, empty ones too, change nothing."""
    lines = [each for each in unit.assigned("Service", key) if _is_output(each.value)]
    return lines[-1] if lines else defaults.get(f"Default{key}")


def _is_output(value: str) -> bool:
    return value in _OUTPUTS or value.startswith(_FILES)


def _left_out(unit: Unit) -> Iterator[tuple[str, Assignment]]:
    """Yield the lines by which the manager hands only a part of what a service says to the journal, or all of it to another one."""
    levels = [each for each in unit.assigned("Service", "LogLevelMax") if level(each.value) is not None]
    if levels and not keeps_level(levels[-1].value):
        yield f"says less than it should: LogLevelMax={levels[-1].value}", levels[-1]
    for key, what in (
        ("LogNamespace", "writes to a journal of its own, which nothing bounds"),
        ("LogFilterPatterns", "says less than it should"),
    ):
        line = unit.last("Service", key)
        if line is not None:
            yield f"{what}: {key}={line.value}", line


@check("LOG-02", on=Scope.ROOT)
def what_kernel_and_logins_say_reaches_the_journal(root: Root, policy: Parameters, note: Notes) -> None:
    """Journald reads the kernel's messages, packets that the firewall refuses among them, and what programs say by syslog(3)."""
    line = read_journald_conf(root.tree).read_kmsg
    if line is not None and not boolean(line.value):
        what = f"what the kernel says, refused packets too, does not reach the journal: ReadKMsg={line.value}"
        note.finding(what, at=at(root, line.path, line.line), remedy="Take the line out: journald reads the kernel's messages by default.")
    syslog = units_of(root.tree).unit(_SYSLOG)
    if syslog.masked:
        what = f"what programs say by syslog(3), failed logins too, does not reach the journal: {_SYSLOG} is masked"
        note.finding(what, at=at(root, syslog.path), remedy="Unmask it; a syslog daemon gets the messages by ForwardToSyslog=.")
    note.saw(f"ReadKMsg={line.value if line else 'yes'}")


@check("LOG-02", on=STARTING)
def no_command_line_keeps_entries_from_the_journal(starting: Starting, policy: Parameters, note: Notes) -> None:
    """No boot entry sends the output of services elsewhere, or has journald keep less."""
    for entry in entries_of(starting):
        for name in _ON_COMMAND_LINE:
            value = entry.command_line.last(name)
            if value is not None and value not in _JOURNAL and not keeps_level(value):
                what = f"the command line holds '{name}={value}', which keeps entries from the journal"
                note.finding(what, at=place_of(entry), remedy="Take the parameter out of the command line.")
        note.saw(f"{place_of(entry)}: {len(entry.command_line.parameters)} parameters")
