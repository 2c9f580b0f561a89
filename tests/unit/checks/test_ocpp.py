import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from everest_secure.checks.stand_in import MARK
from everest_secure.policy.parameters import Limits
from support.mutation import Mutation, check_mutation, sentence
from support.ocpp import COMPONENTS, CONFIG, CUSTOM, FILE, MAPPINGS, component, edited, key, mapped, migrating, multi, variable, version_16
from support.rootfs import EVEREST_CONFIG, RootFs, everest_configuration, failing, good_root, layer, production

CUSTOM_KEYS = "/usr/share/everest/modules/OCPP/profile_schemas/Custom.json"


def profile(**changes: object) -> Callable[[RootFs], RootFs]:
    data = {"ocppCsmsUrl": "wss://csms.example.com/ocpp", "securityProfile": 3, **changes}
    return variable("InternalCtrlr", "NetworkConnectionProfiles", json.dumps([{"configurationSlot": 1, "connectionData": data}]))


def custom(fs: RootFs) -> RootFs:
    """A component of the product's own, which takes the place of the whole standardized one."""
    return fs.file(
        f"{CUSTOM}/Security.json", component("SecurityCtrlr", SecurityProfile=1, MaxCertificateChainSize=10000, CertificateEntries=100)
    )


def swapped(fs: RootFs) -> RootFs:
    limits = {"CertificateSignedMaxChainSize": 10, "CertificateStoreMaxLength": 20000}
    return edited(FILE, lambda document: document["Security"].update(limits))(version_16(fs))


def slot_variable(name: str, value: object) -> Callable[[RootFs], RootFs]:
    return variable("NetworkConfiguration_1", name, value)


def own_key(fs: RootFs, variable: str, value: object, *, read_only: bool = True) -> RootFs:
    """A key of OCPP 1.6 that a product has for itself, and that is a variable of the device model."""
    migrating(fs, mappings=mapped(Mine=variable)).file(
        CUSTOM_KEYS, json.dumps({"properties": {"Mine": {"type": "boolean", "readOnly": read_only}}})
    )
    return edited(FILE, lambda document: document.update(Custom={"Mine": value}))(fs)


