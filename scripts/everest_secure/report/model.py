"""What a report says, whatever shows it. Plain values only; text that came from an artefact is as found and a renderer must escape it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from everest_secure.errors import ExitCode
from everest_secure.policy.parameters import Parameters
from everest_secure.policy.requirement import Requirement
from everest_secure.result import Finding, Outcome

FAILING = frozenset({Outcome.FAIL})
OWED = frozenset({Outcome.EVIDENCE_MISSING, Outcome.EVIDENCE_EXPIRED})


@dataclass(frozen=True, slots=True)
class Subject:
    """An artefact that was given, or something found inside one."""

    name: str
    kind: str
    """Format, such as `gpt` or `squashfs`."""
    size: int | None = None
    """Bytes; None for a directory."""
    sha256: str = ""
    """Digest in hex of an artefact that was given; empty for a directory and for what is inside."""
    depth: int = 0
    """Levels below the artefact that was given."""


@dataclass(frozen=True, slots=True)
class WaivedBy:
    """The waiver that covers a finding."""

    reason: str
    owner: str
    expires: date
    where: str
    """`FILE:LINE` of its entry."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding, and the waiver that covers it if any."""

    finding: Finding
    waiver: WaivedBy | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A screen of a running target."""

    title: str
    png: str
    """The picture, a PNG file in base64."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Where a scenario on a running target stands; what it said is in the part that it belongs to."""

    test: str
    """`tests/boot/test_chain.py::test_the_image_boots`."""
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What one check said of one subject, or what a scenario on a running target showed."""

    check: str
    subject: str
    """Name of the artefact; of the target for a scenario."""
    outcome: Outcome
    """Of a scenario: pass, fail, or not applicable when it did not run."""
    reason: str
    seen: tuple[str, ...]
    """Of a scenario: what the target said, lines of its console for example."""
    findings: tuple[Shown, ...]
    proof: Proof | None = None
    """There for a scenario."""


class Proven(StrEnum):
    """What running targets showed of a requirement."""

    FAILED = "failed"
    NOT_PROVEN = "not proven"
    """No scenario ran that shows it."""
    PROVEN = "proven"
    NOT_NEEDED = "shown by the artefact"
    """A running target would show nothing more."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Evidence given for a requirement."""

    text: str
    owner: str
    signed: date
    expires: date
    where: str


@dataclass(frozen=True, slots=True)
class Result:
    """What is said of one requirement."""

    requirement: Requirement
    outcome: Outcome
    reason: str
    """One sentence on why the outcome is what it is."""
    parts: tuple[Part, ...] = ()
    statements: tuple[Statement, ...] = ()
    waiver: WaivedBy | None = None
    """The waiver that covers the requirement as a whole, where there is no finding to cover."""

    @property
    def findings(self) -> tuple[Shown, ...]:
        """All findings of all checks."""
        return tuple(shown for part in self.parts for shown in part.findings)

    @property
    def checks(self) -> tuple[Part, ...]:
        """What checks of artefacts said."""
        return tuple(part for part in self.parts if part.proof is None)

    @property
    def scenarios(self) -> tuple[Part, ...]:
        """What scenarios on a running target showed."""
        return tuple(part for part in self.parts if part.proof is not None)

    @property
    def proven(self) -> Proven:
        """All scenarios together: one that failed is enough, and one that did not run shows nothing."""
        outcomes = {part.outcome for part in self.scenarios}
        if Outcome.FAIL in outcomes:
            return Proven.FAILED
        if Outcome.PASS in outcomes:
            return Proven.PROVEN
        return Proven.NOT_NEEDED if self.requirement.on_target == "-" else Proven.NOT_PROVEN


@dataclass(frozen=True, slots=True)
class Run:
    """A run of scenarios on a target."""

    target: str
    """What it ran on: `QEMU 7.2 (software emulation), OVMF, swtpm`."""
    time: datetime
    """When it ended, with a time zone."""


