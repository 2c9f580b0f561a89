from everest_secure.parse.generated import generators, init_scripts, rc_local
from support.rootfs import RootFs

VENDOR = "/usr/lib/systemd/system-generators"


def test_a_generator_of_the_administrator_hides_the_vendors() -> None:
    fs = RootFs().file(f"{VENDOR}/a", "x", mode=0o755).file(f"{VENDOR}/b", "x", mode=0o644)
    assert [node.path for node in generators(fs.tree)] == [f"{VENDOR}/a"]
    assert generators(fs.link("/etc/systemd/system-generators/a", "/dev/null").tree) == ()


def test_without_its_generator_no_script_is_a_service() -> None:
    fs = RootFs().file("/etc/rc.local", "x", mode=0o755).file("/etc/init.d/a", "x", mode=0o755).link("/etc/rc3.d/S01a", "../init.d/a")
    assert not rc_local(fs.tree)
    assert not list(init_scripts(fs.tree))
    for name in ("systemd-rc-local-generator", "systemd-sysv-generator"):
        fs.file(f"{VENDOR}/{name}", "x", mode=0o755)
    assert rc_local(fs.tree)
    assert list(init_scripts(fs.tree)) == [("a.service", "/etc/rc3.d/S01a")]
    assert not rc_local(fs.chmod("/etc/rc.local", 0o644).tree)