RSA = "AES128-GCM-SHA256"
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
    Mutation(
        "a slot of OCPPmulti has profile 1", "OCPP-01", lambda fs: variable("NetworkConfiguration_1", "SecurityProfile", 1)(multi(fs))
    ),
    Mutation(
        "a slot of OCPPmulti has no wss:// URL",
        "OCPP-01",
        lambda fs: variable("NetworkConfiguration_1", "OcppCsmsUrl", "csms.example.com")(multi(fs)),
    ),
    Mutation(
        "a slot of OCPPmulti has a password",
        "OCPP-01",
        lambda fs: variable("NetworkConfiguration_1", "BasicAuthPassword", "secret")(multi(fs)),
    ),
    Mutation(
        "a slot of OCPPmulti has the identity of an example",
        "OCPP-01",
        lambda fs: variable("NetworkConfiguration_1", "Identity", "cp001")(multi(fs)),
    ),
    Mutation(
        "a slot of OCPPmulti is named as libocpp names none, so that there is no CSMS",
        "OCPP-01",
        lambda fs: edited(
            f"{COMPONENTS}/NetworkConfiguration_1.json",
            lambda document: document.update(name=f"{document['name']}_{document.pop('instance')}"),
        )(multi(fs)),
    ),
    Mutation(
        "a file of 1.6 that is migrated leaves the name of the CSMS unverified",
        "OCPP-01",
        lambda fs: edited(FILE, lambda document: document["Internal"].update(VerifyCsmsCommonName=False))(migrating(fs)),
    ),
    Mutation(
        "a file of 1.6 that is migrated trusts the system's authorities by default, whatever the components say",
        "OCPP-01",
        lambda fs: edited(FILE, lambda document: document["Internal"].pop("UseSslDefaultVerifyPaths"))(migrating(fs)),
    ),
    Mutation(
        "a file of 1.6 that is migrated names a CSMS without TLS",
        "OCPP-01",
        lambda fs: edited(FILE, lambda document: document["Internal"].update(CentralSystemURI="ws://csms.example.com/"))(migrating(fs)),
    ),
    Mutation(
        "a file of 1.6 that is migrated has a password",
        "OCPP-01",
        lambda fs: edited(FILE, lambda document: document["Security"].update(AuthorizationKey="0123456789abcdef"))(
            slot_variable("BasicAuthPassword", None)(migrating(fs))
        ),
    ),
    Mutation(
        "a file of 1.6 that is migrated into no slot leaves that of the components",
        "OCPP-01",
        lambda fs: slot_variable("OcppCsmsUrl", "ws://csms.example.com")(migrating(fs)).replace(
            CONFIG, "Mode: Only1.6", "Mode: Only1.6\n      Ocpp16NetworkConfigSlot: 2"
        ),
    ),
    Mutation(
        "a key of 1.6 that is migrated has a typing error",
        "OCPP-01",
        lambda fs: edited(FILE, lambda document: document["Security"].update(CpoNames="Acme"))(migrating(fs)),
    ),
    Mutation(
        "keys of a file of 1.6 that is migrated lie outside the TPM",
        "TPM-04",
        lambda fs: edited(FILE, lambda document: document["Internal"].update(UseTPM=False))(migrating(fs)),
    ),
    Mutation(
        "the chain size that is migrated is a number of certificates",
        "OCPP-02",
        lambda fs: edited(FILE, lambda document: document["Security"].update(CertificateSignedMaxChainSize=10))(migrating(fs)),
    ),
    Mutation("a key of the product's own makes keys in files", "TPM-04", lambda fs: own_key(fs, "InternalCtrlr.UseTPM", False)),
    Mutation(
        "a key of the product's own lets the name of the CSMS unverified",
        "OCPP-01",
        lambda fs: own_key(fs, "InternalCtrlr.VerifyCsmsCommonName", False),
    ),
    Mutation(
        "the CSMS may change by a key of the product's own what must not change",
        "OCPP-01",
        lambda fs: own_key(fs, "InternalCtrlr.VerifyCsmsCommonName", True, read_only=False),
    ),
    Mutation(
        "a key of the product's own installs roots over any link",
        "CERT-07",
        lambda fs: own_key(fs, "InternalCtrlr.AllowCSMSRootCertInstallWithUnsecureConnection", True),
    ),
    Mutation(
        "the mappings are missing",
        "OCPP-01",
        lambda fs: migrating(fs, mappings=mapped()).remove(MAPPINGS),
        also=("CERT-07", "LOG-01", "OCPP-02", "TPM-04"),
    ),
    Mutation("the security profile of 1.6 is 2", "OCPP-01", key("Security", "SecurityProfile", 2)),
    Mutation("the security profile of 1.6 is 1", "OCPP-01", key("Security", "SecurityProfile", 1), also=("CERT-07",)),
    Mutation("the CSMS of 1.6 is reached without TLS", "OCPP-01", key("Internal", "CentralSystemURI", "ws://csms.example.com/")),
    Mutation("1.6 ships a password in the URL", "OCPP-01", key("Internal", "CentralSystemURI", "wss://u:p@csms.example.com/")),
    Mutation("2.x ships a password in the URL", "OCPP-01", profile(ocppCsmsUrl="wss://u:p@csms.example.com/")),
    Mutation("1.6 ships a password", "OCPP-01", key("Security", "AuthorizationKey", "0123456789abcdef")),
    Mutation("1.6 trusts the system's authorities by default", "OCPP-01", key("Internal", "UseSslDefaultVerifyPaths", None)),
    Mutation("1.6 compares no name", "OCPP-01", key("Internal", "VerifyCsmsCommonName", False)),
    Mutation("1.6 accepts wildcards", "OCPP-01", key("Internal", "VerifyCsmsAllowWildcards", True)),
    Mutation("1.6 logs keys", "OCPP-01", key("Internal", "EnableTLSKeylog", True)),
    Mutation("a suite of 1.6 has no forward secrecy", "OCPP-01", key("Internal", "SupportedCiphers12", [RSA])),
    Mutation("suites of 1.6 are left to libocpp", "OCPP-01", key("Internal", "SupportedCiphers12", None)),
    Mutation("the vendor of 1.6 is that of EVerest's example", "OCPP-01", key("Internal", "ChargePointVendor", "EVerestVendor")),
    Mutation(
        "the file of 1.6 is missing", "OCPP-01", lambda fs: version_16(fs).remove(FILE), also=("CERT-07", "LOG-01", "OCPP-02", "TPM-04")
    ),
    Mutation("a key of 1.6 has a typing error", "OCPP-01", key("Security", "CpoNames", "Acme")),
    Mutation("a key of 1.6 is in the wrong section", "OCPP-01", key("Core", "UseTPM", True)),
    Mutation("a value of 1.6 is of another type", "OCPP-01", key("Core", "NumberOfConnectors", "1")),
    Mutation(
        "a section of 1.6 is unknown", "OCPP-01", lambda fs: edited(FILE, lambda document: document.update(Secure={}))(version_16(fs))
    ),
    Mutation("a section of 1.6 is missing", "OCPP-01", lambda fs: edited(FILE, lambda document: document.pop("Core"))(version_16(fs))),
    Mutation("the schemas of 1.6 are missing", "OCPP-01", lambda fs: version_16(fs).remove("/usr/share/everest/modules/OCPP")),
    Mutation(
        "the image holds what a CSMS has changed",
        "OCPP-01",
        lambda fs: version_16(fs).file("/var/lib/everest/ocpp16/user_config.json", '{"Internal": {"UseSslDefaultVerifyPaths": true}}'),
    ),
    Mutation("the chain size of 2.x is a number of certificates", "OCPP-02", variable("SecurityCtrlr", "MaxCertificateChainSize", 10)),
    Mutation("the chain size of 2.x is not set", "OCPP-02", variable("SecurityCtrlr", "MaxCertificateChainSize", None)),
    Mutation("the chain size of 2.x is larger than OCPP allows", "OCPP-02", variable("SecurityCtrlr", "MaxCertificateChainSize", 10001)),
    Mutation("the store length of 2.x is a number of characters", "OCPP-02", variable("SecurityCtrlr", "CertificateEntries", 20000)),
    Mutation("the store of 2.x holds nothing", "OCPP-02", variable("SecurityCtrlr", "CertificateEntries", 0)),
    Mutation("the limits of 1.6 are swapped", "OCPP-02", swapped),
    Mutation("the store length of 1.6 is not set", "OCPP-02", key("Security", "CertificateStoreMaxLength", None)),
]


