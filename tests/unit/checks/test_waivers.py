from datetime import date

import pytest

from everest_secure.checks.common import findings_up_to
from everest_secure.checks.core import Notes
from everest_secure.checks.waivers import notices, waive
from everest_secure.policy.profile import Waiver
from everest_secure.result import Finding, Location

TODAY = date(2026, 8, 21)
FINDING = Finding("sshd.service is enabled", Location("disk.raw:rootfs-a", "/etc/systemd/system/sshd.service"), "Remove it.")


def waiver(*, requirement: str = "NET-06", match: str = "", expires: date = TODAY) -> Waiver:
    return Waiver(requirement, "bench", "Jane", expires, match, "my.yml:3")


def covers(one: Waiver, finding: Finding | None = FINDING) -> bool:
    return waive("NET-06", finding, waivers=[one], today=TODAY, days=731) is not None


def test_a_waiver_covers_findings_of_its_requirement_up_to_its_last_day() -> None:
    assert covers(waiver())
    assert not covers(waiver(expires=date(2026, 8, 20)))
    assert not covers(waiver(requirement="NET-07"))


def test_a_waiver_without_an_end_in_sight_covers_nothing_and_says_so() -> None:
    assert covers(waiver(expires=date(2028, 8, 21)))
    late = waiver(expires=date(2028, 8, 22))
    assert not covers(late)
    (notice,) = notices([late], results=[], today=TODAY, days=731)
    assert "ends on 2028-08-22, in more than 731 days, and covers nothing" in notice


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


@pytest.mark.parametrize(
    ("match", "said", "covered"),
    [
        ("rauc", "the package rauc-hawkbit-updater is installed", False),
        ("hawkbit", "the package rauc-hawkbit-updater is installed", False),
        ("rauc-hawkbit-updater", "the package rauc-hawkbit-updater is installed", True),
        ("openssl 3.2", "CVE-1 is open in openssl 3.2.1", False),
        ("2.1", "CVE-1 is open in openssl 3.2.1", False),
        ("serial-getty@ttyS1", "serial-getty@ttyS1.service is not masked", True),
        ("getty@ttyS1", "serial-getty@ttyS1.service is not masked", False),
        ("/etc/everest", "/etc/everest/certs/key.pem holds a key", False),
        ("/etc/everest/", "/etc/everest/certs/key.pem holds a key", True),
        ("/usr/bin/x", "/usr/bin/x.sh is setuid", False),
        ("/usr/bin/x", "/usr/bin/x is setuid", True),
        ("eth0", "net/ipv4/conf/eth0/forwarding is set to 1", True),
    ],
)
def test_a_match_covers_no_more_than_it_names(match: str, said: str, covered: bool) -> None:
    assert covers(waiver(match=match), Finding(said, Location("rootfs"), "r")) is covered


def test_a_waiver_of_one_file_does_not_cover_those_that_are_not_listed() -> None:
    note = Notes()
    findings_up_to(note, [(f"/x/{number} is setuid", Location("rootfs", f"/x/{number}")) for number in range(30)], remedy="r")
    waivers = [waiver(match=f"/x/{number}") for number in range(30)]
    left = [each.what for each in note.findings if waive("NET-06", each, waivers=waivers, today=TODAY, days=731) is None]
    assert left == ["10 more of the same kind"]


def test_a_waiver_with_a_match_does_not_cover_a_requirement_as_a_whole() -> None:
    assert covers(waiver(), None)
    assert not covers(waiver(match="sshd"), None)
