"""Known vulnerabilities: SUP-02."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from everest_secure.image.companions import Companion, CompanionKind
from everest_secure.result import Outcome
from support.bills import build, issue, judged, report, said
from support.rootfs import good_root, production

LICENCES = "/usr/share/common-licenses/license.manifest"


def test_a_report_in_which_nothing_is_open_holds(tmp_path: Path) -> None:
    result = judged("SUP-02", build(tmp_path, cve=report(issue(1, "Patched"), issue(2, "Ignored"))))
    assert (result.outcome, result.seen) == (Outcome.PASS, ("i.json: 2 known vulnerabilities, 0 open",))


def test_what_is_open_is_found_one_by_one(tmp_path: Path) -> None:
    text = report(issue(1, v3="9.8"), issue(2), issue(3, "Unknown", v3="5.0", v4="6.1"), *(issue(number) for number in range(100, 200)))
    found = said("SUP-02", build(tmp_path, cve=text))
    assert found[:3] == [
        "CVE-2024-1 is open in openssl 3.2.1 (score 9.8)",
        "CVE-2024-2 is open in openssl 3.2.1 (no score yet)",
        "CVE-2024-3 is open in openssl 3.2.1 (score 6.1)",
    ]
    assert len(found) == 103


def test_of_very_many_open_ones_the_rest_is_counted(tmp_path: Path) -> None:
    found = said("SUP-02", build(tmp_path, cve=report(*(issue(number) for number in range(1000, 3003)))))
    assert len(found) == 2001
    assert found[-1] == "3 more vulnerabilities are open"


@pytest.mark.parametrize("score", ["nan", "inf", "-1", "11", "high"])
def test_a_score_that_is_none_does_not_hide_what_is_open(tmp_path: Path, score: str) -> None:
    assert said("SUP-02", build(tmp_path, cve=report(issue(1, v3=score)))) == ["CVE-2024-1 is open in openssl 3.2.1 (no score yet)"]


def test_a_policy_may_leave_low_scores_alone_but_nothing_that_has_none(tmp_path: Path) -> None:
    subject = build(tmp_path, cve=report(issue(1, v3="3.9"), issue(2), issue(3, v3="7")))
    result = judged("SUP-02", subject, replace(production(), vulnerability_score=7.0))
    assert [finding.what.split()[0] for finding in result.findings] == ["CVE-2024-2", "CVE-2024-3"]


@pytest.mark.parametrize(("vex", "cve"), [(None, None), (report(), None), (None, '{"something": "else"}')])
def test_no_report_is_a_finding_where_the_policy_asks_for_one(tmp_path: Path, vex: str | None, cve: str | None) -> None:
    subject = build(tmp_path, vex=vex, cve=cve)
    assert said("SUP-02", subject) == ["there is no report of known vulnerabilities beside the image"]
    bench = replace(production(), vulnerability_report_required=False)
    assert judged("SUP-02", subject, bench).outcome is Outcome.NOT_APPLICABLE


def test_a_report_that_was_made_without_a_database_is_none(tmp_path: Path) -> None:
    found = said("SUP-02", build(tmp_path, cve='{"version": "1", "package": []}'))
    assert found == ["the report compares no recipe with the database, as one that is made without a database"]


def test_every_report_beside_the_image_counts(tmp_path: Path) -> None:
    closed = tmp_path / "i.cve.json"
    closed.write_text(report(issue(1, "Patched")))
    subject = build(tmp_path, cve=report(issue(1)))
    both = replace(subject, companions=(Companion(CompanionKind.VULNERABILITIES, closed), *subject.companions))
    assert said("SUP-02", both) == ["CVE-2024-1 is open in openssl 3.2.1 (no score yet)"]


@pytest.mark.parametrize(
    ("recipe", "version", "found"),
    [
        ("openssl", "3.2.1", []),
        ("openssl", "3.2.3", ["the report is of openssl 3.2.1, in rootfs it is 3.2.3"]),
        ("busybox", "1.36", ["the report names no recipe of rootfs"]),
    ],
)
def test_a_report_is_of_the_image_that_it_lies_beside(tmp_path: Path, recipe: str, version: str, found: list[str]) -> None:
    root = good_root().file(LICENCES, f"PACKAGE NAME: x\nPACKAGE VERSION: {version}\nRECIPE NAME: {recipe}\nLICENSE: MIT\n")
    result = judged("SUP-02", build(tmp_path, root=root, cve=report(issue(1, "Patched"))))
    assert [finding.what for finding in result.findings] == found


def compared(in_record: str, *issues: dict[str, Any]) -> str:
    """Return a report on EVerest whose product the database knows or not, as cve-check.bbclass says it."""
    text = json.loads(report(*issues, name="everest-core", version="git"))
    text["package"][0]["products"] = [{"product": "x", "cvesInRecord": "No"}, {"product": "everest", "cvesInRecord": in_record}]
    return json.dumps(text)


def test_a_report_for_which_nobody_knows_everest_is_found(tmp_path: Path) -> None:
    assert said("SUP-02", build(tmp_path, cve=compared("No"))) == [
        "the report compares everest-core with no record of the database, in which EVerest has another name"
    ]


@pytest.mark.parametrize("text", [compared("Yes"), compared("No", issue(1, "Ignored")), report(name="everest-core")])
def test_a_report_that_may_know_everest_holds(tmp_path: Path, text: str) -> None:
    assert judged("SUP-02", build(tmp_path, cve=text)).outcome is Outcome.PASS


def test_an_epoch_in_a_report_is_none_of_the_version(tmp_path: Path) -> None:
    root = good_root().file(LICENCES, "PACKAGE NAME: x\nPACKAGE VERSION: 3.2.1\nRECIPE NAME: openssl\nLICENSE: MIT\n")
    subject = build(tmp_path, root=root, cve=report().replace("3.2.1", "1_3.2.1"))
    assert judged("SUP-02", subject).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"package": [3]}',
        '{"package": [{"name": "a", "version": "1", "issues": []}]}',
        '{"package": [{"name": "a", "version": "1", "issue": [{}]}]}',
    ],
)
def test_a_damaged_report_is_an_error_and_no_pass(tmp_path: Path, text: str) -> None:
    assert judged("SUP-02", build(tmp_path, cve=text)).outcome is Outcome.ERROR
