import re

import pytest

from everest_secure.parse.timespan import seconds
from support.images import tool
from support.reference import require


@pytest.mark.parametrize("text", ["30min", "1h 30min", "1h30m", "5", "2 h", "300ms", "1.5h", "1d", "1w 2days", "1M", "1y", "0"])
def test_systemd_agrees_on_a_span_of_time(text: str) -> None:
    require("systemd-analyze")
    said = tool("systemd-analyze", "timespan", text).decode()
    found = re.search(r"μs: (\d+)", said)
    assert found
    assert seconds(text) == pytest.approx(int(found[1]) / 1e6)


@pytest.mark.parametrize("text", ["", "infinity", "soon", "5 parsecs", "-3"])
def test_what_is_no_span_has_no_length(text: str) -> None:
    assert seconds(text) is None
