import pytest

from everest_secure.parse.repart import DEFAULT_LEAST, partitions
from support.rootfs import RootFs

PLACE = "/usr/lib/repart.d/50-data.conf"


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ("64M", 64 << 20),
        ("1G", 1 << 30),
        ("512K", 512 << 10),
        ("1048576", 1 << 20),
        ("2 G", 2 << 30),
        ("", DEFAULT_LEAST),
        ("many", DEFAULT_LEAST),
    ],
)
def test_sizes_are_systemd_s(size: str, wanted: int) -> None:
    (found,) = partitions(RootFs().file(PLACE, f"[Partition]\nLabel=data\nSizeMinBytes={size}\n").tree)
    assert (found.label, found.least) == ("data", wanted)


def test_a_file_of_the_administrator_and_a_drop_in_count_before_the_layers() -> None:
    fs = RootFs().file(PLACE, "[Partition]\nLabel=data\nSizeMinBytes=64M\n").file(f"{PLACE}.d/x.conf", "[Partition]\nSizeMinBytes=32M\n")
    assert [each.least for each in partitions(fs.tree)] == [32 << 20]
    fs.file("/etc/repart.d/50-data.conf", "[Partition]\nLabel=other\nSizeMinBytes=1G\n")
    assert [(each.label, each.least) for each in partitions(fs.tree)] == [("other", 32 << 20)]


@pytest.mark.parametrize("mask", ["", None])
def test_an_empty_file_of_the_administrator_takes_the_layers_away(mask: str | None) -> None:
    fs = RootFs().file(PLACE, "[Partition]\nLabel=data\n")
    masked = fs.link("/etc/repart.d/50-data.conf", "/dev/null") if mask is None else fs.file("/etc/repart.d/50-data.conf", mask)
    assert list(partitions(masked.tree)) == []
