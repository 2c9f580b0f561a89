import pytest

from support.layer import Bench, production

pytestmark = pytest.mark.layer


def test_every_unit_that_the_policy_wants_masked_is_a_link_to_nowhere(layer: Bench) -> None:
    links = layer.package("everest-unit-policy").files / "etc/systemd/system"
    assert {str(link.readlink()) for link in links.iterdir()} == {"/dev/null"}
    assert {link.name for link in links.iterdir()} >= set(production().masked_units)


def test_a_slot_is_marked_good_by_one_owner(layer: Bench) -> None:
    assert (layer.package("everest-unit-policy").files / "etc/systemd/system/rauc-mark-good.service").is_symlink()


def test_the_preset_enables_a_list_and_nothing_else(layer: Bench) -> None:
    preset = layer.package("everest-unit-policy").files / "usr/lib/systemd/system-preset/20-everest-secure.preset"
    rules = [line.split() for line in preset.read_text().splitlines() if line and not line.startswith("#")]
    assert rules[-1] == ["disable", "*"]
    assert all(verb == "enable" for verb, _ in rules[:-1])
    assert {"everest.service", "mosquitto.service", "everest-firewall.service", "var.mount"} <= {unit for _, unit in rules}


def test_no_unit_is_both_enabled_and_masked(layer: Bench) -> None:
    package = layer.package("everest-unit-policy")
    preset = (package.files / "usr/lib/systemd/system-preset/20-everest-secure.preset").read_text()
    masked = {link.name for link in (package.files / "etc/systemd/system").iterdir()}
    assert not masked & {line.split()[1] for line in preset.splitlines() if line.startswith("enable")}
