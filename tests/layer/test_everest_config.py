"""EVerest's and OCPP's configuration as a product chooses it (ACC-03, ACC-04, ACC-06, FS-03, NET-01, TLS-01, OCPP-01, OCPP-02, CERT-07, LOG-01)."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from everest_secure.errors import UserError
from everest_secure.reference.recipes.harness import BuiltPackage
from support.layer import UNITS, Bench, contents, production

pytestmark = pytest.mark.layer

CHOICES = [
    {"EVEREST_OCPP_VERSION": "2.0.1"},
    {"EVEREST_OCPP_VERSION": "1.6"},
    {"EVEREST_ISO15118": "2+20"},
]
ANY_CHOICE = pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "-".join(choice.values()))


def configuration(package: BuiltPackage) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((package.files / "etc/everest/config.yaml").read_text())
    return document


def bounding_set(layer: Bench, **settings: str) -> set[str]:
    text = (layer.package("everest-service-hardening", **settings).files / UNITS / "everest.service.d/50-everest-secure.conf").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("CapabilityBoundingSet="))
    return set(line.partition("=")[2].split())


def own_configuration(place: Path, text: str) -> Path:
    """A product's layer with a configuration of its own."""
    (place / "conf").mkdir(parents=True)
    (place / "conf/layer.conf").write_text(
        'BBPATH .= ":${LAYERDIR}"\nBBFILE_COLLECTIONS += "product"\nEVEREST_CONFIG = "files/charger.yaml"\n'
    )
    (place / "files").mkdir()
    (place / "files/charger.yaml").write_text(text)
    return place


def test_the_service_user_cannot_write_the_configuration(layer: Bench) -> None:
    installed = contents(layer.package("everest-config"))
    assert {"/etc/everest/config.yaml", "/etc/everest/ocpp/component_config/standardized/SecurityCtrlr.json"} <= installed.keys()
    assert set(installed.values()) == {0o644}


@ANY_CHOICE
def test_modules_run_as_the_service_user_and_reach_the_broker_by_its_socket(layer: Bench, choice: dict[str, str]) -> None:
    policy = production()
    settings = configuration(layer.package("everest-config", **choice))["settings"]
    assert settings["run_as_user"] == policy.service_user.name
    assert settings["mqtt_broker_socket_path"] == policy.broker_socket
    assert not {"mqtt_broker_host", "mqtt_broker_port"} & settings.keys()


@ANY_CHOICE
def test_each_module_has_exactly_the_capabilities_of_the_table(layer: Bench, choice: dict[str, str]) -> None:
    table = production().module_capabilities
    modules = configuration(layer.package("everest-config", **choice))["active_modules"].values()
    assert {entry["module"]: tuple(entry.get("capabilities", ())) for entry in modules} == {
        entry["module"]: table.get(entry["module"], ()) for entry in modules
    }


@ANY_CHOICE
def test_the_modules_that_are_built_are_those_that_the_configuration_names(layer: Bench, choice: dict[str, str]) -> None:
    named = {entry["module"] for entry in configuration(layer.package("everest-config", **choice))["active_modules"].values()}
    recipe = layer.build("everest-core", choice, variables=("EVEREST_MODULES", "EXTRA_OECMAKE"))
    assert set(recipe.variables["EVEREST_MODULES"].split()) == named
    assert f'-DEVEREST_INCLUDE_MODULES="{";".join(sorted(named))}"' in recipe.variables["EXTRA_OECMAKE"]


def test_what_follows_from_the_configuration_is_made_anew_when_it_changes(layer: Bench, tmp_path: Path) -> None:
    product = own_configuration(tmp_path / "product", "active_modules:\n  one:\n    module: Setup\n    capabilities: [CAP_NET_ADMIN]\n")
    hashed = layer.build("everest-core", variables=("EVEREST_MODULES[vardepvalue]",), extra_layers=(product,)).variables
    assert hashed == {"EVEREST_MODULES[vardepvalue]": "Setup"}
    hashed = layer.build(
        "everest-service-hardening", variables=("EVEREST_SERVICE_CAPABILITIES[vardepvalue]",), extra_layers=(product,)
    ).variables
    assert "CAP_NET_ADMIN" in hashed["EVEREST_SERVICE_CAPABILITIES[vardepvalue]"]


def test_a_module_can_be_built_that_the_configuration_does_not_name(layer: Bench) -> None:
    recipe = layer.build("everest-core", {"EVEREST_EXTRA_MODULES": "EvseSlac DPM1000"}, variables=("EVEREST_MODULES",))
    modules = recipe.variables["EVEREST_MODULES"].split()
    assert "DPM1000" in modules
    assert modules.count("EvseSlac") == 1