def moved(fs: RootFs, old: str, new: str) -> RootFs:
    for path in [path for path in fs.nodes if path.startswith(f"{old}/") and fs.nodes[path][0].is_file]:
        fs.file(new + path.removeprefix(old), fs.nodes[path][1])
    return fs.remove(old).link(old, new)


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


@pytest.mark.parametrize("mode", ["Only1.6", "Prefer1.6", "Prefer2"])
def test_ocppmulti_that_writes_a_file_of_1_6_over_its_components_is_held_to_both(mode: str) -> None:
    assert not failing(migrating(good_root(), mode))
    fs = migrating(good_root(), mode)
    fs.file(FILE, layer(f"{EVEREST_CONFIG}/ocpp-1.6.json").replace('"SecurityProfile": 3', '"SecurityProfile": 0'))
    assert set(failing(fs)["OCPP-01"]) == {"the security profile is 0"}


def test_components_that_a_file_of_1_6_is_written_over_need_not_name_a_csms() -> None:
    nowhere = slot_variable("OcppCsmsUrl", "")
    assert not failing(nowhere(migrating(good_root())))
    assert failing(nowhere(migrating(good_root(), "Prefer2")))["OCPP-01"] == ("no CSMS is named",)


def test_a_file_of_1_6_counts_for_nothing_where_ocppmulti_speaks_2_x_alone() -> None:
    fs = migrating(good_root(), "Only2", mappings="[]").remove(FILE)
    assert not failing(fs)


