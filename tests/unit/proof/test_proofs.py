import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from everest_secure.errors import UserError
from everest_secure.paths import data
from everest_secure.proof.proofs import OEQA_CASES, read_proofs
from everest_secure.report.model import Picture
from everest_secure.result import Outcome
from support.proofs import PNG, TARGET, content, entry, write
from support.reports import HOSTILE

CONFIGURATION = {"STARTTIME": "20260821130000", "MACHINE": "qemux86-64", "IMAGE_BASENAME": "everest-secure-image", "TEST_TYPE": "runtime"}
CASES = "everest_hardening.RootFileSystemTest"


def results(**said: str) -> dict[str, Any]:
    """Return a testresults.json of these cases of the root file system, as oeqa/core/runner.py writes it."""
    tests = {f"{CASES}.{name}": {"status": status, "log": "Traceback\nAssertionError: it is writable\n"} for name, status in said.items()}
    return {"runtime_everest_2026": {"configuration": CONFIGURATION, "result": {**tests, "ping.PingTest.test_ping": {"status": "PASSED"}}}}


def test_a_run_is_read_with_all_that_the_target_said(tmp_path: Path) -> None:
    said = entry("BOOT-01", "FS-02", outcome="failed", reason="it booted", excerpt=[HOSTILE], pictures=1)
    (proofs,) = read_proofs(write(tmp_path / "proofs.json", content(said)))
    assert (proofs.run.target, proofs.run.time.isoformat()) == (TARGET, "2026-08-21T13:00:00+00:00")
    assert proofs.artefacts == {"disk.raw": "ab" * 32}
    (scenario,) = proofs.scenarios
    assert scenario.requirements == ("BOOT-01", "FS-02")
    assert (scenario.part.outcome, scenario.part.reason, scenario.part.seen) == (Outcome.FAIL, "it booted", (HOSTILE,))
    assert scenario.part.proof
    assert scenario.part.proof.pictures == (Picture("the firmware", PNG),)


def test_results_of_testimage_are_read_and_know_their_requirements(tmp_path: Path) -> None:
    value = results(test_the_root_cannot_be_written="FAILED", test_the_root_is_verified="PASSED")
    (proofs,) = read_proofs(write(tmp_path / "testresults.json", value))
    assert proofs.run.target == "qemux86-64 with everest-secure-image, by OE-Core's testimage"
    said = [(scenario.requirements, scenario.part.check, scenario.part.outcome, scenario.part.reason) for scenario in proofs.scenarios]
    assert said == [
        (("FS-01",), "the root cannot be written", Outcome.FAIL, "AssertionError: it is writable"),
        (("FS-02",), "the root is verified", Outcome.PASS, ""),
    ]


def test_every_case_of_the_layer_names_its_requirement() -> None:
    """Else its result would be about nothing, and be dropped."""
    for file in data("meta-everest-secure").parent.joinpath(OEQA_CASES).glob("*.py"):
        methods = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)]
        tests = [method for method in methods if method.name.startswith("test_")]
        assert tests
        assert [method.name for method in tests if not (ast.get_docstring(method) or "")[:1].isupper()] == []


def change(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["proofs"][0].update({key: value})


@pytest.mark.parametrize(
    "damage",
    [
        lambda value: value.update(format=2),
        lambda value: value.update(time="noon"),
        lambda value: value.update(time="2026-08-21T13:00:00"),
        lambda value: value.update(artefacts=[]),
        lambda value: value["artefacts"][0].update(sha256="AB"),
        change("requirements", []),
        change("requirements", ["all"]),
        change("outcome", "good"),
        change("pictures", [{"title": "x", "png": "PHN2Zz4="}]),
        change("pictures", [{"title": "x", "png": PNG + '\n" onload=alert(1)'}]),
        change("excerpt", "text"),
        change("more", 1),
    ],
)
def test_what_is_no_file_of_proofs_is_refused_in_one_sentence(tmp_path: Path, damage: Callable[[dict[str, Any]], object]) -> None:
    value = content(entry("BOOT-01"))
    damage(value)
    with pytest.raises(UserError, match=r"proofs\.json is no file of proofs .*; make it with 'make boot'") as error:
        read_proofs(write(tmp_path / "proofs.json", value))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "damage", [{"configuration": {}, "result": {}}, {"configuration": CONFIGURATION, "result": [1]}, {"configuration": 1, "result": 2}]
)
def test_damaged_results_of_testimage_are_refused_in_one_sentence(tmp_path: Path, damage: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"is no file of proofs") as error:
        read_proofs(write(tmp_path / "testresults.json", {"run": damage}))
    assert "\n" not in str(error.value)


def test_results_of_testimage_without_this_layer_s_cases_are_no_proof(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="put 'everest_hardening' into TEST_SUITES"):
        read_proofs(write(tmp_path / "testresults.json", results()))


@pytest.mark.parametrize("text", ["{", "[]", "{}", json.dumps([[]] * 10), "\x00"])
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "proofs.json").write_text(text)
    with pytest.raises(UserError):
        read_proofs(tmp_path / "proofs.json")
