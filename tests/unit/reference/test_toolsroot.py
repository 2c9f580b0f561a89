import os
from pathlib import Path

import pytest

from everest_secure.errors import ToolError, UserError
from everest_secure.reference import toolsroot
from everest_secure.reference.archive import KEYRING, Archive
from everest_secure.reference.toolsroot import ToolsRoot, prepare
from support.reference import UNREACHABLE, machine_as_tools_root, require

COMMAND_LINES = "for line in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$line; done"


@pytest.fixture(scope="module")
def tools() -> ToolsRoot:
    return machine_as_tools_root()


def test_a_program_of_the_root_gives_its_output(tools: ToolsRoot) -> None:
    assert tools.run(["cat"], stdin=b"text") == b"text"


def test_an_environment_value_is_in_no_command_line(tools: ToolsRoot) -> None:
    said = tools.run(
        ["sh", "-c", f"{COMMAND_LINES}; test -n \"$PASSPHRASE\" && printf 'and the program has it'"], env={"PASSPHRASE": "opensesame"}
    )
    assert said.startswith(b"bwrap "), "the sandbox's own command line was not read"
    assert b"opensesame" not in said
    assert said.endswith(b"and the program has it")


def test_the_environment_of_the_caller_stays_outside_but_for_proxies(tools: ToolsRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARGER_SECRET", "opensesame")
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:3128")
    environment = tools.run(["env"]).decode().splitlines()
    assert not [line for line in environment if "SECRET" in line]
    assert "https_proxy=http://proxy.example.org:3128" in environment
    assert "LC_ALL=C.UTF-8" in environment


def test_only_the_paths_named_are_seen_and_may_be_written(tools: ToolsRoot, tmp_path: Path) -> None:
    seen, unseen = tmp_path / "seen", tmp_path / "unseen"
    for directory in (seen, unseen):
        directory.mkdir()
    tools.run(["sh", "-c", f"test ! -e {unseen} && touch {seen}/written"], paths=[seen])
    assert (seen / "written").exists()


def test_the_tools_themselves_cannot_be_changed(tools: ToolsRoot) -> None:
    for place in ("/usr", "/etc"):
        with pytest.raises(ToolError, match="Read-only file system"):
            tools.run(["touch", f"{place}/everest-secure-test"])


def test_a_link_to_a_path_leads_to_what_it_names(tools: ToolsRoot, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    tools.run(["touch", "here"], paths=[tmp_path / "link"], cwd=tmp_path / "link")
    assert (tmp_path / "real/here").exists()


def test_a_failing_program_ends_in_its_own_last_words(tools: ToolsRoot) -> None:
    with pytest.raises(ToolError, match=r"^'sh' failed with exit code 3: second$"):
        tools.run(["sh", "-c", "echo first >&2; echo second >&2; exit 3"])


def test_a_program_that_the_root_lacks_is_named(tools: ToolsRoot) -> None:
    with pytest.raises(ToolError, match=r"no-such-program"):
        tools.run(["no-such-program"])


def test_a_missing_bubblewrap_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"^the program 'bwrap' is not installed; install the Debian package bubblewrap and try again$"):
        ToolsRoot(tmp_path).run(["true"], env={"PATH": str(tmp_path)})


def test_an_archive_out_of_reach_is_one_sentence_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("mmdebstrap")
    if os.geteuid() or not KEYRING.exists():
        pytest.skip("mmdebstrap needs root and the package debian-archive-keyring")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(
        ToolError, match=rf"^the tools root could not be made from the Debian archive {UNREACHABLE} \(.+\); check the network"
    ):
        prepare(tmp_path / "cache", Archive(UNREACHABLE, None))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_root_that_is_there_is_used_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ToolError, match=r"^the program 'mmdebstrap' is not installed; install the Debian package mmdebstrap and try again$"
    ):
        prepare(tmp_path, Archive(UNREACHABLE, None))
    made = tmp_path / f"tools-{toolsroot.digest()}"
    made.mkdir()
    assert prepare(tmp_path, Archive(UNREACHABLE, None)).root == made


def test_a_full_disk_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("mmdebstrap")
    monkeypatch.setattr(toolsroot, "NEEDED_BYTES", 1 << 62)
    with pytest.raises(UserError, match=r"^the tools root needs .* MB in .* and only .* MB are free"):
        prepare(tmp_path / "cache", Archive(UNREACHABLE, None))
    assert list((tmp_path / "cache").iterdir()) == []
