"""Our configuration as the real EVerest, at the pinned commit, reads it (OCPP-01, OCPP-02)."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from everest_secure.errors import UserError
from everest_secure.reference.recipes.harness import BuiltPackage
from support.everest import COMPONENTS, Manifests, component_faults, ocpp16_faults, patched
from support.everest_charger import charger, made
from support.layer import Bench
from support.ocpp import COMPONENTS as INSTALLED_COMPONENTS
from support.rootfs import failing

pytestmark = pytest.mark.yocto

CHOICES = [
    {"EVEREST_OCPP_VERSION": "2.0.1"},
    {"EVEREST_OCPP_VERSION": "1.6"},
    {"EVEREST_ISO15118": "2+20"},
    {"EVEREST_ISO15118": "2+20", "EVEREST_OCPP_VERSION": "1.6", "EVEREST_V2G_TLS": "force"},
]


def configuration(package: BuiltPackage) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((package.files / "etc/everest/config.yaml").read_text())
    return document


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "-".join(choice.values()))
def test_everest_knows_every_module_key_value_and_connection(layer: Bench, everest: Path, choice: dict[str, str]) -> None:
    assert Manifests(everest).faults(configuration(made(layer, everest, **choice))) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("tls_security: allow", "tls_negotiation_strategy: allow", "iso15118_charger: tls_negotiation_strategy is no key"),
        ("tls_security: allow", "tls_security: always", "iso15118_charger: tls_security: 'always' is not one of"),
        ("module: EvseSlac", "module: EvseSlack", "slac: EVerest has no module EvseSlack"),
        ("implementation_id: charger", "implementation_id: extensions", "evse_manager: hlc wants ISO15118_charger"),
        ("run_as_user", "runs_as_user", "'runs_as_user' was unexpected"),
    ],
)
def test_a_fault_in_the_configuration_would_be_seen(layer: Bench, everest: Path, old: str, new: str, fault: str) -> None:
    text = yaml.safe_dump(configuration(made(layer, everest)))
    assert old in text
    found = Manifests(everest).faults(yaml.safe_load(text.replace(old, new)))
    assert any(fault in each for each in found)
    image = charger(layer, everest).file("/etc/everest/config.yaml", text.replace(old, new))
    assert "TLS-01" in failing(image)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "-".join(choice.values()))
def test_the_checker_finds_no_fault_in_our_configuration_by_everest_s_own_manifests(
    layer: Bench, everest: Path, choice: dict[str, str]
) -> None:
    found = failing(charger(layer, everest, **choice))
    # Of the modules that the image has by EVerest's checkout, some are no product's.
    assert set(found) <= {"BIN-02"}


def test_the_checker_refuses_everest_s_own_components_for_each_default_that_is_not_secure(layer: Bench, everest: Path) -> None:
    fs = charger(layer, everest)
    for path in (everest / COMPONENTS).iterdir():
        fs.file(f"{INSTALLED_COMPONENTS}/{path.name}", path.read_bytes())
    found = failing(fs)
    said = "\n".join(found["OCPP-01"])
    for part in ("no wss:// URL", "the security profile is 1", "a password is shipped", "UseSslDefaultVerifyPaths is True", "AES128-GCM-SHA256",
                 "the CSMS may change EnableTLSKeylog", "'cp001', which is a placeholder", "'Pionix', which is a placeholder"):  # fmt: skip
        assert part in said
    assert len(found["TPM-04"]) == 2
    assert len([wrong for wrong in found["CERT-07"] if "over an unsecured link" in wrong]) == 2
    assert any("LogRotation is off" in wrong for wrong in found["LOG-01"])
    assert set(found) <= {"BIN-02", "OCPP-01", "OCPP-02", "TPM-04", "CERT-07", "LOG-01"}


def test_the_configuration_of_ocpp_16_satisfies_libocpp_s_schemas(layer: Bench, everest: Path) -> None:
    file = made(layer, everest, EVEREST_OCPP_VERSION="1.6").files / "etc/everest/ocpp/config.json"
    document = json.loads(file.read_text())
    assert ocpp16_faults(everest, document) == []
    document["Security"]["SecurityProfil"] = 3
    document["Internal"]["UseTPM"] = "yes"
    assert len(ocpp16_faults(everest, document)) == 2


def test_the_components_of_ocpp_201_are_everest_s_with_our_values(layer: Bench, everest: Path) -> None:
    theirs = {path.name: json.loads(path.read_text()) for path in (everest / COMPONENTS).iterdir()}
    place = made(layer, everest).files / "etc/everest/ocpp/component_config/standardized"
    ours = {path.name: json.loads(path.read_text()) for path in place.iterdir()}
    assert ours.keys() == theirs.keys()
    assert len(ours) >= 20
    assert {name: component_faults(component) for name, component in ours.items()} == {
        name: [fault for fault in component_faults(component) if fault in component_faults(theirs[name])]
        for name, component in ours.items()
    }
    changed = {name for name in ours if ours[name] != theirs[name]}
    assert changed == {"SecurityCtrlr.json", "InternalCtrlr.json", "OCPPCommCtrlr.json", "ISO15118Ctrlr.json"}


def test_no_password_of_everest_s_remains(layer: Bench, everest: Path) -> None:
    assert any("DEADBEEF" in path.read_text() for path in (everest / COMPONENTS).iterdir())
    written = [path.read_text() for path in made(layer, everest).files.rglob("*.json")]
    assert len(written) >= 20
    assert not [text for text in written if "DEADBEEF" in text or "cp001" in text or "Pionix" in text or "ws://" in text]


def test_this_release_has_no_ocppmulti_and_says_so(layer: Bench, everest: Path) -> None:
    with pytest.raises(UserError, match="sets the component NetworkConfiguration_1, which EVerest does not have"):
        made(layer, everest, EVEREST_OCPP_VERSION="multi")


def test_every_substitution_fits_the_code(layer: Bench, everest: Path, tmp_path: Path) -> None:
    tree = patched(layer, tmp_path, everest, EVEREST_CERT_STORE_MIB="20")
    header = "lib/everest/evse_security/include/evse_security/evse_security.hpp"
    before, after = ((place / header).read_text().splitlines() for place in (everest, tree))
    differing = [new.strip() for old, new in zip(before, after, strict=True) if old != new]
    assert differing == [
        "static constexpr std::uintmax_t DEFAULT_MAX_FILESYSTEM_SIZE = 1024ULL * 1024 * 20;",
        "static constexpr std::chrono::seconds DEFAULT_CSR_EXPIRY(60 * 60);",
        "static constexpr std::chrono::seconds DEFAULT_GARBAGE_COLLECT_TIME(60 * 20);",
    ]


def test_a_module_that_everest_does_not_have_stops_the_build(layer: Bench, everest: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"BIN-02: .* names the module OCPPmulti, which this release of EVerest does not have"):
        patched(layer, tmp_path, everest, EVEREST_OCPP_VERSION="multi")


def test_a_module_in_python_needs_the_interpreter(layer: Bench, everest: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="BIN-02: the module PyExampleErrorRaiser is written in Python"):
        patched(layer, tmp_path / "without", everest, EVEREST_EXTRA_MODULES="PyExampleErrorRaiser")
    patched(layer, tmp_path / "with", everest, EVEREST_EXTRA_MODULES="PyExampleErrorRaiser", EVEREST_PYTHON="1")
