"""OCPP 1.6: the file of the module OCPP."""

from dataclasses import replace

import pytest

from everest_secure.checks.stand_in import MARK
from support.mutation import Mutation, check_mutation, sentence
from support.ocpp import FILE, edited, key, version_16
from support.rootfs import RootFs, failing, good_root, production

RSA = "AES128-GCM-SHA256"


def swapped(fs: RootFs) -> RootFs:
    limits = {"CertificateSignedMaxChainSize": 10, "CertificateStoreMaxLength": 20000}
    return edited(FILE, lambda document: document["Security"].update(limits))(version_16(fs))


MUTATIONS = [
    Mutation("the security profile of 1.6 is 2", "OCPP-01", key("Security", "SecurityProfile", 2)),
    Mutation("the security profile of 1.6 is 1", "OCPP-01", key("Security", "SecurityProfile", 1), also=("CERT-07",)),
    Mutation("the CSMS of 1.6 is reached without TLS", "OCPP-01", key("Internal", "CentralSystemURI", "ws://csms.example.com/")),
    Mutation("1.6 ships a password in the URL", "OCPP-01", key("Internal", "CentralSystemURI", "wss://u:p@csms.example.com/")),
    Mutation("1.6 ships a password", "OCPP-01", key("Security", "AuthorizationKey", "0123456789abcdef")),
    Mutation("1.6 trusts the system's authorities by default", "OCPP-01", key("Internal", "UseSslDefaultVerifyPaths", None)),
    Mutation("1.6 compares no name", "OCPP-01", key("Internal", "VerifyCsmsCommonName", False)),
    Mutation("1.6 accepts wildcards", "OCPP-01", key("Internal", "VerifyCsmsAllowWildcards", True)),
    Mutation("1.6 logs keys", "OCPP-01", key("Internal", "EnableTLSKeylog", True)),
    Mutation("a suite of 1.6 has no forward secrecy", "OCPP-01", key("Internal", "SupportedCiphers12", [RSA])),
    Mutation(
        "a suite of 1.6 has no forward secrecy, within one word",
        "OCPP-01",
        key("Internal", "SupportedCiphers12", [f"ECDHE-RSA-AES128-GCM-SHA256:{RSA}:ECDHE-ECDSA-AES128-GCM-SHA256"]),
    ),
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
    Mutation("1.6 tells the CSMS of no security events", "LOG-03", key("Security", "DisableSecurityEventNotifications", True)),
    Mutation("the limits of 1.6 are swapped", "OCPP-02", swapped),
    Mutation("the store length of 1.6 is not set", "OCPP-02", key("Security", "CertificateStoreMaxLength", None)),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def test_a_stand_in_has_no_schemas_of_ocpp() -> None:
    fs = version_16(good_root()).file(MARK, '{"kind": "reference"}').remove("/usr/share/everest/modules/OCPP")
    assert not failing(fs, replace(production(), stand_ins=True))


def test_many_keys_are_read_and_long_values_are_shortened() -> None:
    fs = version_16(good_root())
    edited(FILE, lambda document: document["Internal"].update({f"k{n}": 1 for n in range(60_000)}))(fs)
    edited(FILE, lambda document: document["Internal"].update(CentralSystemURI="x" * 100_000))(fs)
    found = failing(fs)
    assert max(map(len, found["OCPP-01"])) < 500
