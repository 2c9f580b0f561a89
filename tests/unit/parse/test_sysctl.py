"""Kernel settings; systemd-sysctl itself makes them in a network namespace of its own and the kernel says what came of it."""

from pathlib import Path

import pytest

from everest_secure.image.directory import open_directory
from everest_secure.parse.sysctl import normalised, parse_sysctl, read_sysctl
from support.images import tool
from support.reference import require, root_command
from support.rootfs import RootFs, layer

PROGRAM = "/usr/lib/systemd/systemd-sysctl"
KEYS = ("rp_filter", "accept_redirects", "send_redirects", "forwarding")
PLACES = ("/etc/sysctl.d", "/usr/lib/sysctl.d")
CASES = {
    "a star reaches every interface": {"/usr/lib/sysctl.d/a.conf": "net.ipv4.conf.*.rp_filter = 1\n"},
    "a key of its own counts before a star that comes later": {
        "/usr/lib/sysctl.d/a.conf": "net.ipv4.conf.lo.rp_filter = 2\n",
        "/usr/lib/sysctl.d/b.conf": "net.ipv4.conf.*.rp_filter = 1\n",
    },
    "a key is taken out of a star": {
        "/usr/lib/sysctl.d/a.conf": "net.ipv4.conf.l*.accept_redirects = 0\n-net.ipv4.conf.lo.accept_redirects\n"
    },
    "an excluded key is set later": {
        "/usr/lib/sysctl.d/a.conf": "-net.ipv4.conf.lo.rp_filter\nnet.ipv4.conf.l*.rp_filter=2\n",
        "/usr/lib/sysctl.d/b.conf": "net.ipv4.conf.lo.rp_filter = 1\n",
    },
    "the last of two stars counts": {"/usr/lib/sysctl.d/a.conf": "net.ipv4.conf.*.rp_filter=1\nnet.ipv4.conf.l*.rp_filter=2\n"},
    "a star that is set again comes last": {
        "/usr/lib/sysctl.d/a.conf": "net.ipv4.conf.*.rp_filter=1\nnet.ipv4.conf.l*.rp_filter=2\nnet.ipv4.conf.*.rp_filter=0\n"
    },
    "a star that is said again stays where it was": {
        "/usr/lib/sysctl.d/a.conf": "net.ipv4.conf.*.rp_filter=1\nnet.ipv4.conf.l*.rp_filter=2\nnet.ipv4.conf.*.rp_filter=1\n"
    },
    "slashes and dots": {"/usr/lib/sysctl.d/a.conf": "net/ipv4/conf/lo/rp_filter = 1\n/net/ipv4/conf/all/send_redirects = 0\n"},
    "a file of the administrator hides one of the same name": {
        "/usr/lib/sysctl.d/a.conf": "net.ipv4.conf.lo.rp_filter = 1\n",
        "/etc/sysctl.d/a.conf": "net.ipv4.conf.lo.rp_filter = 2\n",
    },
    "an empty file hides one of the same name": {
        "/usr/lib/sysctl.d/a.conf": "net.ipv4.conf.lo.rp_filter = 1\n",
        "/etc/sysctl.d/a.conf": "",
    },
    "comments, other lines and other names": {
        "/usr/lib/sysctl.d/a.conf": "# net.ipv4.conf.lo.rp_filter=1\n;x=1\nnonsense\n  net.ipv4.conf.lo.rp_filter\t=  2  \n",
        "/usr/lib/sysctl.d/a.txt": "net.ipv4.conf.lo.rp_filter = 1\n",
    },
    "what the layer sets": {
        "/usr/lib/sysctl.d/50-default.conf": "net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\n",
        "/usr/lib/sysctl.d/60-everest.conf": "\n".join(
            line for line in layer("recipes-core/everest-sysctl/files/60-everest.conf").splitlines() if line.startswith("net.")
        ),
    },
}


@pytest.mark.parametrize("case", CASES)
def test_systemd_and_the_kernel_agree_on_what_is_set(case: str, tmp_path: Path) -> None:
    require("unshare", "mount", PROGRAM)
    fs = RootFs()
    for path, text in CASES[case].items():
        fs.file(path, text)
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_text(text)
    for place in PLACES:
        (tmp_path / place[1:]).mkdir(parents=True, exist_ok=True)
    binds = "".join(f"mount --bind {tmp_path}{place} {place}\n" for place in PLACES)
    names = " ".join(f"/proc/sys/net/ipv4/conf/{name}/{key}" for name in ("all", "lo") for key in KEYS)
    before, after = (
        tool(*root_command("unshare", "--net", "--mount", "sh", "-ec", f"{binds}{run}cat {names}")).decode().split()
        for run in ("", f"{PROGRAM} --prefix=/net 2>/dev/null || true\n")
    )
    settings = read_sysctl(fs.tree)
    for name, old, new in zip(names.split(), before, after, strict=True):
        found = settings.get(name.removeprefix("/proc/sys/"))
        assert new == (found.value if found else old), name


def test_a_directory_on_disk_reads_as_one_in_memory(tmp_path: Path) -> None:
    (tmp_path / "usr/lib/sysctl.d").mkdir(parents=True)
    (tmp_path / "usr/lib/sysctl.d/a.conf").write_text("kernel.sysrq = 0\n")
    (tmp_path / "usr/lib/sysctl.d/b.conf").symlink_to("/dev/null")
    artefact = open_directory(tmp_path)
    assert artefact.tree is not None
    found = read_sysctl(artefact.tree).get("kernel.sysrq")
    assert found is not None
    assert (found.value, found.path, found.line) == ("0", "/usr/lib/sysctl.d/a.conf", 1)


def test_keys_are_paths() -> None:
    assert normalised("net.ipv4.conf.eth0/100.rp_filter") == "net/ipv4/conf/eth0.100/rp_filter"
    assert normalised("net/ipv4/conf/eth0.100/rp_filter") == "net/ipv4/conf/eth0.100/rp_filter"
    assert [each.key for each in parse_sysctl("-dev.tty.ldisc_autoload = 0\n", "x")] == ["dev/tty/ldisc_autoload"]
