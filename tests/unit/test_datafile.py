from pathlib import Path

import pytest

from everest_secure.datafile import MAX_BYTES, MAX_DEPTH, Document, read
from everest_secure.errors import UserError


class Refused(UserError):
    pass


def read_document(path: Path) -> Document:
    return read(path, error=Refused)


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "my.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_every_value_keeps_its_line(tmp_path: Path) -> None:
    document = read_document(written(tmp_path, "a: 1\nb:\n  - x\n  - c: 2027-01-31\n"))
    assert document.value == {"a": 1, "b": ["x", {"c": "2027-01-31"}]}
    assert document.where(["b", 1, "c"]) == f"{tmp_path}/my.yml:4"
    assert document.where(["b", 0]) == f"{tmp_path}/my.yml:3"
    assert document.where(["b", 7, "z"]) == f"{tmp_path}/my.yml:2"


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("a: 1\na: 2\n", 2, "twice"),
        ("a: &x [1]\nb: *x\n", 2, "aliases"),
        ("a: !!python/object/apply:os.system [x]\n", 1, "tag"),
        ("a: !!binary aGk=\n", 1, "tag"),
        ("a:\n  - 1: x\n", 2, "quotes"),
        ("a: [\n", 2, "no YAML"),
        ("a: 1\n---\nb: 2\n", 2, "no YAML"),
        ("a: \x07\n", None, "YAML does not allow"),
        (b"a: \xff\xfe\n", None, "YAML does not allow"),
        ("a: " + "[" * (MAX_DEPTH + 5), 1, "nested"),
        ("a: " + "[" * 200_000, 1, "nested"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_line(tmp_path: Path, content: str | bytes, line: int | None, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(Refused, match=said) as error:
        read_document(path)
    if line is not None:
        assert str(error.value).startswith(f"{path}:{line}:")
    assert "\n" not in str(error.value)


def test_a_file_that_is_far_too_large_is_not_read_into_memory(tmp_path: Path) -> None:
    with written(tmp_path, "").open("wb") as file:
        file.truncate(MAX_BYTES * 4096)
    with pytest.raises(Refused, match="larger than"):
        read_document(tmp_path / "my.yml")


@pytest.mark.parametrize("name", ["absent.yml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_document(tmp_path / name)
