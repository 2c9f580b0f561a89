"""The journal is kept, bounded (LOG-02)."""

from configparser import ConfigParser

import pytest

from support.layer import Bench, contents

pytestmark = pytest.mark.layer

FILE = "usr/lib/systemd/journald.conf.d/50-everest.conf"


def journal(layer: Bench, **settings: str) -> dict[str, str]:
    package = layer.package("everest-journal", **settings)
    assert contents(package) == {f"/{FILE}": 0o644}
    parser = ConfigParser()
    parser.read_string((package.files / FILE).read_text())
    return dict(parser["Journal"])


def test_the_journal_outlives_a_reboot_and_is_bounded_by_the_knob(layer: Bench) -> None:
    found = journal(layer, EVEREST_JOURNAL_MAX="48")
    assert (found["storage"], found["systemmaxuse"], found["runtimemaxuse"]) == ("persistent", "48M", "16M")
    assert int(found["ratelimitburst"]) > 0


def test_nothing_of_it_reaches_a_console_or_another_logger(layer: Bench) -> None:
    found = journal(layer)
    assert {value for key, value in found.items() if key.startswith("forwardto")} == {"no"}
    assert "forwardtoconsole" in found


def test_it_is_read_after_the_distributions_own_file() -> None:
    assert FILE.rpartition("/")[2] > "00-systemd-conf.conf"


def test_its_directory_is_state_that_lasts(layer: Bench) -> None:
    rows = (layer.package("everest-state").files / "usr/share/everest-secure/state.tsv").read_text().splitlines()
    assert "/var/log/journal\troot\tsystemd-journal\t2755\tpersistent\t-\terase" in rows
