from collections.abc import Callable

import pytest

from everest_secure import checks
from everest_secure.checks.core import registered, run_check
from everest_secure.result import Outcome
from support.rootfs import UNITS, RootFs, failing, good_root, hawkbit, production

CONF = "/etc/rauc-hawkbit-updater/config.conf"
DROP_IN = f"{UNITS}/rauc-hawkbit-updater.service.d/50-everest-hawkbit.conf"
FAULTS: dict[str, Callable[[RootFs], object]] = {
    "it speaks plain HTTP": lambda fs: fs.replace(CONF, "^ssl = true$", "ssl = false"),
    "it does not verify the server": lambda fs: fs.replace(CONF, "^ssl_verify = true$", "ssl_verify = No"),
    "it has a token of its own": lambda fs: fs.replace(CONF, "^ssl = true$", "ssl = true\nauth_token = abc"),
    "it has the token of a gateway": lambda fs: fs.replace(CONF, "^ssl = true$", "gateway_token = abc"),
    "it has no key": lambda fs: fs.replace(CONF, "^ssl_key .*$", ""),
    "it has no certificate": lambda fs: fs.replace(CONF, "^ssl_cert .*$", ""),
    "the key is a file": lambda fs: fs.replace(DROP_IN, "^Environment=OPENSSL_CONF=.*$", ""),
    "the provider of the TPM is off": lambda fs: fs.replace("/etc/rauc-hawkbit-updater/openssl.cnf", "^tpm2 = tpm2_sect$", ""),
    "the configuration lies on the data partition": lambda fs: fs.replace(
        DROP_IN, "/etc/rauc-hawkbit-updater/config.conf", "/var/config.conf"
    ),
    "it trusts the machine's authorities": lambda fs: fs.replace(DROP_IN, "^BindReadOnlyPaths=.*$", ""),
    "it is shown the machine's authorities": lambda fs: fs.replace(DROP_IN, "^BindReadOnlyPaths=.*$", "BindReadOnlyPaths=/etc/ssl"),
    "it is shown other authorities in one file, beside the machine's": lambda fs: fs.replace(
        DROP_IN, "^(BindReadOnlyPaths=.*)$", r"\1/ca-certificates.crt"
    ),
    "its authorities lie on the data partition": lambda fs: fs.replace(
        DROP_IN, "^BindReadOnlyPaths=[^:]*", "BindReadOnlyPaths=/var/lib/authorities"
    ),
    "nobody knows its configuration": lambda fs: fs.replace(DROP_IN, "^ExecStartPre=.*\n.*$", ""),
    "no unit runs it": lambda fs: (
        fs.remove(f"{UNITS}/rauc-hawkbit-updater.service"),
        fs.remove(f"{UNITS}/rauc-hawkbit-updater.service.d"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_updater_does_not_hold_when(fault: str) -> None:
    fs = hawkbit(good_root())
    FAULTS[fault](fs)
    found = failing(fs)
    assert set(found) == {"NET-09"}, found
    assert not found["NET-09"][0].startswith("error: "), found


def test_the_updater_of_the_layer_holds() -> None:
    assert failing(hawkbit(good_root())) == {}


@pytest.mark.parametrize(
    "line",
    [
        "BindReadOnlyPaths=-/etc/rauc-hawkbit-updater/authorities:/etc/ssl/certs/:norbind",
        "BindPaths=/etc/rauc-hawkbit-updater:/etc/ssl",
        "TemporaryFileSystem=/etc/ssl:ro\nBindReadOnlyPaths=/etc/rauc-hawkbit-updater/authorities/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt",
    ],
)
def test_the_server_s_authority_takes_the_place_of_the_machine_s_in_other_ways_too(line: str) -> None:
    assert failing(hawkbit(good_root()).replace(DROP_IN, "^BindReadOnlyPaths=.*$", line)) == {}


def test_without_authorities_of_the_machine_there_are_none_to_be_shut_out() -> None:
    fs = hawkbit(good_root()).replace(DROP_IN, "^BindReadOnlyPaths=.*$", "")
    assert failing(fs.remove("/etc/ssl/certs")) == {}


def test_a_key_of_a_pkcs11_token_is_no_file_either() -> None:
    fs = hawkbit(good_root()).replace(CONF, "^ssl_key = .*$", "ssl_engine = pkcs11\nssl_key = pkcs11:object=charger")
    assert failing(fs.replace(DROP_IN, "^Environment=OPENSSL_CONF=.*$", "")) == {}


def test_what_the_updater_would_refuse_is_an_error_and_no_pass() -> None:
    assert failing(hawkbit(good_root()).replace(CONF, "^ssl = true$", "ssl = on"))["NET-09"][0].startswith("error: ")
    assert failing(hawkbit(good_root()).replace(CONF, "^hawkbit_server .*$", ""))["NET-09"][0].startswith("error: ")


def test_without_the_updater_it_does_not_apply() -> None:
    checks.load()
    (found,) = [run_check(each, good_root().root, "r", production()) for each in registered() if each.requirement == "NET-09"]
    assert found.outcome is Outcome.NOT_APPLICABLE
    assert "no client of another back end" in found.reason
