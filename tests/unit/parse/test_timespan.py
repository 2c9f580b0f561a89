import re
import subprocess

import pytest

from everest_secure.parse.timespan import seconds
from support.images import tool
from support.reference import require

SPANS = (
    "30min", "1h 30min", "1h30m", "5", "2 h", "300ms", "1.5h", "1d", "1w 2days", "1M", "1y", "0",
    "+5", ".5h", "5 5", "1h.5m", "1.25 s 3", "3µs", "0000000000000000000000005", "1.00000000000000000000001h",
)  # fmt: skip


@pytest.mark.parametrize("text", SPANS)
def test_systemd_agrees_on_a_span_of_time(text: str) -> None:
    require("systemd-analyze")
    said = tool("systemd-analyze", "timespan", text).decode()
    found = re.search(r"μs: (\d+)", said)
    assert found
    assert seconds(text) == pytest.approx(int(found[1]) / 1e6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "5 parsecs",
        "-3",
        "5,5",
        "5.h",
        ".",
        "1.5.5h",
        "+",
        "+.5",
        "5secs",
        "1 hM",
        "99999999999999999999",
        "9223372036854775807y",
        "5-3",
    ],
)
def test_what_is_no_span_has_no_length(text: str) -> None:
    require("systemd-analyze")
    assert subprocess.run(["systemd-analyze", "timespan", "--", text], capture_output=True, check=False).returncode != 0
    assert seconds(text) is None


def test_a_span_without_end_has_no_length() -> None:
    assert seconds("infinity") is None
