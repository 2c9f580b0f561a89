"""Certificates installed on a charger by the command of the target (CERT-02, CERT-07, CERT-08, TPM-04)."""

import os
import re
import subprocess

import pytest

from support.certificates import STORE, Certified
from support.layer import Bench
from support.provisioning import owner_and_mode

pytestmark = pytest.mark.layer

_, CSMS_KEY, SECC_CHAIN, SECC_KEY = STORE
ROOT = "root" if os.geteuid() == 0 else "everest"
SERVICE = 1500 if os.geteuid() == 0 else os.geteuid()
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root is another user")


@pytest.mark.parametrize("user", ["root", "everest"])
def test_a_chain_is_installed_for_the_key_that_the_charger_has(shop: Certified, user: str) -> None:
    charger = shop.with_store({CSMS_KEY: {"key": "charger"}}, bare=True)
    before = charger.files
    told = charger.box.done("install", "csms", charger.offer("charger", "csms-sub2", "csms-sub1"), tpm=charger.tpm, user=user)
    (added,) = charger.files.keys() - before.keys()
    assert re.fullmatch(r"client/csms/CSMS_LEAF_[0-9a-f]{16}\.pem", added)
    assert charger.files[added] == charger.workshop.chain("charger", "csms-sub2", "csms-sub1")
    assert charger.files.items() >= before.items()
    assert told == (
        f"{charger.box.store}/{added}: 'O=Acme Charging,CN=cp4711', SHA-256 {charger.digest('charger')}, "
        f"for the key {charger.box.store}/{CSMS_KEY}\n"
    )
    assert owner_and_mode(charger.box.store / added) == (SERVICE, 0o600)
    charger.box.done("check", "csms", tpm=charger.tpm)


def test_installing_again_changes_nothing(shop: Certified) -> None:
    charger = shop.with_store({SECC_KEY: {"key": "secc"}}, bare=True)
    chain = charger.offer("secc", "sub2", "sub1")
    roots = charger.offer("other-root", "edwards-root")
    for words in (("secc", str(chain)), ("ca", "mo", str(roots))):
        charger.box.done("install", *words, tpm=charger.tpm)
        before = charger.files
        charger.box.done("install", *words, tpm=charger.tpm)
        assert charger.files == before


@only_root
def test_root_installs_what_root_alone_may_read(shop: Certified) -> None:
    charger = shop.with_store(bare=True)
    chain, key = charger.offer("secc", "sub2", "sub1"), charger.box.store.parent / "secc.key"
    key.write_bytes(charger.workshop.key_pem("secc"))
    for file in (chain, key):
        file.chmod(0o600)
    charger.box.done("install", "--key", key, "secc", chain, tpm=charger.tpm, user="root")
    files = [charger.box.store / name for name in charger.files if name.startswith("client/")]
    assert [file.suffix for file in files] == [".pem", ".tkey"]
    assert {owner_and_mode(file) for file in files} == {(1500, 0o600)}
    refused = charger.box.call("install", "secc", chain, tpm=charger.tpm, user="everest")
    assert (refused.returncode, refused.stderr) == (2, f"everest-cert: everest cannot read {chain}\n")


