from everest_secure.parse.environment import parse_environment_file, read_environment
from everest_secure.parse.units import Units
from support.rootfs import LOCAL, RootFs


def test_a_file_of_variables_is_read_with_its_quotes_and_comments() -> None:
    text = "# A=0\n; A=0\nA='x y'\nB=\"1\"\nB=2\nno assignment\n"
    assert parse_environment_file(text, "x") == {"A": "x y", "B": "2"}


def test_files_override_the_unit_and_what_is_unset_is_gone() -> None:
    text = "[Service]\nEnvironment=A=1 B=1 C=1\nEnvironmentFile=/etc/x\nEnvironmentFile=-/etc/missing\nUnsetEnvironment=B C=2\n"
    fs = RootFs().file(f"{LOCAL}/a.service", text).file("/etc/x", "A=2\n")
    assert read_environment(fs.tree, Units(fs.tree).unit("a.service")) == {"A": "2", "C": "1"}


def test_what_the_manager_sets_for_every_service_comes_first() -> None:
    fs = RootFs().file(f"{LOCAL}/a.service", "[Service]\nEnvironment=A=1\nUnsetEnvironment=C\n")
    fs.file("/etc/systemd/system.conf.d/a.conf", "[Manager]\nDefaultEnvironment=A=0 'B=x y'\nDefaultEnvironment=C=0\n")
    assert read_environment(fs.tree, Units(fs.tree).unit("a.service")) == {"A": "1", "B": "x y"}
