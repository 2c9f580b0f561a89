import pytest

from everest_secure.parse.cmdline import parse_cmdline


def test_the_last_value_wins_and_all_are_kept() -> None:
    line = parse_cmdline("console=tty0 console=ttyS0,115200 quiet\0\n")
    assert line.values("console") == ("tty0", "ttyS0,115200")
    assert line.last("console") == "ttyS0,115200"
    assert line.last("quiet") == ""
    assert line.last("debug") is None


@pytest.mark.parametrize(("text", "value"), [('dyndbg="file a b"', "file a b"), ('"dyndbg=file a b"', "file a b"), ("dyndbg=a=b", "a=b")])
def test_quotes_group_as_in_the_kernel(text: str, value: str) -> None:
    assert parse_cmdline(f"ro {text} quiet").last("dyndbg") == value


def test_dash_and_underscore_are_the_same() -> None:
    assert parse_cmdline("systemd.debug-shell=1").has("systemd.debug_shell")


@pytest.mark.parametrize(("text", "expected"), [("", True), ("ro", True), ("rw", False), ("ro rw", False), ("rw ro", True), ("rw=1", True)])
def test_the_root_is_writable_when_the_last_word_says_so(text: str, *, expected: bool) -> None:
    assert parse_cmdline(text).root_read_only is expected


@pytest.mark.parametrize(("text", "expected"), [("rw -- ro", False), ("ro -- rw", False), ("rw ro -- ro", True), ("rw ro -- quiet", True)])
def test_the_root_is_writable_when_kernel_or_systemd_finds_the_word(text: str, *, expected: bool) -> None:
    assert parse_cmdline(text).root_read_only is expected


def test_the_kernel_reads_nothing_behind_two_dashes_and_systemd_does() -> None:
    line = parse_cmdline("a=1 -- a=2")
    assert (line.kernel.last("a"), line.last("a")) == ("1", "2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ro --", True),
        ("--", True),
        ('ro "--"', True),
        ("ro", False),
        ("", False),
        ("ro -- quiet", False),
        ("ro -- --", False),
        ("ro --=", False),
    ],
)
def test_a_line_is_closed_when_it_ends_with_its_only_two_dashes(text: str, *, expected: bool) -> None:
    assert parse_cmdline(text).closed is expected


def test_what_is_for_the_initrd_counts_there_alone() -> None:
    line = parse_cmdline("systemd.verity=yes rd.systemd.verity=no rd.break")
    assert (line.last("systemd.verity"), line.initrd.last("systemd.verity")) == ("yes", "no")
    assert not line.has("break")


@pytest.mark.parametrize(
    ("text", "expected"), [("", False), ("a.b", True), ("a.b=Yes", True), ("a-b a.b=yes a.b=Off", False), ("a.b=overlay", True)]
)
def test_a_switch_is_on_unless_its_last_value_says_no(text: str, *, expected: bool) -> None:
    assert parse_cmdline(text).asks_for("a.b") is expected
