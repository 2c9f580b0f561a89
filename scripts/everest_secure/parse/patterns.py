"""Patterns as fnmatch(3) with FNM_NOESCAPE takes them, which is how systemd reads presets; a star takes slashes and points too."""

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache

_CLASSES = {"alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "digit": "0-9", "lower": "a-z", "upper": "A-Z", "xdigit": "0-9a-fA-F"}
_CLASS = re.compile(r"\[:([a-z]+):\]")


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits one of the patterns; upper and lower case differ."""
    return _any_of(tuple(patterns)).match(name) is not None


@lru_cache(maxsize=1024)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Compile patterns into one expression; without any, it is one that fits nothing."""
    return re.compile("|".join(translate(_as_python(each)) for each in patterns) or r"(?!)")


def _as_python(pattern: str) -> str:
    """Write what Python's fnmatch does not know in its words: `[^a]` as `[!a]`, `[[:digit:]]` as `[0-9]`."""
    return _CLASS.sub(lambda found: _CLASSES.get(found[1], found[0]), pattern).replace("[^", "[!")
