import json
from pathlib import Path
from typing import Any

import pytest

from everest_secure.errors import UserError
from support.layer import LAYER, Bench, contents

pytestmark = pytest.mark.layer

SUBSTITUTIONS = LAYER / "dynamic-layers/meta-everest/recipes-core/everest/everest-core/substitutions.json"
SOURCE_TREE = (
    "etc/everest/bringup/config-bringup-system.yaml",
    "etc/everest/certs/client/cso/SECC_LEAF.key",
    "etc/everest/config-sil.yaml",
    "etc/everest/nodered/flow.json",
    "etc/everest/run_tmux_helper.sh",
    "etc/everest/user-config/config.yaml",
    "usr/share/everest/modules/OCPP/config-docker-tls.json",
    "usr/share/everest/modules/OCPP201/component_config/standardized/SecurityCtrlr.json",
)
"""What EVerest 2026.02.1 installs besides what it needs; keys and user-config only where a developer left them."""


def append(place: Path, text: str) -> Path:
    """A layer that appends to EVerest's recipe."""
    (place / "conf").mkdir(parents=True)
    (place / "conf/layer.conf").write_text('BBFILES += "${LAYERDIR}/*.bbappend"\nBBFILE_COLLECTIONS += "test"\n')
    (place / "everest-core_%.bbappend").write_text(text)
    return place


def installed(layer: Bench, place: Path, **settings: str) -> set[str]:
    lines = "".join(f"    install -D /dev/null ${{D}}/{name}\n" for name in SOURCE_TREE)
    recipe = layer.build("everest-core", settings, extra_layers=(append(place, f"do_install:prepend() {{\n{lines}}}\n"),))
    return {path.lstrip("/") for package in recipe.packages for path in contents(package)}


def test_nothing_of_the_source_tree_reaches_the_image_that_it_does_not_need(layer: Bench, tmp_path: Path) -> None:
    found = installed(layer, tmp_path)
    assert "etc/everest/default_logging.cfg" in found
    assert not found & set(SOURCE_TREE)


def test_without_the_distro_feature_everest_installs_what_it_likes(layer: Bench, tmp_path: Path) -> None:
    assert installed(layer, tmp_path, **{"DISTRO_FEATURES:remove": "everest-secure"}) >= set(SOURCE_TREE)


def test_what_everest_says_in_the_journal_has_no_colours(layer: Bench) -> None:
    def logging(**settings: str) -> str:
        packages = layer.build("everest-core", settings).packages
        (files,) = (package.files for package in packages if (package.files / "etc/everest/default_logging.cfg").exists())
        return (files / "etc/everest/default_logging.cfg").read_text()

    assert r"\033[1;31m" in logging(**{"DISTRO_FEATURES:remove": "everest-secure"})
    assert r"\033" not in logging()
    assert "[%Severity%] %Process%: %Message%" in logging()


def test_vulnerabilities_of_everest_are_looked_up_by_the_name_and_version_that_the_database_knows(layer: Bench) -> None:
    asked = ("CVE_PRODUCT", "CVE_VERSION")
    assert layer.build("everest-core", variables=asked).variables == dict(zip(asked, ("linuxfoundation:everest", "2026.02.1"), strict=True))


def test_the_admin_panel_is_refused(layer: Bench) -> None:
    with pytest.raises(UserError, match="NET-03: the admin panel"):
        layer.build("everest-core", {"PACKAGECONFIG": "admin-panel python tpm2"})


def test_everest_without_tpm_is_refused(layer: Bench) -> None:
    with pytest.raises(UserError, match="TPM-02: without 'tpm2'"):
        layer.build("everest-core", {"PACKAGECONFIG": "python"})


def test_signing_requests_carry_the_names_that_are_set(layer: Bench) -> None:
    names = {"EVEREST_CSR_DNS_NAME": "charger.example.com", "EVEREST_CSR_IP_ADDRESS": "192.0.2.7"}
    options = layer.build("everest-core", names, variables=("EXTRA_OECMAKE",)).variables["EXTRA_OECMAKE"].split()
    assert {"-DCSR_DNS_NAME=charger.example.com", "-DCSR_IP_ADDRESS=192.0.2.7"} <= set(options)
    plain = layer.build("everest-core", variables=("EXTRA_OECMAKE",)).variables["EXTRA_OECMAKE"]
    assert "CSR_" not in plain


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("EVEREST_CSR_DNS_NAME", "charger example"),
        ("EVEREST_CSR_DNS_NAME", "-DUSING_TPM2=OFF"),
        ("EVEREST_CSR_DNS_NAME", "a..b"),
        ("EVEREST_CSR_IP_ADDRESS", "192.0.2"),
        ("EVEREST_CSR_IP_ADDRESS", "256.0.2.1"),
        ("EVEREST_CSR_IP_ADDRESS", "2001:db8::1"),
    ],
)
def test_a_name_that_is_none_is_refused(layer: Bench, knob: str, value: str) -> None:
    with pytest.raises(UserError, match=f"CERT-05: {knob} is"):
        layer.build("everest-core", {knob: value})


