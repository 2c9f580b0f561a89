"""A report on artefacts, and what scenarios showed on a target that ran them, in one report."""

from collections.abc import Sequence
from dataclasses import replace

from everest_secure.errors import UserError
from everest_secure.proof.proofs import Proofs
from everest_secure.report.model import Part, Report, Result, Shown
from everest_secure.result import Finding, Location, Outcome, worst

REMEDY = "Read what the target said, mend the image, and run the scenarios on it again."


def merge(report: Report, runs: Sequence[Proofs]) -> Report:
    """Return the report with the runs in it: a scenario that failed is a finding, and one that passed changes no outcome.

    Raises UserError for a run on other artefacts than the report's, one that is in it already, and a requirement that the report does not know.
    """
    known = {result.requirement.id for result in report.results}
    for proofs in runs:
        _refuse_others(report, proofs)
        strangers = sorted({each for scenario in proofs.scenarios for each in scenario.requirements} - known)
        if strangers:
            raise UserError(
                f"{proofs.source} is about {strangers[0]}, which the report does not know; merge it into a report of the same version"
            )
        if proofs.run in report.runs or [other.run for other in runs].count(proofs.run) > 1:
            raise UserError(f"{proofs.source} is in the report already; merge each run once")
    untied = [proofs for proofs in runs if not proofs.artefacts]
    return replace(
        report,
        results=tuple(_merged(result, _parts(result, runs)) for result in report.results),
        notices=(
            *report.notices,
            *(f"{proofs.source} does not say with which image it ran; nothing ties it to the artefacts" for proofs in untied),
        ),
        runs=(*report.runs, *(proofs.run for proofs in runs)),
    )


def _refuse_others(report: Report, proofs: Proofs) -> None:
    checked = {subject.sha256 for subject in report.given}
    for name, digest in proofs.artefacts.items():
        if digest not in checked:
            raise UserError(
                f"{proofs.source} was made with {name} of SHA-256 {digest}, on which the report says nothing; check that artefact, or run the scenarios again"
            )


def _parts(result: Result, runs: Sequence[Proofs]) -> tuple[Part, ...]:
    scenarios = (scenario for proofs in runs for scenario in proofs.scenarios)
    return tuple(_with_finding(scenario.part) for scenario in scenarios if result.requirement.id in scenario.requirements)


def _with_finding(part: Part) -> Part:
    if part.outcome is not Outcome.FAIL or part.proof is None:
        return part
    finding = Finding(f"on the target it does not hold that {part.check}: {part.reason}", Location(part.subject, part.proof.test), REMEDY)
    return replace(part, findings=(Shown(finding),))


def _merged(result: Result, parts: tuple[Part, ...]) -> Result:
    failed = [part for part in parts if part.outcome is Outcome.FAIL]
    if not failed:
        return replace(result, parts=(*result.parts, *parts))
    reason = f"{len(failed)} of {len(parts)} scenarios failed on the target"
    outcome = worst((result.outcome, Outcome.FAIL))
    reason = f"{result.reason}; {reason}" if result.outcome is outcome else reason
    return replace(result, outcome=outcome, reason=reason, parts=(*result.parts, *parts))
