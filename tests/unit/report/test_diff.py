import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from everest_secure.errors import ExitCode
from everest_secure.policy.schema import load_schema
from everest_secure.report.diff import Diff, Direction, diff
from everest_secure.report.diff_views import FORMATS
from everest_secure.report.model import Part, Report
from everest_secure.report.posture import of_report
from everest_secure.report.renderer import Look
from everest_secure.result import Outcome
from support.reports import HOSTILE, WAIVER, finding, part, report

ONE = part(Outcome.FAIL, findings=[finding()])
TWO = part(Outcome.FAIL, findings=[finding(), finding("listener 8883 is open")])
WAIVED = part(Outcome.WAIVED, findings=[finding(waiver=WAIVER)])


def said(outcome: Outcome, *parts: Part, name: str = "old.raw") -> Report:
    return report(("NET-01", outcome, parts), name=name)


def compared(old: Report, new: Report) -> Diff:
    return diff(of_report(old, source="old.json"), of_report(new, source="new.json"))


@pytest.mark.parametrize(
    ("old", "new", "direction", "code"),
    [
        (Outcome.PASS, Outcome.FAIL, Direction.WORSE, ExitCode.FINDINGS),
        (Outcome.PASS, Outcome.WAIVED, Direction.WORSE, ExitCode.FINDINGS),
        (Outcome.PASS, Outcome.NOT_CHECKED, Direction.WORSE, ExitCode.FINDINGS),
        (Outcome.EVIDENCE_PRESENT, Outcome.EVIDENCE_EXPIRED, Direction.WORSE, ExitCode.FINDINGS),
        (Outcome.FAIL, Outcome.PASS, Direction.BETTER, ExitCode.OK),
        (Outcome.NOT_CHECKED, Outcome.PASS, Direction.BETTER, ExitCode.OK),
        (Outcome.PASS, Outcome.NOT_APPLICABLE, Direction.OTHER, ExitCode.OK),
        (Outcome.PASS, Outcome.ERROR, Direction.WORSE, ExitCode.FAILED),
        (Outcome.ERROR, Outcome.FAIL, Direction.OTHER, ExitCode.OK),
    ],
)
def test_a_requirement_goes_one_way(old: Outcome, new: Outcome, direction: Direction, code: ExitCode) -> None:
    found = compared(said(old), said(new))
    assert [(change.stand.id, change.direction) for change in found.changes] == [("NET-01", direction)]
    assert found.exit_code == code


def test_an_error_in_the_newer_report_is_never_a_good_comparison() -> None:
    found = compared(said(Outcome.ERROR), said(Outcome.ERROR))
    assert (found.changes, found.exit_code) == ((), ExitCode.FAILED)
    assert found.verdict.startswith("Could not compare all")


def test_nothing_changed_between_two_builds_of_the_same() -> None:
    old, new = said(Outcome.FAIL, ONE), said(Outcome.FAIL, ONE, name="new.raw")
    found = compared(old, new)
    assert (found.changes, found.added, found.removed, found.settings, found.exit_code) == ((), (), (), (), ExitCode.OK)
    assert found.verdict == "Nothing changed"


def test_a_new_finding_of_a_requirement_that_failed_already_is_worse() -> None:
    found = compared(said(Outcome.FAIL, ONE), said(Outcome.FAIL, TWO))
    assert [flaw.what for flaw in found.added] == ["listener 8883 is open"]
    assert (found.changes, found.removed, found.exit_code) == ((), (), ExitCode.FINDINGS)
    back = compared(said(Outcome.FAIL, TWO), said(Outcome.FAIL, ONE))
    assert [flaw.what for flaw in back.removed] == ["listener 8883 is open"]
    assert back.exit_code == ExitCode.OK


def test_a_waiver_that_is_taken_away_is_worse_and_one_that_is_given_is_better() -> None:
    gone = compared(said(Outcome.WAIVED, WAIVED), said(Outcome.FAIL, ONE))
    assert ([flaw.waived for flaw in gone.added], gone.exit_code) == ([False], ExitCode.FINDINGS)
    given = compared(said(Outcome.FAIL, ONE), said(Outcome.WAIVED, WAIVED))
    assert ([flaw.waived for flaw in given.added], given.exit_code) == ([True], ExitCode.OK)


def test_the_same_finding_twice_counts_twice() -> None:
    double = part(Outcome.FAIL, findings=[finding(), finding()])
    assert len(compared(said(Outcome.FAIL, ONE), said(Outcome.FAIL, double)).added) == 1


