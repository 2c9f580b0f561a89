"""What scenarios showed on a running target: read from the file that `make boot` writes, or from the results of OE-Core's testimage."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from everest_secure.errors import UserError
from everest_secure.paths import data
from everest_secure.proof.reading import zoned
from everest_secure.report.json_file import PROOFS, load_json, validated
from everest_secure.report.model import Part, Picture, Proof, Run
from everest_secure.result import Outcome

OUTCOMES = {"proven": Outcome.PASS, "failed": Outcome.FAIL, "not run": Outcome.NOT_APPLICABLE}
OEQA_OUTCOMES = {
    "PASSED": Outcome.PASS,
    **dict.fromkeys(("FAILED", "ERROR", "EXPECTEDFAIL"), Outcome.FAIL),
    **dict.fromkeys(("SKIPPED", "UNKNOWN"), Outcome.NOT_APPLICABLE),
}
"""By the words of OE-Core's oeqa/core/runner.py."""
OEQA_CASES = "meta-everest-secure/lib/oeqa/runtime/cases"
_ID = re.compile(r"\b[A-Z]{2,5}-\d\d\b")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, with the requirements that it is about; it has no findings yet."""

    requirements: tuple[str, ...]
    part: Part


@dataclass(frozen=True, slots=True)
class Proofs:
    """A run of scenarios."""

    source: str
    """The file."""
    run: Run
    artefacts: Mapping[str, str]
    """SHA-256 in hex of what they ran with, by name; empty when the file does not say it."""
    scenarios: tuple[Scenario, ...]


def read_proofs(path: Path) -> tuple[Proofs, ...]:
    """Return the runs in a file of proofs, or in a testresults.json. Raises UserError when it is neither."""
    value = load_json(path, PROOFS)
    try:
        if (
            isinstance(value, dict)
            and value
            and all(isinstance(run, dict) and {"configuration", "result"} <= set(run) for run in value.values())
        ):
            return tuple(_of_oeqa(run, path) for run in value.values())
        return (_proofs(validated(value, path, PROOFS), path),)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PROOFS.refusal(path, str(error) or type(error).__name__) from None


def _proofs(value: Mapping[str, Any], path: Path) -> Proofs:
    run = Run(value["target"], zoned(value["time"]))
    artefacts = {entry["name"]: entry["sha256"] for entry in value["artefacts"]}
    return Proofs(str(path), run, artefacts, tuple(_scenario(entry, run) for entry in value["proofs"]))


def _scenario(entry: Mapping[str, Any], run: Run) -> Scenario:
    pictures = tuple(Picture(picture["title"], picture["png"]) for picture in entry["pictures"])
    proof = Proof(entry["test"], pictures)
    part = Part(entry["sentence"], run.target, OUTCOMES[entry["outcome"]], entry["reason"], tuple(entry["excerpt"]), (), proof)
    return Scenario(tuple(entry["requirements"]), part)


def _of_oeqa(value: Mapping[str, Any], path: Path) -> Proofs:
    """Return the run of OE-Core's testimage; its cases of other layers are about nothing here."""
    configuration = value["configuration"]
    time = datetime.strptime(str(configuration["STARTTIME"]), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    run = Run(f"{configuration['MACHINE']} with {configuration['IMAGE_BASENAME']}, by OE-Core's testimage", time)
    about = dict(_about())
    scenarios = tuple(Scenario(about[test], _part_of_oeqa(test, said, run)) for test, said in value["result"].items() if about.get(test))
    if not scenarios:
        raise UserError(f"{path} holds no results of this layer's cases; put 'everest_hardening' into TEST_SUITES and run testimage again")
    return Proofs(str(path), run, {}, scenarios)


def _part_of_oeqa(test: str, said: Mapping[str, Any], run: Run) -> Part:
    sentence = test.rpartition(".")[2].removeprefix("test_").replace("_", " ")
    outcome = OEQA_OUTCOMES[said["status"]]
    lines = str(said.get("log", "")).strip().splitlines()
    reason = "" if outcome is Outcome.PASS else lines[-1] if lines else str(said["status"]).lower()
    return Part(sentence, run.target, outcome, reason, (), (), Proof(test))


def _about() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the names of this layer's cases, as testimage has them, with the requirements that their docstrings name."""
    for file in sorted((data(OEQA_CASES.partition("/")[0]) / OEQA_CASES.partition("/")[2]).glob("*.py")):
        for case in ast.walk(ast.parse(file.read_text())):
            if isinstance(case, ast.ClassDef):
                for method in case.body:
                    if isinstance(method, ast.FunctionDef) and method.name.startswith("test_"):
                        yield f"{file.stem}.{case.name}.{method.name}", tuple(_ID.findall(ast.get_docstring(method) or ""))
