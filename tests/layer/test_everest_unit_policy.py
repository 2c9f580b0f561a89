"""Which units are masked and which enabled (NET-06, NET-07)."""

import pytest

from everest_secure.reference.recipes.harness import read_recipe
from support.layer import LAYER, Bench, production

pytestmark = pytest.mark.layer


def test_every_unit_that_the_policy_wants_masked_is_a_link_to_nowhere(layer: Bench) -> None:
    links = layer.package("everest-unit-policy").files / "etc/systemd/system"
    assert {str(link.readlink()) for link in links.iterdir()} == {"/dev/null"}
    assert {link.name for link in links.iterdir()} >= set(production().masked_units)


@pytest.mark.parametrize("unit", ["systemd-confext.service", "systemd-sysext.service"])
def test_nothing_lays_an_unverified_tree_over_the_root(layer: Bench, unit: str) -> None:
    assert (layer.package("everest-unit-policy").files / "etc/systemd/system" / unit).is_symlink()
    assert unit not in production().enabled_units


def test_a_slot_is_marked_good_by_one_owner(layer: Bench) -> None:
    assert (layer.package("everest-unit-policy").files / "etc/systemd/system/rauc-mark-good.service").is_symlink()


def test_the_preset_enables_a_list_and_nothing_else(layer: Bench) -> None:
    preset = layer.package("everest-unit-policy").files / "usr/lib/systemd/system-preset/20-everest-secure.preset"
    rules = [line.split() for line in preset.read_text().splitlines() if line and not line.startswith("#")]
    assert rules[-1] == ["disable", "*"]
    assert all(verb == "enable" for verb, _ in rules[:-1])
    assert {"everest.service", "mosquitto.service", "everest-firewall.service"} <= {unit for _, unit in rules}


def enabled_by(recipe: str, layer: Bench) -> list[str]:
    """Units that a recipe's package enables when it is installed (systemd.bbclass)."""
    names = [f"SYSTEMD_SERVICE:{recipe}", f"SYSTEMD_AUTO_ENABLE:{recipe}", "SYSTEMD_AUTO_ENABLE"]
    units, own, default = read_recipe(recipe, names, layer=LAYER, work=layer.work, settings=layer.settings).values()
    return units.split() if (own or default) == "enable" else []


def test_presets_enable_every_unit_that_a_package_of_this_layer_enables(layer: Bench) -> None:
    recipes = {path.stem.split("_")[0] for path in LAYER.rglob("*.bb") if "SYSTEMD_SERVICE" in path.read_text()} | {"everest-state"}
    enabled = {unit for name in recipes for unit in enabled_by(name, layer)}
    directory = "usr/lib/systemd/system-preset"
    presets = [layer.package(name).files / directory for name in ("everest-state", "everest-unit-policy")]
    listed = [line.split()[1] for place in presets for file in place.iterdir() for line in file.read_text().splitlines() if line[:1] == "e"]
    assert {"everest-firewall.service", "everest-reboot.socket", "var.mount"} <= enabled
    assert enabled <= set(listed)


def test_a_unit_is_enabled_by_one_preset_alone() -> None:
    rules = [line for file in LAYER.rglob("*.preset") for line in file.read_text().splitlines() if line.startswith("enable ")]
    assert len(rules) > 10
    assert sorted(rules) == sorted(set(rules))


def test_the_preset_of_the_mounts_is_read_before_the_one_that_ends_the_list(layer: Bench) -> None:
    (mounts,) = (layer.package("everest-state").files / "usr/lib/systemd/system-preset").iterdir()
    assert mounts.name < "20-everest-secure.preset"
    assert mounts.read_text().splitlines()[1:] == ["enable var.mount", "enable etc-everest-certs.mount"]


def test_no_unit_is_both_enabled_and_masked(layer: Bench) -> None:
    package = layer.package("everest-unit-policy")
    preset = (package.files / "usr/lib/systemd/system-preset/20-everest-secure.preset").read_text()
    masked = {link.name for link in (package.files / "etc/systemd/system").iterdir()}
    assert not masked & {line.split()[1] for line in preset.splitlines() if line.startswith("enable")}
