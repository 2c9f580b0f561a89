"""OCPPmulti: its slots, and a file of 1.6 that it writes over its components."""

import json
from collections.abc import Callable

import pytest

from support.mutation import Mutation, check_mutation, sentence
from support.ocpp import COMPONENTS, CONFIG, FILE, MAPPINGS, component, edited, mapped, migrating, multi, variable
from support.rootfs import EVEREST_CONFIG, RootFs, failing, good_root, layer

CUSTOM_KEYS = "/usr/share/everest/modules/OCPP/profile_schemas/Custom.json"


def slot_variable(name: str, value: object) -> Callable[[RootFs], RootFs]:
    return variable("NetworkConfiguration_1", name, value)


def own_key(fs: RootFs, variable: str, value: object, *, read_only: bool = True) -> RootFs:
    """A key of OCPP 1.6 that a product has for itself, and that is a variable of the device model."""
    migrating(fs, mappings=mapped(Mine=variable)).file(
        CUSTOM_KEYS, json.dumps({"properties": {"Mine": {"type": "boolean", "readOnly": read_only}}})
    )
    return edited(FILE, lambda document: document.update(Custom={"Mine": value}))(fs)


def legacy(fs: RootFs, *, value: object = None) -> RootFs:
    """The component of what OCPP 1.6 alone knows."""
    return fs.file(f"{COMPONENTS}/OCPP16LegacyCtrlr.json", component("OCPP16LegacyCtrlr", DisableSecurityEventNotifications=value))


MUTATIONS = [
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
        "a file of 1.6 that is migrated tells the CSMS of no security events",
        "LOG-03",
        lambda fs: edited(FILE, lambda document: document["Security"].update(DisableSecurityEventNotifications=True))(
            legacy(migrating(fs))
        ),
    ),
    Mutation("OCPPmulti tells the CSMS of no security events where it speaks 1.6", "LOG-03", lambda fs: legacy(multi(fs), value=True)),
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
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


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


def test_what_1_6_reports_counts_for_nothing_where_2_x_alone_is_spoken() -> None:
    assert not failing(legacy(good_root(), value=True))
    assert not failing(legacy(multi(good_root()), value=True).replace(CONFIG, "Mode: Prefer2", "Mode: Only2"))


def test_libocpps_own_default_is_written_over_a_component_that_reports_nothing() -> None:
    fs = edited(FILE, lambda document: document["Security"].pop("DisableSecurityEventNotifications"))(migrating(good_root()))
    assert not failing(legacy(fs, value=True))


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
