import json

import pytest
from jsonschema import Draft202012Validator

from everest_secure.policy.schema import load_schema
from everest_secure.report.model import Report
from everest_secure.report.renderer import Look, renderers
from everest_secure.result import Outcome
from support.reports import HOSTILE, TIME, WAIVER, finding, part, report

FULL = report(
    ("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding(HOSTILE, HOSTILE), finding(waiver=WAIVER)], seen=[HOSTILE])]),
    ("NET-04", Outcome.ERROR, [part(Outcome.ERROR, reason="unreadable")]),
    ("BOOT-04", Outcome.EVIDENCE_PRESENT, ()),
    notices=["the waiver of NET-06 (my.yml:3) expired"],
)


def rendered(said: Report) -> str:
    return renderers()["json"].render(said, Look())


@pytest.mark.parametrize("said", [FULL, report()], ids=["full", "empty"])
def test_the_report_conforms_to_its_schema(said: Report) -> None:
    Draft202012Validator(load_schema("report.schema.json"), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        json.loads(rendered(said))
    )


YOUNGER = {"policy_sha256"}
"""Keys that reports of the same format do not have which are older."""


def test_the_schema_refuses_a_report_that_lacks_a_part() -> None:
    schema = Draft202012Validator(load_schema("report.schema.json"))
    for key in json.loads(rendered(FULL)):
        value = json.loads(rendered(FULL))
        del value[key]
        assert schema.is_valid(value) is (key in YOUNGER), key


def test_what_was_found_arrives_unchanged() -> None:
    value = json.loads(rendered(FULL))
    (result,) = (result for result in value["results"] if result["id"] == "NET-01")
    first, second = result["checks"][0]["findings"]
    assert (first["what"], first["path"], first["line"]) == (HOSTILE, HOSTILE, 3)
    assert second["waiver"]["owner"] == "Jane Doe"
    assert value["time"] == TIME.isoformat()
    assert value["counts"]["fail"] == 1
    assert value["exit_code"] == 2
    assert len(value["results"]) == 66


def test_the_text_is_plain_ascii_without_control_characters() -> None:
    text = rendered(FULL)
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
