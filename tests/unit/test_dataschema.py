from pathlib import Path

import pytest

from everest_secure import dataschema
from everest_secure.errors import UserError

SCHEMA = '{"type": "object", "additionalProperties": false, "properties": {"a": {"type": "array", "items": {"type": "integer"}}, "b": {"not": {"const": 1}}}}'


class Refused(UserError):
    pass


def load(tmp_path: Path, content: str) -> dict[str, object]:
    path, schema = tmp_path / "x.yml", tmp_path / "schema.json"
    path.write_text(content)
    schema.write_text(SCHEMA)
    return dataschema.load(path, schema=schema, error=Refused)[1]


def test_a_file_that_holds_to_its_schema_is_returned(tmp_path: Path) -> None:
    assert load(tmp_path, "a: [1, 2]\nb: x\n") == {"a": [1, 2], "b": "x"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a:\n  - 1\n  - two\n", 'x.yml:3: a[1]: must be a whole number, not "two"'),
        ("a: []\nc: 1\n", "x.yml:2: c: unknown key; known are a, b"),
        ("a: []\nb: 1\n", "x.yml:2: b: 1 should not be valid under {'const': 1}; mend it and try again"),
        ("- 1\n", "x.yml:1: must be a mapping, not [1]"),
        ("", "x.yml:1: must be a mapping, not null"),
    ],
)
def test_a_file_that_does_not_is_refused_by_line_and_key(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(Refused) as refused:
        load(tmp_path, content)
    assert str(refused.value) == f"{tmp_path}/{message}"
