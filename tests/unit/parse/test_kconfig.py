import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.kconfig import parse_kconfig
from support.kernel import configuration

TEXT = b"""#
# Automatically generated file; DO NOT EDIT.
# Linux/arm64 6.6.144-yocto-standard Kernel Configuration
#
CONFIG_ARM64=y
CONFIG_EXT4_FS=m
# CONFIG_DEVMEM is not set
CONFIG_DEFAULT_MMAP_MIN_ADDR=65536
CONFIG_LSM="landlock,lockdown,yama"
#CONFIG_KEXEC=y
"""


def test_options_have_the_values_that_the_build_had() -> None:
    config = parse_kconfig(TEXT, artefact="rootfs", path="/config")
    assert (config.version, config.architecture) == ((6, 6), "arm64")
    names = ("EXT4_FS", "DEVMEM", "KEXEC", "DEFAULT_MMAP_MIN_ADDR", "LSM", "NEVER_HEARD_OF")
    assert [config.value(name) for name in names] == ["m", "n", "n", "65536", "landlock,lockdown,yama", "n"]


def test_a_configuration_of_the_layer_knows_its_architecture_and_version() -> None:
    config = parse_kconfig(configuration("qemux86-64").encode(), artefact="rootfs")
    assert (config.version, config.architecture) == ((6, 6), "x86_64")


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"\x7fELF\0\0", b"CONFIG_=y\n"])
def test_what_sets_no_option_is_no_configuration(data: bytes) -> None:
    with pytest.raises(ArtefactError, match="sets no option of a kernel"):
        parse_kconfig(data, artefact="rootfs")
