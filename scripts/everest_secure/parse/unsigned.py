"""Whole numbers as systemd's programs read them (safe_atou() of systemd's parse-util.c: strtoul(3) with any base)."""

import re

_NUMBER = re.compile(r"([+-]?)(?:0x([0-9a-f]+)|0([0-7]*)|([1-9][0-9]*))|0b([01]+)|0o([0-7]+)", re.ASCII | re.IGNORECASE)
_MOST_DIGITS = 40
_MOST = 2**32 - 1


def unsigned(text: str) -> int | None:
    """Return a number of 32 bits: decimal, `0x1f`, `0b101`, `0o17` or `017`; None for what is none."""
    found = _NUMBER.fullmatch(text.strip()) if len(text) <= _MOST_DIGITS else None
    if found is None:
        return None
    sign, *digits = found.groups()
    ((written, base),) = [(each, base) for each, base in zip(digits, (16, 8, 10, 2, 8), strict=True) if each is not None]
    value = int(written or "0", base)
    return value if value <= _MOST and not (sign == "-" and value) else None
