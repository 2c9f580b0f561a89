from pathlib import Path

import pytest

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode


@pytest.mark.parametrize("given", ["NET-01", "net-01"])
def test_a_requirement_is_found_in_upper_and_lower_case(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", given]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("NET-01  The main MQTT broker")


def test_an_unknown_requirement_is_answered_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "NET-1"]) == ExitCode.FAILED
    assert capsys.readouterr().err == "everest-secure: there is no requirement 'NET-1'; did you mean 'NET-01'?\n"


POLICY = """\
extends: production
checks:
  - id: METER-01
    title: The meter's configuration is root's
    why: Whoever changes the calibration changes the bill.
    remedy: Install meter-config.
    severity: high
    expect:
      - {kind: file, path: /etc/meter.conf, mode: "0644", owner: root}
      - {kind: unit, name: meter-debug.service, state: absent}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "my.yml"
    file.write_text(POLICY)
    return file


def test_a_requirement_of_a_policy_file_is_explained_with_what_it_expects(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "meter-01", "--policy", str(own)]) == ExitCode.OK
    said = capsys.readouterr().out
    assert said.startswith("METER-01  The meter's configuration is root's\nThe product's own\nSeverity high; from policy file\n")
    assert "Whoever changes the calibration changes the bill." in said
    assert said.endswith(
        f"Checked by\n  /etc/meter.conf is there, mode 0644, owner root, {own}:3\n  meter-debug.service is absent, {own}:3\n"
    )


def test_with_a_policy_file_the_catalogue_is_known_as_well_and_without_it_nothing_else_is(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "NET-01", "--policy", str(own)]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("NET-01  ")
    assert main(["explain", "METER-01"]) == ExitCode.FAILED
    assert "there is no requirement 'METER-01'" in capsys.readouterr().err


def test_a_wrong_policy_file_is_one_sentence(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own.write_text(POLICY.replace("METER-01", "NET-99"))
    assert main(["explain", "NET-01", "--policy", str(own)]) == ExitCode.FAILED
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert f"{own}:3" in said.err


def test_the_page_has_the_requirements_of_a_policy_file_behind_those_of_the_catalogue(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "--page", "--policy", str(own)]) == ExitCode.OK
    page = capsys.readouterr().out
    assert page.index("### DOC-01") < page.index("## The product's own") < page.index("### METER-01: The meter's configuration is root's")
    assert "- meter-debug.service is absent (root file system)" in page


def test_all_requirements_are_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--page"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("# What is checked\n")


@pytest.mark.parametrize("arguments", [[], ["NET-01", "--page"]])
def test_one_requirement_or_the_page_is_asked_for(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["explain", *arguments])
    assert stop.value.code == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 1
