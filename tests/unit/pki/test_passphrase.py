import io
import os
import sys

import pytest

from everest_secure.pki import passphrase
from everest_secure.pki.errors import PkiError
from everest_secure.pki.passphrase import PassphraseSource

SECRET = "correct horse battery"


def from_descriptor(content: bytes, *, new: bool = False) -> str:
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    try:
        return passphrase.read(PassphraseSource(descriptor=reader), purpose="a key", new=new)
    finally:
        os.close(reader)


def test_a_passphrase_comes_from_the_named_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    assert passphrase.read(PassphraseSource(variable="SECRET"), purpose="a key") == SECRET


def test_a_passphrase_is_the_first_line_of_a_descriptor() -> None:
    assert from_descriptor(f"{SECRET}\nmore\n".encode()) == SECRET
    assert from_descriptor(SECRET.encode()) == SECRET


@pytest.mark.parametrize(
    ("given", "words"),
    [(b"\n", "is empty"), (b"a\x00b\n", "control characters"), (b"x" * 513, "more than 512 bytes"), (b"\xff\xfe\n", "no UTF-8")],
)
def test_a_passphrase_that_openssl_could_not_take_is_refused(given: bytes, words: str) -> None:
    with pytest.raises(PkiError, match=words):
        from_descriptor(given)


def test_a_new_passphrase_has_twelve_characters() -> None:
    assert from_descriptor(b"short") == "short"
    with pytest.raises(PkiError, match="fewer than 12"):
        from_descriptor(b"short", new=True)


def test_an_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET", raising=False)
    with pytest.raises(PkiError, match="SECRET that should hold"):
        passphrase.read(PassphraseSource(variable="SECRET"), purpose="a key")


@pytest.mark.parametrize(("number", "words"), [(987, "file descriptor 987 cannot be read"), (10**12, "there is no file descriptor 10000")])
def test_a_closed_descriptor_is_named(number: int, words: str) -> None:
    with pytest.raises(PkiError, match=words):
        passphrase.read(PassphraseSource(descriptor=number), purpose="a key")


def test_without_a_terminal_nothing_waits_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{SECRET}\n"))
    with pytest.raises(PkiError, match="no terminal to ask for the passphrase of a key"):
        passphrase.read(PassphraseSource(), purpose="a key")
