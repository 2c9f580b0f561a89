import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from everest_secure.build.keys import BOOT, BUNDLE, DEVELOPMENT_KEYRING, RELEASE_KEYRING, VARIABLES, require_keys, variables
from everest_secure.errors import UserError
from everest_secure.pki.store import Store
from support import pki as support_pki

DEVELOPMENT = frozenset({DEVELOPMENT_KEYRING, *BUNDLE, *BOOT})
PRODUCTION = frozenset({RELEASE_KEYRING, *BUNDLE, *BOOT})


@pytest.fixture
def pki(tmp_path: Path) -> Store:
    return support_pki.make(tmp_path / "pki")


def refusal(environment: Mapping[str, str], *, required: frozenset[str] = DEVELOPMENT) -> str:
    with pytest.raises(UserError) as refused:
        require_keys(required, environment, now=support_pki.now())
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_development_pki_is_what_a_development_build_needs(pki: Store) -> None:
    require_keys(DEVELOPMENT, variables(pki), now=support_pki.now())


def test_a_build_that_needs_no_keys_is_asked_for_none() -> None:
    require_keys(frozenset(), {}, now=support_pki.now())


def test_a_development_pki_is_refused_for_a_product_by_its_requirement(pki: Store) -> None:
    said = refusal(variables(pki), required=PRODUCTION)
    assert "a development authority" in said
    assert "RAUC-02" in said


def test_a_product_may_be_signed_by_a_build_key_that_its_keyring_does_not_know(pki: Store, tmp_path: Path) -> None:
    release = support_pki.make(tmp_path / "release", chosen=support_pki.small("release"), passphrase=support_pki.PASSPHRASE)
    require_keys(PRODUCTION, {**variables(pki), RELEASE_KEYRING: str(release.keyring)}, now=support_pki.now())


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize(
    ("value", "said"),
    [("keys/signer.key.pem", "is no absolute path"), ("/no/such/key.pem", "which is no file"), ("/", "which is no file")],
)
def test_a_file_that_cannot_be_found_is_said(pki: Store, name: str, value: str, said: str) -> None:
    sentence = refusal({**variables(pki), name: value}, required=DEVELOPMENT | {RELEASE_KEYRING})
    assert said in sentence
    assert sentence.startswith(f"{name} ")


@pytest.mark.parametrize("name", ["EVEREST_BUNDLE_CERT", "EVEREST_SECURE_BOOT_CERT", DEVELOPMENT_KEYRING, "EVEREST_BUNDLE_INTERMEDIATE"])
def test_a_file_without_a_certificate_is_said(pki: Store, tmp_path: Path, name: str) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no certificate here\n")
    assert str(text) in refusal({**variables(pki), name: str(text)})


def test_expired_certificates_are_said(tmp_path: Path) -> None:
    old = support_pki.make(tmp_path / "old", at=support_pki.now() - support_pki.LONG_AGO)
    assert "expired on" in refusal(variables(old))


def test_an_expired_secure_boot_certificate_is_said(pki: Store, tmp_path: Path) -> None:
    old = variables(support_pki.make(tmp_path / "old", at=support_pki.now() - support_pki.LONG_AGO))
    said = refusal({**variables(pki), **{name: old[name] for name in BOOT}})
    assert "secure-boot-db.cert.pem cannot be used" in said
    assert "expired on" in said


def test_a_signer_of_another_authority_is_said(pki: Store, tmp_path: Path) -> None:
    other = variables(support_pki.make(tmp_path / "other"))
    said = refusal({**variables(pki), DEVELOPMENT_KEYRING: other[DEVELOPMENT_KEYRING]})
    assert "without reaching a trust anchor" in said


@pytest.mark.parametrize("name", ["EVEREST_BUNDLE_KEY", "EVEREST_SECURE_BOOT_KEY"])
def test_a_key_of_another_certificate_is_said(pki: Store, tmp_path: Path, name: str) -> None:
    other = variables(support_pki.make(tmp_path / "other"))
    assert "does not belong to the certificate" in refusal({**variables(pki), name: other[name]})


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every key")
def test_a_key_that_may_not_be_read_is_said(pki: Store) -> None:
    pki.key("signer").chmod(0)
    assert "which you may not read" in refusal(variables(pki))


def test_a_bundle_s_key_in_a_token_is_no_file(pki: Store) -> None:
    require_keys(DEVELOPMENT, {**variables(pki), "EVEREST_BUNDLE_KEY": "pkcs11:token=bundles;object=signer"}, now=support_pki.now())
    assert "is no absolute path" in refusal({**variables(pki), "EVEREST_BUNDLE_CERT": "pkcs11:token=bundles;object=signer"})
