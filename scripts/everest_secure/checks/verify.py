"""Runs every check on everything there is to check, and says for each requirement what came of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime

from everest_secure import __version__
from everest_secure.checks.core import Check, Scope
from everest_secure.checks.run import Runner, Task, one_by_one
from everest_secure.checks.subjects import Named, find_subjects, repeated, unread
from everest_secure.checks.waivers import notices, waive
from everest_secure.image.artefact import Artefact
from everest_secure.policy.catalogue import Catalogue
from everest_secure.policy.digest import policy_digest
from everest_secure.policy.profile import Evidence, Policy
from everest_secure.policy.requirement import Requirement
from everest_secure.report.model import Part, Report, Result, Shown, Statement, Subject, WaivedBy
from everest_secure.result import CheckResult, Finding, Outcome, worst

UNDECIDED = frozenset({Outcome.NOT_CHECKED, Outcome.NOT_APPLICABLE})
"""Outcomes of the checks beside which evidence decides."""


def verify(
    artefacts: Sequence[Artefact],
    *,
    policy: Policy,
    catalogue: Catalogue,
    checks: Sequence[Check],
    time: datetime,
    run: Runner = one_by_one,
    find: Callable[[Sequence[Artefact]], Mapping[Scope, Sequence[Named]]] = find_subjects,
    partial: bool = False,
) -> Report:
    """Verify artefacts that were opened together, at a time with a time zone.

    `run` decides how the checks are run, and `find` what is checked. `partial` says that these are not all checks, so that a waiver that covers
    nothing may be of use elsewhere.
    Raises ArtefactError when there is nothing to check in one of them, or two have the same name; an error in a single check is the outcome
    of its requirement.
    """
    strangers = sorted({check.requirement for check in checks} - set(catalogue.ids))
    if strangers:
        raise ValueError(f"there are checks of requirements that the catalogue does not know: {', '.join(strangers)}")
    subjects = {**find(artefacts), Scope.CATALOGUE: [("catalogue", catalogue)]}
    today = time.date()
    found = run(subjects, checks, policy.parameters)
    results = tuple(
        _result(requirement, list(_of(requirement, checks, subjects, found)), policy=policy, today=today)
        for requirement in catalogue.requirements
    )
    return Report(
        version=__version__,
        time=time,
        profile=policy.profile,
        policy_file=policy.file,
        parameters=policy.parameters,
        subjects=tuple(subject for artefact in artefacts for subject in _described(artefact)),
        groups=catalogue.groups,
        results=results,
        notices=(*_unread(artefacts), *_repeated(artefacts, subjects), *_waived(policy, results, today, partial=partial)),
        policy_sha256=policy_digest(policy),
    )


def _of(
    requirement: Requirement, checks: Sequence[Check], subjects: Mapping[Scope, Sequence[Named]], found: Mapping[Task, CheckResult]
) -> Iterator[CheckResult]:
    for number, check in enumerate(checks):
        if check.requirement != requirement.id:
            continue
        if not subjects[check.scope]:
            yield CheckResult(check.name, "", Outcome.NOT_CHECKED, f"no {check.scope} among the artefacts")
        for position in range(len(subjects[check.scope])):
            yield found[number, check.scope, position]


def _result(requirement: Requirement, found: Sequence[CheckResult], *, policy: Policy, today: date) -> Result:
    parts = tuple(_part(requirement, one, policy=policy, today=today) for one in found)
    outcome = worst(part.outcome for part in parts) if parts else _without_check(requirement)
    if requirement.evidence and (outcome in UNDECIDED or _is_left_open(parts)):
        return _evidence(requirement, parts, policy=policy, today=today)
    return Result(requirement, outcome, _reason(requirement, outcome, parts), parts)


def _is_left_open(parts: Sequence[Part]) -> bool:
    """Whether nothing is against it, and a check that holds of one subject does not concern another: of one slot that is encrypted, and one that is not."""
    said = {(part.check, part.outcome) for part in parts}
    both = any((check, Outcome.NOT_APPLICABLE) in said for check, outcome in said if outcome is Outcome.PASS)
    return both and {outcome for _, outcome in said} <= {Outcome.PASS, Outcome.NOT_APPLICABLE}


def _without_check(requirement: Requirement) -> Outcome:
    """Return what is said of a requirement without a check: one that no artefact can show does not concern an artefact."""
    return Outcome.NOT_APPLICABLE if requirement.on_artefact == "-" else Outcome.NOT_CHECKED


def _part(requirement: Requirement, one: CheckResult, *, policy: Policy, today: date) -> Part:
    shown = tuple(Shown(finding, _waiver(requirement, finding, policy, today)) for finding in one.findings)
    covered = one.outcome is Outcome.FAIL and all(finding.waiver for finding in shown)
    return Part(one.check, one.subject, Outcome.WAIVED if covered else one.outcome, one.reason, one.seen, shown)


def _waiver(requirement: Requirement, finding: Finding | None, policy: Policy, today: date) -> WaivedBy | None:
    return waive(requirement.id, finding, waivers=policy.waivers, today=today, days=policy.parameters.waiver_days)


def _reason(requirement: Requirement, outcome: Outcome, parts: Sequence[Part]) -> str:
    if not parts:
        return "no artefact shows it" if requirement.on_artefact == "-" else "there is no check for it yet"
    deciding = [part for part in parts if part.outcome is outcome]
    match outcome:
        case Outcome.FAIL:
            number = sum(shown.waiver is None for part in deciding for shown in part.findings)
            return "1 finding" if number == 1 else f"{number} findings"
        case Outcome.WAIVED:
            owners = {shown.waiver.owner for part in deciding for shown in part.findings if shown.waiver}
            return f"every finding is waived by {', '.join(sorted(owners))}"
        case Outcome.PASS:
            return "; ".join(dict.fromkeys(part.check for part in deciding))
        case _:
            return "; ".join(_by_reason(deciding))


def _by_reason(parts: Sequence[Part]) -> Iterator[str]:
    """Yield each reason once, after the names of the subjects that it was given for."""
    found: dict[str, dict[str, None]] = {}
    for part in parts:
        found.setdefault(part.reason, {})[part.subject] = None
    for reason, subjects in found.items():
        names = ", ".join(filter(None, subjects))
        yield f"{names}: {reason}" if names else reason


def _evidence(requirement: Requirement, parts: tuple[Part, ...], *, policy: Policy, today: date) -> Result:
    given = [entry for entry in policy.evidence if entry.requirement == requirement.id]
    statements = tuple(Statement(entry.statement, entry.owner, entry.signed, entry.expires, entry.where) for entry in given)
    days = policy.parameters.evidence_days
    valid = [entry for entry in given if entry.signed <= today <= entry.expires and (entry.expires - entry.signed).days <= days]
    if valid:
        entry = max(valid, key=lambda entry: entry.expires)
        reason = f"signed off by {entry.owner} on {entry.signed}, valid until {entry.expires}"
        return Result(requirement, Outcome.EVIDENCE_PRESENT, reason, parts, statements)
    outcome, reason = _owed(given, today, days)
    waiver = _waiver(requirement, None, policy, today)
    if waiver:
        return Result(requirement, Outcome.WAIVED, f"{reason}, which is waived by {waiver.owner}", parts, statements, waiver)
    return Result(requirement, outcome, reason, parts, statements)


def _owed(given: Sequence[Evidence], today: date, days: int) -> tuple[Outcome, str]:
    expired = [entry for entry in given if entry.expires < today]
    if expired:
        last = max(expired, key=lambda entry: entry.expires)
        return Outcome.EVIDENCE_EXPIRED, f"the statement of {last.owner} expired on {last.expires}"
    endless = [entry for entry in given if (entry.expires - entry.signed).days > days]
    if endless:
        reason = f"the statement of {endless[0].owner} is to hold until {endless[0].expires}, more than {days} days from its date"
        return Outcome.EVIDENCE_MISSING, reason
    if given:
        return Outcome.EVIDENCE_MISSING, f"the statement of {given[0].owner} is dated {given[0].signed}, which is in the future"
    return Outcome.EVIDENCE_MISSING, "no signed-off statement under 'evidence' in the policy file"


def _waived(policy: Policy, results: Sequence[Result], today: date, *, partial: bool) -> tuple[str, ...]:
    return notices(policy.waivers, results=results, today=today, days=policy.parameters.waiver_days, partial=partial)


def _unread(artefacts: Sequence[Artefact]) -> Iterator[str]:
    for artefact in artefacts:
        for part in artefact.walk():
            if part.kind == "unknown":
                known = unread(part)
                yield f"{part.name} is {f'{known}, which is not read' if known else 'of a format that is not known'}, and was not checked"


def _repeated(artefacts: Sequence[Artefact], subjects: Mapping[Scope, Sequence[Named]]) -> Iterator[str]:
    for name in repeated(artefacts, subjects):
        yield f"{name} is, byte by byte, a root file system that was checked under another name"


def _described(artefact: Artefact, depth: int = 0) -> Iterator[Subject]:
    yield Subject(artefact.name, artefact.kind, artefact.blob.size if artefact.blob else None, depth=depth)
    for child in artefact.children:
        yield from _described(child, depth + 1)
