"""How many lines of one service journald takes before it drops the others: journald.conf(5), systemd.exec(5); journald-rate-limit.c.

More than `burst` lines within an interval are dropped until it is over, of each service and of each group of priorities on its own. journald takes up
to six times as many while the disk has room, which is left out here: the least is what can be relied on. The kernel's messages have no limit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf

from everest_secure.image.tree import Tree
from everest_secure.parse.conf_files import read_daemon_conf
from everest_secure.parse.timespan import seconds
from everest_secure.parse.unit_file import Assignment
from everest_secure.parse.units import Unit
from everest_secure.parse.unsigned import unsigned

_INTERVALS = ("RateLimitIntervalSec", "RateLimitInterval", "LogRateLimitIntervalSec")
_BURSTS = ("RateLimitBurst", "LogRateLimitBurst")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit, and what set it."""

    interval: float = 30.0
    """In seconds; infinite is no limit to journald of systemd 252, and to that of 257 the burst is all that is ever taken."""
    burst: int = 10000
    """Lines within an interval."""
    line: Assignment | None = None
    """The last line that changed it; None for journald's default."""

    @property
    def none(self) -> bool:
        """Whether there is no limit: either value is 0."""
        return not self.interval or not self.burst

    @property
    def lines_per_second(self) -> float:
        """Lines that are taken in the long run, at most; infinite without a limit."""
        return inf if self.none or self.interval == inf else self.burst / self.interval

    @property
    def shown(self) -> str:
        """Return it in words."""
        return "no limit" if self.none else f"{self.burst} lines within {self.interval:g} s"


def read_rate_limit(tree: Tree) -> RateLimit:
    """Return what journald.conf and its drop-ins set for every service."""
    return _with(RateLimit(), (each for each in read_daemon_conf(tree, "journald.conf") if each.section == "Journal"))


def unit_rate_limit(unit: Unit, general: RateLimit) -> RateLimit:
    """Return the limit of a service, which has its own of what it sets. systemd takes a 0 there for the general one; what such a line asks for is none."""
    return _with(general, (each for each in unit.assignments if each.section == "Service"))


def _with(limit: RateLimit, lines: Iterable[Assignment]) -> RateLimit:
    """Apply the lines in order; one with a value that systemd cannot read changes nothing."""
    for line in lines:
        if line.key in _INTERVALS and (interval := _interval(line.value)) is not None:
            limit = replace(limit, interval=interval, line=line)
        elif line.key in _BURSTS and (burst := unsigned(line.value)) is not None:
            limit = replace(limit, burst=burst, line=line)
    return limit


def _interval(text: str) -> float | None:
    return inf if text.strip() == "infinity" else seconds(text)
