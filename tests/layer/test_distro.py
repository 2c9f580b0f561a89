"""Static ids, and what the layer is while nobody asked for it (ACC-02)."""

import pytest

from everest_secure.errors import UserError
from support.layer import LAYER, Bench

pytestmark = pytest.mark.layer


def table(name: str) -> dict[str, list[str]]:
    return {line.split(":")[0]: line.split(":") for line in (LAYER / "files" / name).read_text().splitlines()}


def test_every_user_and_group_that_recipes_declare_has_a_static_id(layer: Bench) -> None:
    package = layer.package("everest-user")
    assert {line.split()[-1] for line in package.users} <= table("everest-secure-passwd").keys()
    assert {line.split()[-1] for line in package.groups} <= table("everest-secure-group").keys()


def test_the_tables_know_the_accounts_of_everything_in_the_image() -> None:
    users = {"everest", "messagebus", "mosquitto", "rauc-hawkbit", "systemd-network", "systemd-resolve", "systemd-timesync", "tss"}
    assert table("everest-secure-passwd").keys() == users
    assert table("everest-secure-group").keys() == users | {"systemd-journal", "render", "gpio"}


def test_no_two_accounts_share_an_id() -> None:
    for name in ("everest-secure-passwd", "everest-secure-group"):
        ids = [fields[2] for fields in table(name).values()]
        assert len(ids) == len(set(ids))


def test_users_and_their_groups_agree() -> None:
    groups = {name: fields[2] for name, fields in table("everest-secure-group").items()}
    assert all(fields[3] == groups[name] for name, fields in table("everest-secure-passwd").items())


def test_without_the_distro_feature_rauc_keeps_its_own_configuration(layer: Bench) -> None:
    with pytest.raises(UserError, match="set the distro feature everest-secure"):
        layer.build("rauc-conf", {"DISTRO_FEATURES:remove": "everest-secure", "RAUC_KEYRING_URI": ""})


def test_the_bench_tools_of_everest_are_off_even_when_asked_for(layer: Bench) -> None:
    recipe = layer.build("everest-core", {"PACKAGECONFIG": "applications javascript python tpm2"}, variables=("PACKAGECONFIG",))
    assert recipe.variables["PACKAGECONFIG"].split() == ["tpm2"]


def test_an_interpreter_is_there_only_for_modules_that_need_it(layer: Bench) -> None:
    recipe = layer.build("everest-core", {"EVEREST_PYTHON": "1"}, variables=("PACKAGECONFIG",))
    assert "python" in recipe.variables["PACKAGECONFIG"].split()


def test_the_distribution_has_the_boot_variables_that_rauc_needs(layer: Bench) -> None:
    recipe = layer.build("rauc-conf", variables=("DISTRO_FEATURES",))
    assert {"efi", "rauc", "systemd"} <= set(recipe.variables["DISTRO_FEATURES"].split())


def test_the_package_group_belongs_to_the_machine_whose_packages_it_names(layer: Bench) -> None:
    # OE-Core refuses a group for all machines that names a library, as libtss2-tcti-device is one.
    recipe = layer.build("packagegroup-everest-secure", variables=("PACKAGE_ARCH", "MACHINE_ARCH"))
    assert recipe.variables["PACKAGE_ARCH"] == recipe.variables["MACHINE_ARCH"]
    assert "libtss2-tcti-device" in recipe.packages[0].depends
