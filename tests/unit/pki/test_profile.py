from pathlib import Path

import pytest
import yaml

from everest_secure.pki import profile
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType
from everest_secure.pki.profile import Usage

GOOD = """\
summary: x
organization: x
development: true
encrypted_keys: false
keyring: [root]
certificates:
  root: {common_name: Root, usage: authority, path_length: 1, key: rsa-4096, validity_days: 100}
  middle: {common_name: Middle, usage: authority, path_length: 0, key: rsa-4096, validity_days: 90, issuer: root}
  signer: {common_name: Signer, usage: bundle-signing, key: rsa-4096, validity_days: 80, issuer: middle}
"""


def read(tmp_path: Path, text: str) -> profile.Profile:
    path = tmp_path / "mine.yml"
    path.write_text(text)
    return profile.load(str(path))


def test_the_shipped_profiles_are_for_updates_the_mqtt_api_and_tests() -> None:
    assert profile.names() == ("charger-test", "development", "mqtt-api", "release")


@pytest.mark.parametrize("name", ["development", "release"])
def test_a_shipped_profile_has_rsa_4096_throughout_and_a_root_alone_in_its_keyring(name: str) -> None:
    found = profile.load(name)
    assert {spec.key for spec in found.certificates} == {KeyType.RSA_4096}
    assert found.keyring == ("root",)
    assert {spec.name for spec in found.certificates if spec.usage is Usage.SECURE_BOOT_SIGNING} == {"secure-boot-db"}
    assert [spec.issuer for spec in found.certificates if spec.name.startswith("secure-boot")] == [None, None, None]


def test_only_what_never_leaves_the_workshop_is_marked_and_unencrypted() -> None:
    found = {name: profile.load(name) for name in profile.names()}
    assert {name for name, each in found.items() if each.development} == {"charger-test", "development"}
    assert {name for name, each in found.items() if each.encrypted_keys} == {"mqtt-api", "release"}


def test_a_profile_of_ones_own_is_read_from_its_path(tmp_path: Path) -> None:
    assert [spec.name for spec in read(tmp_path, GOOD).certificates] == ["root", "middle", "signer"]


def test_an_unknown_profile_is_answered_with_the_known_ones() -> None:
    with pytest.raises(PkiError, match="use charger-test or development or mqtt-api or release or the path"):
        profile.load("production")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("issuer: middle", "issuer: nobody", "mine.yml:9: certificates.signer: its issuer 'nobody' is no authority named before it"),
        ("issuer: middle", "issuer: signer", "certificates.signer: its issuer 'signer' is no authority named before it"),
        (", issuer: middle", "", "a bundle signer needs an issuer"),
        ("validity_days: 80", "validity_days: 95", "valid longer than its issuer 'middle'"),
        ("path_length: 0", "path_length: 1", "path_length must be less than that of its issuer 'root'"),
        ("keyring: [root]", "keyring: [middle]", "mine.yml:5: keyring: 'middle' is no self-signed authority"),
        ("keyring: [root]", "keyring: [nobody]", "'nobody' is no self-signed authority"),
        ("keyring: [root]", "keyring: []", "mine.yml:5: keyring"),
        ("usage: bundle-signing", "usage: any", "mine.yml:9: certificates.signer.usage"),
        ("key: rsa-4096, validity_days: 80", "key: rsa-1024, validity_days: 80", "mine.yml:9: certificates.signer.key"),
        (
            "key: rsa-4096, validity_days: 80",
            "key: rsa-4096, validity_days: 80, dns_names: [a..b]",
            "certificates.signer: 'a..b' is no DNS name",
        ),
        (
            "key: rsa-4096, validity_days: 80",
            "key: rsa-4096, validity_days: 80, ip_addresses: [1.2.3]",
            "certificates.signer: '1.2.3' is no IP",
        ),
        ("path_length: 1, ", "", "mine.yml:7: certificates.root: the key 'path_length' is missing"),
        ("summary: x", "summary: x\nextra: 1", "mine.yml:2: extra: unknown key"),
        ("  signer:", "  ../signer:", 'mine.yml:6: certificates: "../signer" is not a name such as secure-boot-db'),
    ],
)
def test_a_profile_that_cannot_work_is_refused_by_file_and_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(PkiError) as refused:
        read(tmp_path, GOOD.replace(old, new))
    assert words in str(refused.value)


def test_the_schema_names_every_usage_and_key_type_of_the_code() -> None:
    directory = profile._directory()
    definitions = yaml.safe_load((directory / profile.SCHEMA).read_text())["$defs"]["certificate"]["properties"]
    assert definitions["usage"]["enum"] == [str(usage) for usage in Usage]
    assert definitions["key"]["enum"] == [str(key) for key in KeyType]