@ANY_CHOICE
def test_the_bounding_set_is_what_the_manager_and_the_modules_need(layer: Bench, choice: dict[str, str]) -> None:
    assert bounding_set(layer, **choice) == {"CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_NET_RAW"}


def test_a_capability_can_be_added_to_the_bounding_set(layer: Bench) -> None:
    assert bounding_set(layer, EVEREST_EXTRA_CAPABILITIES="CAP_KILL") - bounding_set(layer) == {"CAP_KILL"}


@pytest.mark.parametrize(
    ("module", "capabilities"),
    [
        ("    module: EvseSlac\n    capabilities:\n      - CAP_NET_RAW # raw\n      - cap_net_admin\n", {"CAP_NET_RAW", "CAP_NET_ADMIN"}),
        ("    capabilities: [CAP_NET_RAW, CAP_DAC_OVERRIDE]\n    module: Setup # why\n", {"CAP_NET_RAW", "CAP_DAC_OVERRIDE"}),
        (
            "    module: EvseSlac\n    capabilities:\n    - CAP_NET_RAW\n    config_module:\n      list:\n      - CAP_CHOWN\n",
            {"CAP_NET_RAW"},
        ),
        ("    module: EvseSlac\n    # capabilities: [CAP_CHOWN]\n    capabilities: []\n", set()),
        (
            "    module: EvseSlac\n    config_module:\n      capabilities:\n        - CAP_CHOWN\n      text: |\n        module: Other\n",
            set(),
        ),
    ],
    ids=["a list", "in brackets", "a list without indent", "none", "a key of the same name below"],
)
def test_the_bounding_set_follows_a_product_s_own_configuration(layer: Bench, tmp_path: Path, module: str, capabilities: set[str]) -> None:
    text = f"settings:\n  run_as_user: everest\nactive_modules:\n  one:\n{module}  two:\n    module: Auth\n"
    (entry, _) = yaml.safe_load(text)["active_modules"].values()
    assert {name.upper() for name in entry.get("capabilities") or []} == capabilities
    product = own_configuration(tmp_path / "product", text)
    recipe = layer.build("everest-service-hardening", variables=("EVEREST_SERVICE_CAPABILITIES",), extra_layers=(product,))
    starter = {"CAP_SETUID", "CAP_SETGID", *(["CAP_SETPCAP"] if capabilities else [])}
    assert set(recipe.variables["EVEREST_SERVICE_CAPABILITIES"].split()) == starter | capabilities


@pytest.mark.parametrize(
    "text",
    [
        "active_modules: {one: {module: EvseSlac}}\n",
        "active_modules:\n  one: {module: EvseSlac, capabilities: [CAP_CHOWN]}\n",
        "active_modules:\n  one: &anchor\n    module: EvseSlac\n",
        "active_modules:\n  one:\n    module: EvseSlac\n    <<: *anchor\n",
        "active_modules:\n  one:\n    module: EvseSlac\n    'capabilities': [CAP_CHOWN]\n",
        "active_modules:\n  one:\n    module: EvseSlac\n    capabilities: *anchor\n",
        "active_modules:\n  one:\n    module: EvseSlac\n    capabilities:\n      [CAP_CHOWN]\n",
        "active_modules:\n  one:\n    module: EvseSlac\n    capabilities: [CAP_CHOWN,\n      CAP_KILL]\n",
        "active_modules:\n  one:\n    module: EvseSlac\n    ? capabilities\n    : [CAP_CHOWN]\n",
        "active_modules:\n  one:\n    module: EvseSlac\n    capabilities: [CAP_KILL]\n    capabilities: [CAP_CHOWN]\n",
        "active_modules:\n  one:\n    module: A\n  one:\n    module: B\n",
        "active_modules:\n   one:\n      module: EvseSlac\n",
        "active_modules:\n\tone:\n",
        "active_modules:\n  one:\n    config_module: {}\n",
        "settings:\n  run_as_user: everest\n",
        "'active_modules':\n  one:\n    module: EvseSlac\n",
    ],
)
def test_a_configuration_whose_capabilities_could_be_overlooked_stops_the_build(layer: Bench, tmp_path: Path, text: str) -> None:
    product = own_configuration(tmp_path / "product", text)
    with pytest.raises(UserError, match=r"block style|no type|starts no module"):
        layer.build("everest-service-hardening", extra_layers=(product,))


@ANY_CHOICE
def test_every_connection_leads_to_a_module_of_the_configuration(layer: Bench, choice: dict[str, str]) -> None:
    modules = configuration(layer.package("everest-config", **choice))["active_modules"]
    targets = [target for entry in modules.values() for ends in entry.get("connections", {}).values() for target in ends]
    assert targets
    assert {target["module_id"] for target in targets} <= modules.keys()


