import time

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.parse.everest_config import EverestConfig, parse_everest_config
from support.rootfs import everest_configuration


def parse(text: str) -> EverestConfig:
    return parse_everest_config(text, "config.yaml")


def test_settings_and_modules_have_their_lines() -> None:
    config = parse(
        "settings:\n  run_as_user: everest\n  controller_port: 1\nactive_modules:\n  slac:\n    module: EvseSlac\n    capabilities: [cap_net_raw]\n"
    )
    assert (config.setting("run_as_user"), config.line("run_as_user")) == ("everest", 2)
    assert config.setting("controller_port") == 1
    (module,) = config.modules
    assert (module.id, module.type, module.capabilities, module.line, module.capabilities_line) == (
        "slac",
        "EvseSlac",
        ("CAP_NET_RAW",),
        5,
        7,
    )


def test_the_layers_configuration_is_read() -> None:
    config = parse(everest_configuration())
    assert {module.type for module in config.modules} >= {"EvseManager", "EvseSlac", "EvseV2G", "EvseSecurity"}


def test_an_empty_mapping_is_no_modules() -> None:
    assert parse("active_modules:\nsettings:\n").modules == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "settings: x",
        "settings: [",
        "a: 1\na: 2\n",
        "active_modules:\n  x: {capabilities: []}\n",
        "active_modules:\n  x: {module: A, capabilities: CAP_KILL}\n",
        "active_modules:\n  x: {module: A, config_module: [1]}\n",
        "settings: {? [a] : b}\n",
        "\t\n\t- x",
        "settings: {a: *unknown}\n",
        "settings: &a {b: *a}\n",
        "[" * 5000,
    ],
)
def test_what_is_no_configuration_is_one_sentence(text: str) -> None:
    with pytest.raises(ArtefactError):
        parse(text)


def test_an_alias_bomb_is_refused_at_once() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(12))
    start = time.monotonic()
    with pytest.raises(ArtefactError, match="hostile"):
        parse(bomb + "settings: {x: *a12}\n")
    assert time.monotonic() - start < 5


def test_an_alias_is_refused_as_everest_does_not_follow_it() -> None:
    with pytest.raises(ArtefactError, match=":2 has an alias"):
        parse("settings: {a: &a everest}\nactive_modules: {b: *a}\n")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("True", "True"),
        ("yes", "yes"),
        ("on", "on"),
        ('"true"', "true"),
        ("42", 42),
        ("-7", -7),
        ("'42'", "42"),
        ("4.5", 4.5),
        ("1e3", 1000.0),
        ("12:30:00", "12:30:00"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("!!int x", "x"),
        ("~", None),
        ("", None),
        ("9" * 100, "9" * 100),
    ],
)
def test_words_are_what_everest_takes_them_for(written: str, value: object) -> None:
    assert parse(f"settings:\n  a: {written}\n").setting("a") == value


def test_no_object_is_made_from_a_tag() -> None:
    assert parse("settings: {x: !!python/object/apply:os.system [exit]}\n").setting("x") == ["exit"]