def test_a_chain_comes_from_standard_input_too(shop: Certified) -> None:
    charger = shop.with_store({SECC_KEY: {"key": "secc"}}, bare=True)
    command = charger.box.command("install", "secc", "-", user=ROOT)
    environment = charger.box.environment(charger.tpm.tcti)
    done = subprocess.run(
        command, env=environment, cwd="/", input=charger.workshop.chain("secc", "sub2", "sub1"), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_roots_are_added_to_those_that_are_there(shop: Certified) -> None:
    charger = shop.with_store()
    charger.box.done("install", "ca", "v2g", charger.offer("other-root", "v2g-root", "other-root"), tpm=charger.tpm)
    assert charger.files["ca/v2g/V2G_ROOT_CA.pem"] == charger.workshop.chain("v2g-root", "other-root")
    assert owner_and_mode(charger.box.store / "ca/v2g/V2G_ROOT_CA.pem") == (SERVICE, 0o600)


def configured(charger: Certified, settings: str) -> dict[str, str]:
    """Return the environment of a charger whose EvseSecurity has settings."""
    file = charger.box.store.parent / "config.yaml"
    text = (charger.box.place / "config.yaml").read_text()
    file.write_text(text.replace("    module: EvseSecurity\n", f"    module: EvseSecurity\n    config_module:\n{settings}"))
    return {"EVEREST_CONFIG_FILE": str(file)}


def test_a_bundle_may_be_a_directory(shop: Certified) -> None:
    charger = shop.with_store()
    more = configured(charger, "      mo_ca_bundle: ca/mo\n")
    charger.box.done("install", "ca", "mo", charger.offer("other-root"), tpm=charger.tpm, **more)
    name = f"ca/mo/MO_ROOT_{charger.digest('other-root')[:16]}.pem"
    assert charger.files[name] == charger.workshop.chain("other-root")
    charger.box.done("revoke", "--no-restart", charger.digest("other-root"), tpm=charger.tpm, user="everest", **more)
    assert charger.files.get(name, b"") == b""
    charger.box.done("check", "csms", "secc", tpm=charger.tpm, **more)


def test_directories_are_those_of_everests_configuration(shop: Certified) -> None:
    charger = shop.with_store({"keys": {}, "secc": {}, "keys/mine.tkey": {"key": "secc"}}, bare=True)
    more = configured(charger, f"      secc_leaf_key_directory: keys\n      secc_leaf_cert_directory: {charger.box.store}/secc/\n")
    charger.box.done("install", "secc", charger.offer("secc", "sub2", "sub1"), tpm=charger.tpm, **more)
    assert f"secc/SECC_LEAF_{charger.digest('secc')[:16]}.pem" in charger.files
    charger.box.done("check", "secc", tpm=charger.tpm, **more)


def test_where_both_chains_lie_in_one_directory_each_is_installed_by_its_own_root(shop: Certified) -> None:
    charger = shop.with_store({SECC_KEY: {"key": "charger-of-v2g-root"}}, bare=True)
    more = configured(charger, "      csms_leaf_cert_directory: client/cso\n      csms_leaf_key_directory: client/cso\n")
    chain = charger.offer("charger-of-v2g-root", "sub2", "sub1")
    refused = charger.box.call("install", "csms", chain, tpm=charger.tpm, **more)
    assert refused.stderr.endswith(" [untrusted]\n")
    charger.box.done("install", "secc", chain, tpm=charger.tpm, **more)
    charger.box.done("check", "secc", tpm=charger.tpm, **more)


def test_what_is_valid_longer_is_said_to_stay_in_use(shop: Certified) -> None:
    charger = shop.with_store({SECC_CHAIN: {"certificates": ["secc", "sub2", "sub1"]}, "client/cso/new.tkey": {"key": "ending-secc"}})
    told = charger.box.done("install", "--days", "5", "secc", charger.offer("ending-secc", "sub2", "sub1"), tpm=charger.tpm)
    assert told.endswith(f"\n{charger.box.store}/{SECC_CHAIN}: is valid longer, and EVerest goes on with it as long as it is there\n")


@pytest.mark.parametrize("text", ["-----BEGIN PRIVATE KEY-----\n", "-----BEGIN TSS2 PRIVATE KEY-----\n"])
def test_a_chain_with_a_key_in_its_file_is_refused(shop: Certified, text: str) -> None:
    charger = shop.with_store({SECC_KEY: {"key": "secc"}}, bare=True)
    chain = charger.offer("secc", "sub2", "sub1")
    chain.write_text(chain.read_text() + text)
    done = charger.box.call("install", "secc", chain, tpm=charger.tpm)
    assert (done.returncode, done.stderr) == (
        1,
        f"everest-cert: {chain} is refused: it holds a private key, which nobody sends about [software-key]\n",
    )


def test_what_is_no_file_of_certificates_is_refused_unread(shop: Certified) -> None:
    charger = shop.with_store()
    before = charger.files
    for what in ("/dev/zero", "/", "/nonexistent"):
        done = charger.box.call("install", "csms", what, tpm=charger.tpm)
        assert (done.returncode in (1, 2), done.stdout, done.stderr.count("\n")) == (True, "", 1), done
    assert charger.files == before


def test_without_a_tpm_no_chain_is_installed_for_a_key_in_it(shop: Certified) -> None:
    charger = shop.with_store({SECC_KEY: {"key": "secc"}}, bare=True)
    before = charger.files
    done = charger.box.call("install", "secc", charger.offer("secc", "sub2", "sub1"), tpm=None)
    assert (done.returncode, done.stdout, charger.files) == (3, "", before)
    charger.box.done("install", "ca", "mo", charger.offer("other-root"), tpm=charger.tpm)


def test_a_key_that_this_tpm_cannot_use_gets_no_chain(shop: Certified) -> None:
    charger = shop.with_store({SECC_KEY: {"key": "secc"}}, bare=True)
    key = charger.box.store / SECC_KEY
    lines = key.read_text().splitlines()
    lines[4] = lines[4][:20] + ("A" if lines[4][20] != "A" else "B") + lines[4][21:]
    key.write_text("\n".join(lines) + "\n")
    before = charger.files
    done = charger.box.call("install", "secc", charger.offer("secc", "sub2", "sub1"), tpm=charger.tpm)
    assert (done.returncode, charger.files) == (1, before)
    assert done.stderr.endswith("[wrong-tpm]\n")


OCPP_16 = '{"Internal": {"UseTPM": true,\n "UseTPMSeccLeafCertificate" : false}}'
OCPP_2 = """{"properties": {
  "UseTPM": {"variable_name": "UseTPM", "characteristics": {"supportsMonitoring": false, "dataType": "boolean"},
    "attributes": [{"type": "Actual", "mutability": "ReadOnly", "value": true}], "default": false},
  "UseTPMSeccLeafCertificate": {"variable_name": "UseTPMSeccLeafCertificate", "characteristics": {"supportsMonitoring": false},
    "attributes": [{"type": "Actual", "mutability": "ReadOnly", "value": false}], "default": true},
  "Other": {"attributes": [{"value": true}]}}}"""


@pytest.mark.parametrize("ocpp", [OCPP_16, OCPP_2], ids=["1.6", "2"])
def test_a_key_in_software_is_taken_where_ocpp_is_configured_so(shop: Certified, ocpp: str) -> None:
    charger = shop.with_store(bare=True)
    place = charger.box.store.parent / "ocpp/component_config/standardized"
    place.mkdir(parents=True)
    (place / "InternalCtrlr.json").write_text(ocpp)
    for name in ("secc", "charger"):
        (place.parents[1] / name).write_bytes(charger.workshop.key_pem(f"{name}-in-software"))
        (place.parents[1] / name).chmod(0o644)
    more = {"EVEREST_OCPP": str(place.parents[1])}
    secc, csms = charger.offer("secc-in-software", "sub2", "sub1"), charger.offer("charger-in-software", "csms-sub2", "csms-sub1")
    charger.box.done("install", "--key", place.parents[1] / "secc", "secc", secc, tpm=charger.tpm, **more)
    charger.box.done("check", "secc", tpm=charger.tpm, **more)
    refused = charger.box.call("install", "--key", place.parents[1] / "charger", "csms", csms, tpm=charger.tpm, **more)
    assert refused.stderr.endswith(" [software-key]\n")


def test_a_development_image_takes_certificates_for_tests(shop: Certified) -> None:
    charger = shop.with_store()
    root = charger.offer("development-root")
    refused = charger.box.call("install", "ca", "mo", root, tpm=charger.tpm, EVEREST_CERT_PRODUCTION="1")
    assert refused.stderr.endswith(" [development]\n")
    charger.box.done("install", "ca", "mo", root, tpm=charger.tpm)


def test_a_build_for_the_field_says_so_to_the_command(layer: Bench) -> None:
    program = "usr/sbin/everest-cert"
    assert "{EVEREST_CERT_PRODUCTION:-0}" in (layer.package("everest-cert").files / program).read_text()
    (package,) = (each for each in layer.build("everest-cert", {"EVEREST_PRODUCTION": "1"}).packages if not each.name.endswith("-doc"))
    assert "{EVEREST_CERT_PRODUCTION:-1}" in (package.files / program).read_text()