@ANY_CHOICE
def test_every_path_that_is_written_is_absolute_and_on_the_data_partition(layer: Bench, choice: dict[str, str]) -> None:
    modules = configuration(layer.package("everest-config", **choice))["active_modules"].values()
    options = {
        f"{entry['module']}.{key}": value
        for entry in modules
        for group in (entry.get("config_module", {}), *entry.get("config_implementation", {}).values())
        for key, value in group.items()
        if (key.lower().endswith("path") or "database" in key.lower())
        and key not in ("DeviceModelConfigPath", "ChargePointConfigPath", "VerifyUpdateScriptPath")
    }
    assert len(options) >= 7
    assert [name for name, value in options.items() if not value.startswith(("/var/lib/everest/", "/var/log/everest/"))] == []


@ANY_CHOICE
def test_what_ocpp_reads_is_installed(layer: Bench, choice: dict[str, str]) -> None:
    package = layer.package("everest-config", **choice)
    ocpp = configuration(package)["active_modules"]["ocpp"]["config_module"]
    path = ocpp.get("DeviceModelConfigPath") or ocpp["ChargePointConfigPath"]
    assert (package.files / path.lstrip("/")).exists()


def test_the_plc_interface_is_the_knobs(layer: Bench) -> None:
    modules = configuration(layer.package("everest-config", EVEREST_PLC_INTERFACE="plc0"))["active_modules"]
    assert modules["slac"]["config_implementation"]["main"]["device"] == "plc0"
    assert modules["iso15118_charger"]["config_module"]["device"] == "plc0"


def values(package: BuiltPackage, component: str) -> dict[str, Any]:
    """Variables of an OCPP component with their values; without one where there is none."""
    file = package.files / f"etc/everest/ocpp/component_config/standardized/{component}.json"
    properties = json.loads(file.read_text())["properties"].values()
    return {each["variable_name"]: each["attributes"][0].get("value", each.get("default")) for each in properties}


def test_the_csms_is_reached_by_security_profile_3_alone(layer: Bench) -> None:
    new = layer.package("everest-config", EVEREST_CSMS_URL="wss://csms.example.com:443/ocpp")
    (profile,) = json.loads(values(new, "InternalCtrlr")["NetworkConnectionProfiles"])
    assert profile["connectionData"]["securityProfile"] == 3
    assert profile["connectionData"]["ocppCsmsUrl"] == "wss://csms.example.com:443/ocpp"
    assert values(new, "SecurityCtrlr")["SecurityProfile"] == 3
    assert values(new, "SecurityCtrlr")["BasicAuthPassword"] is None
    old = ocpp16(layer, EVEREST_CSMS_URL="wss://csms.example.com:443/ocpp")
    assert old["Security"]["SecurityProfile"] == 3
    assert "AuthorizationKey" not in old["Security"]
    assert old["Internal"]["CentralSystemURI"] == "wss://csms.example.com:443/ocpp"


def ocpp16(layer: Bench, **settings: str) -> dict[str, Any]:
    package = layer.package("everest-config", EVEREST_OCPP_VERSION="1.6", **settings)
    document: dict[str, Any] = json.loads((package.files / "etc/everest/ocpp/config.json").read_text())
    return document


def test_both_versions_of_ocpp_agree_on_what_is_secure(layer: Bench) -> None:
    new, old = values(layer.package("everest-config"), "InternalCtrlr"), ocpp16(layer)["Internal"]
    same = (
        "UseSslDefaultVerifyPaths",
        "VerifyCsmsCommonName",
        "VerifyCsmsAllowWildcards",
        "EnableTLSKeylog",
        "UseTPM",
        "UseTPMSeccLeafCertificate",
        "LogMessages",
        "LogRotation",
        "LogRotationMaximumFileSize",
        "LogRotationMaximumFileCount",
    )
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert new["SupportedCiphers12"].split(":") == old["SupportedCiphers12"]
    assert all(suite.startswith("ECDHE-") for suite in old["SupportedCiphers12"])
    assert (new["UseSslDefaultVerifyPaths"], new["EnableTLSKeylog"], new["UseTPM"], new["VerifyCsmsCommonName"]) == (
        False,
        False,
        True,
        True,
    )


def test_the_csms_cannot_weaken_the_connection(layer: Bench) -> None:
    file = layer.package("everest-config").files / "etc/everest/ocpp/component_config/standardized/InternalCtrlr.json"
    properties = json.loads(file.read_text())["properties"]
    for name in ("EnableTLSKeylog", "VerifyCsmsAllowWildcards"):
        assert properties[name]["attributes"][0]["mutability"] == "ReadOnly"


