import os
from pathlib import Path

import pytest

from everest_secure.pki import change
from everest_secure.pki.errors import PkiError


class Killed(BaseException):
    """Stands for the end of the process: nothing after it is run."""


def files(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): path.read_text() for path in sorted(directory.rglob("*")) if path.is_file()}


def renew(directory: Path) -> None:
    """A change of every kind."""
    with change.change(directory) as edit:
        edit.add(directory / "signer-2", b"new", mode=0o600)
        edit.retire(directory / "list", "list.1")
        edit.replace(directory / "list", b"second", mode=0o644)
        edit.retire(directory / "key", "key.1")
        edit.remove(directory / "key")
        edit.retire(directory / "uri", "uri.1")
        edit.remove(directory / "uri")
        edit.replace(directory / "uri", b"other", mode=0o644)


def fill(directory: Path) -> Path:
    for name, text in BEFORE.items():
        (directory / name).write_text(text)
    return directory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return fill(tmp_path)


BEFORE = {"key": "secret", "list": "first", "uri": "pkcs11:"}
AFTER = {
    "list": "second",
    "retired/key.1": "secret",
    "retired/list.1": "first",
    "retired/uri.1": "pkcs11:",
    "signer-2": "new",
    "uri": "other",
}


def test_a_change_adds_and_replaces_and_keeps_what_it_replaced(directory: Path) -> None:
    renew(directory)
    assert files(directory) == AFTER
    assert (directory / "signer-2").stat().st_mode & 0o777 == 0o600
    assert (directory / "retired").stat().st_mode & 0o777 == 0o700


def test_a_change_that_fails_leaves_everything_as_it_was(directory: Path) -> None:
    def fail() -> None:
        with change.change(directory) as edit:
            edit.replace(directory / "list", b"second", mode=0o644)
            edit.add(directory / "list", b"third", mode=0o644)

    with pytest.raises(PkiError, match="exists already and is never overwritten"):
        fail()
    assert files(directory) == BEFORE
    assert sorted(path.name for path in directory.iterdir()) == sorted(BEFORE)


def test_wherever_a_change_is_interrupted_the_next_command_finds_all_of_it_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for last in range(200):
        directory = tmp_path / f"{last}"
        directory.mkdir()
        fill(directory)
        with monkeypatch.context() as patch:
            interrupted = _die_at(patch, last, lambda: renew(directory))  # noqa: B023 - called at once
        change.finish(directory)
        outcomes.append(files(directory) if not list(directory.glob(".change.*")) else _without_leftovers(directory))
        if not interrupted:
            break
    assert len(outcomes) > 20
    assert outcomes[-1] == AFTER
    assert all(outcome in (BEFORE, AFTER) for outcome in outcomes)
    assert BEFORE in outcomes


def _without_leftovers(directory: Path) -> dict[str, str]:
    """What is there after the next change, which changes nothing."""
    with change.change(directory):
        pass
    return files(directory)


def _die_at(patch: pytest.MonkeyPatch, last: int, work: object) -> bool:
    """Run `work` and let the process die at its call number `last` that renames, removes or makes something; whether that was reached."""
    count = 0

    def counted(original: object) -> object:
        def call(*args: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count > last:
                raise Killed
            return original(*args, **options)  # type: ignore[operator]

        return call

    for name in ("rename", "replace", "unlink", "rmdir", "mkdir"):
        patch.setattr(os, name, counted(getattr(os, name)))
    try:
        work()  # type: ignore[operator]
    except Killed:
        return True
    return False


def test_a_file_that_appears_in_between_is_not_overwritten(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(directory: Path) -> None:
        if (directory / ".decided").is_dir():
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(change, "_finish", die)
        with pytest.raises(Killed):
            renew(directory)
    (directory / "signer-2").write_text("mine")
    for command in (change.finish, renew):
        with pytest.raises(PkiError, match="signer-2 appeared while a change was being made; move it away"):
            command(directory)
    assert (directory / "signer-2").read_text() == "mine"
    (directory / "signer-2").rename(directory / "mine")
    change.finish(directory)
    assert files(directory) == {**AFTER, "mine": "mine"}


def test_two_commands_do_not_change_a_directory_at_once(directory: Path) -> None:
    with change.change(directory), pytest.raises(PkiError, match="another command is changing"):
        renew(directory)
    assert files(directory) == BEFORE


def test_what_is_no_directory_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PkiError, match="cannot be opened: No such file or directory; name a directory"), change.change(tmp_path / "no"):
        pass
