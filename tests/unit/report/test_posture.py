import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from everest_secure.errors import UserError
from everest_secure.report.posture import is_report, of_report, read_report
from everest_secure.report.renderer import Look, renderers
from everest_secure.result import Outcome
from support.reports import HOSTILE, WAIVER, finding, part, report

SAID = report(
    ("NET-01", Outcome.FAIL, [part(Outcome.FAIL, findings=[finding(HOSTILE, HOSTILE), finding(waiver=WAIVER)])]),
    ("NET-04", Outcome.ERROR, [part(Outcome.ERROR, reason="unreadable")]),
)
TEXT = renderers()["json"].render(SAID, Look())


def test_a_report_is_read_back_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(TEXT)
    assert is_report(file)
    assert read_report(file) == of_report(SAID, source=str(file))
    assert len(read_report(file).stands) == 66
    assert read_report(file).artefacts == {"disk.raw": "ab" * 32}


def test_no_artefact_is_taken_for_a_report(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(b"hsqs{}")
    assert not is_report(tmp_path / "disk.raw")
    assert not is_report(tmp_path)
    assert not is_report(tmp_path / "absent")


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda value: value.pop(key)


@pytest.mark.parametrize(
    "change",
    [
        without("parameters"),
        without("results"),
        lambda value: value.update(format=2),
        lambda value: value.update(time="yesterday"),
        lambda value: value["results"][0].update(outcome="good"),
        lambda value: value["results"][0].update(severity="dreadful"),
        lambda value: value.update(artefacts=[]),
    ],
)
def test_what_is_no_report_of_this_version_is_refused_in_one_sentence(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(TEXT)
    change(value)
    (tmp_path / "report.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match=r"report\.json is no report of .*; make it with 'everest-secure check --json FILE'") as error:
        read_report(tmp_path / "report.json")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"{", b"{" + b"[" * 100_000, b'{"a": "\xff"}', b"[]", b"{}", b'{"format": 1e999999}'])
def test_hostile_json_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(UserError) as error:
        read_report(tmp_path / "report.json")
    assert "\n" not in str(error.value)
