"""A report with proofs in the forms that people and other programs read."""

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from everest_secure.proof.merge import merge
from everest_secure.proof.proofs import read_proofs
from everest_secure.report.model import Report
from everest_secure.report.renderer import Look, renderers
from everest_secure.result import Outcome
from support.browser import Browser, browser
from support.proofs import PNG, TARGET, content, entry, write
from support.reports import HOSTILE, part, report
from support.sarif import complaints

SHOWN = "[...document.querySelectorAll('main details')].filter((item) => item.checkVisibility()).map((item) => item.id)"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report with a scenario of each outcome, and hostile words from the target."""
    scenarios = (
        entry("BOOT-01", "FS-02", excerpt=[HOSTILE, "Access Denied"], pictures=1),
        entry("NET-04", outcome="failed", reason=HOSTILE),
        entry("BOOT-05", outcome="not run", reason="there is no watchdog"),
    )
    file = write(tmp_path_factory.mktemp("proofs") / "proofs.json", content(*scenarios))
    return merge(report(("BOOT-01", Outcome.PASS, [part(Outcome.PASS)])), read_proofs(file))


def rendered(said: Report, name: str) -> str:
    return renderers()[name].render(said, Look())


@pytest.fixture(scope="module")
def page(said: Report, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    directory = tmp_path_factory.mktemp("browser")
    (directory / "report.html").write_text(rendered(said, "html"), errors="backslashreplace")
    with browser(directory / "profile") as found:
        found.open(directory / "report.html")
        yield found


def test_in_a_browser_pictures_are_shown_and_nothing_is_requested(page: Browser) -> None:
    assert page.run("[...document.images].map((picture) => picture.complete && picture.naturalWidth)") == [1, 1]
    assert {request["request"]["url"].partition(":")[0] for request in page.said("Network.requestWillBeSent")} <= {"file", "data"}
    assert page.said("Log.entryAdded") == []
    assert page.run("document.scripts.length") == 1


def test_a_tile_shows_what_is_proven(page: Browser) -> None:
    page.run("document.querySelector('.tile[data-proven=proven]').click()")
    assert page.run(SHOWN) == ["FS-02", "BOOT-01"]
    page.run("document.querySelector('.tile[data-proven=failed]').click()")
    assert page.run(SHOWN) == ["FS-02", "NET-04", "BOOT-01"]


def test_what_the_target_said_is_text(said: Report, page: Browser) -> None:
    assert page.run("document.querySelector('#BOOT-01 .console').textContent.includes('<script>')") is True
    assert rendered(said, "html").count("<script>") == 1


def test_without_proofs_a_page_may_load_no_picture_at_all() -> None:
    assert "img-src" not in rendered(report(), "html")
    assert PNG not in rendered(report(), "html")


def test_the_terminal_says_what_is_proven(said: Report) -> None:
    assert f"On {TARGET}: 1 failed, 45 not proven, 2 proven, 18 shown by the artefact." in rendered(said, "table")


def test_junit_has_a_suite_for_the_target(said: Report) -> None:
    (suite,) = (suite for suite in fromstring(rendered(said, "junit")) if suite.get("name") == TARGET)
    cases = {(case.get("name") or "").split()[0]: [child.tag for child in case] for case in suite.findall("testcase")}
    assert cases == {"FS-02": ["system-out"], "NET-04": ["failure"], "BOOT-01": ["system-out"], "BOOT-05": ["skipped"]}


def test_sarif_with_proofs_is_valid(said: Report, tmp_path: Path) -> None:
    (tmp_path / "report.sarif").write_text(rendered(said, "sarif"))
    assert complaints(tmp_path / "report.sarif") == []


def test_json_holds_all_of_it(said: Report) -> None:
    value = json.loads(rendered(said, "json"))
    (boot,) = (result for result in value["results"] if result["id"] == "BOOT-01")
    assert boot["proven"] == "proven"
    assert boot["checks"][1]["proof"]["pictures"][0]["png"] == PNG
    assert boot["checks"][1]["seen"] == [HOSTILE, "Access Denied"]