@pytest.mark.parametrize(("version", "built"), [("2.0.1", True), ("product", False)])
def test_the_scripts_that_upload_logs_find_their_programs_only_where_their_module_is_built(
    layer: Bench, tmp_path: Path, version: str, built: bool
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/layer.conf").write_text('BBPATH .= ":${LAYERDIR}"\nBBFILE_COLLECTIONS += "product"\n')
    (tmp_path / "product.yaml").write_text("active_modules:\n  auth:\n    module: Auth\n")
    settings = {} if built else {"EVEREST_CONFIG": f"{version}.yaml"}
    (package,) = layer.build("everest-core", settings, extra_layers=(tmp_path,)).packages
    assert ({"bash", "curl", "util-linux-getopt"} <= set(package.depends)) is built


def code(entry: dict[str, Any]) -> str:
    return f"  {entry['find']}\n" * int(entry["times"])


def source(place: Path) -> Path:
    """A tree that says what EVerest says where the layer changes it, and nothing else."""
    for entry in json.loads(SUBSTITUTIONS.read_text()):
        file = place / entry["file"]
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as stream:
            stream.write(code(entry))
    return place


def patch(layer: Bench, place: Path, tree: Path, **settings: str) -> None:
    """Let the recipe's own task change a source tree."""
    layer.build(
        "everest-core",
        settings,
        extra_layers=(append(place / "append", f'EVEREST_SUBSTITUTIONS = "substitutions.json"\nS = "{tree}"\n'),),
    )


def all_of(tree: Path) -> str:
    return "".join(file.read_text() for file in sorted(tree.rglob("*")) if file.is_file())


def test_every_substitution_is_made(layer: Bench, tmp_path: Path) -> None:
    tree = source(tmp_path / "source")
    patch(layer, tmp_path, tree, EVEREST_CERT_GC_MINUTES="7", EVEREST_CERT_STORE_KEEP="3")
    text = all_of(tree)
    assert "capability_values.reserve(" in text
    assert "resize" not in text
    assert text.count('? "provider=" CUSTOM_PROVIDER_NAME : nullptr)') == 2
    assert "DEFAULT_GARBAGE_COLLECT_TIME(60 * 7);" in text
    assert "DEFAULT_MINIMUM_CERTIFICATE_ENTRIES = 3;" in text
    assert "DEFAULT_MAX_CERTIFICATE_ENTRIES = 2000;" in text
    assert "DEFAULT_CSR_EXPIRY(60 * 60);" in text
    assert "@" not in text


def test_code_that_upstream_has_mended_already_is_left_alone(layer: Bench, tmp_path: Path) -> None:
    tree = source(tmp_path / "source")
    patch(layer, tmp_path, tree)
    mended = all_of(tree)
    patch(layer, tmp_path / "again", tree)
    assert all_of(tree) == mended


ENTRIES = json.loads(SUBSTITUTIONS.read_text())


@pytest.mark.parametrize("number", range(len(ENTRIES)), ids=lambda number: f"{number}-{ENTRIES[number]['requirement']}")
def test_code_that_has_moved_stops_the_build_with_the_requirement_and_the_file(layer: Bench, tmp_path: Path, number: int) -> None:
    entry = ENTRIES[number]
    tree = source(tmp_path / "source")
    file = tree / entry["file"]
    file.write_text(file.read_text().replace(entry["find"], entry["find"].swapcase()))
    with pytest.raises(UserError, match=f"{entry['requirement']}: {entry['file']} says .* 0 times where 1 are known"):
        patch(layer, tmp_path, tree)


def test_code_that_stands_there_twice_stops_the_build(layer: Bench, tmp_path: Path) -> None:
    tree = source(tmp_path / "source")
    file = tree / ENTRIES[0]["file"]
    file.write_text(file.read_text() * 2)
    with pytest.raises(UserError, match="2 times where 1 are known"):
        patch(layer, tmp_path, tree)


def test_a_file_that_is_gone_stops_the_build(layer: Bench, tmp_path: Path) -> None:
    tree = source(tmp_path / "source")
    (tree / ENTRIES[0]["file"]).unlink()
    with pytest.raises(UserError, match="so that the code has moved"):
        patch(layer, tmp_path, tree)


@pytest.mark.parametrize("value", ["0", "", "10; evil()", "-1", "1.5"])
def test_a_limit_that_is_no_number_stops_the_build(layer: Bench, tmp_path: Path, value: str) -> None:
    with pytest.raises(UserError, match=r"EVEREST_CERT_STORE_MIB is .* whole number"):
        patch(layer, tmp_path, source(tmp_path / "source"), EVEREST_CERT_STORE_MIB=value)
