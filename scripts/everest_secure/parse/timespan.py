"""Time spans of systemd (systemd.time(7), "Parsing Time Spans")."""

import re

_UNITS = {
    "us": 1e-6, "usec": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "msec": 1e-3, "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "minute": 60, "minutes": 60, "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400,
    "days": 86400, "w": 604800, "week": 604800, "weeks": 604800, "M": 2629800, "month": 2629800, "months": 2629800, "y": 31557600,
    "year": 31557600, "years": 31557600,
}  # fmt: skip
_PART = re.compile(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-zµμ]*)")


def seconds(text: str) -> float | None:
    """Return a span such as `1h 30min` in seconds, a number without unit as seconds; None for `infinity` and for what is no span."""
    total, position, stripped = 0.0, 0, text.strip()
    while position < len(stripped):
        part = _PART.match(stripped, position)
        if part is None or part[2] not in _UNITS:
            return None
        total += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    return total if stripped else None