def test_roots_are_not_installed_over_an_unsecured_link(layer: Bench) -> None:
    internal = values(layer.package("everest-config"), "InternalCtrlr")
    assert internal["AllowCSMSRootCertInstallWithUnsecureConnection"] is False
    assert internal["AllowMFRootCertInstallWithUnsecureConnection"] is False


@pytest.mark.parametrize(
    ("knob", "value", "sentence"),
    [
        ("EVEREST_CSMS_URL", "ws://csms.example.com", "a wss:// URL"),
        ("EVEREST_CSMS_URL", "", "a wss:// URL"),
        ("EVEREST_CSMS_URL", 'wss://csms.example.com/","x":"', "a wss:// URL"),
        ("EVEREST_CHARGE_POINT_ID", "C" * 26, "1 to 25"),
        ("EVEREST_CHARGE_POINT_ID", "EVerest", "another knob"),
        ("EVEREST_COUNTRY", "", "two capital letters"),
        ("EVEREST_CSMS_CIPHERS", "AES128-GCM-SHA256", "ECDHE"),
        ("EVEREST_CSMS_CIPHERS", "", "ECDHE"),
        ("EVEREST_CERT_CHAIN_SIZE", "10", "characters"),
        ("EVEREST_CERT_CHAIN_SIZE", "10001", "characters"),
        ("EVEREST_CERT_STORE_LENGTH", "20000", "entries"),
        ("EVEREST_OCPP_LOG_BYTES", "0", "for ever"),
        ("EVEREST_OCPP_LOG_COUNT", "0", "for ever"),
        ("EVEREST_OCPP_LOG_COUNT", "12", "from 1 to 11"),
        ("EVEREST_V2G_TLS", "prohibit", "allow or force"),
        ("EVEREST_OCPP_VERSION", "1.5", "1.6, 2.0.1 or multi"),
        ("EVEREST_IMAGE_VERSION", 'a"b', "no JSON"),
    ],
)
def test_a_knob_that_would_weaken_or_break_the_configuration_stops_the_build(layer: Bench, knob: str, value: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        layer.build("everest-config", {knob: value})


def test_a_component_that_everest_does_not_have_stops_the_build(layer: Bench) -> None:
    with pytest.raises(UserError, match="sets the component NetworkConfiguration_1, which EVerest does not have"):
        layer.build("everest-config", {"EVEREST_OCPP_VERSION": "multi"})


def test_a_variable_that_everest_does_not_have_stops_the_build(layer: Bench, tmp_path: Path) -> None:
    known = layer.build("everest-config", variables=("EVEREST_OCPP_COMPONENTS",)).variables["EVEREST_OCPP_COMPONENTS"]
    shutil.copytree(known, tmp_path / "components")
    file = tmp_path / "components/InternalCtrlr.json"
    file.write_text(file.read_text().replace("UseTPM", "UseTpm"))
    with pytest.raises(UserError, match=r"InternalCtrlr\.UseTPM does not exist in this release"):
        layer.build("everest-config", {"EVEREST_OCPP_COMPONENTS": str(tmp_path / "components")})


def test_without_everest_s_components_there_is_no_ocpp(layer: Bench, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names no directory"):
        layer.build("everest-config", {"EVEREST_OCPP_COMPONENTS": str(tmp_path / "none")})


@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="systemd-tmpfiles is missing")
def test_old_session_logs_are_removed_and_young_ones_kept(layer: Bench, tmp_path: Path) -> None:
    files = layer.package("everest-config", EVEREST_SESSION_LOG_DAYS="7").files
    rules = (files / "usr/lib/tmpfiles.d/everest-logs.conf").read_text()
    sessions = tmp_path / "var/log/everest/session"
    for name in ("old", "young"):
        (sessions / name).mkdir(parents=True)
        (sessions / name / "eventlog.csv").write_text("0")
    rule = tmp_path / "rule.conf"
    # Ages count from the youngest of a file's times, and its birth cannot be set back: the clock stands still and the limit moves.
    rule.write_text(rules.replace("- 7d", "- 0"))
    subprocess.run(["systemd-tmpfiles", "--clean", f"--root={tmp_path}", rule], check=True, capture_output=True)
    assert list(sessions.iterdir()) == []
    (sessions / "young").mkdir()
    rule.write_text(rules)
    subprocess.run(["systemd-tmpfiles", "--clean", f"--root={tmp_path}", rule], check=True, capture_output=True)
    assert [path.name for path in sessions.iterdir()] == ["young"]
