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


def test_all_requirements_are_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--page"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("# What is checked\n")


@pytest.mark.parametrize("arguments", [[], ["NET-01", "--page"]])
def test_one_requirement_or_the_page_is_asked_for(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["explain", *arguments])
    assert stop.value.code == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 1
