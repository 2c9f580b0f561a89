import os
import subprocess
import sys
from argparse import Namespace

import pytest

from everest_secure.cli.main import TRACEBACK, build_parser, main, run
from everest_secure.errors import ExitCode, UserError


def raising(error: BaseException) -> Namespace:
    def command(_: Namespace) -> ExitCode:
        raise error

    return Namespace(run=command)


def test_an_error_of_the_user_is_one_sentence_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(UserError("disk.raw is empty; build it again"))) == ExitCode.FAILED
    assert capsys.readouterr().err == "everest-secure: disk.raw is empty; build it again\n"


def test_control_characters_in_an_error_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run(raising(UserError("bad \x1b]0;title\x07 name\nsecond line")))
    assert capsys.readouterr().err == "everest-secure: bad \\x1b]0;title\\x07 name\\nsecond line\n"


@pytest.mark.parametrize(
    "error", [KeyError("x"), RecursionError(), MemoryError(), KeyboardInterrupt(), PermissionError(13, "denied", "report.json")]
)
def test_no_failure_looks_like_findings_or_shows_a_traceback(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(error)) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Traceback" not in said


def test_an_internal_error_shows_its_origin_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACEBACK, "1")
    assert run(raising(KeyError("x"))) == ExitCode.FAILED
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["no-such-command"], ["check"], ["check", "--no-such-option", "x"]])
def test_a_wrong_command_line_exits_with_the_code_for_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == ExitCode.USAGE
    said = capsys.readouterr().err
    assert said.startswith("everest-secure: ")
    assert said.endswith("--help'\n")
    assert said.count("\n") == 1


def test_every_command_describes_itself() -> None:
    listed = build_parser().format_help()
    for name in ("check", "explain"):
        assert f"    {name}" in listed


def test_the_list_of_commands_appears_without_loading_libraries_or_readers() -> None:
    program = (
        "import sys; from everest_secure.cli.main import build_parser; build_parser();"
        "print(*(n for n in sys.modules if n.split('.')[0] in {'yaml', 'rich', 'jinja2', 'jsonschema', 'cryptography', 'bb'}"
        " or n.startswith(('everest_secure.image', 'everest_secure.checks', 'everest_secure.parse'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == ""
