"""A bundle of the build gets the signature of the release, its payload untouched."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_secure.bundle import judge
from everest_secure.bundle.create import create
from everest_secure.bundle.errors import BundleError
from everest_secure.bundle.inspect import BundleInfo
from everest_secure.bundle.resign import Source, resign
from everest_secure.bundle.signing import Signer
from everest_secure.cli.main import main
from everest_secure.errors import ExitCode, UserError
from everest_secure.image import blob, raucb
from everest_secure.pki import lifecycle
from everest_secure.pki.errors import PkiError
from everest_secure.pki.keys import KeyType
from everest_secure.pki.lifecycle import KeyWish
from everest_secure.pki.store import Store
from everest_secure.pki.token import Tokens
from everest_secure.pki.uri import TokenUri, parse
from everest_secure.run import HostTools
from support import pki as support
from support.bundle import Workshop, incompressible
from support.softhsm import MODULE, PIN, SoftHsm

pytestmark = pytest.mark.usefixtures("each_rauc")


@pytest.fixture
def release(tmp_path: Path, workshop: Workshop) -> Workshop:
    """Where the release's keys are: another PKI beside the build's."""
    del workshop
    directory = tmp_path / "release"
    directory.mkdir()
    return Workshop(directory, support.make(directory / "pki"))


def sign(bundle: Path, workshop: Workshop, release: Workshop, *, signer: Signer | None = None, **wishes: Any) -> BundleInfo:
    where = release.release(device=release.device(**wishes), log=release.directory / "log.jsonl")
    return resign(Source(bundle, workshop.device()), where, signer or release.signer())


def payload(bundle: Path) -> bytes:
    envelope = raucb.split_bundle(blob.from_file(bundle))
    assert envelope is not None
    return envelope.payload.read(0, envelope.payload.size)


def lines(release: Workshop) -> list[dict[str, Any]]:
    log = release.directory / "log.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def refused(bundle: Path, workshop: Workshop, release: Workshop, words: str, error: type[UserError] = BundleError, **wishes: Any) -> None:
    """Expect one sentence, and neither a bundle nor a line in the log."""
    with pytest.raises(error, match=words):
        sign(bundle, workshop, release, **wishes)
    assert not release.output.exists()
    assert lines(release) == []
    assert {path.name for path in release.directory.iterdir()} <= {"pki", "log.jsonl"}


def test_the_payload_stays_byte_by_byte_and_the_source_too(bundle: Path, workshop: Workshop, release: Workshop) -> None:
    before = bundle.read_bytes()
    sign(bundle, workshop, release)
    assert payload(release.output) == payload(bundle)
    assert bundle.read_bytes() == before


def test_devices_of_the_release_take_it_and_those_of_the_build_do_not(bundle: Path, workshop: Workshop, release: Workshop) -> None:
    sign(bundle, workshop, release)
    verdicts = [
        judge.judge(release.output, device=each.device(), now=support.now(), tools=HostTools(), thorough=True)
        for each in (release, workshop)
    ]
    assert [(each.accepted, each.difference) for each in verdicts] == [(True, ""), (False, "")]


def test_the_log_says_who_signed_what_with_which_key(bundle: Path, workshop: Workshop, release: Workshop) -> None:
    sign(bundle, workshop, release)
    (line,) = lines(release)
    sums = HostTools().run(["sha256sum", release.output, bundle]).split()
    assert (line["sha256"], line["source"]["sha256"]) == (sums[0].decode(), sums[2].decode())
    der = HostTools().run(["openssl", "x509", "-in", release.pki.certificate("signer"), "-pubkey", "-noout"])
    spki = HostTools().run(["openssl", "pkey", "-pubin", "-outform", "DER"], stdin=der)
    assert HostTools().run(["sha256sum"], stdin=spki).split()[0].decode() == line["spki_sha256"]
    assert (line["what"], line["version"], line["compatible"]) == ("resign", "1.2.3", "everest-secure-test")


def test_a_source_of_another_authority_is_not_signed(bundle: Path, release: Workshop) -> None:
    refused(bundle, release, release, "without reaching a trust anchor")


def test_a_source_with_a_flipped_bit_is_not_signed(bundle: Path, workshop: Workshop, release: Workshop) -> None:
    raw = bytearray(bundle.read_bytes())
    raw[5000] ^= 1
    bundle.write_bytes(raw)
    refused(bundle, workshop, release, "the payload is not the one that was signed")


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"compatible": "other"}, "the bundle is for 'everest-secure-test' and the device is 'other'"),
        ({"least_version": "2.0.0"}, "below 2.0.0"),
        ({"check_crl": True}, "no revocation list"),
    ],
)
def test_what_the_release_is_not_for_is_not_signed(
    bundle: Path, workshop: Workshop, release: Workshop, wishes: dict[str, Any], words: str
) -> None:
    refused(bundle, workshop, release, words, **wishes)


def test_a_signer_for_mail_signs_nothing(bundle: Path, workshop: Workshop, release: Workshop) -> None:
    support.add_odd_signer(release.pki, "mail", purposes=[ExtendedKeyUsageOID.EMAIL_PROTECTION])
    refused(bundle, workshop, release, "not for code signing", signer=release.signer("mail"))


def test_a_missing_intermediate_is_found_before_anything_is_written(bundle: Path, workshop: Workshop, release: Workshop) -> None:
    refused(bundle, workshop, release, "neither in the", signer=replace(release.signer(), intermediates=()))


def test_what_is_there_is_not_overwritten(bundle: Path, workshop: Workshop, release: Workshop) -> None:
    release.output.write_text("mine")
    with pytest.raises(BundleError, match="exists already"):
        sign(bundle, workshop, release)
    assert release.output.read_text() == "mine"


def test_a_log_with_half_a_line_stops_the_release(bundle: Path, workshop: Workshop, release: Workshop) -> None:
    log = release.directory / "log.jsonl"
    log.write_text('{"who": "so')
    with pytest.raises(BundleError, match="does not end with a whole line"):
        sign(bundle, workshop, release)
    assert not release.output.exists()
    assert log.read_text() == '{"who": "so'


def argv(bundle: Path, workshop: Workshop, release: Workshop, output: Path, *, key: str = "", cert: str = "signer") -> list[str]:
    files = ["--keyring", workshop.pki.keyring, "--signing-keyring", release.pki.keyring, "--key", key or release.pki.key("signer")]
    files += ["--cert", release.pki.certificate(cert), "--intermediate", release.pki.chain(cert)]
    return ["bundle", "resign", str(bundle), str(output), *map(str, files)]


def on_token(pki: Store, key: KeyType = KeyType.ECDSA_P256) -> tuple[str, str]:
    """Make a signer whose key is on the token; return its name and the key's URI."""
    with Tokens(lambda _: PIN, MODULE) as tokens:
        support.add_signer(pki, "model", key=key)
        wish = KeyWish(TokenUri(token="release"))
        name = lifecycle.rotate(pki.directory, "model", access=support.access(tokens=tokens), now=support.now(), wish=wish)
    return name, pki.key_uri(name).read_text().strip()


