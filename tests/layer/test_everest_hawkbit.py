import os
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from everest_secure.errors import UserError
from support.authority import issue
from support.layer import UNITS, Bench, contents
from support.reference import require
from support.shells import any_shell, shell

pytestmark = pytest.mark.layer

TSS2 = "-----BEGIN TSS2 PRIVATE KEY-----\nMAA=\n-----END TSS2 PRIVATE KEY-----\n"
CONFIGURE = "usr/libexec/everest-secure/everest-hawkbit-configure"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    authority = tmp_path / "server.pem"
    authority.write_text(issue("Server Root", authority=True).pem)
    return {"EVEREST_HAWKBIT_SERVER": "updates.example.com:8443", "EVEREST_HAWKBIT_CA": str(authority)}


def test_the_updater_knows_itself_by_its_key_and_the_server_by_one_authority(layer: Bench, settings: dict[str, str]) -> None:
    package = layer.package("everest-hawkbit", **settings)
    client = RawConfigParser()
    client.read_string((package.files / "etc/rauc-hawkbit-updater/config.conf").read_text())
    values = dict(client["client"])
    assert values["hawkbit_server"] == "updates.example.com:8443"
    assert (values["ssl"], values["ssl_verify"], values["post_update_reboot"]) == ("true", "true", "false")
    assert values["ssl_key"] == "/var/lib/rauc-hawkbit/client.key.pem"
    assert not {"auth_token", "gateway_token"} & values.keys()
    unit = (package.files / UNITS / "rauc-hawkbit-updater.service.d/50-everest-hawkbit.conf").read_text().splitlines()
    assert "BindReadOnlyPaths=/etc/rauc-hawkbit-updater/authorities:/etc/ssl/certs" in unit
    assert "CapabilityBoundingSet=" in unit
    assert "SystemCallFilter=@system-service" in unit
    (authorities,) = (package.files / "etc/rauc-hawkbit-updater/authorities").iterdir()
    assert authorities.name == "ca-certificates.crt"
    assert authorities.read_text() == Path(settings["EVEREST_HAWKBIT_CA"]).read_text()
    assert contents(package)["/etc/rauc-hawkbit-updater/authorities/ca-certificates.crt"] == 0o644
    assert contents(package)["/usr/lib/everest-secure/security-events.d/everest-hawkbit.tsv"] == 0o644


def test_it_restarts_the_machine_only_where_the_product_says_so(layer: Bench, settings: dict[str, str]) -> None:
    package = layer.package("everest-hawkbit", **settings, EVEREST_HAWKBIT_RESTART="1")
    unit = (package.files / UNITS / "rauc-hawkbit-updater.service.d/50-everest-hawkbit.conf").read_text().splitlines()
    assert {"CapabilityBoundingSet=CAP_SYS_BOOT", "AmbientCapabilities=CAP_SYS_BOOT", "SystemCallFilter=@system-service reboot"} <= set(
        unit
    )
    assert "post_update_reboot = true" in (package.files / "etc/rauc-hawkbit-updater/config.conf").read_text()


@pytest.mark.parametrize("server", ["", "https://updates.example.com/hawkbit", "a b"])
def test_a_server_that_is_no_host_name_stops_the_build(layer: Bench, settings: dict[str, str], server: str) -> None:
    with pytest.raises(UserError, match=r"NET-09: EVEREST_HAWKBIT_SERVER '.*' is no host name"):
        layer.package("everest-hawkbit", **{**settings, "EVEREST_HAWKBIT_SERVER": server})


def test_a_missing_authority_of_the_server_stops_the_build(layer: Bench, settings: dict[str, str]) -> None:
    with pytest.raises(UserError, match="NET-09: EVEREST_HAWKBIT_CA '' is no readable file"):
        layer.package("everest-hawkbit", **{**settings, "EVEREST_HAWKBIT_CA": ""})


def test_it_is_in_the_image_when_asked_for_alone(layer: Bench) -> None:
    assert "everest-hawkbit" not in layer.package("packagegroup-everest-secure").depends
    assert "everest-hawkbit" in layer.package("packagegroup-everest-secure", EVEREST_HAWKBIT="1").depends


def configure(layer: Bench, settings: dict[str, str], tmp_path: Path, sh: str, *, name: str, key: str) -> subprocess.CompletedProcess[str]:
    package = layer.package("everest-hawkbit", **settings)
    (tmp_path / "cert.pem").write_text(issue(name).pem)
    (tmp_path / "key.pem").write_text(key)
    template = package.files / "etc/rauc-hawkbit-updater/config.conf"
    arguments = (tmp_path / "cert.pem", tmp_path / "key.pem", template, tmp_path / "made.conf")
    return subprocess.run([*shell(sh), package.files / CONFIGURE, *arguments], env=os.environ, capture_output=True, text=True, check=False)


@any_shell
def test_the_device_is_called_what_its_certificate_calls_it(layer: Bench, settings: dict[str, str], tmp_path: Path, sh: str) -> None:
    require("openssl")
    assert configure(layer, settings, tmp_path, sh, name="charger-0815.site_3", key=TSS2).returncode == 0
    assert "\ntarget_name = charger-0815.site_3\n" in (tmp_path / "made.conf").read_text()


@any_shell
@pytest.mark.parametrize(
    ("name", "key", "sentence"),
    [
        ("charger", "-----BEGIN PRIVATE KEY-----\n", "is no key of a TPM"),
        ("a/b&c", TSS2, "has no common name of letters"),
    ],
    ids=["a key in software", "a name that is none"],
)
def test_what_could_be_somebody_else_is_refused(
    layer: Bench, settings: dict[str, str], tmp_path: Path, sh: str, name: str, key: str, sentence: str
) -> None:
    require("openssl")
    done = configure(layer, settings, tmp_path, sh, name=name, key=key)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert not (tmp_path / "made.conf").exists()
