import re

import pytest

from everest_secure.report.model import Report
from everest_secure.report.renderer import Look, renderers
from everest_secure.report.table import MOST_FINDINGS
from everest_secure.result import Outcome
from support.reports import HOSTILE, WAIVER, finding, part, report


def rendered(said: Report, *, width: int = 100, colour: bool = False, detail: int = 0) -> str:
    return renderers()["table"].render(said, Look(width, colour, detail))


FAILING = report(("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding()], seen=["mosquitto.conf read"])]))


def test_a_finding_is_shown_with_place_and_remedy() -> None:
    text = rendered(FAILING)
    block = text[text.index("What needs attention") :]
    assert "NET-01  The main MQTT broker listens on one unix socket only  (fail, critical)" in block
    assert "listener 1883 is open" in block
    assert "at disk.raw:rootfs-a: /etc/mosquitto/x.conf:3" in block
    assert "Remedy: Remove the listener." in block


def test_it_ends_with_the_verdict_and_the_counts() -> None:
    last = rendered(FAILING).splitlines()[-2:]
    assert last == ["Not acceptable: 1 requirement not met.", "66 requirements: 1 fail, 65 not checked."]


def test_every_requirement_is_visible_checked_or_not() -> None:
    text = rendered(FAILING)
    assert all(result.requirement.id in text for result in FAILING.results)


def test_quiet_prints_the_verdict_alone() -> None:
    assert rendered(FAILING, detail=-1).strip().splitlines() == [
        "Not acceptable: 1 requirement not met.",
        "66 requirements: 1 fail, 65 not checked.",
    ]


def test_verbose_shows_what_was_seen() -> None:
    assert "mosquitto.conf read" not in rendered(FAILING)
    assert "mosquitto.conf read" in rendered(FAILING, detail=1)


@pytest.mark.parametrize("detail", [-1, 0, 1])
@pytest.mark.parametrize("colour", [False, True])
def test_nothing_from_an_artefact_controls_the_terminal(detail: int, colour: bool) -> None:
    parts = [part(Outcome.FAIL, findings=[finding(HOSTILE, HOSTILE)], seen=[HOSTILE], reason=HOSTILE)]
    text = rendered(report(("NET-01", Outcome.FAIL, parts), notices=[HOSTILE], name=f"disk{HOSTILE}.raw"), colour=colour, detail=detail)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert all(character.isprintable() or character == "\n" for character in bare)


def test_markup_of_the_terminal_library_in_a_finding_stays_text() -> None:
    assert "[red]x[/red] :smile:" in rendered(
        report(("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding("[red]x[/red] :smile:")])]))
    )


def test_colour_only_on_request() -> None:
    assert "\x1b[" not in rendered(FAILING)
    assert "\x1b[" in rendered(FAILING, colour=True)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    parts = [part(Outcome.FAIL, findings=[finding(path="/" + "very-long-name/" * 30)])]
    assert max(map(len, rendered(report(("NET-01", Outcome.FAIL, parts)), width=width).splitlines())) <= width


def test_the_same_finding_in_many_places_is_said_once() -> None:
    many = [finding(path=f"/etc/{number}") for number in range(30)]
    text = rendered(report(("FS-05", Outcome.FAIL, [part(Outcome.FAIL, findings=many)])))
    assert text.count("listener 1883 is open") == 1
    assert "and at 26 more places" in text


def test_a_flood_of_findings_is_cut_and_says_so_unless_all_is_asked_for() -> None:
    many = [finding(f"file {number} is loose") for number in range(MOST_FINDINGS + 5)]
    said = report(("FS-05", Outcome.FAIL, [part(Outcome.FAIL, findings=many)]))
    assert "and 5 more" in rendered(said)
    assert rendered(said, detail=1).count("is loose") == len(many)


def test_a_waived_finding_names_who_waived_it() -> None:
    text = rendered(report(("NET-01", Outcome.WAIVED, [part(Outcome.WAIVED, findings=[finding(waiver=WAIVER)])])))
    assert "listener 1883 is open (waived by Jane Doe)" in text
