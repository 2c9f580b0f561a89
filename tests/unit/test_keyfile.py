import pytest

from everest_secure.errors import ArtefactError
from everest_secure.keyfile import parse_keyfile
from everest_secure.parse.rauc_conf import RaucConfig, parse_rauc_config
from support.rootfs import layer

SLOTS = "[slot.rootfs.0]\ndevice=/dev/a\nbootname=A\n"


def config(system: str, keyring: str = "") -> RaucConfig:
    return parse_rauc_config(f"[system]\ncompatible=x\n{system}\n[keyring]\n{keyring}\n{SLOTS}", "/etc/rauc/system.conf")


def test_the_last_of_two_keys_and_both_of_two_groups_count() -> None:
    file = parse_keyfile("[a]\nx=1\nx = 2\n[b]\n[a]\ny=a\\sb\n", "f")
    assert (file.value("a", "x"), file.value("a", "y")) == ("2", "a b")


@pytest.mark.parametrize("text", ["x=1\n", "[a\n", "[a]\nword\n", "[a]\nx=\\q\n", "[]\n", "[a] b\n"])
def test_what_glib_refuses_is_refused(text: str) -> None:
    with pytest.raises(ArtefactError, match="f:"):
        parse_keyfile(text, "f")


@pytest.mark.parametrize(
    ("value", "formats"),
    [
        ("", {"plain", "verity", "crypt"}),
        ("bundle-formats=verity", {"verity"}),
        ("bundle-formats=-plain", {"verity", "crypt"}),
        ("bundle-formats=-plain -crypt", {"verity"}),
        ("bundle-formats=verity crypt", {"verity", "crypt"}),
        ("bundle-formats=verity  crypt", {"verity", "crypt"}),
        ("bundle-formats=-plain -crypt +plain", {"plain", "verity"}),
    ],
)
def test_bundle_formats_have_rauc_s_default(value: str, formats: set[str]) -> None:
    assert config(value).bundle_formats == formats


@pytest.mark.parametrize(
    "value",
    [
        "bundle-formats=verity -plain",
        "bundle-formats=zip",
        "bundle-formats= ",
        "bundle-formats=-plain -verity -crypt",
        "bundle-formats=verity\tcrypt",
    ],
)
def test_formats_that_rauc_refuses_are_refused(value: str) -> None:
    with pytest.raises(ArtefactError, match="bundle-formats"):
        config(value)


def test_paths_are_relative_to_the_file() -> None:
    found = config("data-directory=data", "path=../keys/k.pem")
    assert (found.keyring, found.statusfile) == ("/etc/keys/k.pem", "/etc/rauc/data/central.raucs")
    assert config("").statusfile == "per-slot"
    assert config("").check_purpose == "smimesign"


def test_the_layers_configuration_is_read() -> None:
    """That the real rauc takes it says tests/layer/test_rauc.py."""
    text = "".join(layer(f"recipes-core/rauc/rauc-conf/{name}") for name in ("system.conf", "slots-uki.conf"))
    found = parse_rauc_config(text, "/etc/rauc/system.conf")
    assert found.bundle_formats == frozenset(("verity",))
    assert (found.check_purpose, found.keyring) == ("codesign", "/etc/rauc/keyring.pem")
    assert [slot.bootname for slot in found.slots if slot.slot_class == "rootfs"] == ["A", "B"]
