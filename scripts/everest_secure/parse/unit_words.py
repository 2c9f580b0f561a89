"""Words of a value in a unit file: quotes and escapes as systemd reads them (systemd.syntax(7); src/basic/extract-word.c and escape.c)."""

import re
from collections.abc import Iterator

_PIECE = re.compile(r"(?P<space>[ \t\n\r]+)|(?P<escape>\\.)|(?P<quote>[\"'])|(?P<plain>[^ \t\n\r\\\"']+)|(?P<last>\\)", re.DOTALL)
_NUMBERED = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))")
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " ", "\\": "\\", '"': '"', "'": "'"}
LONGEST_ESCAPE = 10


def split_words(value: str, *, keep_escapes: bool = False) -> Iterator[str]:
    r"""Yield words without their quotes and with escapes such as `\x20` resolved; an unknown escape stays as it is written.

    Names of units have escapes of their own, so that dependencies are read with `keep_escapes`. Raises ValueError for an open quote.
    """
    word: list[str] | None = None
    quote, at = "", 0
    while piece := _PIECE.match(value, at):
        text, at = piece[0], piece.end()
        if piece.lastgroup == "space" and not quote:
            if word is not None:
                yield "".join(word)
            word = None
            continue
        word = [] if word is None else word
        if piece.lastgroup == "quote" and quote in ("", text):
            quote = "" if quote else text
        elif piece.lastgroup == "escape" and not keep_escapes:
            resolved, length = _resolved(value[piece.start() : piece.start() + LONGEST_ESCAPE])
            word.append(resolved)
            at = piece.start() + length
        else:
            word.append(text)
    if quote:
        raise ValueError("a quote is never closed")
    if word is not None:
        yield "".join(word)


def _resolved(text: str) -> tuple[str, int]:
    """Return what an escape at the beginning of a text stands for, and its length."""
    if text[1] in _LETTERS:
        return _LETTERS[text[1]], 2
    found = _NUMBERED.match(text)
    if found:
        number = int(found[4], 8) if found[4] else int(next(filter(None, found.groups())), 16)
        if 0 < number <= (0xFF if found[4] else 0x10FFFF):
            return chr(number), found.end()
    return text[:2], 2
