import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from jsonschema import Draft4Validator, Draft7Validator

from everest_secure.report.model import Report
from everest_secure.report.renderer import Look, renderers
from everest_secure.result import Outcome
from support.reports import HOSTILE, TIME, WAIVER, finding, part, report
from support.sarif import complaints, schema

FULL = report(
    ("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding(HOSTILE, f"/etc/{HOSTILE}"), finding(waiver=WAIVER)], seen=[HOSTILE])]),
    ("NET-04", Outcome.ERROR, [part(Outcome.ERROR, reason="unreadable")]),
    ("NET-06", Outcome.PASS, [part(Outcome.PASS, seen=["42 units"])]),
    ("NET-07", Outcome.NOT_APPLICABLE, [part(Outcome.NOT_APPLICABLE, reason="no console")]),
    ("BOOT-04", Outcome.EVIDENCE_EXPIRED, ()),
    ("FS-04", Outcome.EVIDENCE_PRESENT, ()),
    notices=["the waiver of NET-06 (my.yml:3) expired"],
)
HOSTILE_NAME = report(("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding()])]), name=f"a:b/../{HOSTILE}.raw")


def rendered(said: Report) -> dict[str, Any]:
    text = renderers()["sarif"].render(said, Look())
    assert text.isascii()
    value: dict[str, Any] = json.loads(text)
    return value


def results(said: Report, rule: str) -> list[dict[str, Any]]:
    return [result for result in rendered(said)["runs"][0]["results"] if result["ruleId"] == rule]


@pytest.mark.parametrize("said", [FULL, HOSTILE_NAME, report()], ids=["full", "hostile", "empty"])
def test_the_log_conforms_to_the_schema_of_the_standard(said: Report) -> None:
    standard = schema()
    validator = Draft4Validator if "draft-04" in standard["$schema"] else Draft7Validator
    errors = [f"{error.json_path}: {error.message}" for error in validator(standard).iter_errors(rendered(said))]
    assert errors == []


def test_the_schema_refuses_a_result_without_a_message() -> None:
    log = rendered(FULL)
    del log["runs"][0]["results"][0]["message"]
    assert not Draft7Validator(schema()).is_valid(log)


@pytest.mark.parametrize("said", [FULL, HOSTILE_NAME, report()], ids=["full", "hostile", "empty"])
def test_the_public_validator_has_nothing_to_complain_of(said: Report, tmp_path: Path) -> None:
    (tmp_path / "a.sarif").write_text(json.dumps(rendered(said)))
    assert complaints(tmp_path / "a.sarif") == []


def test_the_public_validator_complains_of_a_broken_log(tmp_path: Path) -> None:
    log = rendered(FULL)
    log["runs"][0]["results"][0]["ruleIndex"] = 1000
    (tmp_path / "a.sarif").write_text(json.dumps(log))
    assert complaints(tmp_path / "a.sarif") != []


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("NET-04", "open"),
        ("NET-06", "pass"),
        ("NET-07", "notApplicable"),
        ("BOOT-04", "review"),
        ("FS-04", "pass"),
        ("FS-01", "open"),
    ],
)
def test_every_outcome_has_its_kind(rule: str, kind: str) -> None:
    (result,) = results(FULL, rule)
    assert (result["kind"], result["level"]) == (kind, "none")
    assert len(result["locations"]) == 1


def test_a_finding_says_what_where_and_how_to_mend_it() -> None:
    _, second = results(FULL, "NET-01")
    assert second["kind"] == "fail"
    assert second["level"] == "error"
    assert second["message"]["text"] == "listener 1883 is open. Remedy: Remove the listener."
    (location,) = second["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "etc/mosquitto/x.conf", "uriBaseId": "ROOTFS"},
        "region": {"startLine": 3},
    }
    assert location["logicalLocations"] == [{"fullyQualifiedName": "disk.raw:rootfs-a", "kind": "resource"}]


def test_a_waiver_is_a_suppression_with_its_reason_and_owner() -> None:
    first, second = results(FULL, "NET-01")
    assert "suppressions" not in first
    assert second["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "until the new board (Jane Doe, until 2027-01-31, my.yml:4)"}
    ]


@pytest.mark.parametrize("path", ["/etc/../../../etc/shadow", "//server/share", "/a b/ü%41?#x", "/x:y"])
def test_no_path_leads_out_of_its_file_system(path: str) -> None:
    said = report(("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding(path=path)])]))
    uri = results(said, "NET-01")[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert not uri.startswith(("/", ".."))
    assert not {":", "?", "#", " "} & set(uri)
    assert "/" + unquote(uri) in {"/etc/shadow", "/server/share", "/a b/ü%41?#x", "/x:y"}


def test_what_is_given_is_named_with_its_digest_and_time() -> None:
    (run,) = rendered(FULL)["runs"]
    assert run["artifacts"] == [
        {
            "location": {"uri": "disk.raw", "uriBaseId": "ARTEFACTS"},
            "length": 4096,
            "hashes": {"sha-256": "ab" * 32},
            "roles": ["analysisTarget"],
        }
    ]
    (invocation,) = run["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 2)
    assert invocation["endTimeUtc"] == TIME.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [entry["level"] for entry in invocation["toolExecutionNotifications"]] == ["error", "note"]


def test_every_requirement_is_a_rule_with_help() -> None:
    (run,) = rendered(report())["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [result.requirement.id for result in report().results]
    assert all(rule["help"]["text"] and rule["help"]["markdown"] and rule["fullDescription"]["text"] for rule in rules)
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
