"""How much of what services say the journal takes: LOG-02, LOG-03. A limit too low swallows security events, none lets one service push out the others."""

from everest_secure.checks.common import at, findings_up_to, services, units_of
from everest_secure.checks.core import Notes, Root, Scope, check
from everest_secure.parse.rate_limit import RateLimit, read_rate_limit, unit_rate_limit
from everest_secure.parse.security_events import event_sources
from everest_secure.policy.parameters import JournalLimit, Parameters
from everest_secure.result import Location

_OWN = "Take the line out: the limit of everest-journal is for all services."


@check("LOG-02", on=Scope.ROOT)
def no_service_fills_the_journal(root: Root, policy: Parameters, note: Notes) -> None:
    """What is taken of one service in the long run is bounded, by journald's settings and by those of each service that is installed."""
    general, most = read_rate_limit(root.tree), policy.journal_limit.most_lines_per_second
    allowed = f"more than the {most} lines per second that the policy allows"
    if general.lines_per_second > most:
        what = f"one service may push everything else out of the journal: it takes {general.shown} of each, {allowed}"
        note.finding(
            what, at=_place(root, general), remedy="Set RateLimitIntervalSec=30s and RateLimitBurst=2000, as everest-journal does."
        )
    found = [
        (f"{unit.name} may push everything else out of the journal, which takes {limit.shown} of it, {allowed}", _place(root, limit))
        for unit in services(root)
        if (limit := unit_rate_limit(unit, general)) != general and limit.lines_per_second > most
    ]
    findings_up_to(note, found, remedy=_OWN)
    note.saw(f"journald takes {general.shown} of a service")


@check("LOG-03", on=Scope.ROOT)
def no_security_event_is_dropped_by_a_limit(root: Root, policy: Parameters, note: Notes) -> None:
    """Of each service whose lines are looked at for security events, as many are taken as an attack may come with."""
    general = read_rate_limit(root.tree)
    for name in sorted({*policy.journal_services, *event_sources(root.tree)}):
        unit = units_of(root.tree).unit(name)
        if not unit.exists:
            continue
        limit = unit_rate_limit(unit, general)
        if _swallows(limit, policy.journal_limit):
            what = (
                f"security events of {name} are dropped: the journal takes {limit.shown} of it, and {policy.journal_limit.least_lines} within "
                f"at most {policy.journal_limit.most_seconds} s are asked for"
            )
            note.finding(
                what, at=_place(root, limit), remedy="Set RateLimitIntervalSec=30s and RateLimitBurst=2000, and nothing in the unit."
            )
        note.saw(f"{name}: {limit.shown}")


def _swallows(limit: RateLimit, wanted: JournalLimit) -> bool:
    """Whether a burst of lines, or the rest of an interval after one, is lost."""
    return not limit.none and (limit.burst < wanted.least_lines or limit.interval > wanted.most_seconds)


def _place(root: Root, limit: RateLimit) -> Location:
    return at(root, limit.line.path, limit.line.line) if limit.line else at(root)
