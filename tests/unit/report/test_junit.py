from xml.etree import ElementTree

import pytest

from everest_secure.report.model import Report
from everest_secure.report.renderer import Look, renderers
from everest_secure.result import Outcome
from support.reports import HOSTILE, WAIVER, finding, part, report

SLOT = "disk.raw:rootfs-a"
FULL = report(
    ("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding(), finding(waiver=WAIVER)])]),
    ("NET-04", Outcome.ERROR, [part(Outcome.ERROR, reason="unreadable")]),
    ("NET-06", Outcome.PASS, [part(Outcome.PASS, seen=["42 units"])]),
    ("NET-07", Outcome.NOT_APPLICABLE, [part(Outcome.NOT_APPLICABLE, reason="no console")]),
    ("NET-08", Outcome.WAIVED, [part(Outcome.WAIVED, findings=[finding(waiver=WAIVER)])]),
    ("BOOT-04", Outcome.EVIDENCE_MISSING, ()),
    ("FS-04", Outcome.EVIDENCE_PRESENT, ()),
)


def rendered(said: Report) -> ElementTree.Element:
    return ElementTree.fromstring(renderers()["junit"].render(said, Look()))


def case(said: Report, requirement: str) -> ElementTree.Element:
    (found,) = (entry for entry in rendered(said).iter("testcase") if entry.attrib["name"].startswith(f"{requirement} "))
    return found


def test_each_requirement_is_a_test_of_the_artefact_that_it_was_checked_on() -> None:
    suites = {suite.attrib["name"]: suite for suite in rendered(FULL).iter("testsuite")}
    assert list(suites) == [SLOT, "not on an artefact"]
    assert [entry.attrib["name"].split()[0] for entry in suites[SLOT].iter("testcase")] == [
        "NET-01",
        "NET-04",
        "NET-06",
        "NET-07",
        "NET-08",
    ]
    assert all(entry.attrib["classname"] == suite for suite, holder in suites.items() for entry in holder.iter("testcase"))
    assert case(FULL, "NET-01").attrib["name"] == "NET-01 The main MQTT broker listens on one unix socket only"


def test_the_same_requirement_on_two_slots_is_two_tests() -> None:
    one = part(Outcome.PASS, seen=["a"])
    other = type(one)(one.check, "disk.raw:rootfs-b", Outcome.FAIL, "", (), (finding(),))
    tests = [
        entry for entry in rendered(report(("NET-01", Outcome.FAIL, [one, other]))).iter("testcase") if "NET-01" in entry.attrib["name"]
    ]
    assert [(entry.attrib["classname"], [child.tag for child in entry]) for entry in tests] == [
        (SLOT, ["system-out"]),
        ("disk.raw:rootfs-b", ["failure"]),
    ]


@pytest.mark.parametrize(
    ("requirement", "tags"),
    [
        ("NET-01", ["failure"]),
        ("NET-04", ["error"]),
        ("NET-06", ["system-out"]),
        ("NET-07", ["skipped"]),
        ("NET-08", ["skipped"]),
        ("BOOT-04", ["failure", "system-out"]),
        ("FS-04", ["system-out"]),
        ("FS-01", ["skipped"]),
    ],
)
def test_every_outcome_has_its_element(requirement: str, tags: list[str]) -> None:
    assert [child.tag for child in case(FULL, requirement)] == tags


def test_evidence_that_is_not_required_yet_is_no_failure() -> None:
    said = report(("BOOT-04", Outcome.EVIDENCE_MISSING, ()), evidence_required=False)
    assert case(said, "BOOT-04").find("skipped") is not None


def test_a_failure_says_what_where_and_how_to_mend_it() -> None:
    failure = case(FULL, "NET-01").find("failure")
    assert failure is not None
    assert failure.attrib == {"message": "fail: listener 1883 is open", "type": "fail"}
    assert failure.text is not None
    assert failure.text.splitlines() == [
        "listener 1883 is open",
        "  at disk.raw:rootfs-a: /etc/mosquitto/x.conf:3",
        "  Remedy: Remove the listener.",
        "listener 1883 is open (waived by Jane Doe until 2027-01-31: until the new board)",
        "  at disk.raw:rootfs-a: /etc/mosquitto/x.conf:3",
        "  Remedy: Remove the listener.",
    ]


def test_the_counts_are_those_of_the_elements() -> None:
    top = rendered(FULL)
    for holder in (top, *top.iter("testsuite")):
        for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(holder.attrib[attribute]) == len(list(holder.iter(tag))), attribute
    assert int(top.attrib["tests"]) == 66


def test_profile_and_digest_are_properties() -> None:
    (first, *_) = rendered(FULL).iter("properties")
    said = {entry.attrib["name"]: entry.attrib["value"] for entry in first}
    assert said["profile"] == "production"
    assert said["format"] == "squashfs"
    assert said["sha256 of disk.raw"] == "ab" * 32


def test_hostile_text_leaves_the_document_well_formed() -> None:
    parts = [part(Outcome.FAIL, findings=[finding(f"{HOSTILE}]]>\0", HOSTILE)], seen=[HOSTILE], reason=HOSTILE)]
    text = renderers()["junit"].render(report(("NET-01", Outcome.FAIL, parts), name=f'"{HOSTILE}'), Look())
    assert all(character.isprintable() or character == "\n" for character in text)
    found = ElementTree.fromstring(text).find(".//failure")
    assert found is not None
    assert "</script><script>alert(1)</script>\\x1b]0;owned" in (found.text or "")
