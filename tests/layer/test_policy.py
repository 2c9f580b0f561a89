"""What the layer's policy says of keys and certificates; the same on real BitBake in tests/yocto/test_policy.py."""

import re
from pathlib import Path

import pytest

from everest_policy import material, production, switches
from everest_secure.pki.store import Store
from support.layer import LAYER
from support.pki import LONG_AGO, PASSPHRASE, add_signer, make, now, small

pytestmark = pytest.mark.layer

DOCUMENTED = re.compile(r'^(EVEREST_\w+)\[doc\] = "(.*?)"$', re.MULTILINE | re.DOTALL)


class Settings(dict[str, str]):
    """Variables by name, with the documentation that the layer's knobs have."""

    def getVar(self, name: str) -> str | None:  # noqa: N802 - BitBake's name
        return self.get(name)

    def getVarFlag(self, name: str, flag: str) -> str | None:  # noqa: N802 - BitBake's name
        knobs = (LAYER / "conf/distro/include/everest-secure-knobs.inc").read_text()
        return dict(DOCUMENTED.findall(knobs)).get(name) if flag == "doc" else None


@pytest.fixture
def pki(tmp_path: Path) -> Store:
    return make(tmp_path / "keys")


def signing(pki: Store, signer: str = "signer", **settings: str) -> Settings:
    return Settings(
        EVEREST_BUNDLE_KEY=str(pki.key(signer)),
        EVEREST_BUNDLE_CERT=str(pki.certificate(signer)),
        EVEREST_BUNDLE_INTERMEDIATE=str(pki.chain("signer")),
        EVEREST_RAUC_KEYRING=str(pki.keyring),
        EVEREST_POLICY_CERTIFICATES="EVEREST_BUNDLE_CERT EVEREST_RAUC_KEYRING",
        EVEREST_POLICY_KEYS="EVEREST_BUNDLE_KEY:EVEREST_BUNDLE_CERT",
        EVEREST_POLICY_CHAINS="EVEREST_BUNDLE_CERT:EVEREST_BUNDLE_INTERMEDIATE:EVEREST_RAUC_KEYRING",
        EVEREST_POLICY_RELEASE="EVEREST_BUNDLE_CERT",
        **settings,
    )


CHECKS = (material.certificates, material.keys, material.chains, material.purposes, material.development)


def test_a_development_pki_is_good_enough_for_development(pki: Store) -> None:
    assert [check(signing(pki)) for check in CHECKS] == [""] * len(CHECKS)


def test_an_encrypted_release_pki_is_good_enough_for_production(tmp_path: Path) -> None:
    pki = make(tmp_path / "release", chosen=small("release"), passphrase=PASSPHRASE)
    assert [check(signing(pki, EVEREST_PRODUCTION="1")) for check in CHECKS] == [""] * len(CHECKS)


def test_a_development_signer_is_refused_in_production(pki: Store) -> None:
    said = material.development(signing(pki, EVEREST_PRODUCTION="1"))
    assert re.fullmatch(r"RAUC-02: EVEREST_BUNDLE_CERT '.*' holds '.*', an authority of development; name the one for release", said)


def test_a_signer_that_has_expired_is_named_with_its_variable(pki: Store) -> None:
    add_signer(pki, "old", at=now() - LONG_AGO)
    assert re.fullmatch(
        r"RAUC-03: EVEREST_BUNDLE_CERT '.*' holds '.*CN=Signer old.*', which has expired; renew it",
        material.certificates(signing(pki, "old")),
    )


def test_a_chain_without_its_intermediate_does_not_end_in_the_keyring(pki: Store) -> None:
    said = material.chains(Settings(signing(pki), EVEREST_BUNDLE_INTERMEDIATE=""))
    assert said.startswith("RAUC-03: EVEREST_BUNDLE_CERT")
    assert "is not of an authority in EVEREST_RAUC_KEYRING" in said


def test_the_system_s_own_authorities_are_not_trusted(pki: Store, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    assert "is not of an authority in" in material.chains(Settings(signing(pki), EVEREST_RAUC_KEYRING=str(other.keyring)))


def test_a_key_in_a_token_is_not_looked_for_on_the_disk(pki: Store) -> None:
    assert material.keys(Settings(signing(pki), EVEREST_BUNDLE_KEY="pkcs11:token=signer;object=signer")) == ""


@pytest.mark.parametrize("label", ["TRUSTED CERTIFICATE", "X509 CERTIFICATE"])
def test_an_authority_of_development_is_found_whatever_its_block_is_called(pki: Store, tmp_path: Path, label: str) -> None:
    release = make(tmp_path / "release", chosen=small("release"), passphrase=PASSPHRASE)
    mixed = tmp_path / "mixed.pem"
    mixed.write_text(release.keyring.read_text() + pki.keyring.read_text().replace(" CERTIFICATE", f" {label}"))
    said = material.development(Settings(EVEREST_PRODUCTION="1", EVEREST_POLICY_RELEASE="K", K=str(mixed)))
    assert "an authority of development" in said


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "holds no private key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds a key that openssl cannot read"),
    ],
)
def test_a_file_that_is_no_key_is_refused_and_never_shown(pki: Store, tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "key.pem"
    file.write_text(content)
    said = material.keys(Settings(signing(pki), EVEREST_BUNDLE_KEY=str(file)))
    assert said == f"RAUC-03: EVEREST_BUNDLE_KEY '{file}' {problem}; name the private key of EVEREST_BUNDLE_CERT"


def test_what_a_product_must_say_is_asked_for_with_its_meaning() -> None:
    d = Settings(EVEREST_PRODUCTION="1", EVEREST_REQUIRED_IN_PRODUCTION="EVEREST_COMPATIBLE EVEREST_CSMS_URL", EVEREST_COMPATIBLE="charger")
    said = "OCPP-01: EVEREST_CSMS_URL is empty in a production build; set it (Where the CSMS listens, a wss:// URL"
    assert production.knobs(d).startswith(said)
    assert production.knobs(Settings(d, EVEREST_PRODUCTION="0")) == ""


def test_data_that_any_system_on_the_machine_could_open_is_not_encrypted() -> None:
    d = Settings(EVEREST_PRODUCTION="1", EVEREST_DATA_ENCRYPTION="1", EVEREST_SECURE_BOOT="0")
    assert production.encryption(d).startswith("FS-04: EVEREST_DATA_ENCRYPTION is 1 and EVEREST_SECURE_BOOT is not in a production build")
    for change in ("EVEREST_PRODUCTION", "EVEREST_DATA_ENCRYPTION"):
        assert production.encryption(Settings(d, **{change: "0"})) == ""
    assert production.encryption(Settings(d, EVEREST_SECURE_BOOT="1")) == ""


def test_every_knob_that_is_on_or_off_is_known_as_one() -> None:
    knobs = (LAYER / "conf/distro/include/everest-secure-knobs.inc").read_text()
    documented = {name for name, text in DOCUMENTED.findall(knobs) if text.startswith("1 ")}
    assert documented | {"EVEREST_IMAGE_PRODUCTION"} == set(switches.SWITCHES)


@pytest.mark.parametrize("value", ["yes", "true", " 1", "on", ""])
def test_a_switch_that_is_half_on_is_refused(value: str) -> None:
    d = Settings(dict.fromkeys(switches.SWITCHES, "0") | {"EVEREST_VERITY": "1"})
    assert switches.known(d) == ""
    said = switches.known(Settings(d, EVEREST_SECURE_BOOT=value))
    assert said == f"BOOT-01: EVEREST_SECURE_BOOT is '{value}', which is neither on nor off; set it to 1 or 0"
