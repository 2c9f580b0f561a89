"""Who may reach the GPIO chips (ACC-02)."""

import pytest

from support.layer import Bench, contents, production

pytestmark = pytest.mark.layer

FILE = "usr/lib/udev/rules.d/60-everest-gpio.rules"


def test_gpio_chips_belong_to_a_group_of_the_service_user(layer: Bench) -> None:
    package = layer.package("everest-gpio-access")
    assert contents(package) == {f"/{FILE}": 0o644}
    rule = (package.files / FILE).read_text().splitlines()[-1]
    assert rule == 'SUBSYSTEM=="gpio", KERNEL=="gpiochip*", GROUP="gpio", MODE="0660"'
    assert "gpio" in production().service_user.groups


def test_the_group_is_there_before_the_rule(layer: Bench) -> None:
    assert layer.package("everest-gpio-access").depends == ("everest-user",)
