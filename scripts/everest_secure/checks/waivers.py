"""Waivers: recorded decisions to live with a finding for some time."""

import re
from collections.abc import Iterable, Sequence
from datetime import date

from everest_secure.policy.profile import Waiver
from everest_secure.report.model import Result, WaivedBy
from everest_secure.result import Finding


def waive(requirement: str, finding: Finding | None, *, waivers: Sequence[Waiver], today: date, days: int) -> WaivedBy | None:
    """Return the first waiver that covers a finding, or the requirement as a whole when there is none.

    One that has expired, or ends more than `days` from today, covers nothing. A waiver with `match` covers only findings whose text or place
    names it whole, so that that of `CVE-2024-123` is none of `CVE-2024-1234`; never a requirement as a whole.
    """
    text = "" if finding is None else f"{finding.what} {finding.at}"
    for waiver in waivers:
        if waiver.requirement == requirement and _mentions(text, waiver.match) and 0 <= (waiver.expires - today).days <= days:
            return WaivedBy(waiver.reason, waiver.owner, waiver.expires, waiver.where)
    return None


_LONGER = r"[\w-]|\.\d"
"""What makes another name or version of one: `rauc` is not `rauc-conf`, and 3.2 is not 3.2.1; but `getty@tty1` is `getty@tty1.service`."""
_BELOW = r"[./]\w"
"""What makes another path of one: `/etc/foo` is neither `/etc/foo.conf` nor `/etc/foo/bar`."""


def _mentions(text: str, words: str) -> bool:
    """Whether a text names something whole; a path that ends with `/` names all below it, and any other path itself alone."""
    start = r"(?<![\w-])(?<!\d\.)" if words[:1].isalnum() else ""
    longer = f"{_LONGER}|{_BELOW}" if "/" in words else _LONGER
    end = f"(?!{longer})" if words[-1:].isalnum() else ""
    return re.search(f"{start}{re.escape(words)}{end}", text) is not None


def notices(waivers: Sequence[Waiver], *, results: Iterable[Result], today: date, days: int, partial: bool = False) -> tuple[str, ...]:
    """Return a sentence for each waiver that is expired, ends too late or, unless the results are `partial`, covers nothing."""
    used = {covered.where for result in results for covered in _covering(result)}
    said = []
    for waiver in waivers:
        if waiver.expires < today:
            said.append(
                f"the waiver of {waiver.requirement} ({waiver.where}) expired on {waiver.expires} and covers nothing; renew or remove it"
            )
        elif (waiver.expires - today).days > days:
            said.append(
                f"the waiver of {waiver.requirement} ({waiver.where}) ends on {waiver.expires}, in more than {days} days, and covers nothing; "
                "let it end earlier and decide again then"
            )
        elif waiver.where not in used and not partial:
            said.append(f"the waiver of {waiver.requirement} ({waiver.where}) covers nothing that was found; remove it")
    return tuple(said)


def _covering(result: Result) -> Iterable[WaivedBy]:
    if result.waiver:
        yield result.waiver
    yield from (shown.waiver for shown in result.findings if shown.waiver)
