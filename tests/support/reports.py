"""Artefacts, policies and reports for tests of what comes after the checks."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from everest_secure.image.artefact import Artefact
from everest_secure.image.directory import DirectoryTree
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.profile import Policy, load_policy, load_profile
from everest_secure.report.model import Part, Report, Result, Shown, Statement, Subject, WaivedBy
from everest_secure.result import Finding, Location, Outcome

TIME = datetime(2026, 8, 21, 12, 30, tzinfo=UTC)
WAIVER = WaivedBy("until the new board", "Jane Doe", date(2027, 1, 31), "my.yml:4")
HOSTILE = "</script><script>alert(1)</script>\x1b]0;owned\x07\u202efdp\udcff"


def root(path: Path) -> Path:
    """Make the least that counts as a root file system."""
    (path / "etc").mkdir(parents=True, exist_ok=True)
    (path / "usr").mkdir(exist_ok=True)
    return path


def root_artefact(path: Path, name: str) -> Artefact:
    """Return a root file system under the name that it would have inside an image."""
    return Artefact(name=name, kind="squashfs", tree=DirectoryTree(root(path), name))


def policy(path: Path | None = None, text: str = "") -> Policy:
    """Return the production profile, or a policy file with this text."""
    if path is None:
        return load_profile("production", catalogue=load_catalogue())
    path.write_text(text)
    return load_policy(path, catalogue=load_catalogue())


def part(outcome: Outcome, *, findings: Sequence[Shown] = (), seen: Sequence[str] = (), reason: str = "") -> Part:
    """Return what one check said of a slot."""
    return Part("broker listens on one socket", "disk.raw:rootfs-a", outcome, reason, tuple(seen), tuple(findings))


def finding(what: str = "listener 1883 is open", path: str = "/etc/mosquitto/x.conf", *, waiver: WaivedBy | None = None) -> Shown:
    """Return a finding in a slot."""
    return Shown(Finding(what, Location("disk.raw:rootfs-a", path, 3), "Remove the listener."), waiver)


def report(
    *results: tuple[str, Outcome, Sequence[Part]], evidence_required: bool = True, notices: Sequence[str] = (), name: str = "disk.raw"
) -> Report:
    """Return a report on one disk that says `results` of some requirements and `not checked` of all others."""
    catalogue = load_catalogue()
    said = {identifier: (outcome, tuple(parts)) for identifier, outcome, parts in results}
    shown = []
    for requirement in catalogue.requirements:
        outcome, parts = said.get(requirement.id, (Outcome.NOT_CHECKED, ()))
        statements = (Statement("Fuses blown", "H. Ware", date(2026, 1, 1), date(2027, 1, 1), "my.yml:9"),) if requirement.evidence else ()
        reason = "there is no check for it yet" if outcome is Outcome.NOT_CHECKED else f"it is {outcome}"
        shown.append(Result(requirement, outcome, reason, parts, statements))
    return Report(
        version="1.2.3",
        time=TIME,
        profile="production",
        policy_file="",
        parameters=replace(policy().parameters, evidence_required=evidence_required),
        subjects=(Subject(name, "gpt", 4096, "ab" * 32), Subject(f"{name}:rootfs-a", "squashfs", 2048, depth=1)),
        groups=catalogue.groups,
        results=tuple(shown),
        notices=tuple(notices),
    )
