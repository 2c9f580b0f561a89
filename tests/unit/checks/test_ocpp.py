"""OCPP 2.x: the components of the device model; and what holds of every version."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from everest_secure.policy.parameters import Limits
from support.mutation import Mutation, check_mutation, sentence
from support.ocpp import COMPONENTS, CONFIG, CUSTOM, component, edited, multi, variable, version_16
from support.rootfs import RootFs, everest_configuration, failing, good_root, production

RSA = "AES128-GCM-SHA256"


def profile(**changes: object) -> Callable[[RootFs], RootFs]:
    data = {"ocppCsmsUrl": "wss://csms.example.com/ocpp", "securityProfile": 3, **changes}
    return variable("InternalCtrlr", "NetworkConnectionProfiles", json.dumps([{"configurationSlot": 1, "connectionData": data}]))


def custom(fs: RootFs) -> RootFs:
    """A component of the product's own, which takes the place of the whole standardized one."""
    return fs.file(
        f"{CUSTOM}/Security.json", component("SecurityCtrlr", SecurityProfile=1, MaxCertificateChainSize=10000, CertificateEntries=100)
    )


def moved(fs: RootFs, old: str, new: str) -> RootFs:
    for path in [path for path in fs.nodes if path.startswith(f"{old}/") and fs.nodes[path][0].is_file]:
        fs.file(new + path.removeprefix(old), fs.nodes[path][1])
    return fs.remove(old).link(old, new)


