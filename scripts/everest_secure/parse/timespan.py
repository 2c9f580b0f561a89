"""Time spans of systemd (systemd.time(7), "Parsing Time Spans"; parse_time() of systemd's time-util.c)."""

import re

_UNITS = {
    "us": 1, "usec": 1, "µs": 1, "μs": 1, "ms": 1000, "msec": 1000, **dict.fromkeys(("", "s", "sec", "second", "seconds"), 10**6),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60 * 10**6), **dict.fromkeys(("h", "hr", "hour", "hours"), 3600 * 10**6),
    **dict.fromkeys(("d", "day", "days"), 86400 * 10**6), **dict.fromkeys(("w", "week", "weeks"), 604800 * 10**6),
    **dict.fromkeys(("M", "month", "months"), 2629800 * 10**6), **dict.fromkeys(("y", "year", "years"), 31557600 * 10**6),
}  # fmt: skip
"""Microseconds of each."""
_PART = re.compile(r"\s*(?:\+?0*(\d{1,19})|(?=\.))(?:\.(\d+))?(\s*)([A-Za-zµμ]*)", re.ASCII)
_ENDLESS = 2**64 - 1
_FRACTION = 18
"""Digits behind the point that are looked at; the smallest unit is a microsecond."""


def seconds(text: str) -> float | None:
    """Return a span such as `1h 30min` in seconds, a number without unit as seconds; None for `infinity` and for what is no span."""
    total, position, stripped = 0, 0, text.strip()
    while position < len(stripped):
        part = _PART.match(stripped, position)
        if part is None or part[4] not in _UNITS:
            return None
        position = part.end()
        if not part[3] and not part[4] and position < len(stripped):
            return None
        fraction = (part[2] or "")[:_FRACTION]
        total += int(part[1] or 0) * _UNITS[part[4]] + int(fraction or 0) * _UNITS[part[4]] // 10 ** len(fraction)
        if total >= _ENDLESS:
            return None
    return total / 10**6 if stripped else None
