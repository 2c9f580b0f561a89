import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from everest_secure.errors import UserError
from everest_secure.proof.reading import read_whole
from everest_secure.report.renderer import Look, renderers
from everest_secure.result import Outcome
from support.reports import HOSTILE, WAIVER, finding, part, report

SAID = report(
    ("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding(HOSTILE, HOSTILE), finding(waiver=WAIVER)], seen=[HOSTILE])]),
    ("NET-04", Outcome.ERROR, [part(Outcome.ERROR, reason="unreadable")]),
    ("BOOT-04", Outcome.EVIDENCE_PRESENT, ()),
    notices=[HOSTILE],
)
TEXT = renderers()["json"].render(SAID, Look())


def test_a_report_is_read_back_whole(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(TEXT)
    assert read_whole(tmp_path / "report.json") == SAID


@pytest.mark.parametrize("name", renderers())
def test_a_report_that_was_read_back_looks_in_every_form_as_it_did(tmp_path: Path, name: str) -> None:
    (tmp_path / "report.json").write_text(TEXT)
    again = renderers()[name].render(read_whole(tmp_path / "report.json"), Look())
    assert again == renderers()[name].render(SAID, Look())


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["parameters"].popitem(),
        lambda value: value["parameters"].update(evidence_days="many"),
        lambda value: value.update(time="2026-08-21T12:30:00"),
        lambda value: value["results"][0].pop("catalogue"),
        lambda value: value["results"][0]["catalogue"].update(severity="high"),
        lambda value: value["results"][3]["statements"].append({"text": "", "owner": "", "signed": "2026", "expires": "2026", "where": ""}),
        lambda value: value["artefacts"][0].update(more=1),
        lambda value: value.update(runs=[{"target": "QEMU", "time": "noon"}]),
    ],
)
def test_what_is_no_whole_report_is_refused_in_one_sentence(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(TEXT)
    change(value)
    (tmp_path / "report.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match=r"report\.json is no report of .*; make it with 'everest-secure check --json FILE'") as error:
        read_whole(tmp_path / "report.json")
    assert "\n" not in str(error.value)
