"""What the layer's policy says of a bundle's signer: its purpose, where its key lies and where a token's PIN does."""

from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from everest_policy import material, token
from everest_secure.pki.store import Store
from support.pki import PASSPHRASE, add_odd_signer, make, small

pytestmark = pytest.mark.layer

PIN = "73519046"


class Settings(dict[str, str]):
    """Variables by name."""

    def getVar(self, name: str) -> str | None:  # noqa: N802 - BitBake's name
        return self.get(name)

    def getVarFlag(self, name: str, flag: str) -> str | None:  # noqa: N802 - BitBake's name
        return "(RAUC-03)" if flag == "doc" and name in self else None


@pytest.fixture
def pki(tmp_path: Path) -> Store:
    return make(tmp_path / "keys")


def signing(pki: Store, signer: str = "signer", **settings: str) -> Settings:
    return Settings(
        {
            "EVEREST_BUNDLE_KEY": str(pki.key(signer)),
            "EVEREST_BUNDLE_CERT": str(pki.certificate(signer)),
            "EVEREST_BUNDLE_INTERMEDIATE": str(pki.chain("signer")),
            "EVEREST_BUNDLE_DEVICE_KEYRING": str(pki.keyring),
            "EVEREST_POLICY_KEYS": "EVEREST_BUNDLE_KEY:EVEREST_BUNDLE_CERT",
            "EVEREST_POLICY_CHAINS": "EVEREST_BUNDLE_CERT:EVEREST_BUNDLE_INTERMEDIATE:EVEREST_BUNDLE_DEVICE_KEYRING",
            **settings,
        }
    )


@pytest.mark.parametrize(
    ("purposes", "digital_signature", "good"),
    [
        ([ExtendedKeyUsageOID.CODE_SIGNING], True, True),
        ([ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION], True, True),
        ([ExtendedKeyUsageOID.CODE_SIGNING], False, False),
        ([ExtendedKeyUsageOID.EMAIL_PROTECTION], True, False),
        ([], True, False),
    ],
)
def test_a_signer_has_the_purpose_that_devices_want(
    pki: Store, purposes: list[ObjectIdentifier], digital_signature: bool, good: bool
) -> None:
    add_odd_signer(pki, "odd", purposes=purposes, digital_signature=digital_signature)
    said = material.purposes(signing(pki, "odd"))
    assert (said == "") is good
    assert good or (said.startswith("RAUC-03: EVEREST_BUNDLE_CERT '") and "which is not for code signing; name a signer" in said)


def test_an_authority_for_something_else_issues_no_signers_of_code(pki: Store) -> None:
    add_odd_signer(pki, "mail", purposes=[ExtendedKeyUsageOID.EMAIL_PROTECTION], authority=True)
    said = material.purposes(signing(pki, EVEREST_BUNDLE_INTERMEDIATE=str(pki.certificate("mail"))))
    assert said.startswith("RAUC-03: EVEREST_BUNDLE_INTERMEDIATE '")
    assert "which may not issue signers of code" in said


def in_token(pki: Store, query: str = "", **settings: str) -> Settings:
    return Settings(signing(pki), EVEREST_BUNDLE_KEY=f"pkcs11:token=signer;object=signer{query}", **settings)


def pin_file(tmp_path: Path, content: str = PIN, *, mode: int = 0o600) -> Path:
    file = tmp_path / "pin"
    file.write_text(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("form", ["{}", "file:{}", "file://{}"])
def test_a_token_s_pin_lies_in_a_file_of_its_owner(pki: Store, tmp_path: Path, form: str) -> None:
    assert token.pins(in_token(pki, "?pin-source=" + form.format(pin_file(tmp_path)))) == ""
    pin_file(tmp_path, mode=0o640)
    assert "which others may read or change; make it mode 0600" in token.pins(in_token(pki, "?pin-source=" + form.format(tmp_path / "pin")))


@pytest.mark.parametrize("content", ["", PIN + "\n", " " + PIN, "1" * 256])
def test_what_would_be_a_wrong_pin_is_said_before_it_locks_the_token(pki: Store, tmp_path: Path, content: str) -> None:
    said = token.pins(in_token(pki, f"?pin-source={pin_file(tmp_path, content)}"))
    assert "would count as a wrong PIN; write it anew with printf" in said
    assert PIN not in said


def test_a_pin_that_is_not_there_is_said(pki: Store, tmp_path: Path) -> None:
    assert "cannot be read by whoever builds" in token.pins(in_token(pki, f"?pin-source={tmp_path}/none"))


def test_a_module_that_wants_no_pin_gets_none(pki: Store) -> None:
    assert token.pins(in_token(pki)) == ""


def test_a_token_s_pin_has_no_place_in_a_variable_and_is_not_shown(pki: Store) -> None:
    said = token.pins(in_token(pki, f"?pin-value={PIN}"))
    assert said.startswith("RAUC-03: EVEREST_BUNDLE_KEY holds the token's PIN")
    assert PIN not in said


@pytest.mark.parametrize("name", ["RAUC_PKCS11_PIN", "RAUC_KEY_PASSPHRASE"])
def test_a_secret_that_bitbake_lets_through_from_the_environment_is_refused_and_not_shown(pki: Store, name: str) -> None:
    said = token.pins(Settings(signing(pki), **{name: PIN}))
    assert said.startswith(f"RAUC-03: {name} is a variable of the build")
    assert PIN not in said


def test_a_key_that_the_field_trusts_is_no_file_of_the_build(tmp_path: Path) -> None:
    field = {"EVEREST_PRODUCTION": "1"}
    release = make(tmp_path / "release", chosen=small("release"), passphrase=PASSPHRASE)
    said = token.release(signing(release, **field))
    assert said.startswith("RAUC-02: EVEREST_BUNDLE_KEY is a file, which every task of the build can copy")
    assert token.release(in_token(release, **field)) == ""
    again = token.release(signing(release, **field, EVEREST_BUNDLE_RESIGN="1"))
    assert again.startswith("RAUC-02: EVEREST_BUNDLE_CERT is one that devices trust though EVEREST_BUNDLE_RESIGN is 1")


def test_a_signer_of_the_build_may_be_a_file(pki: Store, tmp_path: Path) -> None:
    release = make(tmp_path / "release", chosen=small("release"), passphrase=PASSPHRASE)
    settings = {"EVEREST_PRODUCTION": "1", "EVEREST_BUNDLE_RESIGN": "1", "EVEREST_BUNDLE_DEVICE_KEYRING": str(release.keyring)}
    assert token.release(signing(pki, **settings)) == ""
    assert token.release(signing(pki)) == ""
    assert "is no file; name PEM files" in token.release(signing(pki, **{**settings, "EVEREST_BUNDLE_DEVICE_KEYRING": "/nowhere"}))