@dataclass(frozen=True)
class Report:
    """Everything that was found about the artefacts that were given."""

    version: str
    """Of everest-secure."""
    time: datetime
    """When the check was made, with a time zone."""
    profile: str
    policy_file: str
    """The user's own policy file; empty when there is none."""
    parameters: Parameters
    """What the artefacts were compared with."""
    subjects: tuple[Subject, ...]
    groups: tuple[str, ...]
    results: tuple[Result, ...]
    """One for each requirement of the catalogue, in its order."""
    notices: tuple[str, ...] = ()
    """Sentences on what was not read, and on waivers that are expired or cover nothing."""
    policy_sha256: str = ""
    """Of what the policy says (policy/digest.py)."""
    runs: tuple[Run, ...] = ()
    """Runs of scenarios that were merged in; without any, nothing is said of what is proven."""

    @property
    def evidence_required(self) -> bool:
        """Whether missing or expired evidence counts as a finding."""
        return self.parameters.evidence_required

    @property
    def given(self) -> tuple[Subject, ...]:
        """The artefacts that were given, without what is inside them."""
        return tuple(subject for subject in self.subjects if subject.depth == 0)

    @property
    def parts(self) -> tuple[tuple[Subject, str], ...]:
        """All subjects, each with what its name adds to that of the one around it; what was given has its whole name."""
        found: list[tuple[Subject, str]] = []
        around: list[str] = []
        for subject in self.subjects:
            around[subject.depth :] = [subject.name]
            outer = next((name for name in reversed(around[:-1]) if subject.name.startswith(name)), "")
            found.append((subject, subject.name.removeprefix(outer).removeprefix(":") or "its content"))
        return tuple(found)

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Number of requirements by outcome; every outcome is a key."""
        found = Counter(result.outcome for result in self.results)
        return {outcome: found[outcome] for outcome in Outcome}

    @property
    def proofs(self) -> Mapping[Proven, int]:
        """Number of requirements by what running targets showed; every value is a key."""
        found = Counter(result.proven for result in self.results)
        return {proven: found[proven] for proven in Proven}

    def in_group(self, group: str) -> tuple[Result, ...]:
        """Return the results of one group."""
        return tuple(result for result in self.results if result.requirement.group == group)

    def counts_against(self, outcome: Outcome) -> bool:
        """Whether an outcome makes the whole verification end with findings."""
        return outcome in FAILING or (self.evidence_required and outcome in OWED)

    def with_digests(self, sha256: Mapping[str, str]) -> "Report":
        """Return the same report with the digests, in hex by name, of the artefacts that were given."""
        return replace(self, subjects=tuple(replace(s, sha256=sha256.get(s.name, "")) if s.depth == 0 else s for s in self.subjects))

    @property
    def exit_code(self) -> ExitCode:
        """0 when all that was checked holds, 1 with findings, 2 when anything could not be checked for an error."""
        outcomes = {result.outcome for result in self.results}
        if Outcome.ERROR in outcomes:
            return ExitCode.FAILED
        return ExitCode.FINDINGS if any(self.counts_against(outcome) for outcome in outcomes) else ExitCode.OK

    def needs_attention(self, result: Result) -> bool:
        """Whether someone has to act on a result for the verification to end well."""
        return result.outcome is Outcome.ERROR or self.counts_against(result.outcome)

    @property
    def verdict(self) -> str:
        """The whole report in a sentence, without a full stop."""
        counts = self.counts
        against = sum(number for outcome, number in counts.items() if self.counts_against(outcome))
        if counts[Outcome.ERROR]:
            rest = f", {against} more not met" if against else ""
            return f"Could not verify: {_requirements(counts[Outcome.ERROR])} could not be checked{rest}"
        if against:
            return f"Not acceptable: {_requirements(against)} not met"
        open_ones = counts[Outcome.NOT_CHECKED]
        return "Acceptable: everything that was checked holds" + (f"; {_requirements(open_ones)} not checked" if open_ones else "")


def _requirements(number: int) -> str:
    return f"{number} requirement" if number == 1 else f"{number} requirements"
