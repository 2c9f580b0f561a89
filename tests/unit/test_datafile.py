from pathlib import Path

import pytest

from everest_secure import datafile
from everest_secure.errors import UserError

SCHEMA = '{"type": "object", "additionalProperties": false, "properties": {"a": {"type": "array", "items": {"type": "integer"}}, "b": {}}}'


class Refused(UserError):
    pass


def load(tmp_path: Path, content: bytes) -> dict[str, object]:
    path, schema = tmp_path / "x.yml", tmp_path / "schema.json"
    path.write_bytes(content)
    schema.write_text(SCHEMA)
    return datafile.load(path, schema=schema, error=Refused)


def test_a_file_that_holds_to_its_schema_is_returned(tmp_path: Path) -> None:
    assert load(tmp_path, b"a: [1, 2]\nb: x\n") == {"a": [1, 2], "b": "x"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a:\n  - 1\n  - two\n", "x.yml:3: a.1: 'two' is not of type 'integer'"),
        (b"c: 1\n", "x.yml:1: Additional properties"),
        (b"a: [1]\na: [2]\n", "x.yml:2: the key 'a' is there twice"),
        (b"b: &x [1]\na: *x\n", "x.yml:2: aliases are not read"),
        (b"b: [1\n", "is no YAML"),
        (b"b: \x00\n", "is no YAML"),
        (b"\xff\xfe\xfd", "no UTF-8"),
        (b"", "is empty"),
        (b"- 1\n", "x.yml:1: [1] is not of type 'object'"),
        (b"? [1]\n: 2\n", "a key is no plain word"),
        (b"b: !!python/object:os.system {}\n", "x.yml:1: this is no YAML that can be read"),
        (b"b: 2026-13-45\n", "a date that does not exist"),
        (b"b: " + b"[" * 100_000, "x.yml:1: more than 32 levels"),
        (b"#" * 300_000, "more than 262144 bytes"),
    ],
)
def test_a_file_that_does_not_is_refused_by_line_and_key(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(Refused) as refused:
        load(tmp_path, content)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"nowhere\.yml cannot be read"):
        datafile.load(tmp_path / "nowhere.yml", schema=tmp_path / "s", error=Refused)
