import csv
import io
import json
import re

import pytest
from jsonschema import Draft202012Validator

from everest_secure.cli.main import main
from everest_secure.policy.catalogue import load_catalogue
from everest_secure.policy.schema import load_schema
from everest_secure.report.matrix import FORMATS, HEADS
from everest_secure.report.renderer import Look
from everest_secure.traceability import Matrix, trace

IDS = [entry.id for entry in load_catalogue().requirements]


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return trace(load_catalogue())


@pytest.mark.parametrize("name", FORMATS)
def test_every_requirement_is_in_every_format_in_the_order_of_the_catalogue(name: str, matrix: Matrix) -> None:
    said = FORMATS[name](matrix, Look())
    places = [re.search(rf"\b{identifier}\b", said) for identifier in IDS]
    starts = [found.start() for found in places if found]
    assert len(starts) == len(IDS)
    assert starts == sorted(starts)


@pytest.mark.parametrize("detail", [0, 1])
@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_table_is_no_wider_than_the_terminal(width: int, detail: int, matrix: Matrix) -> None:
    assert max(map(len, FORMATS["table"](matrix, Look(width, detail=detail)).splitlines())) <= width


def test_the_table_shows_every_path_when_asked_for(matrix: Matrix) -> None:
    wide = FORMATS["table"](matrix, Look(width=2000, detail=1))
    assert all(str(place) in wide for entry in matrix.traces for place in (*entry.built_in, *entry.proven_by))


def test_csv_is_read_back_as_it_was(matrix: Matrix) -> None:
    rows = list(csv.reader(io.StringIO(FORMATS["csv"](matrix, Look()))))
    assert tuple(rows[0]) == HEADS
    assert [row[0] for row in rows[1:]] == IDS
    assert [row[3].splitlines() for row in rows[1:]] == [[str(place) for place in entry.built_in] for entry in matrix.traces]


def test_json_conforms_to_its_schema(matrix: Matrix) -> None:
    value = json.loads(FORMATS["json"](matrix, Look()))
    schema = Draft202012Validator(load_schema("matrix.schema.json"))
    schema.validate(value)
    for key in value:
        assert not schema.is_valid({other: value[other] for other in value if other != key}), key


def test_the_page_needs_nothing_from_elsewhere(matrix: Matrix) -> None:
    said = FORMATS["html"](matrix, Look())
    assert "default-src 'none'; style-src 'sha256-" in said
    assert not re.search(r"<script|<link|<img|src=|url\(|https?:", said)


def test_what_an_installation_lacks_is_said_in_every_format_for_people(matrix: Matrix) -> None:
    lacking = Matrix(matrix.traces, ("tests",))
    for name in ("table", "markdown", "html"):
        assert "tests/ is not part of this installation" in " ".join(FORMATS[name](lacking, Look()).split())
    assert json.loads(FORMATS["json"](lacking, Look()))["missing"] == ["tests"]


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("ID,Requirement,Severity")
