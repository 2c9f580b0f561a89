"""When a release was made, as its release file says (LOG-04)."""

from __future__ import annotations

import time

from everest_policy.facts import Data


def date(d: Data) -> int:
    """Return Unix time: the date that all files of the image get, else that of the sources, else now."""
    sources = d.getVar("SOURCE_DATE_EPOCH") or ""
    if sources == d.getVar("SOURCE_DATE_EPOCH_FALLBACK"):
        sources = ""
    return int(d.getVar("REPRODUCIBLE_TIMESTAMP_ROOTFS") or sources or time.time())
