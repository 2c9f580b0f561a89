"""Units as systemd loads them; systemctl and systemd-analyze of this machine are asked where they can answer without booting."""

import shutil
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.directory import open_directory
from everest_secure.parse.capability import ALL
from everest_secure.parse.unit_file import capabilities, parse_unit_file, words
from everest_secure.parse.unit_graph import preset_for, read_presets, starts
from everest_secure.parse.units import Unit, Units, prefixes, template
from support.rootfs import LOCAL, UNITS, RootFs


def unit_of(fs: RootFs, name: str = "a.service") -> Unit:
    return Units(fs.tree).unit(name)


def test_lines_continue_and_comments_inside_are_left_out() -> None:
    (found,) = parse_unit_file("[Service]\nExecStart=/bin/a \\\n# comment\n  b \\\n; another\n  c\n", "x")
    assert found.value.split() == ["/bin/a", "b", "c"]
    assert found.line == 2


@pytest.mark.parametrize("tail", ["\\\\", "\\ ", "\u2028Restart=no", "\x0cRestart=no"])
def test_a_line_goes_on_only_after_a_backslash_at_its_very_end(tail: str) -> None:
    found = parse_unit_file(f"[Service]\nSyslogIdentifier=a{tail}\nNoNewPrivileges=no\n", "x")
    assert [(each.key, each.line) for each in found] == [("SyslogIdentifier", 2), ("NoNewPrivileges", 3)]


def test_a_mark_of_byte_order_is_no_part_of_the_first_section() -> None:
    (found,) = parse_unit_file("\ufeff[Service]\nNoNewPrivileges=no\n", "x")
    assert (found.section, found.key) == ("Service", "NoNewPrivileges")


def test_a_masked_link_is_no_dependency() -> None:
    fs = RootFs().file(f"{UNITS}/default.target", "[Unit]\n").file(f"{UNITS}/a.service", "[Service]\nExecStart=/bin/a\n")
    fs.link(f"{UNITS}/default.target.requires/a.service", "../a.service").file("/etc/machine-id", "")
    assert {"a.service"} == Units(fs.tree).required("default.target") == set(starts(Units(fs.tree))) - {"default.target"}
    fs.link(f"{LOCAL}/default.target.requires/a.service", "/dev/null")
    assert set(starts(Units(fs.tree))) == {"default.target"}
    assert not Units(fs.tree).required("default.target")


def test_a_socket_runs_commands_of_its_own() -> None:
    unit = unit_of(RootFs().file(f"{LOCAL}/a.socket", "[Socket]\nExecStartPost=-/bin/a\nExecStopPre=/bin/b\n"), "a.socket")
    assert unit.commands == unit.forgiven == (("/bin/a",),)
    assert unit.every_command == (("/bin/a",), ("/bin/b",))


def test_what_systemctl_set_property_writes_comes_first() -> None:
    fs = RootFs().file(f"{LOCAL}/a.service", "[Service]\nUser=local\n")
    fs.file("/etc/systemd/system.control/a.service", "[Service]\nUser=control\n")
    assert unit_of(fs).value("Service", "User") == "control"


def test_a_oneshot_that_does_not_remain_runs_its_stop_commands_too() -> None:
    text = "[Service]\nType=oneshot\nExecStart=+/bin/a ; /bin/b\nExecStop=/bin/c\n"
    unit = unit_of(RootFs().file(f"{LOCAL}/a.service", text))
    assert unit.commands == (("/bin/a",), ("/bin/b",), ("/bin/c",))
    assert unit.unconfined
    stays = unit_of(RootFs().file(f"{LOCAL}/a.service", f"{text}RemainAfterExit=yes\n".replace("+", "-")))
    assert stays.commands == (("/bin/a",), ("/bin/b",))
    assert not stays.unconfined


def test_an_empty_assignment_resets_a_list() -> None:
    lines = parse_unit_file("[Unit]\nAfter=a b\nAfter=\nAfter=c\n", "x")
    assert words(lines) == ("c",)


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(ArtefactError, match="x:2"):
        words(parse_unit_file('[Service]\nEnvironment="A=1\n', "x"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ALL),
        (["CAP_NET_RAW CAP_CHOWN"], {"CAP_NET_RAW", "CAP_CHOWN"}),
        (["CAP_NET_RAW", "cap_chown"], {"CAP_NET_RAW", "CAP_CHOWN"}),
        (["CAP_NET_RAW", ""], set()),
        (["CAP_NET_RAW", "", "CAP_KILL"], {"CAP_KILL"}),
        (["~CAP_SYS_ADMIN"], ALL - {"CAP_SYS_ADMIN"}),
        (["CAP_NET_RAW CAP_KILL", "~CAP_KILL"], {"CAP_NET_RAW"}),
        (["~"], ALL),
        (["CAP_NET_RAW", "~"], ALL),
        (["CAP_NET_RAW", "~CAP_BOGUS"], ALL - {"CAP_BOGUS"}),
    ],
)
def test_bounding_sets_add_up_as_systemd_says(lines: list[str], expected: set[str]) -> None:
    text = "[Service]\n" + "".join(f"CapabilityBoundingSet={line}\n" for line in lines)
    assert capabilities(parse_unit_file(text, "x"), ALL) == expected


def test_etc_comes_before_usr_and_a_drop_in_after_both() -> None:
    fs = RootFs().file(f"{UNITS}/a.service", "[Service]\nUser=vendor\nGroup=vendor\n").file(f"{LOCAL}/a.service", "[Service]\nUser=local\n")
    fs.file(f"{UNITS}/a.service.d/10.conf", "[Service]\nUser=drop\n")
    assert unit_of(fs).value("Service", "User") == "drop"
    assert unit_of(fs).value("Service", "Group") == ""