def test_requirements_come_and_go_with_the_catalogue() -> None:
    full = said(Outcome.FAIL, ONE)
    less = replace(full, results=tuple(result for result in full.results if result.requirement.id != "NET-01"))
    new = compared(less, full)
    assert [change.stand.id for change in new.going(Direction.NEW)] == ["NET-01"]
    assert new.exit_code == ExitCode.FINDINGS
    assert [change.stand.id for change in compared(full, less).going(Direction.GONE)] == ["NET-01"]


def test_values_of_the_policy_that_changed_are_named_and_of_lists_what_differs() -> None:
    old = said(Outcome.PASS)
    parameters = replace(
        old.parameters,
        signature_key_bits=1,
        masked_units=(*old.parameters.masked_units, "x.service"),
        service_user=replace(old.parameters.service_user, uid=7),
    )
    found = compared(old, replace(old, parameters=parameters, profile="mine"))
    assert [(setting.name, setting.old, setting.new) for setting in found.settings] == [
        ("masked_units", [], ["x.service"]),
        ("service_user.uid", 1500, 7),
        ("signature_key_bits", old.parameters.signature_key_bits, 1),
    ]
    assert found.exit_code == ExitCode.OK
    assert found.notices == ("The reports are of different policies (production, mine).",)


@pytest.mark.parametrize(
    ("old", "new", "notices"),
    [
        (("a/my.yml", "aa"), ("b/my.yml", "aa"), ()),
        (
            ("my.yml", "aa"),
            ("my.yml", "bb"),
            ("The reports are of different policies (production with my.yml, which has changed).",),
        ),
        (("my.yml", ""), ("my.yml", "bb"), ()),
        (
            ("a.yml", ""),
            ("b.yml", "bb"),
            ("The reports are of different policies (production with a.yml, production with b.yml).",),
        ),
    ],
)
def test_policies_are_compared_by_what_they_say(old: tuple[str, str], new: tuple[str, str], notices: tuple[str, ...]) -> None:
    before, after = (replace(said(Outcome.PASS), policy_file=file, policy_sha256=digest) for file, digest in (old, new))
    assert compared(before, after).notices == notices


EVERYTHING = compared(
    report(("NET-01", Outcome.PASS, ()), ("NET-04", Outcome.FAIL, [ONE]), ("NET-06", Outcome.PASS, ())),
    replace(
        report(
            ("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding(HOSTILE, HOSTILE)])]),
            ("NET-04", Outcome.PASS, ()),
            ("NET-06", Outcome.NOT_APPLICABLE, ()),
            name=f"{HOSTILE}.raw",
        ),
        profile=HOSTILE,
    ),
)


def test_json_conforms_to_its_schema() -> None:
    value = json.loads(FORMATS["json"](EVERYTHING, Look()))
    schema = Draft202012Validator(load_schema("diff.schema.json"), format_checker=Draft202012Validator.FORMAT_CHECKER)
    schema.validate(value)
    for key in value:
        assert not schema.is_valid({other: value[other] for other in value if other != key}), key
    assert (value["worse"], value["exit_code"]) == (True, 1)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("detail", [-1, 0, 1])
def test_nothing_from_an_artefact_is_shown_unescaped(name: str, detail: int) -> None:
    text = FORMATS[name](EVERYTHING, Look(detail=detail))
    assert all(character.isprintable() or character in "\n\u200b" for character in text)


@pytest.mark.parametrize("name", ["table", "markdown"])
def test_people_are_told_everything_that_changed(name: str) -> None:
    text = " ".join(FORMATS[name](EVERYTHING, Look(width=300)).replace("**", "").split())
    assert "Worse: 1 requirement worse, 1 requirement better, 1 finding added, 1 finding removed" in text
    for part_of_it in ("NET-01", "NET-04", "NET-06", "listener 1883 is open", "alert(1)"):
        assert part_of_it in text


def test_a_flood_is_cut_and_says_so() -> None:
    flood = part(Outcome.FAIL, findings=[finding(f"file {number} is loose") for number in range(25)])
    found = compared(said(Outcome.PASS), said(Outcome.FAIL, flood))
    assert "and 5 more; -v shows them" in FORMATS["table"](found, Look())
    assert "- and 5 more" in FORMATS["markdown"](found, Look())
    assert FORMATS["table"](found, Look(detail=1)).count("is loose") == 25


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, FORMATS["table"](EVERYTHING, Look(width)).splitlines())) <= width


def test_quiet_is_the_verdict_alone() -> None:
    lines: Sequence[str] = FORMATS["table"](compared(said(Outcome.PASS), said(Outcome.FAIL, ONE)), Look(detail=-1)).splitlines()
    assert lines == ["Worse: 1 requirement worse, 1 finding added."]
