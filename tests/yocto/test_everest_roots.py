"""Which roots a CSMS may install, by libocpp's own code with the configuration that the layer installs (CERT-07, OCPP-01)."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from support.everest_charger import charger, install
from support.everest_code import Programs
from support.everest_logs import MIGRATIONS
from support.layer import Bench
from support.ocpp import COMPONENTS, edited, variable
from support.rootfs import RootFs, failing

pytestmark = [
    pytest.mark.yocto,
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is missing"),
]

COMPONENT = "InternalCtrlr"
VERSION = {"EVEREST_OCPP_VERSION": "2.0.1"}
UNSECURED = {
    "CSMSRootCertificate": "AllowCSMSRootCertInstallWithUnsecureConnection",
    "ManufacturerRootCertificate": "AllowMFRootCertInstallWithUnsecureConnection",
}
ALWAYS = {"MORootCertificate", "V2GRootCertificate"}
"""What EVerest takes over any link, so that only the security profile is in the way."""


def taken(fs: RootFs, ocpp: Programs, place: Path, everest: Path) -> set[str]:
    """Return the kinds of roots that OCPP takes on a charger."""
    machine = install(fs, place, everest)
    module = machine.configured("OCPP201")
    paths = (module["DeviceModelConfigPath"], f"/everest/{MIGRATIONS}", module["DeviceModelDatabasePath"])
    done = machine.run(ocpp.built, "roots", *paths)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def unsecured(layer: Bench, everest: Path) -> RootFs:
    """A charger whose link to the CSMS has no TLS."""
    return variable("SecurityCtrlr", "SecurityProfile", 1)(charger(layer, everest, **VERSION))


def test_over_the_charger_s_own_link_roots_of_every_kind_are_taken(layer: Bench, everest: Path, ocpp: Programs, tmp_path: Path) -> None:
    assert taken(charger(layer, everest, **VERSION), ocpp, tmp_path, everest) == UNSECURED.keys() | ALWAYS


def test_over_an_unsecured_link_no_root_for_csms_or_firmware_is_taken(layer: Bench, everest: Path, ocpp: Programs, tmp_path: Path) -> None:
    fs = unsecured(layer, everest)
    assert taken(fs, ocpp, tmp_path, everest) == ALWAYS
    assert "OCPP-01" in failing(fs)


def removed(document: dict[str, Any], name: str) -> None:
    del document["properties"][name]


@pytest.mark.parametrize("given", [True, False], ids=["on", "on by default"])
@pytest.mark.parametrize("kind", UNSECURED)
def test_the_checker_refuses_what_lets_a_root_in_over_an_unsecured_link(
    layer: Bench, everest: Path, ocpp: Programs, tmp_path: Path, kind: str, given: bool
) -> None:
    name = UNSECURED[kind]
    switch = variable(COMPONENT, name, True) if given else edited(f"{COMPONENTS}/{COMPONENT}.json", lambda each: removed(each, name))
    fs = switch(unsecured(layer, everest))
    assert taken(fs, ocpp, tmp_path, everest) == {kind} | ALWAYS
    assert "CERT-07" in failing(fs)
