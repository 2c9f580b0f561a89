"""Environments of services, judged by the parser and by systemd, which reads os-release by the same code."""

import shutil
import subprocess
from pathlib import Path

import pytest

from everest_secure.parse.environment import environment_files, parse_environment_file, read_environment
from everest_secure.parse.units import Units
from support.rootfs import LOCAL, RootFs


def test_a_file_of_variables_is_read_with_its_quotes_and_comments() -> None:
    text = "# A=0\n; A=0\nA='x y'\nB=\"1\"\nB=2\nno assignment\n"
    assert parse_environment_file(text) == {"A": "x y", "B": "2"}


def test_files_override_the_unit_and_what_is_unset_is_gone() -> None:
    text = "[Service]\nEnvironment=A=1 B=1 C=1\nEnvironmentFile=/etc/x\nEnvironmentFile=-/etc/missing\nUnsetEnvironment=B C=2\n"
    fs = RootFs().file(f"{LOCAL}/a.service", text).file("/etc/x", "A=2\n")
    assert read_environment(fs.tree, Units(fs.tree).unit("a.service")) == {"A": "2", "C": "1"}


def test_a_name_with_wildcards_stands_for_every_file_that_it_fits() -> None:
    fs = RootFs().file(f"{LOCAL}/a.service", "[Service]\nEnvironmentFile=-/etc/a.d/*.env\n")
    fs.file("/etc/a.d/1.env", "A=1\nB=1\n").file("/etc/a.d/2.env", "B=2\n").file("/etc/a.d/3", "C=3\n").file("/etc/a.d/.x.env", "C=4\n")
    assert read_environment(fs.tree, Units(fs.tree).unit("a.service")) == {"A": "1", "B": "2"}


VALUES = [
    "it's", "'x' y", "'a' b 'c'", 'a "b"', r'"a\$b\x\""', r"a\ b", "'two\nlines'", "a\\\nb", "a # b  ", '"open', "1\n# note \\\nVERSION_ID=2",
    "1\nVERSION_ID 3=4\nexport VERSION_ID=5\nVERSION_ID = 6", "", "'a''b'\"c\" d", "1\r\nVERSION_ID=2\r", "a\\", "\n'VERSION_ID=7'", "'a'b\"c",
]  # fmt: skip


@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="systemd-tmpfiles is missing")
@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_what_systemd_takes_it_for(value: str, tmp_path: Path) -> None:
    text = f"VERSION_ID={value}\nVARIANT=end\n"
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_bytes(text.encode())
    (tmp_path / "one.conf").write_text("f /out - - - - .%w.\n")
    subprocess.run(["systemd-tmpfiles", f"--root={tmp_path}", "--create", tmp_path / "one.conf"], capture_output=True, check=True)
    assert (tmp_path / "out").read_bytes().decode() == f".{parse_environment_file(text)['VERSION_ID']}."


def test_what_the_manager_sets_for_every_service_comes_first() -> None:
    fs = RootFs().file(f"{LOCAL}/a.service", "[Service]\nEnvironment=A=1\nUnsetEnvironment=C\n")
    fs.file("/etc/systemd/system.conf.d/a.conf", "[Manager]\nDefaultEnvironment=A=0 'B=x y'\nDefaultEnvironment=C=0\n")
    assert read_environment(fs.tree, Units(fs.tree).unit("a.service")) == {"A": "1", "B": "x y"}


def test_a_link_counts_as_a_file_that_a_name_with_wildcards_fits_wherever_it_leads() -> None:
    fs = RootFs().file(f"{LOCAL}/a.service", "[Service]\nEnvironmentFile=/etc/*/*.env\n").link("/etc/a.d/1.env", "/var/lib/later")
    assert environment_files(fs.tree, Units(fs.tree).unit("a.service")) == ("/etc/a.d/1.env",)
