"""Whether a unit that starts ever does anything: a timer that never fires, a service that is not there, a condition that cannot hold."""

from collections.abc import Iterator

from everest_secure.checks.common import started, units_of
from everest_secure.checks.core import Root
from everest_secure.checks.steady import hidden_by
from everest_secure.parse.unit_file import effective
from everest_secure.parse.units import Unit

_SPANS = ("OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec", "OnCalendar")
_PATHS = (
    "ConditionPathExists", "ConditionPathIsDirectory", "ConditionFileNotEmpty", "ConditionFileIsExecutable",
    "AssertPathExists", "AssertPathIsDirectory", "AssertFileNotEmpty", "AssertFileIsExecutable",
)  # fmt: skip
"""Conditions whose path must exist (systemd.unit(5)); one in front of which stands `|` alone decides nothing."""


def activated(unit: Unit) -> str:
    """Return the unit that does the work: what a timer starts, else the unit itself."""
    stem, _, kind = unit.name.rpartition(".")
    return unit.value("Timer", "Unit", f"{stem}.service") if kind == "timer" else unit.name


def never(root: Root, name: str) -> Iterator[str]:
    """Yield why a unit that ought to start does not, or why it, or the one that it activates, never does anything."""
    start = started(root).get(name)
    if start is not None:
        yield from idle(root, start.unit)
    else:
        unit = units_of(root.tree).unit(name)
        yield f"{name} {'is masked' if unit.masked else 'does not start' if unit.exists else 'is not installed'}"


def idle(root: Root, unit: Unit) -> Iterator[str]:
    """Yield why a unit that starts, or the one that it activates, never does anything."""
    if unit.name.endswith(".timer") and not any(unit.value("Timer", key) for key in _SPANS):
        yield f"{unit.name} says no time, so that systemd refuses it"
    name = activated(unit)
    works = units_of(root.tree).unit(name)
    if not works.exists:
        yield f"{name} {'is masked' if works.masked else 'is not installed'}"
    elif not works.commands:
        yield f"{name} runs nothing"
    for each in dict.fromkeys((unit.name, name)):
        for said in _never_true(root, units_of(root.tree).unit(each)):
            yield f"{each} is skipped, as {said} cannot hold"


def _never_true(root: Root, unit: Unit) -> Iterator[str]:
    """Yield the conditions on files of the root that do not hold in the image, which nobody changes on the target."""
    for key in _PATHS:
        for condition in effective(unit.assigned("Unit", key)):
            path = condition.value.removeprefix("!")
            wanted = path == condition.value
            if path.startswith("/") and not hidden_by(root, path) and (root.tree.resolve(path) is not None) is not wanted:
                yield f"{key}={condition.value}"
