import pytest

from everest_secure.parse.device_nodes import NodeAccess, node_access
from support.rootfs import RootFs

RULE = 'KERNEL=="tpmrm[0-9]*", MODE="0660", OWNER="tss", GROUP="tss"\n'


def access(fs: RootFs) -> NodeAccess:
    return node_access(fs.directory("/").tree, kernel="tpmrm0", subsystem="tpmrm")


def rules(text: str) -> RootFs:
    return RootFs().file("/usr/lib/udev/rules.d/50-x.rules", text)


@pytest.mark.parametrize(
    ("text", "group", "mode"),
    [
        (RULE, "tss", 0o660),
        (f"# {RULE}", "root", 0o600),
        ('SUBSYSTEM=="tpmrm", GROUP="tss"\n', "tss", 0o660),
        ('SUBSYSTEM=="tpmrm", ACTION=="add|change", GROUP="tss", MODE="0640"\n', "tss", 0o640),
        ('KERNEL!="tpmrm*", GROUP="tss"\n', "root", 0o600),
        ('KERNEL=="tpmrm0", ATTR{x}=="y", GROUP="tss"\n', "root", 0o600),
        ('KERNEL=="tpmrm0", \\\n  GROUP="tss"\n', "tss", 0o660),
        (f'{RULE}KERNEL=="tpm*", GROUP="root"\n', "root", 0o660),
        (f'KERNEL=="tpm*", GROUP:="tss"\n{RULE.replace("tss", "root")}', "tss", 0o660),
        (f'SUBSYSTEM!="usb", GOTO="end"\n{RULE}LABEL="end"\n', "root", 0o600),
        (f'SUBSYSTEM=="usb", GOTO="end"\n{RULE}LABEL="end"\n', "tss", 0o660),
        (f'SUBSYSTEM!="usb", GOTO="end"\nLABEL="end"\n{RULE}', "tss", 0o660),
    ],
)
def test_the_last_rule_that_matches_counts(text: str, group: str, mode: int) -> None:
    found = access(rules(text))
    assert (found.group, found.mode) == (group, mode)


def test_a_file_of_the_administrator_takes_the_place_of_one_of_the_same_name_and_files_are_read_by_name() -> None:
    fs = rules(RULE).file("/usr/lib/udev/rules.d/60-y.rules", RULE.replace("tss", "root"))
    assert access(fs).group == "root"
    assert access(fs.file("/etc/udev/rules.d/60-y.rules", RULE)).group == "tss"
    assert access(fs.file("/etc/udev/rules.d/60-y.rules", RULE)).path == "/etc/udev/rules.d/60-y.rules"


def test_a_jump_ends_with_its_file() -> None:
    fs = rules('GOTO="nowhere"\n').file("/usr/lib/udev/rules.d/60-y.rules", RULE)
    assert access(fs).group == "tss"
