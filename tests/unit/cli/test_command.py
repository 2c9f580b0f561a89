import ast
from pathlib import Path

import pytest

from everest_secure import cli
from everest_secure.cli.command import commands, group_summary

ROOM = Path(cli.__path__[0])


def test_every_command_has_a_line_for_the_list_and_a_description() -> None:
    for name, entry in commands().items():
        assert entry.summary, name
        assert not entry.summary.endswith("."), name
        assert entry.run.__doc__, name
        if " " in name:
            assert group_summary(name.split()[0]), name


@pytest.mark.parametrize("name", ["main.py", "command.py"])
def test_the_framework_names_no_command(name: str) -> None:
    imported = {node.module for node in ast.walk(ast.parse((ROOM / name).read_text())) if isinstance(node, ast.ImportFrom)}
    assert not imported & {f"everest_secure.cli.{module.stem}" for module in ROOM.glob("*.py") if module.stem != "command"}