MUTATIONS = [
    Mutation("a profile of 2.x has security profile 2", "OCPP-01", profile(securityProfile=2)),
    Mutation("the security profile of 2.x is 1", "OCPP-01", variable("SecurityCtrlr", "SecurityProfile", 1)),
    Mutation("the security profile of 2.x is not set", "OCPP-01", variable("SecurityCtrlr", "SecurityProfile", None)),
    Mutation("the CSMS of 2.x is reached without TLS", "OCPP-01", profile(ocppCsmsUrl="ws://csms.example.com")),
    Mutation("no CSMS is named in 2.x", "OCPP-01", variable("InternalCtrlr", "NetworkConnectionProfiles", "[]")),
    Mutation("a profile of 2.x holds a password", "OCPP-01", profile(basicAuthPassword="secret")),
    Mutation("EVerest's default password is shipped", "OCPP-01", variable("SecurityCtrlr", "BasicAuthPassword", "DEADBEEFDEADBEEF")),
    Mutation("2.x trusts the system's authorities", "OCPP-01", variable("InternalCtrlr", "UseSslDefaultVerifyPaths", True)),
    Mutation("2.x trusts the system's authorities by default", "OCPP-01", variable("InternalCtrlr", "UseSslDefaultVerifyPaths", None)),
    Mutation("2.x compares no name", "OCPP-01", variable("InternalCtrlr", "VerifyCsmsCommonName", False)),
    Mutation("2.x accepts wildcards", "OCPP-01", variable("InternalCtrlr", "VerifyCsmsAllowWildcards", True)),
    Mutation(
        "the CSMS may allow wildcards", "OCPP-01", variable("InternalCtrlr", "VerifyCsmsAllowWildcards", False, mutability="ReadWrite")
    ),
    Mutation("2.x logs keys", "OCPP-01", variable("InternalCtrlr", "EnableTLSKeylog", True)),
    Mutation("2.x logs keys, in text of another case", "OCPP-01", variable("InternalCtrlr", "EnableTLSKeylog", "True")),
    Mutation("the CSMS may log keys", "OCPP-01", variable("InternalCtrlr", "EnableTLSKeylog", False, mutability="ReadWrite")),
    Mutation("2.x accepts no security", "OCPP-01", variable("InternalCtrlr", "AllowSecurityLevelZeroConnections", True)),
    Mutation(
        "a suite of 2.x has no forward secrecy",
        "OCPP-01",
        variable("InternalCtrlr", "SupportedCiphers12", f"ECDHE-RSA-AES128-GCM-SHA256:{RSA}"),
    ),
    Mutation(
        "a suite of 2.x has no forward secrecy, between spaces",
        "OCPP-01",
        variable("InternalCtrlr", "SupportedCiphers12", f"ECDHE-RSA-AES128-GCM-SHA256 {RSA} ECDHE-ECDSA-AES128-GCM-SHA256"),
    ),
    Mutation("suites of 2.x are left to libocpp", "OCPP-01", variable("InternalCtrlr", "SupportedCiphers12", None)),
    Mutation("suites of 2.x are left to OpenSSL", "OCPP-01", variable("InternalCtrlr", "SupportedCiphers12", "")),
    Mutation("a suite of TLS 1.3 does not encrypt", "OCPP-01", variable("InternalCtrlr", "SupportedCiphers13", "TLS_SHA256_SHA256")),
    Mutation("the identity is that of EVerest's example", "OCPP-01", variable("SecurityCtrlr", "Identity", "cp001")),
    Mutation("the operator is that of EVerest's example", "OCPP-01", variable("SecurityCtrlr", "OrganizationName", "Pionix")),
    Mutation("the CSMS is this machine", "OCPP-01", profile(ocppCsmsUrl="wss://localhost:9000/cp1")),
    Mutation("the CSMS is one that cannot be", "OCPP-01", profile(ocppCsmsUrl="wss://csms.invalid/ocpp")),
    Mutation(
        "the components are missing", "OCPP-01", lambda fs: fs.remove("/etc/everest/ocpp"), also=("CERT-07", "LOG-01", "OCPP-02", "TPM-04")
    ),
    Mutation(
        "the broker's clients may disconnect the CSMS",
        "OCPP-01",
        lambda fs: fs.replace(CONFIG, "(EnableExternalWebsocketControl:) false", r"\1 true"),
    ),
    Mutation(
        "the components lie on the data partition",
        "OCPP-01",
        lambda fs: moved(fs, "/etc/everest/ocpp/component_config", "/var/lib/everest/component_config"),
    ),
    Mutation("a component of the product's own has profile 1", "OCPP-01", custom, also=("CERT-07",)),
    Mutation("2.x ships a password in the URL", "OCPP-01", profile(ocppCsmsUrl="wss://u:p@csms.example.com/")),
    Mutation("the chain size of 2.x is a number of certificates", "OCPP-02", variable("SecurityCtrlr", "MaxCertificateChainSize", 10)),
    Mutation("the chain size of 2.x is not set", "OCPP-02", variable("SecurityCtrlr", "MaxCertificateChainSize", None)),
    Mutation("the chain size of 2.x is larger than OCPP allows", "OCPP-02", variable("SecurityCtrlr", "MaxCertificateChainSize", 10001)),
    Mutation("the store length of 2.x is a number of characters", "OCPP-02", variable("SecurityCtrlr", "CertificateEntries", 20000)),
    Mutation("the store of 2.x holds nothing", "OCPP-02", variable("SecurityCtrlr", "CertificateEntries", 0)),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


@pytest.mark.parametrize("choice", [version_16, multi])
def test_every_version_as_the_layer_configures_it_holds(choice: Callable[[RootFs], RootFs]) -> None:
    assert not failing(choice(good_root()))


def test_a_component_of_the_products_own_counts_and_the_standardized_one_does_not() -> None:
    fs = variable("SecurityCtrlr", "SecurityProfile", 1)(good_root())
    values: dict[str, Any] = {"SecurityProfile": 3, "OrganizationName": "Acme", "MaxCertificateChainSize": 5000, "CertificateEntries": 50}
    assert not failing(fs.file(f"{CUSTOM}/Mine.json", component("SecurityCtrlr", **values)))


def test_a_component_of_one_connector_says_nothing_of_the_charger() -> None:
    document = {
        "name": "SecurityCtrlr",
        "evse_id": 1,
        "properties": {"P": {"variable_name": "SecurityProfile", "attributes": [{"value": 1}]}},
    }
    assert not failing(good_root().file(f"{CUSTOM}/Evse.json", json.dumps(document)))


def test_a_relative_path_is_below_the_directory_of_the_module() -> None:
    fs = moved(good_root(), "/etc/everest/ocpp/component_config", "/usr/share/everest/modules/OCPP201/component_config")
    fs.remove("/etc/everest/ocpp").replace(CONFIG, "^ *DeviceModelConfigPath: .*$", "")
    assert not failing(fs)


def test_a_charger_without_ocpp_is_not_concerned() -> None:
    fs = good_root()
    text = everest_configuration()
    fs.file(CONFIG, text[: text.index("# Continues 'active_modules:' of config.yaml.\n  ocpp:")])
    assert set(failing(fs)) == {"TLS-01"}, "the connections to the module that was taken out"


def test_limits_are_the_policys() -> None:
    assert set(failing(good_root(), replace(production(), ocpp_store_certificates=Limits(1, 50)))) == {"OCPP-02"}


def test_a_byte_order_mark_is_passed_over_and_another_encoding_refused() -> None:
    text = good_root().nodes[f"{COMPONENTS}/InternalCtrlr.json"][1]
    assert not failing(good_root().file(f"{COMPONENTS}/InternalCtrlr.json", b"\xef\xbb\xbf" + text))
    assert "is no UTF-8" in failing(good_root().file(f"{COMPONENTS}/Own.json", b'{"name": "Lades\xe4ule"}'))["OCPP-01"][0]


@pytest.mark.parametrize(
    "change",
    [
        lambda properties: properties.update(Again={"variable_name": "UseTPM", "attributes": [{"value": True}]}),
        lambda properties: properties["UseTPM"]["attributes"].append({"type": "Actual", "value": True}),
    ],
)
def test_a_variable_that_comes_twice_is_an_error_as_nobody_knows_which_counts(change: Callable[[dict[str, Any]], object]) -> None:
    fs = edited(f"{COMPONENTS}/InternalCtrlr.json", lambda document: change(document["properties"]))(good_root())
    assert "has the variable 'UseTPM' twice" in failing(fs)["TPM-04"][0]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"properties": []}', "[" * 100_000, '{"a": NaN}', "", '{"name": "SecurityCtrlr", "properties": {"a": 1}}']
)
def test_a_component_that_cannot_be_read_is_an_error_and_never_a_pass(text: str) -> None:
    found = failing(good_root().file(f"{COMPONENTS}/InternalCtrlr.json", text))
    assert {"OCPP-01", "OCPP-02", "TPM-04", "CERT-07", "LOG-01"} == set(found)
    assert all(any(each.startswith("error: ") for each in wrong) for wrong in found.values())


@pytest.mark.parametrize("count", [1, 501])
def test_components_that_are_larger_or_more_than_any_of_everests_are_an_error(count: int) -> None:
    fs = good_root()
    for number in range(count):
        fs.file(f"{COMPONENTS}/Own{number}.json", component(f"Own{number}", x="y" * (5_000_000 // count)))
    assert "taken for hostile" in failing(fs)["OCPP-01"][0]


def test_the_same_component_twice_in_a_directory_is_an_error_as_nobody_knows_which_counts() -> None:
    fs = good_root().file(f"{COMPONENTS}/Again.json", component("SecurityCtrlr", SecurityProfile=3))
    assert "are the same component" in failing(fs)["OCPP-01"][0]
