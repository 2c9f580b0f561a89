import re

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from everest_secure.report.markdown import MOST_CHARACTERS, MOST_FINDINGS, code, escaped
from everest_secure.report.model import Report
from everest_secure.report.renderer import Look, renderers
from everest_secure.result import Outcome
from everest_secure.text import printable
from support.reports import HOSTILE, WAIVER, finding, part, report

OURS = re.compile(r"</?details( open)?>|</?summary>|</?b>|</?sub>|<br>")
TRICKS = (
    HOSTILE,
    "[click](https://evil.example) ![x](x.png) <img src=x onerror=alert(1)> **bold** _it_ ~~gone~~",
    "@everyone see #1 and https://evil.example or www.evil.example",
    "1. a list",
    "- a list",
    "# a heading",
    "> a quote",
    "cell | another | cell",
    "`code` and ``more``",
    "&lt;b&gt; &amp; &#64;you",
    "\\` <b>",
    "</details> text",
    "---",
    "$x$",
)


def rendered(said: Report) -> str:
    return renderers()["markdown"].render(said, Look())


def tokens(text: str) -> list[Token]:
    """What a Markdown reader of today makes of a text, block by block and word by word."""
    found: list[Token] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        found += [token, *(token.children or [])]
    return found


def shown(text: str) -> str:
    return "".join(token.content for token in tokens(text) if token.type in ("text", "text_special", "code_inline")).replace("\u200b", "")


@pytest.mark.parametrize("trick", TRICKS)
def test_a_hostile_text_is_shown_as_text(trick: str) -> None:
    said = escaped(trick)
    assert {token.type for token in tokens(f"- {said}")} <= {
        *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
        *("paragraph_open", "paragraph_close", "inline", "text", "text_special"),
    }
    assert shown(f"- {said}") == printable(trick)
    assert not re.search(r"@\w|#\d|://|www\.", said)


@pytest.mark.parametrize("trick", TRICKS)
def test_a_hostile_path_is_code_and_nothing_else(trick: str) -> None:
    types = [token.type for token in tokens(f"a {code(trick)} b")]
    assert types == ["paragraph_open", "inline", "text", "code_inline", "text", "paragraph_close"]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_report_on_a_hostile_image_holds_no_html_but_its_own_and_no_link(trick: str) -> None:
    parts = [part(Outcome.FAIL, findings=[finding(trick, trick), finding(waiver=WAIVER)], seen=[trick], reason=trick)]
    found = tokens(rendered(report(("NET-01", Outcome.FAIL, parts), ("FS-05", Outcome.ERROR, parts), notices=[trick], name=trick)))
    assert not {"link_open", "image", "em_open", "s_open"} & {token.type for token in found}
    for token in found:
        if token.type in ("html_block", "html_inline"):
            assert "<" not in OURS.sub("", token.content), token.content


def test_it_begins_with_the_verdict_and_lists_what_needs_attention() -> None:
    said = rendered(report(("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding()])])))
    assert said.startswith("### 🔴 Not acceptable: 1 requirement not met\n")
    assert "| 🔴 fail | **NET-01** The main MQTT broker listens on one unix socket only | critical | it is fail |" in said
    assert "- listener 1883 is open<br>`disk.raw:rootfs-a: /etc/mosquitto/x.conf:3`<br>Remove the listener." in said


def test_every_requirement_is_in_it_by_its_id() -> None:
    said = report(("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding()])]))
    assert all(result.requirement.id in rendered(said) for result in said.results)


def test_a_good_report_is_short() -> None:
    said = rendered(report(("NET-01", Outcome.PASS, [part(Outcome.PASS, seen=["read"])])))
    assert said.startswith("### 🟢 Acceptable")
    assert "|" not in said
    assert said.count("<details") == 1


def test_a_flood_of_findings_fits_into_a_comment_and_says_so() -> None:
    flood = [finding(f"file {number} is loose" + " x" * 1000, "/" + "long/" * 100) for number in range(MOST_FINDINGS + 5)]
    ids = [result.requirement.id for result in report().results]
    said = rendered(report(*((identifier, Outcome.FAIL, [part(Outcome.FAIL, findings=flood)]) for identifier in ids)))
    assert len(said) < MOST_CHARACTERS + 500
    assert "- and 5 more" in said
    assert "There is more, which does not fit into a comment" in said
    assert said.count("<details") == said.count("</details>")


def test_a_waived_finding_names_owner_and_reason() -> None:
    said = rendered(report(("NET-01", Outcome.WAIVED, [part(Outcome.WAIVED, findings=[finding(waiver=WAIVER)])])))
    assert "Waived by Jane Doe until 2027-01-31: until the new board." in said
