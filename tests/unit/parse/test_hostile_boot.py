"""What boot loaders, kernels and encrypted volumes read, altered at random: each parser says something of it or ends in one sentence."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import from_bytes
from everest_secure.parse import loaders
from everest_secure.parse.encryption import read_crypttab, read_luks
from everest_secure.parse.kconfig import parse_kconfig
from everest_secure.parse.kernel_image import kernel_configuration
from everest_secure.parse.modprobe import refused_modules
from everest_secure.parse.udev_rules import authorisations
from everest_secure.policy.kernel_rules import kernel_rules
from support.kernel import configuration
from support.rootfs import RootFs

LINES = st.text(alphabet="set timeout=0\"'superusers password_pbkdf2 editor no PROMPT\n\\#{}", max_size=200)


@given(LINES)
def test_any_menu_is_judged(text: str) -> None:
    for settings in (loaders.systemd_boot_settings, loaders.grub_settings, loaders.extlinux_settings):
        assert all(setting.what and setting.remedy for setting in settings(text))


@given(st.text(alphabet='install blacklist /bin/false data none tpm2-device=auto,ATTR{authorized}="1"\\\n#', max_size=200))
def test_any_file_of_modprobe_udev_and_cryptsetup_is_read(text: str) -> None:
    fs = RootFs().directory("/").file("/etc/modprobe.d/a.conf", text).file("/etc/udev/rules.d/a.rules", text).file("/etc/crypttab", text)
    refused_modules(fs.tree)
    list(authorisations(fs.tree))
    read_crypttab(fs.tree)


@given(st.integers(0, 10_000), st.integers(0, 50), st.text(max_size=30), st.integers(-1, 1 << 70))
def test_an_altered_kernel_configuration_is_held_to_every_rule(at: int, gone: int, new: str, number: int) -> None:
    text = configuration()
    at %= len(text)
    altered = f"{text[:at]}{new}{text[at + gone :]}CONFIG_PANIC_TIMEOUT={number}\n"
    config = parse_kconfig(altered.encode("utf-8", "surrogatepass"), artefact="x")
    for rule in kernel_rules():
        rule.applies(config)
        rule.holds(config)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x02\x21\x4c\x18", b"BZh", b"\x5d\0\0", b"\x27\x05\x19\x56"]),
)
def test_any_bytes_behind_the_mark_of_a_kernel_are_refused_or_hold_no_configuration(content: bytes, mark: bytes) -> None:
    with suppress(ArtefactError):
        assert kernel_configuration(from_bytes(mark + content, "kernel")) is None


@given(st.binary(max_size=200), st.integers(0, 1 << 64))
def test_any_bytes_behind_the_magic_of_a_volume_are_a_header_or_a_sentence(content: bytes, size: int) -> None:
    head = b"LUKS\xba\xbe\0\2" + min(size, (1 << 64) - 1).to_bytes(8, "big")
    for blob in (head.ljust(4096, b"\0") + content, head[:8] + (8192).to_bytes(8, "big") + bytes(4080) + content.ljust(8192, b"\0")):
        with suppress(ArtefactError):
            read_luks(from_bytes(blob, "volume"))


@given(st.binary(max_size=5000))
def test_any_bytes_are_an_environment_of_u_boot_or_none(content: bytes) -> None:
    loaders.u_boot_environments(from_bytes(content, "env"))
    loaders.u_boot_variables(content)
