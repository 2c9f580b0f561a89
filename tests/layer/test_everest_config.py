from typing import Any

import pytest
import yaml

from everest_secure.reference.recipes.harness import BuiltPackage
from support.layer import Bench, contents, production

pytestmark = pytest.mark.layer


def configuration(package: BuiltPackage) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((package.files / "etc/everest/config.yaml").read_text())
    return document


def test_the_service_user_cannot_write_the_configuration(layer: Bench) -> None:
    assert contents(layer.package("everest-config")) == {"/etc/everest/config.yaml": 0o644}


def test_modules_run_as_the_service_user_and_reach_the_broker_by_its_socket(layer: Bench) -> None:
    policy = production()
    settings = configuration(layer.package("everest-config"))["settings"]
    assert settings["run_as_user"] == policy.service_user.name
    assert settings["mqtt_broker_socket_path"] == policy.broker_socket
    assert not {"mqtt_broker_host", "mqtt_broker_port"} & settings.keys()


def test_each_module_has_exactly_the_capabilities_of_the_table(layer: Bench) -> None:
    table = production().module_capabilities
    modules = configuration(layer.package("everest-config"))["active_modules"].values()
    assert {entry["module"]: tuple(entry.get("capabilities", ())) for entry in modules} == {
        entry["module"]: table.get(entry["module"], ()) for entry in modules
    }


def test_the_modules_that_are_built_are_those_that_the_configuration_names(layer: Bench) -> None:
    recipe = layer.build("everest-config", variables=("EVEREST_MODULES",))
    named = {entry["module"] for entry in configuration(recipe.packages[0])["active_modules"].values()}
    assert set(recipe.variables["EVEREST_MODULES"].split()) == named


def test_the_bounding_set_knob_is_what_the_modules_ask_for(layer: Bench) -> None:
    recipe = layer.build("everest-config", variables=("EVEREST_MODULE_CAPABILITIES",))
    modules = configuration(recipe.packages[0])["active_modules"].values()
    assert set(recipe.variables["EVEREST_MODULE_CAPABILITIES"].split()) == {
        cap for entry in modules for cap in entry.get("capabilities", ())
    }


def test_every_connection_leads_to_a_module_of_the_configuration(layer: Bench) -> None:
    modules = configuration(layer.package("everest-config"))["active_modules"]
    targets = [target for entry in modules.values() for ends in entry.get("connections", {}).values() for target in ends]
    assert targets
    assert {target["module_id"] for target in targets} <= modules.keys()


def test_every_path_that_is_written_is_absolute_and_on_the_data_partition(layer: Bench) -> None:
    modules = configuration(layer.package("everest-config"))["active_modules"].values()
    options = {
        f"{entry['module']}.{key}": value
        for entry in modules
        for group in (entry.get("config_module", {}), *entry.get("config_implementation", {}).values())
        for key, value in group.items()
        if key.lower().endswith("path") or "database" in key.lower()
    }
    assert len(options) >= 8
    assert [name for name, value in options.items() if not value.startswith(("/var/lib/everest/", "/var/log/everest/"))] == []


def test_the_plc_interface_is_the_knobs(layer: Bench) -> None:
    modules = configuration(layer.package("everest-config", EVEREST_PLC_INTERFACE="plc0"))["active_modules"]
    assert modules["slac"]["config_implementation"]["main"]["device"] == "plc0"
    assert modules["iso15118_charger"]["config_module"]["device"] == "plc0"
