"""What changed between two reports: requirements that hold better or worse, findings that came or went, values of the policy."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from everest_secure.errors import ExitCode
from everest_secure.report.posture import Flaw, Posture, Stand
from everest_secure.result import Outcome

BADNESS: Mapping[Outcome, int] = {
    Outcome.ERROR: 4,
    Outcome.FAIL: 4,
    Outcome.EVIDENCE_MISSING: 3,
    Outcome.EVIDENCE_EXPIRED: 3,
    Outcome.NOT_CHECKED: 2,
    Outcome.WAIVED: 1,
    Outcome.EVIDENCE_PRESENT: 0,
    Outcome.PASS: 0,
    Outcome.NOT_APPLICABLE: 0,
}
"""How far an outcome is from what is wanted; a requirement that is no longer looked at is worse than one that holds."""


class Direction(StrEnum):
    """Where a requirement went."""

    WORSE = "worse"
    BETTER = "better"
    OTHER = "changed"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Change:
    """A requirement of which the reports say different things."""

    direction: Direction
    old: Stand | None
    new: Stand | None

    @property
    def stand(self) -> Stand:
        """The newer of the two."""
        found = self.new or self.old
        assert found is not None  # noqa: S101 - one of them is always there
        return found


@dataclass(frozen=True, slots=True)
class Setting:
    """A value of the policy that differs; None where a report does not have it."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Diff:
    """Everything that changed."""

    old: Posture
    new: Posture
    changes: tuple[Change, ...]
    added: tuple[Flaw, ...]
    removed: tuple[Flaw, ...]
    settings: tuple[Setting, ...]

    def going(self, direction: Direction) -> tuple[Change, ...]:
        """Return the requirements that went one way."""
        return tuple(change for change in self.changes if change.direction is direction)

    @property
    def worse(self) -> bool:
        """Whether anything got worse: a requirement, or a finding that nobody has waived."""
        bad_news = any(BADNESS[change.stand.outcome] > BADNESS[Outcome.NOT_CHECKED] for change in self.going(Direction.NEW))
        return bool(self.going(Direction.WORSE)) or bad_news or any(not flaw.waived for flaw in self.added)

    @property
    def exit_code(self) -> ExitCode:
        """1 when something got worse, 2 when the newer report could not say."""
        if any(stand.outcome is Outcome.ERROR for stand in self.new.stands.values()):
            return ExitCode.FAILED
        return ExitCode.FINDINGS if self.worse else ExitCode.OK

    @property
    def verdict(self) -> str:
        """The comparison in a sentence, without a full stop."""
        counted = {
            "requirement worse": len(self.going(Direction.WORSE)),
            "requirement better": len(self.going(Direction.BETTER)),
            "finding added": len(self.added),
            "finding removed": len(self.removed),
            "parameter changed": len(self.settings),
        }
        said = ", ".join(_number(number, what) for what, number in counted.items() if number)
        if self.exit_code is ExitCode.FAILED:
            return f"Could not compare all: the newer report has errors{f'; {said}' if said else ''}"
        if self.worse:
            return f"Worse: {said or 'a new requirement is not met'}"
        return f"Not worse: {said}" if said else "Nothing changed"

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences on what else could be the reason of a change."""
        return tuple(_notices(self.old, self.new))


def diff(old: Posture, new: Posture) -> Diff:
    """Compare two reports."""
    added, removed = _flaws(old, new)
    return Diff(old, new, tuple(_changes(old, new)), added, removed, tuple(_settings(old.parameters, new.parameters)))


def _changes(old: Posture, new: Posture) -> Iterator[Change]:
    for identifier in dict.fromkeys((*new.stands, *old.stands)):
        before, after = old.stands.get(identifier), new.stands.get(identifier)
        if before is None:
            yield Change(Direction.NEW, None, after)
        elif after is None:
            yield Change(Direction.GONE, before, None)
        elif before.outcome is not after.outcome:
            step = BADNESS[after.outcome] - BADNESS[before.outcome]
            yield Change(Direction.WORSE if step > 0 else Direction.BETTER if step < 0 else Direction.OTHER, before, after)


def _flaws(old: Posture, new: Posture) -> tuple[tuple[Flaw, ...], tuple[Flaw, ...]]:
    """Return what is only in the newer and only in the older report; the same finding twice counts twice, and waived is not the same as open."""
    return tuple(_without(new.flaws, old.flaws)), tuple(_without(old.flaws, new.flaws))


def _without(flaws: tuple[Flaw, ...], others: tuple[Flaw, ...]) -> Iterator[Flaw]:
    left = Counter((flaw.fingerprint, flaw.waived) for flaw in others)
    for flaw in flaws:
        if left[flaw.fingerprint, flaw.waived]:
            left[flaw.fingerprint, flaw.waived] -= 1
        else:
            yield flaw


def _settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Setting]:
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before != after:
            if isinstance(before, list) and isinstance(after, list):
                before, after = [item for item in before if item not in after], [item for item in after if item not in before]
            yield Setting(name, before, after)


def _notices(old: Posture, new: Posture) -> Iterator[str]:
    if old.version != new.version:
        yield f"The reports are of different versions of everest-secure ({old.version}, {new.version}), whose checks may say other things."
    if not _same_policy(old, new):
        names = dict.fromkeys((_policy(old), _policy(new)))
        yield f"The reports are of different policies ({', '.join(names)}{'' if len(names) == 2 else ', which has changed'})."
    if len(old.artefacts) != len(new.artefacts):
        yield f"The reports are on {len(old.artefacts)} and {len(new.artefacts)} artefacts, so that some of the findings have no counterpart."


def _same_policy(old: Posture, new: Posture) -> bool:
    """Whether the policies say the same; by their names where a report of an older version has no digest."""
    if old.policy_sha256 and new.policy_sha256:
        return old.policy_sha256 == new.policy_sha256
    return (old.profile, old.policy_file) == (new.profile, new.policy_file)


def _policy(of: Posture) -> str:
    return f"{of.profile} with {of.policy_file}" if of.policy_file else of.profile


def _number(number: int, what: str) -> str:
    noun, rest = what.split(" ", 1)
    return f"{number} {noun if number == 1 else f'{noun}s'} {rest}"


def value(setting: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a value of the policy for people."""
    return "-" if setting in (None, []) else ", ".join(map(str, setting)) if isinstance(setting, list) else json.dumps(setting)
