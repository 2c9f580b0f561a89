import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.fstab import parse_fstab
from everest_secure.parse.mounts import lasting, mount_of, read_mounts
from everest_secure.parse.tmpfiles import read_directories
from everest_secure.parse.unit_graph import starts
from everest_secure.parse.units import Units
from support.rootfs import RootFs, good_root


def test_fields_have_their_defaults_and_escapes() -> None:
    first, second = parse_fstab("# x\n/dev/sda1 / ext4 ro,noatime 1 1\nLABEL=a\\040b /mnt\\011x\n")
    assert (first.read_only, first.line) == (True, 2)
    assert (second.what, second.where, second.type, second.options) == ("LABEL=a b", "/mnt\tx", "auto", ("defaults",))


def test_a_line_without_mount_point_is_refused() -> None:
    with pytest.raises(ArtefactError, match="/etc/fstab:1"):
        parse_fstab("/dev/sda1\n")


def test_a_bind_mount_lasts_as_long_as_what_it_binds() -> None:
    tree = good_root().tree
    mounts = read_mounts(tree, starts(Units(tree)))
    store = mount_of("/etc/everest/certs/ca", mounts)
    assert store is not None
    assert store.where == "/etc/everest/certs"
    device = lasting("/etc/everest/certs/ca", mounts)
    assert device is not None
    assert device.what == "/dev/disk/by-partlabel/data"
    assert lasting("/etc/rauc", mounts) is None


def test_bind_mounts_in_a_circle_do_not_last() -> None:
    mounts = parse_fstab("/b/x /a none bind\n/a/x /b none bind\n")
    assert lasting("/a/y", mounts) is None


def test_the_first_line_of_tmpfiles_counts_for_a_path() -> None:
    fs = (
        RootFs()
        .file("/usr/lib/tmpfiles.d/b.conf", "d /var/x 0777 root root -\n")
        .file("/usr/lib/tmpfiles.d/a.conf", "d /var/x 0700 everest - -\n")
    )
    (found,) = read_directories(fs.tree)
    assert (found.mode, found.user, found.group) == (0o700, "everest", "root")


def test_lines_that_make_no_directory_are_passed_over() -> None:
    fs = RootFs().file("/usr/lib/tmpfiles.d/x.conf", 'f /x 0644\nL /y - - - - /z\n"open\n\n# d /a\n')
    assert read_directories(fs.tree) == ()
