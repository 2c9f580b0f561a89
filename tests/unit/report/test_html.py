import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from everest_secure.policy.requirement import Severity
from everest_secure.report.model import Report, Subject
from everest_secure.report.renderer import Look, renderers
from everest_secure.result import Outcome
from support.browser import Browser, browser
from support.reports import HOSTILE, WAIVER, finding, part, report

VOID = {"meta", "input", "br", "link", "img", "hr"}


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


def test_what_is_inside_an_artefact_is_named_by_what_its_name_adds() -> None:
    inside = ["a.raw", "a.raw:slot", "a.raw:slot", "b.raucb", "b.raucb:payload", "b.raucb:rootfs.img"]
    subjects = tuple(Subject(name, "gpt", 1, depth=depth) for name, depth in zip(inside, (0, 1, 2, 0, 1, 2), strict=True))
    page = Page(rendered(replace(report(), subjects=subjects)))
    shown = [text for text in page.texts["td"] if text in {*inside, "slot", "its content", "payload", "rootfs.img"}]
    assert shown == ["a.raw", "b.raucb", "a.raw", "slot", "its content", "b.raucb", "payload", "rootfs.img"]


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


TAB, ENTER, SPACE = ("Tab", 9), ("Enter", 13, "\r"), (" ", 32, " ")
SHOWN = "[...document.querySelectorAll('main details')].filter((item) => item.checkVisibility()).map((item) => item.id)"
FOCUS = "document.activeElement.dataset.outcome || document.activeElement.name || document.activeElement.parentElement.id || document.activeElement.className"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The hostile report in a browser."""
    directory = tmp_path_factory.mktemp("browser")
    (directory / "report.html").write_text(rendered(HOSTILE_REPORT), errors="backslashreplace")
    with browser(directory / "profile") as found:
        found.open(directory / "report.html")
        yield found


def ids(*, outcome: Outcome | None = None, severity: Severity | None = None, group: str = "") -> list[str]:
    return [
        result.requirement.id
        for result in HOSTILE_REPORT.results
        if outcome in (None, result.outcome) and severity in (None, result.requirement.severity) and group in ("", result.requirement.group)
    ]


def choose(seen: Browser, name: str, value: str) -> None:
    seen.run(f"form.elements.{name}.value = {json.dumps(value)}; form.dispatchEvent(new Event('input'))")


def reset(seen: Browser) -> None:
    """Press the button, and wait until the page has followed."""
    seen.run("form.querySelector('[type=reset]').click()")
    seen.ask("Runtime.evaluate", expression="new Promise((done) => setTimeout(done))", awaitPromise=True)


def test_in_a_browser_nothing_is_requested_and_no_policy_is_violated(seen: Browser) -> None:
    assert [request["request"]["url"].partition(":")[0] for request in seen.said("Network.requestWillBeSent")] == ["file"]
    assert seen.said("Log.entryAdded") == []
    assert seen.said("Runtime.exceptionThrown") == []
    assert seen.run("document.scripts.length") == 1


def test_the_policy_of_the_page_stops_a_script_that_is_not_its_own(seen: Browser) -> None:
    """Else the test before could not fail."""
    seen.run(
        "const strange = document.createElement('script'); strange.textContent = 'globalThis.owned = 1'; document.body.append(strange)"
    )
    assert seen.run("globalThis.owned") is None
    seen.run("const picture = new Image(); picture.src = 'http://127.0.0.1:9/x.png'; document.body.append(picture)")
    seen.run("strange.remove(); picture.remove()")
    assert [failure.get("blockedReason") for failure in seen.said("Network.loadingFailed")] == ["csp"]
    assert any("Content Security Policy" in entry["entry"]["text"] for entry in seen.said("Log.entryAdded"))


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if HOSTILE_REPORT.counts[outcome]])
def test_a_tile_shows_the_requirements_of_its_outcome(seen: Browser, outcome: Outcome) -> None:
    reset(seen)
    seen.run(f"document.querySelector('.tile[data-outcome={str(outcome).replace(' ', '-')}]').click()")
    assert seen.run(SHOWN) == ids(outcome=outcome)
    assert seen.run("form.elements.shown.value") == f"{len(ids(outcome=outcome))} of 66 shown"


@pytest.mark.parametrize("severity", Severity)
def test_severities_are_filtered(seen: Browser, severity: Severity) -> None:
    reset(seen)
    choose(seen, "severity", severity)
    assert seen.run(SHOWN) == ids(severity=severity)


@pytest.mark.parametrize("group", HOSTILE_REPORT.groups)
def test_groups_are_filtered(seen: Browser, group: str) -> None:
    reset(seen)
    choose(seen, "group", group)
    assert seen.run(SHOWN) == ids(group=group)


def test_filters_hold_together_and_reset_shows_everything(seen: Browser) -> None:
    reset(seen)
    choose(seen, "group", "Services, network, access")
    choose(seen, "severity", "critical")
    seen.run("document.querySelector('.tile[data-outcome=fail]').click()")
    assert seen.run(SHOWN) == ["NET-01"]
    choose(seen, "text", "no such words")
    assert seen.run(SHOWN) == []
    assert seen.run("document.querySelector('.nothing').checkVisibility()") is True
    reset(seen)
    assert seen.run(SHOWN) == ids()


def test_words_are_looked_for_in_everything_that_is_said_of_a_requirement(seen: Browser) -> None:
    reset(seen)
    choose(seen, "text", "LISTENER 1883")
    assert seen.run(SHOWN) == ["NET-01"]


def test_what_needs_attention_is_one_press_away(seen: Browser) -> None:
    reset(seen)
    seen.run("form.elements.attention.click()")
    assert seen.run(SHOWN) == [result.requirement.id for result in HOSTILE_REPORT.results if HOSTILE_REPORT.needs_attention(result)]


def test_everything_is_reached_and_worked_by_the_keyboard(seen: Browser) -> None:
    reset(seen)
    seen.run("document.activeElement.blur(); scrollTo(0, 0); getSelection().collapse(document.body, 0)")
    reached: list[str] = []
    while len(reached) < 60 and (not reached or reached[-1] != "FS-02"):
        seen.press(*TAB)
        reached.append(seen.run(FOCUS))
    assert reached[0] == "skip"
    wanted = ["error", "fail", "not-checked", "text", "group", "severity", "attention", "expand", "FS-01", "FS-02"]
    assert [name for name in reached if name in wanted] == wanted
    is_open = "document.getElementById('FS-02').open"
    before = seen.run(is_open)
    seen.press(*ENTER)
    assert seen.run(is_open) is not before
    seen.run("document.querySelector('.tile[data-outcome=fail]').focus()")
    seen.press(*SPACE)
    assert seen.run(SHOWN) == ids(outcome=Outcome.FAIL)
    seen.run("form.elements.text.focus()")
    seen.type("no such words")
    assert seen.run(SHOWN) == []


def test_a_link_to_a_requirement_opens_it_even_when_it_is_filtered_away(seen: Browser) -> None:
    reset(seen)
    choose(seen, "group", "TPM")
    seen.run("document.getElementById('NET-09').open = false; location.hash = '#NET-09'")
    seen.ask(
        "Runtime.evaluate",
        expression="new Promise((done) => setTimeout(done, 0)).then(() => new Promise(requestAnimationFrame))",
        awaitPromise=True,
    )
    assert seen.run("document.getElementById('NET-09').open") is True
    assert seen.run("document.getElementById('NET-09').checkVisibility()") is True


def test_on_paper_everything_is_open_and_nothing_can_be_pressed(seen: Browser) -> None:
    reset(seen)
    seen.ask("Emulation.setEmulatedMedia", media="print")
    assert seen.run("getComputedStyle(document.querySelector('.filter')).display") == "none"
    seen.run("dispatchEvent(new Event('beforeprint'))")
    assert seen.run("document.querySelectorAll('details:not([open])').length") == 0
    seen.run("dispatchEvent(new Event('afterprint'))")
    assert seen.run("document.querySelectorAll('details:not([open])').length") > 0
    seen.ask("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_colours_of_the_reader_and_stays_readable(seen: Browser, scheme: str) -> None:
    """The contrast of text is at least 4.5 (WCAG 2.2, 1.4.3)."""
    seen.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    colours = {name: seen.run(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}').trim()") for name in COLOURS}
    assert (luminance(colours["paper"]) > 0.5) == (scheme == "light")
    for ground in ("paper", "card"):
        for name in ("ink", "soft", "error", "fail", "owed", "unknown", "waived", "pass"):
            one, other = sorted((luminance(colours[name]), luminance(colours[ground])))
            assert (other + 0.05) / (one + 0.05) >= 4.5, f"{name} on {ground}"


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_no_width_makes_the_page_scroll_sideways(seen: Browser, width: int) -> None:
    reset(seen)
    seen.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    assert seen.run("document.documentElement.scrollWidth") <= width
    seen.ask("Emulation.clearDeviceMetricsOverride")


COLOURS = ("paper", "card", "ink", "soft", "error", "fail", "owed", "unknown", "waived", "pass")


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    parts = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue))
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))
