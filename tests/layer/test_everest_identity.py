"""The identity of a single charger, put into the configuration by the program that the layer installs (OCPP-01)."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from support.layer import Bench

pytestmark = pytest.mark.layer

SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(shutil.which(shell[0]) is None, reason=f"{shell[0]} is missing"))
    for shell in (("dash",), ("busybox", "sh"))
]


def give(layer: Bench, shell: tuple[str, ...], place: Path, identity: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the program with an identity on the OCPP configuration that everest-config makes; the result lies in PLACE/run."""
    program = layer.package("everest-identity", **settings).files / "usr/libexec/everest-identity"
    source = layer.package("everest-config", **settings).files / "etc/everest/ocpp"
    file = place / "charge-point-id"
    file.write_text(identity)
    return subprocess.run([*shell, program, file, source, place / "run"], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_charger_with_ocpp_2_names_itself_by_its_own_identity(layer: Bench, tmp_path: Path, shell: tuple[str, ...]) -> None:
    assert give(layer, shell, tmp_path, "CP-0815\n").returncode == 0
    components = tmp_path / "run/component_config/standardized"
    security, internal = ((components / name).read_text() for name in ("SecurityCtrlr.json", "InternalCtrlr.json"))
    assert json.loads(security)["properties"]["Identity"]["attributes"][0]["value"] == "CP-0815"
    assert internal.count('"CP-0815"') == 2
    assert "unprovisioned" not in security + internal


@pytest.mark.parametrize("shell", SHELLS)
def test_a_charger_with_ocpp_1_names_itself_by_its_own_identity(layer: Bench, tmp_path: Path, shell: tuple[str, ...]) -> None:
    assert give(layer, shell, tmp_path, "CP-0815", EVEREST_OCPP_VERSION="1.6").returncode == 0
    internal = json.loads((tmp_path / "run/config.json").read_text())["Internal"]
    assert (internal["ChargePointId"], internal["ChargeBoxSerialNumber"]) == ("CP-0815", "CP-0815")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("identity", ["", "CP 0815", 'x", "SecurityProfile": "0', "CP/0815", "CP&0815", "C\nP", "C" * 26])
def test_what_is_no_identity_changes_nothing(layer: Bench, tmp_path: Path, shell: tuple[str, ...], identity: str) -> None:
    done = give(layer, shell, tmp_path, identity)
    assert done.returncode == 1
    assert "holds no identity" in done.stderr
    assert not (tmp_path / "run").exists()


def test_the_service_sees_the_copy_where_there_is_one_and_the_original_otherwise(layer: Bench) -> None:
    units = layer.package("everest-identity").files / "usr/lib/systemd/system"
    assert "ConditionFileNotEmpty=/var/lib/everest-identity/charge-point-id\n" in (units / "everest-identity.service").read_text()
    drop_in = (units / "everest.service.d/40-everest-identity.conf").read_text()
    assert "BindReadOnlyPaths=-/run/everest-ocpp:/etc/everest/ocpp\n" in drop_in
    assert "After=everest-identity.service\n" in drop_in