@pytest.mark.parametrize("key", [KeyType.ECDSA_P256, KeyType.RSA_4096])
def test_a_key_on_a_token_signs(
    bundle: Path, workshop: Workshop, release: Workshop, hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, key: KeyType
) -> None:
    del hsm
    name, place = on_token(release.pki, key)
    monkeypatch.setenv("TOKEN_PIN", PIN)
    token = ["--pkcs11-module", str(MODULE), "--pin-env", "TOKEN_PIN"]
    assert main([*argv(bundle, workshop, release, release.output, key=place, cert=name), *token]) == ExitCode.OK
    assert judge.judge(release.output, device=release.device(), now=support.now(), tools=HostTools()).accepted
    assert PIN not in (release.directory / "release-log.jsonl").read_text()


@pytest.mark.skipif(
    not list(Path("/usr/lib").glob("*/engines-3/pkcs11.so")), reason="needs libengine-pkcs11-openssl, by which rauc reaches a token"
)
def test_rauc_makes_a_bundle_with_a_key_on_a_token(release: Workshop, hsm: SoftHsm) -> None:
    del hsm
    name, place = on_token(release.pki)
    (release.directory / "rootfs.squashfs").write_bytes(incompressible(160 * 1024))
    with Tokens(lambda _: PIN, MODULE) as tokens:
        signer = Signer(parse(place), release.pki.certificate(name), (release.pki.chain(name),), tokens=tokens)
        assert create(release.description(), release.release(), signer).verified


@pytest.mark.parametrize(
    ("pin", "place", "words"), [("000000", "", "refuses the PIN"), (PIN, "pkcs11:token=gone;object=x", "no token that fits")]
)
def test_a_token_that_is_not_there_or_refuses_the_pin_leaves_nothing(
    bundle: Path, workshop: Workshop, release: Workshop, hsm: SoftHsm, pin: str, place: str, words: str
) -> None:
    del hsm
    name, own = on_token(release.pki)
    with Tokens(lambda _: pin, MODULE) as tokens:
        signer = Signer(parse(place or own), release.pki.certificate(name), (release.pki.chain(name),), tokens=tokens)
        with pytest.raises(PkiError, match=words):
            sign(bundle, workshop, release, signer=signer)
    assert not release.output.exists()
    assert lines(release) == []
