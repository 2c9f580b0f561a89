"""CMS EnvelopedData made by openssl, and keys as they lie on a disk."""

from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError, UserError
from everest_secure.image.enveloped import DecryptionKey, decrypt, load_decryption_key
from support.images import throw_away_signer, tool

CONTENT = b"\x30\x03\x02\x01\x05" + b"x" * 1000


def throw_away_recipient(place: Path, curve: str = "") -> Path:
    throw_away_signer(place, curve=curve)
    (place / "key.pem").chmod(0o600)
    return place


@pytest.fixture(scope="module")
def recipient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return throw_away_recipient(tmp_path_factory.mktemp("recipient"))


@pytest.fixture(scope="module")
def on_a_curve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipient with an elliptic curve."""
    return throw_away_recipient(tmp_path_factory.mktemp("curve"), "P-256")


def key_of(recipient: Path) -> DecryptionKey:
    return load_decryption_key(recipient / "key.pem")


def enveloped(recipient: Path, cipher: str, *options: str) -> bytes:
    (recipient / "content").write_bytes(CONTENT)
    given: list[str | Path] = ["-in", recipient / "content", "-recip", recipient / "cert.pem"]
    return tool("openssl", "cms", "-encrypt", f"-{cipher}", "-binary", "-outform", "DER", *given, *options)


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-256-cbc"])
def test_what_openssl_encrypted_is_decrypted(recipient: Path, cipher: str) -> None:
    assert decrypt(enveloped(recipient, cipher), key_of(recipient), "update") == CONTENT


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521", "brainpoolP256r1"])
@pytest.mark.parametrize("options", [(), ("-keyopt", "ecdh_kdf_md:sha256"), ("-keyopt", "ecdh_kdf_md:sha512")])
def test_what_openssl_encrypted_for_an_elliptic_curve_is_decrypted(tmp_path: Path, curve: str, options: tuple[str, ...]) -> None:
    recipient = throw_away_recipient(tmp_path, curve)
    for cipher in ("aes-128-cbc", "aes-256-cbc"):
        assert decrypt(enveloped(recipient, cipher, *options), key_of(recipient), "update") == CONTENT


def test_the_key_of_another_curve_owner_or_kind_does_not_decrypt(recipient: Path, on_a_curve: Path, tmp_path: Path) -> None:
    made = enveloped(on_a_curve, "aes-256-cbc")
    for name, curve in (("owner", "P-256"), ("curve", "P-384"), ("kind", "")):
        (tmp_path / name).mkdir()
        with pytest.raises(ArtefactError, match="is not encrypted for the key that was given; give the key of one of its 1 recipients"):
            decrypt(made, key_of(throw_away_recipient(tmp_path / name, curve)), "update")
    with pytest.raises(ArtefactError, match="is not encrypted for the key"):
        decrypt(enveloped(recipient, "aes-256-cbc"), key_of(on_a_curve), "update")


def test_of_recipients_of_both_kinds_each_decrypts(recipient: Path, on_a_curve: Path) -> None:
    made = enveloped(recipient, "aes-256-cbc", "-recip", str(on_a_curve / "cert.pem"))
    for each in (recipient, on_a_curve):
        assert decrypt(made, key_of(each), "update") == CONTENT


@pytest.mark.parametrize(
    ("cipher", "options"),
    [("des3", ()), ("aes-256-gcm", ()), ("aes-256-cbc", ("-keyopt", "rsa_padding_mode:oaep"))],
)
def test_what_rauc_does_not_make_is_refused(recipient: Path, cipher: str, options: tuple[str, ...]) -> None:
    made = enveloped(recipient, cipher, *options)
    with pytest.raises(ArtefactError, match=r"in a way that cannot be read|not encrypted for the key"):
        decrypt(made, key_of(recipient), "update")


@pytest.mark.parametrize("curve", ["", "P-256"])
def test_damage_anywhere_is_an_error(tmp_path: Path, curve: str) -> None:
    recipient = throw_away_recipient(tmp_path, curve)
    raw, key = enveloped(recipient, "aes-256-cbc"), key_of(recipient)
    for at in range(0, len(raw), 7):
        changed = bytearray(raw)
        changed[at] ^= 0x41
        try:
            found = decrypt(bytes(changed), key, "update")
        except ArtefactError:
            continue
        assert abs(len(found) - len(CONTENT)) < 16  # CBC and its padding need not notice a change; the signature inside does
    for length in range(0, len(raw), 50):
        with pytest.raises(ArtefactError):
            decrypt(raw[:length], key, "update")


def test_a_key_that_others_can_read_is_not_used(recipient: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes((recipient / "key.pem").read_bytes())
    for mode in (0o644, 0o640, 0o604):
        key.chmod(mode)
        with pytest.raises(UserError, match="can be read by others than its owner; chmod 600"):
            load_decryption_key(key)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_said_in_a_sentence_that_does_not_repeat_it(tmp_path: Path, content: bytes) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(content)
    key.chmod(0o600)
    with pytest.raises(UserError, match="is no private key in PEM without a passphrase") as error:
        load_decryption_key(key)
    assert "AAAA" not in str(error.value)


def test_keys_of_other_kinds_and_encrypted_ones_are_refused(recipient: Path, tmp_path: Path) -> None:
    for name, argv, message in (
        ("ed25519", ["openssl", "genpkey", "-algorithm", "ed25519"], "is neither a key of RSA nor of an elliptic curve"),
        ("locked", ["openssl", "rsa", "-aes256", "-passout", "pass:secret", "-in", str(recipient / "key.pem")], "without a passphrase"),
    ):
        (tmp_path / name).write_bytes(tool(*argv))
        (tmp_path / name).chmod(0o600)
        with pytest.raises(UserError, match=message):
            load_decryption_key(tmp_path / name)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        load_decryption_key(tmp_path / "nothing")
