"""The layer does nothing until asked: in a build without the distro feature, no task of a recipe that we append to has another signature."""

from collections.abc import Mapping

import pytest

from support.yocto import LAYER, QUICK, Checkout

pytestmark = pytest.mark.yocto

APPENDED = ("everest-core", "linux-yocto", "rauc-conf", "systemd", "tpm2-openssl")
DIGESTS = "__siggen_basehashes"
SOMEBODY_ELSE = 'DISTRO = "nodistro"\nINIT_MANAGER = "systemd"\nDISTRO_FEATURES:append = " rauc security tpm2"\n'


def signatures(checkout: Checkout, *, with_ours: bool) -> Mapping[str, Mapping[str, str]]:
    """Digest of each task's own metadata, by recipe and task."""
    without = () if with_ours else (checkout.user.directory / LAYER,)
    questions = {recipe: [DIGESTS] for recipe in APPENDED}
    answers = checkout.ask("kas/qemux86-64.yml", questions, without=without, lines=QUICK + SOMEBODY_ELSE)
    return {recipe: values[DIGESTS] for recipe, values in answers.values.items()}


def test_in_somebody_else_s_build_no_task_changes(checkout: Checkout) -> None:
    with_ours, without = (signatures(checkout, with_ours=there) for there in (True, False))
    assert all("do_compile" in tasks for tasks in without.values())
    assert with_ours == without


def test_in_somebody_else_s_build_the_world_is_without_our_recipes(checkout: Checkout) -> None:
    world = {"everest-config": ["EXCLUDE_FROM_WORLD"], "everest-network": ["EXCLUDE_FROM_WORLD"], "systemd": ["EXCLUDE_FROM_WORLD"]}
    answers = checkout.ask("kas/qemux86-64.yml", world, lines=QUICK + SOMEBODY_ELSE)
    assert {recipe: values["EXCLUDE_FROM_WORLD"] for recipe, values in answers.values.items()} == {
        "everest-config": "1",
        "everest-network": "1",
        "systemd": None,
    }
