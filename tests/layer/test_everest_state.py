"""The state list and what is made of it (FS-03, CERT-01)."""

import shutil
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from support.layer import LAYER, UNITS, Bench

pytestmark = pytest.mark.layer


def product_layer(place: Path, state: str) -> Path:
    """A product's layer with a list of state of its own."""
    (place / "conf").mkdir(parents=True)
    (place / "conf/layer.conf").write_text('BBFILES += "${LAYERDIR}/*.bbappend"\nBBFILE_COLLECTIONS += "product"\n')
    (place / "everest-state_%.bbappend").write_text('FILESEXTRAPATHS:prepend := "${THISDIR}/files:"\n')
    (place / "files").mkdir()
    (place / "files/state.tsv").write_text(state)
    return place


def test_each_row_of_the_list_becomes_a_directory_with_owner_and_mode(layer: Bench) -> None:
    package = layer.package("everest-state")
    rows = [line.split("\t") for line in (package.files / "usr/share/everest-secure/state.tsv").read_text().splitlines() if line[0] != "#"]
    generated = (package.files / "usr/lib/tmpfiles.d/everest-state.conf").read_text().splitlines()
    assert len(rows) >= 16
    assert [line for line in generated if line[0] != "#"] == [f"d {path} {mode} {user} {group} -" for path, user, group, mode, *_ in rows]


def test_the_certificate_store_has_every_directory_that_evse_security_reads(layer: Bench) -> None:
    text = (layer.package("everest-state").files / "usr/lib/tmpfiles.d/everest-state.conf").read_text()
    for leaf in ("ca/v2g", "ca/csms", "ca/mf", "ca/mo", "client/csms", "client/cso"):
        assert f"d /var/lib/everest/certs/{leaf} 0700 everest everest -\n" in text


def test_the_data_partition_executes_nothing_and_the_store_is_bound_from_it(layer: Bench) -> None:
    package = layer.package("everest-state")
    assert "Options=nodev,nosuid,noexec\n" in (package.files / UNITS / "var.mount").read_text()
    bind = (package.files / UNITS / "etc-everest-certs.mount").read_text()
    assert "What=/var/lib/everest/certs\nWhere=/etc/everest/certs\nType=none\nOptions=bind,nodev,nosuid,noexec\n" in bind
    assert (package.files / "etc/everest/certs").is_dir()
    assert package.services == ("var.mount", "etc-everest-certs.mount")


@pytest.mark.skipif(shutil.which("systemd-escape") is None, reason="systemd-escape is missing")
def test_units_are_named_as_systemd_names_them(layer: Bench, tmp_path: Path) -> None:
    path = "/etc/every-thing/2.0_x"
    product = product_layer(tmp_path / "product", f"/var/lib/thing\troot\troot\t0700\tpersistent\t{path}\terase\n")
    recipe = layer.build("everest-state", extra_layers=(product,))
    wanted = subprocess.run(["systemd-escape", "--path", "--suffix=mount", path], capture_output=True, text=True, check=True).stdout.strip()
    assert recipe.packages[0].services == ("var.mount", wanted)
    assert (recipe.packages[0].files / UNITS / wanted).is_file()


@pytest.mark.parametrize(
    "row",
    [
        "/var/lib/thing\troot\troot\t0700\tpersistent\t-",
        "/var/lib/thing\troot\troot\t700\tpersistent\t-\terase",
        "/var/lib/../thing\troot\troot\t0700\tpersistent\t-\terase",
        "/run/thing\troot\troot\t0700\tpersistent\t-\terase",
        "/var/lib/thing\troot\troot\t0700\tpersistent\t-\tmaybe",
        "/var/lib/thing root root 0700 persistent - erase",
    ],
)
def test_a_wrong_row_stops_the_build_with_file_and_line(layer: Bench, tmp_path: Path, row: str) -> None:
    product = product_layer(tmp_path / "product", f"# state of a product\n{row}\n")
    with pytest.raises(UserError, match=r"state\.tsv:2 is no state"):
        layer.build("everest-state", extra_layers=(product,))


def test_what_lies_below_a_kept_path_cannot_be_said_to_go(layer: Bench, tmp_path: Path) -> None:
    rows = [f"/var/lib/thing{below}\troot\troot\t0700\tpersistent\t-\t{reset}\n" for below, reset in (("", "keep"), ("/part", "identity"))]
    product = product_layer(tmp_path / "product", "".join(rows))
    with pytest.raises(UserError, match=r"state\.tsv:2 says identity, but /var/lib/thing above it says keep"):
        layer.build("everest-state", extra_layers=(product,))


def test_a_reset_keeps_who_the_charger_is_and_what_rauc_knows(layer: Bench) -> None:
    text = (layer.package("everest-state").files / "usr/share/everest-secure/state.tsv").read_text()
    resets = {line.split("\t")[0]: line.split("\t")[6] for line in text.splitlines() if line[0] != "#"}
    assert [path for path, reset in resets.items() if reset == "keep"] == ["/var/lib/rauc"]
    identity = {path for path, reset in resets.items() if reset == "identity"}
    assert {"/var/lib/everest-identity", "/var/lib/everest/certs", "/var/lib/everest/certs/client/csms"} <= identity
    assert all(path.startswith(("/var/lib/everest-identity", "/var/lib/everest/certs")) for path in identity)


def test_the_list_of_the_layer_needs_no_product(layer: Bench) -> None:
    assert (LAYER / "recipes-core/everest-state/files/state.tsv").read_text() == (
        layer.package("everest-state").files / "usr/share/everest-secure/state.tsv"
    ).read_text()
