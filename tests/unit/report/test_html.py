import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from everest_secure.report.model import Report
from everest_secure.report.renderer import Look, renderers
from everest_secure.result import Outcome
from support.reports import HOSTILE, WAIVER, finding, part, report

VOID = {"meta", "input", "br", "link", "img", "hr"}
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


class Page(HTMLParser):
    """What a test asks of a page: tags with attributes, text by tag, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def rendered(said: Report) -> str:
    return renderers()["html"].render(said, Look())


HOSTILE_REPORT = report(
    (
        "NET-01",
        Outcome.FAIL,
        [part(Outcome.FAIL, findings=[finding(HOSTILE, HOSTILE), finding(waiver=WAIVER)], seen=[HOSTILE], reason=HOSTILE)],
    ),
    ("NET-04", Outcome.ERROR, [part(Outcome.ERROR, reason="unreadable")]),
    ("NET-06", Outcome.PASS, [part(Outcome.PASS, seen=["42 units"])]),
    ("BOOT-04", Outcome.EVIDENCE_PRESENT, ()),
    notices=[HOSTILE],
    name=f'"{HOSTILE}.raw',
)


def test_every_requirement_can_be_opened_and_what_needs_attention_is_open() -> None:
    page = Page(rendered(HOSTILE_REPORT))
    opened = {item["id"]: "open" in item for item in page.every("details") if "id" in item}
    assert list(opened) == [result.requirement.id for result in HOSTILE_REPORT.results]
    assert {identifier for identifier, is_open in opened.items() if is_open} == {"NET-01", "NET-04"} | {
        result.requirement.id for result in HOSTILE_REPORT.results if HOSTILE_REPORT.counts_against(result.outcome)
    }
    assert page.open == []


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = Page(rendered(HOSTILE_REPORT))
    for _, attributes in page.tags:
        assert not {"src", "srcset", "action", "data", "style", "onclick"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert not page.every("link")
    assert "url(" not in "".join(page.texts["style"])
    assert "@import" not in "".join(page.texts["style"])


def test_only_the_page_s_own_script_and_style_may_run() -> None:
    page = Page(rendered(HOSTILE_REPORT))
    (script,) = page.texts["script"]
    (style,) = page.texts["style"]
    (policy,) = (meta["content"] for meta in page.every("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    for name, text in (("script", script), ("style", style)):
        assert f"{name}-src 'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in policy


def test_hostile_text_is_text() -> None:
    text = rendered(HOSTILE_REPORT)
    assert text.count("<script>") == text.count("</script>") == 1
    assert "&lt;script&gt;alert(1)" in text
    assert all(character.isprintable() or character == "\n" for character in text)


def test_the_header_names_artefact_digest_profile_time_and_tool() -> None:
    text = rendered(report(name="charger.raw"))
    for said in ("charger.raw", "ab" * 32, "production", "21 August 2026, 12:30 UTC", "everest-secure 1.2.3", "4.0 KiB"):
        assert said in text


def test_a_name_at_the_start_of_a_finding_keeps_its_case() -> None:
    findings = [finding("rauc.service is masked"), finding("the keyring is empty")]
    text = rendered(report(("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=findings)])))
    assert "rauc.service is masked." in text
    assert "The keyring is empty." in text


def test_each_clause_leads_to_its_requirements() -> None:
    page = Page(rendered(HOSTILE_REPORT))
    anchors = {item["id"] for item in page.every("details") if "id" in item}
    references = {(link["href"] or "")[1:] for link in page.every("a") if link.get("class", "").startswith("ref")}  # type: ignore[union-attr]  # never None
    assert references == anchors


@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on this machine")
def test_in_a_browser_the_filter_works_and_no_policy_is_violated(tmp_path: Path) -> None:
    """The page's own script runs under its policy: it shows the filter and counts the requirements."""
    (tmp_path / "report.html").write_text(rendered(HOSTILE_REPORT), errors="backslashreplace")
    assert BROWSER is not None
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path}/profile",
        "--dump-dom",
    ]
    done = subprocess.run(
        [BROWSER, *options, (tmp_path / "report.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    page = Page(done.stdout)
    assert "".join(page.texts["output"]) == "66 of 66 shown"
    assert all("hidden" not in form for form in page.every("form"))
    assert "Content Security Policy" not in done.stderr