def test_of_two_drop_ins_of_one_name_that_in_etc_counts_whatever_its_directory_is() -> None:
    fs = RootFs().file(f"{UNITS}/a-b.service", "[Service]\n").file(f"{UNITS}/a-b.service.d/10.conf", "[Service]\nUser=usr\n")
    fs.file(f"{LOCAL}/a-.service.d/10.conf", "[Service]\nUser=etc\n")
    assert unit_of(fs, "a-b.service").value("Service", "User") == "etc"


def test_a_masked_drop_in_is_no_drop_in() -> None:
    fs = RootFs().file(f"{UNITS}/a.service", "[Service]\nUser=a\n").file(f"{UNITS}/a.service.d/10.conf", "[Service]\nUser=b\n")
    fs.link(f"{LOCAL}/a.service.d/10.conf", "/dev/null")
    assert unit_of(fs).value("Service", "User") == "a"


def test_a_mask_in_usr_is_undone_by_a_unit_in_etc() -> None:
    fs = RootFs().link(f"{UNITS}/a.service", "/dev/null").file(f"{LOCAL}/a.service", "[Service]\n")
    assert unit_of(fs).exists


def test_masks_by_relative_link_and_by_empty_file_are_masks() -> None:
    fs = RootFs().link(f"{LOCAL}/a.service", "../../../dev/null").file(f"{LOCAL}/b.service", "")
    assert unit_of(fs).masked
    assert unit_of(fs, "b.service").masked


def test_an_alias_has_the_drop_ins_of_all_names() -> None:
    fs = RootFs().file(f"{UNITS}/a.service", "[Service]\n").link(f"{LOCAL}/b.service", f"{UNITS}/a.service")
    fs.file(f"{LOCAL}/b.service.d/x.conf", "[Service]\nUser=b\n")
    assert unit_of(fs, "a.service").value("Service", "User") == "b"
    assert unit_of(fs, "b.service").path == f"{UNITS}/a.service"


def test_an_instance_has_its_templates_file_and_drop_ins() -> None:
    fs = RootFs().file(f"{UNITS}/t@.service", "[Service]\nUser=t\n").file(f"{UNITS}/t@.service.d/x.conf", "[Service]\nGroup=t\n")
    unit = unit_of(fs, "t@one.service")
    assert (unit.value("Service", "User"), unit.value("Service", "Group")) == ("t", "t")


def test_names_of_templates_and_prefixes() -> None:
    assert template("getty@tty1.service") == "getty@.service"
    assert template("a.service") == "a.service"
    assert list(prefixes("foo-bar-baz")) == ["foo-bar-", "foo-"]


def test_aliases_in_a_circle_end() -> None:
    fs = RootFs().link(f"{LOCAL}/a.service", "b.service").link(f"{LOCAL}/b.service", "a.service")
    assert not unit_of(fs).exists


def test_units_that_want_each_other_start_once() -> None:
    fs = RootFs().file(f"{UNITS}/default.target", "[Unit]\nWants=a.service\n")
    fs.file(f"{UNITS}/a.service", "[Unit]\nWants=b.service\n").file(f"{UNITS}/b.service", "[Unit]\nRequires=a.service\n")
    fs.file("/etc/machine-id", "")
    assert list(starts(Units(fs.tree))) == ["default.target", "a.service", "b.service"]


def test_presets_take_the_first_match_and_etc_hides_usr() -> None:
    fs = RootFs().file("/usr/lib/systemd/system-preset/20-a.preset", "enable a.service\ndisable *\n")
    fs.file("/usr/lib/systemd/system-preset/90-b.preset", "enable *\n")
    presets = read_presets(fs.tree)
    said = {name: found.action for name in ("a.service", "b.service") if (found := preset_for(presets, name))}
    assert said == {"a.service": "enable", "b.service": "disable"}
    assert preset_for((), "b.service") is None


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A root with enabled, masked, aliased and linked units."""
    units, local = tmp_path / "usr/lib/systemd/system", tmp_path / "etc/systemd/system"
    (local / "multi-user.target.wants").mkdir(parents=True)
    units.mkdir(parents=True)
    for name in ("on", "off", "masked", "emptied", "t@"):
        (units / f"{name}.service").write_text("[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
    for name in ("default.target", "multi-user.target", "sysinit.target", "basic.target", "shutdown.target"):
        (units / name).write_text("[Unit]\nDescription=x\n" + ("Wants=multi-user.target\n" if name == "default.target" else ""))
    (local / "masked.service").symlink_to("/dev/null")
    (local / "emptied.service").write_text("")
    (local / "multi-user.target.wants/on.service").symlink_to("/usr/lib/systemd/system/on.service")
    (local / "multi-user.target.wants/t@1.service").symlink_to("/usr/lib/systemd/system/t@.service")
    (tmp_path / "etc/machine-id").write_text("")
    return tmp_path


@pytest.mark.parametrize("name", ["on.service", "off.service", "masked.service", "emptied.service", "t@1.service"])
def test_systemctl_agrees_on_what_is_enabled_and_masked(system: Path, name: str) -> None:
    if not shutil.which("systemctl"):
        pytest.skip("systemctl is not installed")
    said = subprocess.run(["systemctl", f"--root={system}", "is-enabled", name], capture_output=True, text=True, check=False).stdout.strip()
    tree = open_directory(system).tree
    assert tree is not None
    units = Units(tree)
    ours = "masked" if units.unit(name).masked else "enabled" if name in starts(units) else "disabled"
    assert ours == said
