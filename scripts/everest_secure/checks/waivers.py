"""Waivers: recorded decisions to live with a finding for some time."""

import re
from collections.abc import Iterable, Sequence
from datetime import date

from everest_secure.policy.profile import Waiver
from everest_secure.report.model import Result, WaivedBy
from everest_secure.result import Finding


def waive(requirement: str, finding: Finding | None, *, waivers: Sequence[Waiver], today: date) -> WaivedBy | None:
    """Return the first waiver that covers a finding, or the requirement as a whole when there is none; an expired one covers nothing.

    A waiver with `match` covers only findings whose text or place contains it as whole words, so that that of `CVE-2024-123` is none of
    `CVE-2024-1234`; never a requirement as a whole.
    """
    text = "" if finding is None else f"{finding.what} {finding.at}"
    for waiver in waivers:
        if waiver.requirement == requirement and _mentions(text, waiver.match) and today <= waiver.expires:
            return WaivedBy(waiver.reason, waiver.owner, waiver.expires, waiver.where)
    return None


def _mentions(text: str, words: str) -> bool:
    """Whether a text contains some words, neither end of which lies inside a word or number."""
    start = r"(?<![0-9A-Za-z])" if words[:1].isalnum() else ""
    end = r"(?![0-9A-Za-z])" if words[-1:].isalnum() else ""
    return re.search(f"{start}{re.escape(words)}{end}", text) is not None


def notices(waivers: Sequence[Waiver], *, results: Iterable[Result], today: date) -> tuple[str, ...]:
    """Return a sentence for each waiver that is expired or covers nothing."""
    used = {covered.where for result in results for covered in _covering(result)}
    said = []
    for waiver in waivers:
        if waiver.expires < today:
            said.append(
                f"the waiver of {waiver.requirement} ({waiver.where}) expired on {waiver.expires} and covers nothing; renew or remove it"
            )
        elif waiver.where not in used:
            said.append(f"the waiver of {waiver.requirement} ({waiver.where}) covers nothing that was found; remove it")
    return tuple(said)


def _covering(result: Result) -> Iterable[WaivedBy]:
    if result.waiver:
        yield result.waiver
    yield from (shown.waiver for shown in result.findings if shown.waiver)
