from datetime import date

import pytest

from everest_secure.checks.waivers import waive
from everest_secure.policy.profile import Waiver
from everest_secure.result import Finding, Location

TODAY = date(2026, 8, 21)
FINDING = Finding("sshd.service is enabled", Location("disk.raw:rootfs-a", "/etc/systemd/system/sshd.service"), "Remove it.")


def waiver(*, requirement: str = "NET-06", match: str = "", expires: date = TODAY) -> Waiver:
    return Waiver(requirement, "bench", "Jane", expires, match, "my.yml:3")


def covers(one: Waiver, finding: Finding | None = FINDING) -> bool:
    return waive("NET-06", finding, waivers=[one], today=TODAY) is not None


def test_a_waiver_covers_findings_of_its_requirement_up_to_its_last_day() -> None:
    assert covers(waiver())
    assert not covers(waiver(expires=date(2026, 8, 20)))
    assert not covers(waiver(requirement="NET-07"))


@pytest.mark.parametrize(
    ("match", "covered"),
    [
        ("sshd", True),
        ("rootfs-a", True),
        ("system/sshd.service", True),
        ("ssh", False),
        ("rootfs-", True),
        ("telnet", False),
        ("rootfs-b", False),
    ],
)
def test_a_match_limits_it_to_findings_that_say_so(match: str, covered: bool) -> None:
    assert covers(waiver(match=match)) is covered


def test_a_match_is_whole_words_so_that_one_vulnerability_is_not_another() -> None:
    longer = Finding("CVE-2024-12345 is open in openssl 3.2.1 (score 7.5)", Location("image.json"), "Update it.")
    assert covers(waiver(match="CVE-2024-12345"), longer)
    assert covers(waiver(match="CVE-2024-12345 is open in openssl"), longer)
    assert not covers(waiver(match="CVE-2024-1234"), longer)
    assert not covers(waiver(match="VE-2024-12345"), longer)


def test_a_waiver_with_a_match_does_not_cover_a_requirement_as_a_whole() -> None:
    assert covers(waiver(), None)
    assert not covers(waiver(match="sshd"), None)
