"""The account that EVerest's modules run as (ACC-02)."""

import pytest

from support.layer import Bench, contents, production

pytestmark = pytest.mark.layer


def test_the_service_user_is_declared_as_the_policy_wants_it(layer: Bench) -> None:
    wanted = production().service_user
    package = layer.package("everest-user")
    assert package.users == (
        f"-r -u {wanted.uid} -g {wanted.name} -G {','.join(wanted.groups)} -d {wanted.home} -s {wanted.shell} {wanted.name}",
    )


def test_every_group_of_the_user_that_a_base_system_lacks_is_declared_before_it(layer: Bench) -> None:
    package = layer.package("everest-user")
    declared = {line.split()[-1] for line in package.groups}
    of_base_passwd = {"dialout", "tty"}
    assert declared | of_base_passwd >= set(production().service_user.groups) | {"everest"}
    assert "-g 1501 gpio" in package.groups


def test_the_package_exists_although_it_has_no_file(layer: Bench) -> None:
    assert contents(layer.package("everest-user")) == {}
