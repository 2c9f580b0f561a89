import pytest

from everest_secure.parse.kernel_modules import MAGIC
from support.rootfs import KERNEL_CONFIG, LOCAL, MODULES, UNITS, RootFs, failing, good_root

SERVICE = """[Unit]
ConditionDirectoryNotEmpty=/sys/fs/pstore
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/usr/lib/systemd/systemd-pstore
StateDirectory=systemd/pstore
"""
ENABLED = f"{LOCAL}/sysinit.target.wants/systemd-pstore.service"
CONF = "/etc/systemd/pstore.conf.d/x.conf"


def writing(option: str = "CONFIG_EFI_VARS_PSTORE=y") -> RootFs:
    """A root whose kernel writes the log of a crash into the firmware's variables."""
    return good_root().replace(KERNEL_CONFIG, "^CONFIG_EFI=y$", f"CONFIG_EFI=y\n{option}")


def taken_out(fs: RootFs) -> RootFs:
    fs.file(f"{UNITS}/systemd-pstore.service", SERVICE).file("/usr/lib/systemd/systemd-pstore", b"\x7fELF", mode=0o755)
    return fs.link(ENABLED, f"{UNITS}/systemd-pstore.service")


def as_module(fs: RootFs) -> RootFs:
    return fs.file(f"{MODULES}/kernel/drivers/firmware/efi/efi-pstore.ko", bytes(99) + MAGIC)


@pytest.mark.parametrize(
    ("fs", "found"),
    [
        (writing(), ["systemd-pstore.service is not installed"]),
        (taken_out(writing()), []),
        (taken_out(writing()).remove(ENABLED), ["systemd-pstore.service does not start"]),
        (taken_out(writing()).link(f"{LOCAL}/systemd-pstore.service", "/dev/null"), ["systemd-pstore.service is masked"]),
        (writing("CONFIG_EFI_VARS_PSTORE=y\nCONFIG_EFI_VARS_PSTORE_DEFAULT_DISABLE=y"), []),
        (writing("CONFIG_EFI_VARS_PSTORE=m"), []),
        (as_module(writing("CONFIG_EFI_VARS_PSTORE=m")), ["systemd-pstore.service is not installed"]),
        (as_module(writing("CONFIG_EFI_VARS_PSTORE=m")).file("/etc/modprobe.d/x.conf", "blacklist efi-pstore\n"), []),
        (as_module(writing("CONFIG_EFI_VARS_PSTORE=m")).file("/etc/modprobe.d/x.conf", "install efi_pstore /bin/false\n"), []),
        (as_module(good_root()), []),
    ],
    ids=[
        "nobody takes them out",
        "they are taken out",
        "the service is not enabled",
        "it is masked",
        "the kernel waits to be told",
        "the module is not in the image",
        "the module is in the image",
        "it is blacklisted",
        "it is refused",
        "no kernel has been built with it",
    ],
)
def test_a_kernel_that_logs_crashes_in_the_firmware_wants_them_taken_out(fs: RootFs, found: list[str]) -> None:
    said = failing(fs)
    assert [finding.rsplit(": ", 1)[1] for finding in said.pop("BOOT-05", ())] == found
    assert said == {}


@pytest.mark.parametrize("line", ["Storage=none", "Unlink=no", "Unlink=False"])
def test_a_service_that_is_told_to_leave_them_is_a_finding(line: str) -> None:
    fs = taken_out(writing()).file(CONF, f"[PStore]\n{line}\n")
    assert failing(fs) == {"BOOT-05": (f"systemd-pstore leaves the logs of crashes in the firmware's variables: {line}",)}


@pytest.mark.parametrize(
    "text", ["[PStore]\nStorage=journal\nUnlink=yes\n", "[Other]\nStorage=none\n", "[PStore]\nUnlink=no\nUnlink=yes\n"]
)
def test_other_settings_are_the_product_s(text: str) -> None:
    assert failing(taken_out(writing()).file(CONF, text)) == {}
