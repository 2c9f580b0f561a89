from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure import traceability
from everest_secure.checks.core import registered
from everest_secure.paths import data
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.traceability import PROOFS, Matrix, trace

REPOSITORY = data("meta-everest-secure").parent


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return trace(load_catalogue())


def test_every_line_of_the_matrix_names_the_requirement(matrix: Matrix) -> None:
    places = [(entry.requirement.id, place) for entry in matrix.traces for place in (*entry.built_in, *entry.proven_by)]
    assert len(places) > 300
    for identifier, place in places:
        lines = (REPOSITORY / place.file).read_text().splitlines()
        assert all(identifier in lines[number - 1] for number in place.lines), f"{identifier}: {place}"


def test_every_registered_check_is_in_it_at_the_line_of_its_decorator(matrix: Matrix) -> None:
    checkers = [(entry.requirement.id, checker) for entry in matrix.traces for checker in entry.checked_by]
    assert len(checkers) == len(registered())
    for identifier, checker in checkers:
        lines = (REPOSITORY / checker.place.file).read_text().splitlines()
        assert f'@check("{identifier}"' in lines[checker.place.lines[0] - 1]


def test_every_check_has_a_test_of_its_own(matrix: Matrix) -> None:
    assert [
        entry.requirement.id for entry in matrix.traces if entry.checked_by and not any(p.kind == "unit" for p in entry.proven_by)
    ] == []


def test_tests_are_of_a_kind_and_the_other_tests_prove_nothing(matrix: Matrix) -> None:
    proofs = {(place.kind, place.file) for entry in matrix.traces for place in entry.proven_by}
    assert {kind for kind, _ in proofs} == set(PROOFS)
    assert all(file.startswith(PROOFS[kind]) for kind, file in proofs)
    assert not {"test_verify.py", "test_core.py", "test_waivers.py", "test_traceability.py"} & {Path(file).name for _, file in proofs}


def test_documents_and_the_tests_of_the_target_build_nothing_in(matrix: Matrix) -> None:
    files = {place.file for entry in matrix.traces for place in entry.built_in}
    assert not [file for file in files if file.startswith("meta-everest-secure/lib/oeqa") or file == "meta-everest-secure/README.md"]


def test_an_installation_without_tests_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a wheel is laid out: the layer beside the modules, and nothing else."""
    (tmp_path / "meta-everest-secure").mkdir()
    (tmp_path / "meta-everest-secure/a.bb").write_text('# NET-01: x\nSUMMARY = "x"\n# NET-01, NET-02\n')
    monkeypatch.setattr(traceability, "data", lambda name: tmp_path / name)
    found = trace(load_catalogue())
    assert found.missing == ("kas", "tests")
    assert [str(place) for place in found.get("NET-01").built_in] == ["meta-everest-secure/a.bb:1,3"]
    assert found.get("NET-01").proven_by == ()
    assert found.get("NET-01").checked_by[0].place.file == "checks/net.py"


def test_a_place_is_a_file_with_its_lines() -> None:
    place = traceability.Place("kas/base.yml", (3, 17))
    assert (str(place), place.name) == ("kas/base.yml:3,17", "base.yml")
    assert str(replace(place, lines=(1,))) == "kas/base.yml:1"
