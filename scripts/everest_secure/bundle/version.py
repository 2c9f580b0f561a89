"""Semantic versions, compared as RAUC compares `min-bundle-version` with the version of a bundle (src/utils.c, r_semver_less_equal).

A pre-release with a hyphen in it, as `git describe` makes one, is none for RAUC, which looks for the last hyphen.
"""

import re

_VERSION = re.compile(
    r"(0|[1-9]\d{0,17})(?:\.(0|[1-9]\d{0,17}))?(?:\.(0|[1-9]\d{0,17}))?(?:-([0-9A-Za-z.]{1,256}))?(?:\+[0-9A-Za-z.-]{1,256})?", re.ASCII
)
Precedence = tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]


def precedence(version: str) -> Precedence | None:
    """Return what orders versions (semver.org, 11), missing numbers as 0; None for what is no semantic version."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return None
    major, minor, patch, pre = found.groups()
    parts = pre.split(".") if pre else ()
    # Numbers are below words; a version with a pre-release is below the one without.
    identifiers = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts)
    return (int(major), int(minor or 0), int(patch or 0)), pre is None, identifiers
