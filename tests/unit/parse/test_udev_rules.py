from everest_secure.parse.udev_rules import wanted_by_devices
from support.rootfs import RootFs


def test_a_rule_file_of_the_same_name_replaces_the_vendors_and_comparisons_want_nothing() -> None:
    rule = 'ENV{{SYSTEMD_WANTS}}{}"{}"\n'
    fs = RootFs().file("/usr/lib/udev/rules.d/1.rules", rule.format("+=", "vendor.service"))
    fs.file(
        "/etc/udev/rules.d/2.rules",
        "#" + rule.format("=", "no.service") + rule.format("==", "no.service") + rule.format("=", "a.target b.service"),
    )
    assert [name for name, _ in wanted_by_devices(fs.tree)] == ["vendor.service", "a.target", "b.service"]
    assert [name for name, _ in wanted_by_devices(fs.link("/etc/udev/rules.d/1.rules", "/dev/null").tree)] == ["a.target", "b.service"]
