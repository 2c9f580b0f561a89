from pathlib import Path

import pytest

from everest_secure.errors import UserError
from everest_secure.pki.marking import DEVELOPMENT
from support.authority import issue
from support.layer import KEYRING, Bench, contents

pytestmark = pytest.mark.layer

RELEASE = issue("Release Root CA", authority=True)
CRL = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"


def knob(package: str) -> str:
    return "EVEREST_RAUC_KEYRING_DEVELOPMENT" if package.endswith("-development") else "EVEREST_RAUC_KEYRING"


def build(layer: Bench, tmp_path: Path, package: str, content: str, **settings: str) -> str:
    """Build a keyring package and return the keyring in it."""
    keyring = tmp_path / "keyring.pem"
    keyring.write_text(content)
    built = layer.package(package, **{knob(package): str(keyring)}, **settings)
    assert contents(built) == {"/etc/rauc/keyring.pem": 0o644}
    return (built.files / "etc/rauc/keyring.pem").read_text()


def test_each_image_gets_its_own_authority(layer: Bench, tmp_path: Path) -> None:
    assert build(layer, tmp_path, "everest-keyring", RELEASE.pem) == RELEASE.pem
    assert build(layer, tmp_path, "everest-keyring-development", KEYRING) == KEYRING


@pytest.mark.parametrize("package", ["everest-keyring", "everest-keyring-development"])
def test_a_build_without_a_keyring_stops_with_one_sentence(layer: Bench, package: str) -> None:
    with pytest.raises(UserError, match=f"RAUC-02: {knob(package)} '' is no readable PEM file") as caught:
        layer.package(package, **{knob(package): ""})
    assert "\n" not in str(caught.value)


WRONG = {
    "development in production": ("everest-keyring", RELEASE.pem + KEYRING, {}, "RAUC-02: .*holds an authority of development"),
    "issued by development": (
        "everest-keyring",
        issue("Intermediate", by=issue("Root", authority=True, unit=DEVELOPMENT), authority=True).pem,
        {},
        "RAUC-02: .*holds an authority of development",
    ),
    "release in development": ("everest-keyring-development", RELEASE.pem, {}, "RAUC-02: .*not marked as development"),
    "a key": ("everest-keyring", RELEASE.pem + RELEASE.key_pem, {}, "RAUC-02: .*holds a private key"),
    "development by another name": (
        "everest-keyring",
        RELEASE.pem + KEYRING.replace(" CERTIFICATE", " TRUSTED CERTIFICATE"),
        {},
        "RAUC-02: .*holds a block that is neither a plain CERTIFICATE nor an X509 CRL",
    ),
    "development behind a blank": (
        "everest-keyring",
        RELEASE.pem + KEYRING.replace("-----\n", "----- \n"),
        {},
        "RAUC-02: .*holds a block that is neither a plain CERTIFICATE nor an X509 CRL",
    ),
    "nothing": ("everest-keyring", "", {}, "RAUC-02: .*holds no certificate"),
    "no text": ("everest-keyring", "\xff", {}, "RAUC-02: .*is no readable PEM file"),
    "lists that nobody looks at": ("everest-keyring", RELEASE.pem + CRL, {}, "RAUC-09: .*revocation lists that nobody looks at"),
    "no lists": ("everest-keyring", RELEASE.pem, {"EVEREST_CHECK_CRL": "1"}, "RAUC-09: .*holds no revocation list"),
}


@pytest.mark.parametrize(("package", "content", "settings", "sentence"), WRONG.values(), ids=WRONG)
def test_a_keyring_that_does_not_belong_there_is_refused(
    layer: Bench, tmp_path: Path, package: str, content: str, settings: dict[str, str], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        build(layer, tmp_path, package, content, **settings)


def test_revocation_lists_go_along_when_they_are_checked(layer: Bench, tmp_path: Path) -> None:
    assert build(layer, tmp_path, "everest-keyring", RELEASE.pem + CRL, EVEREST_CHECK_CRL="1") == RELEASE.pem + CRL
