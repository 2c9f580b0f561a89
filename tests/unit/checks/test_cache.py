import json
import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from everest_secure.checks.cache import MOST_ENTRIES, ResultCache, key_of
from everest_secure.errors import UserError
from everest_secure.result import CheckResult, Finding, Location, Outcome
from support.reports import HOSTILE

KEY = key_of(a=1)
RESULTS = {
    "NET-01 a.b": CheckResult("b", "root", Outcome.PASS, "", ("/etc/passwd",)),
    "NET-04 a.c": CheckResult(
        "c", "root", Outcome.FAIL, HOSTILE, (HOSTILE,), (Finding(HOSTILE, Location("root", HOSTILE, 3), "Mend it."),)
    ),
}


@pytest.fixture
def cache(tmp_path: Path) -> ResultCache:
    found = ResultCache(tmp_path / "cache")
    found.put(KEY, RESULTS)
    return found


def entry(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "cache").iterdir()
    return file


def test_results_are_found_again_as_they_were(cache: ResultCache) -> None:
    assert cache.get(KEY) == RESULTS
    assert cache.get(key_of(a=2)) == {}


def test_nobody_else_can_read_or_write_what_is_kept(cache: ResultCache, tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        cache.put(key_of(a=3), RESULTS)
    finally:
        os.umask(mask)
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "cache").iterdir()} == {0o600}
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert not [file.name for file in (tmp_path / "cache").iterdir() if file.name.startswith(".")]


def changed(change: Callable[[Any], object]) -> Callable[[Path], object]:
    def apply(file: Path) -> None:
        value = json.loads(file.read_text())
        change(value)
        file.write_text(json.dumps(value))

    return apply


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-40]),
        lambda file: file.write_bytes(b"\xff" * 100),
        lambda file: file.write_bytes(b"[" * 100_000),
        lambda file: file.write_text("[]"),
        lambda file: file.chmod(0o644),
        lambda file: os.truncate(file, 65 * 1024 * 1024),
        changed(lambda value: value.update(format=2)),
        changed(lambda value: value.update(key=key_of(a=2))),
        changed(lambda value: value["results"]["NET-04 a.c"].update(outcome="pass", findings=[])),
        changed(lambda value: value.pop("sha256")),
    ],
)
def test_an_entry_that_is_not_as_it_was_written_is_not_there(cache: ResultCache, tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    spoil(entry(tmp_path))
    assert cache.get(KEY) == {}
    cache.put(KEY, RESULTS)
    assert cache.get(KEY) == RESULTS


def resealed(value: dict[str, Any]) -> str:
    from everest_secure.checks.cache import _seal

    return json.dumps({**value, "sha256": _seal(value["results"])})


@pytest.mark.parametrize(
    "change",
    [
        lambda result: result.update(outcome="good"),
        lambda result: result.update(seen=[1]),
        lambda result: result.update(findings=[["what", "root", "/", "3", "Mend it."]]),
        lambda result: result.update(findings=[["what"]]),
        lambda result: result.pop("reason"),
    ],
)
def test_an_entry_that_holds_no_results_is_not_there(cache: ResultCache, tmp_path: Path, change: Callable[[Any], object]) -> None:
    file = entry(tmp_path)
    value = json.loads(file.read_text())
    change(value["results"]["NET-04 a.c"])
    file.write_text(resealed(value))
    assert cache.get(KEY) == {}


@pytest.mark.parametrize(
    "make", [lambda file: file.symlink_to("/etc/passwd"), lambda file: os.mkfifo(file, 0o600), lambda file: file.mkdir()]
)
def test_what_is_no_file_is_neither_followed_nor_waited_for(cache: ResultCache, tmp_path: Path, make: Callable[[Path], object]) -> None:
    file = entry(tmp_path)
    file.unlink()
    make(file)
    assert cache.get(KEY) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_entry_of_another_user_is_not_there(cache: ResultCache, tmp_path: Path) -> None:
    os.chown(entry(tmp_path), 65534, 65534)
    assert cache.get(KEY) == {}


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o1777])
def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(mode)
    with pytest.raises(UserError, match="belongs to somebody else or can be written by others"):
        ResultCache(tmp_path / "cache")


def test_a_file_in_the_place_of_the_directory_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(UserError, match="cannot hold results"):
        ResultCache(tmp_path / "cache")
    with pytest.raises(UserError, match="cannot hold results"):
        ResultCache(tmp_path / "absent/cache")


def test_a_directory_that_is_gone_costs_no_result(cache: ResultCache, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "cache")
    cache.put(KEY, RESULTS)
    cache.tidy()
    assert cache.get(KEY) == {}


def test_the_entries_used_last_are_kept(cache: ResultCache, tmp_path: Path) -> None:
    for number in range(MOST_ENTRIES + 5):
        file = tmp_path / "cache" / f"{key_of(number=number)}.json"
        file.write_text("{}")
        os.utime(file, (number, number))
    cache.tidy()
    assert len(list((tmp_path / "cache").iterdir())) == MOST_ENTRIES
    assert cache.get(KEY) == RESULTS


def test_a_key_is_of_everything_that_a_result_depends_on() -> None:
    parts: dict[str, object] = {"program": "a", "day": date(2026, 1, 1).isoformat(), "content": [["root", "b"]]}
    keys = {key_of(**parts), *(key_of(**(parts | {name: "other"})) for name in parts)}
    assert len(keys) == 4
    assert key_of(**dict(reversed(parts.items()))) in keys