def test_a_variable_that_no_component_has_is_passed_over() -> None:
    fs = own_key(good_root(), "OwnCtrlr.Mine", False)
    assert not failing(fs)


def test_a_key_that_no_schema_describes_is_passed_over_by_the_migration() -> None:
    fs = own_key(good_root(), "InternalCtrlr.UseTPM", False).remove(CUSTOM_KEYS)
    assert set(failing(fs)) == {"OCPP-01"}, "the section without a schema alone"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# nothing", "is no mapping"),
        ("mappings: 1", "mappings is no list"),
        ("mappings: []\nmore: 1", "must have the keys mappings"),
        ("mappings:\n- ocpp16_key: A", "must have the keys ocpp16_key, component, variable"),
        (mapped(A="C.V").replace('"A"', "1"), "ocpp16_key is no text"),
        (mapped(A="C.V").replace('"V"', '""'), "variable.name is no text"),
        (mapped(A="NetworkConfiguration.OcppCsmsUrl"), "decides on the connection"),
        (mapped(A="SecurityCtrlr.BasicAuthPassword"), "decides on the connection"),
        (mapped(A="C.V", B="C.W").replace('"B"', '"A"'), "a second time"),
        (mapped(A="C.V").replace('"name": "C"', '"name": "C", "evse": {"id": "1"}'), "evse is no number"),
        ("mappings: [*a]", "alias"),
    ],
)
def test_mappings_that_libocpp_refuses_are_an_error(text: str, why: str) -> None:
    found = failing(migrating(good_root(), mappings=text))
    assert all(each[0].startswith("error: ") and why in each[0] for each in found.values()), found
    assert {"CERT-07", "OCPP-01", "OCPP-02", "TPM-04"} <= set(found)


def test_a_mapping_to_a_single_connector_or_instance_says_nothing_of_the_charger() -> None:
    for part in ('"evse": {"id": 1, "connectorId": 1}', '"instance": "x"'):
        fs = own_key(good_root(), "InternalCtrlr.UseTPM", False)
        assert not failing(fs.file(MAPPINGS, mapped(Mine="InternalCtrlr.UseTPM").replace('"InternalCtrlr"', f'"InternalCtrlr", {part}')))


def test_a_relative_path_is_below_the_directory_of_the_module() -> None:
    fs = moved(good_root(), "/etc/everest/ocpp/component_config", "/usr/share/everest/modules/OCPP201/component_config")
    fs.remove("/etc/everest/ocpp").replace(CONFIG, "^ *DeviceModelConfigPath: .*$", "")
    assert not failing(fs)


def test_a_charger_without_ocpp_is_not_concerned() -> None:
    fs = good_root()
    text = everest_configuration()
    fs.file(CONFIG, text[: text.index("# Continues 'active_modules:' of config.yaml.\n  ocpp:")])
    assert set(failing(fs)) == {"TLS-01"}, "the connections to the module that was taken out"


def test_a_stand_in_has_no_schemas_of_ocpp() -> None:
    fs = version_16(good_root()).file(MARK, '{"kind": "reference"}').remove("/usr/share/everest/modules/OCPP")
    assert not failing(fs, replace(production(), stand_ins=True))


def test_limits_are_the_policys() -> None:
    assert set(failing(good_root(), replace(production(), ocpp_store_certificates=Limits(1, 50)))) == {"OCPP-02"}


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


def test_many_keys_are_read_and_long_values_are_shortened() -> None:
    fs = version_16(good_root())
    edited(FILE, lambda document: document["Internal"].update({f"k{n}": 1 for n in range(60_000)}))(fs)
    edited(FILE, lambda document: document["Internal"].update(CentralSystemURI="x" * 100_000))(fs)
    found = failing(fs)
    assert max(map(len, found["OCPP-01"])) < 500


def test_the_same_component_twice_in_a_directory_is_an_error_as_nobody_knows_which_counts() -> None:
    fs = good_root().file(f"{COMPONENTS}/Again.json", component("SecurityCtrlr", SecurityProfile=3))
    assert "are the same component" in failing(fs)["OCPP-01"][0]
