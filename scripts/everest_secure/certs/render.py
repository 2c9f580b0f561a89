"""What `certs stage` tells: what was written, or why not."""

from collections.abc import Iterator
from pathlib import Path

from everest_secure.certs.stage import ARCHIVE, Staged
from everest_secure.report.model import Report
from everest_secure.result import Outcome
from everest_secure.text import printable


def written(output: Path, staged: Staged) -> str:
    """Return the list of what is in the store, and how it comes to the charger."""
    lines = [f"{output}: the store holds"]
    lines += [f"  {member.path}" for member in staged.members if member.content is not None]
    lines += [f"waived: {requirement}: {what}" for requirement, what in _waived(staged.report)]
    if output.name.endswith(ARCHIVE):
        lines.append(f"On the charger, as root: tar -xpf {output.name} -C /var/lib/everest/certs")
    elif not staged.owned:
        user = staged.report.parameters.service_user
        lines.append(f"The files belong to you: give them to {user.uid}:{user.gid} on the charger, or stage an archive or as root.")
    return "".join(f"{printable(line)}\n" for line in lines)


def refused(output: Path, report: Report) -> str:
    """Return every reason for which a store was refused."""
    lines = [f"{output} was not made:"]
    for result in report.results:
        for shown in result.findings:
            if shown.waiver is None:
                lines += [f"{result.requirement.id}  {shown.finding.at}: {shown.finding.what}", f"  {shown.finding.remedy}"]
        lines += [f"{result.requirement.id}  {part.reason}" for part in result.parts if part.outcome is Outcome.ERROR]
    return "".join(f"{printable(line)}\n" for line in dict.fromkeys(lines))


def _waived(report: Report) -> Iterator[tuple[str, str]]:
    for result in report.results:
        for shown in result.findings:
            yield result.requirement.id, f"{shown.finding.at}: {shown.finding.what}"
