"""RAUC bundles made and signed by rauc."""

import os
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.enveloped import DecryptionKey, load_decryption_key
from everest_secure.image.raucb import RaucBundle, with_key
from everest_secure.parse.cms import verify_signed_data
from support.images import rauc_bundle, throw_away_signer, tool

pytestmark = pytest.mark.usefixtures("each_rauc")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    work = tmp_path_factory.mktemp("images")
    (work / "files").mkdir()
    (work / "files/hello").write_text("hello\n")
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-d", work / "files", work / "root.ext4", "4M")
    (work / "firmware").write_bytes(os.urandom(20_000))
    return {"rootfs": work / "root.ext4", "mcu": work / "firmware"}


@pytest.fixture(scope="module")
def verity(images: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rauc_bundle(tmp_path_factory.mktemp("verity"), "update.raucb", images, form="verity")


def facts_of(bundle: Path) -> RaucBundle:
    facts = open_artefact(bundle).facts
    assert isinstance(facts, RaucBundle)
    return facts


def flipped(bundle: Path, offset: int, target: Path) -> Path:
    raw = bytearray(bundle.read_bytes())
    raw[offset] ^= 1
    target.write_bytes(raw)
    return target


@pytest.mark.parametrize("form", ["plain", "verity"])
def test_images_of_a_bundle_are_opened_by_content(images: dict[str, Path], tmp_path: Path, form: str) -> None:
    bundle = rauc_bundle(tmp_path, "update.raucb", images, form=form)
    found = {artefact.name: artefact for artefact in open_artefact(bundle).walk()}
    assert {name: artefact.kind for name, artefact in found.items()} == {
        "update.raucb": "rauc-bundle",
        "update.raucb:payload": "squashfs",
        "update.raucb:rootfs.img": "ext4",
        "update.raucb:mcu.img": "unknown",
    }
    tree = found["update.raucb:rootfs.img"].tree
    assert tree is not None
    assert tree.text("/hello") == "hello\n"
    facts = facts_of(bundle)
    assert facts.format == form
    assert facts.manifest is not None
    assert facts.manifest.sections["update"]["version"] == "1.2.3"
    assert facts.manifest.filenames == ("rootfs.img", "mcu.img")


def test_the_signature_is_the_one_that_openssl_verifies(verity: Path, tmp_path: Path) -> None:
    facts = facts_of(verity)
    (tmp_path / "cms").write_bytes(facts.cms)
    cert = verity.with_name("cert.pem")
    content = tool("openssl", "cms", "-verify", "-inform", "DER", "-binary", "-CAfile", cert, "-in", tmp_path / "cms")
    assert facts.manifest is not None
    assert facts.manifest.text.encode() == content


def test_the_payload_of_a_plain_bundle_is_what_was_signed(images: dict[str, Path], tmp_path: Path) -> None:
    bundle = rauc_bundle(tmp_path, "update.raucb", images, form="plain")
    facts = facts_of(bundle)
    (tmp_path / "cms").write_bytes(facts.cms)
    (tmp_path / "payload").write_bytes(facts.payload.read(0, facts.payload.size))
    cert = tmp_path / "cert.pem"
    tool(
        "openssl",
        "cms",
        "-verify",
        "-inform",
        "DER",
        "-binary",
        "-CAfile",
        cert,
        "-in",
        tmp_path / "cms",
        "-content",
        tmp_path / "payload",
        "-out",
        "/dev/null",
    )
    with pytest.raises(ArtefactError, match="format plain, which has no hash tree"):
        facts.verify_payload()


def test_the_hash_tree_of_a_verity_bundle_holds(verity: Path) -> None:
    facts = facts_of(verity)
    assert facts.verify_payload().holds(facts.root_hash)


def test_a_flipped_payload_bit_is_found(verity: Path, tmp_path: Path) -> None:
    whole = facts_of(verity)
    assert whole.tree is not None
    data = facts_of(flipped(verity, 4096 - 1, tmp_path / "data.raucb"))
    result = data.verify_payload()
    assert not result.holds(data.root_hash)
    assert result.corrupt_blocks == (0,)
    tree = facts_of(flipped(verity, whole.tree.data.size + 3, tmp_path / "tree.raucb"))
    assert not tree.verify_payload().holds(tree.root_hash)


def test_an_encrypted_bundle_is_known_and_says_that_it_cannot_be_read(images: dict[str, Path], tmp_path: Path) -> None:
    bundle = rauc_bundle(tmp_path, "update.raucb", images, form="crypt")
    artefact = open_artefact(bundle)
    facts = artefact.facts
    assert isinstance(facts, RaucBundle)
    assert (artefact.kind, facts.format, facts.manifest, artefact.children) == ("rauc-bundle", "crypt", None, ())
    with pytest.raises(ArtefactError, match="format crypt"):
        facts.verify_payload()


def test_images_that_are_compressed_or_archives_are_opened_too(images: dict[str, Path], tmp_path: Path) -> None:
    files = images["rootfs"].with_name("files")
    tool("tar", "-C", files, "-czf", tmp_path / "root.tar.gz", ".")
    (tmp_path / "root.ext4.xz").write_bytes(tool("xz", "-0", "-c", images["rootfs"]))
    bundle = rauc_bundle(
        tmp_path,
        "update.raucb",
        {"rootfs": tmp_path / "root.tar.gz", "rescue": tmp_path / "root.ext4.xz", "mcu": images["mcu"]},
        form="verity",
    )
    payload = open_artefact(bundle).children[0]
    assert [[each.kind for each in image.walk()] for image in payload.children] == [["gzip", "tar"], ["xz", "ext4"], ["unknown"]]
    trees = [each.tree for image in payload.children for each in image.walk() if each.tree]
    assert [tree.text("/hello") for tree in trees] == ["hello\n", "hello\n"]


def test_a_bundle_of_a_great_many_images_is_refused(tmp_path: Path) -> None:
    names = [f"slot{number}" for number in range(65)]
    (tmp_path / "image").write_bytes(os.urandom(10_000))
    bundle = rauc_bundle(tmp_path, "update.raucb", dict.fromkeys(names, tmp_path / "image"), form="verity")
    with pytest.raises(ArtefactError, match="names 65 images in its manifest; it is taken for hostile"):
        open_artefact(bundle)


def key_of(bundle: Path) -> DecryptionKey:
    bundle.with_name("key.pem").chmod(0o600)
    return load_decryption_key(bundle.with_name("key.pem"))


@pytest.fixture(scope="module")
def crypt(images: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rauc_bundle(tmp_path_factory.mktemp("crypt"), "update.raucb", images, form="crypt")


def test_a_recipient_s_key_opens_an_encrypted_bundle_down_to_its_files(images: dict[str, Path], crypt: Path) -> None:
    artefact = with_key(open_artefact(crypt), key_of(crypt))
    found = {each.name: each for each in artefact.walk()}
    kinds = {
        "update.raucb": "rauc-bundle",
        "update.raucb:payload": "squashfs",
        "update.raucb:rootfs.img": "ext4",
        "update.raucb:mcu.img": "unknown",
    }
    assert {name: each.kind for name, each in found.items()} == kinds
    tree, firmware = found["update.raucb:rootfs.img"].tree, found["update.raucb:mcu.img"].blob
    assert tree is not None
    assert tree.text("/hello") == "hello\n"
    assert firmware is not None
    assert firmware.read(0, firmware.size) == images["mcu"].read_bytes()
    facts = artefact.facts
    assert isinstance(facts, RaucBundle)
    assert facts.verify_payload().holds(facts.root_hash)
    signed = verify_signed_data(facts.cms, "update.raucb")
    assert facts.manifest is not None
    assert signed.content == facts.manifest.text.encode()


def test_a_flipped_bit_of_an_encrypted_payload_is_found(crypt: Path, tmp_path: Path) -> None:
    """One in a block of the firmware, where it is not noticed in opening."""
    whole = with_key(open_artefact(crypt), key_of(crypt)).facts
    assert isinstance(whole, RaucBundle)
    assert whole.tree is not None
    for offset in range(0, whole.tree.data.size, 4096):
        try:
            facts = with_key(open_artefact(flipped(crypt, offset + 2000, tmp_path / "update.raucb")), key_of(crypt)).facts
        except ArtefactError:
            continue
        assert isinstance(facts, RaucBundle)
        assert facts.verify_payload().corrupt_blocks == (offset // 4096,)
        break
    else:
        pytest.fail("no block was changed without being noticed in opening")


def test_the_key_of_another_is_refused(crypt: Path, tmp_path: Path) -> None:
    key, _ = throw_away_signer(tmp_path)
    key.chmod(0o600)
    with pytest.raises(ArtefactError, match="is not encrypted for the key that was given; give the key of one of its 1 recipients"):
        with_key(open_artefact(crypt), load_decryption_key(key))


def test_a_key_is_of_no_use_for_other_bundles_and_changes_nothing(verity: Path, crypt: Path) -> None:
    artefact = open_artefact(verity)
    assert with_key(artefact, key_of(crypt)) is artefact


def test_any_of_several_recipients_opens_a_bundle_with_rsa_or_an_elliptic_curve(crypt: Path, tmp_path: Path) -> None:
    second, third = tmp_path / "second", tmp_path / "third"
    for place, curve in ((second, ""), (third, "P-256")):
        place.mkdir()
        throw_away_signer(place, curve=curve)
    tool("rauc", "encrypt", "--keyring", crypt.with_name("cert.pem"), f"--to={second / 'cert.pem'}", f"--to={third / 'cert.pem'}",
         crypt.with_name("signed.raucb"), tmp_path / "update.raucb")  # fmt: skip
    for place in (second, third):
        artefact = with_key(open_artefact(tmp_path / "update.raucb"), key_of(place / "update.raucb"))
        assert [each.kind for each in artefact.walk()] == ["rauc-bundle", "squashfs", "ext4", "unknown"]


def test_an_encrypted_payload_of_a_size_that_no_hash_tree_fits_is_refused(crypt: Path, tmp_path: Path) -> None:
    raw = crypt.read_bytes()
    whole = open_artefact(crypt).facts
    assert isinstance(whole, RaucBundle)
    (tmp_path / "update.raucb").write_bytes(raw[: 4096 * 2] + raw[whole.payload.size :])
    with pytest.raises(ArtefactError, match="impossible size"):
        open_artefact(tmp_path / "update.raucb")


@pytest.mark.parametrize("cut", [1, 8, 100, 5000])
def test_a_truncated_bundle_is_refused(verity: Path, tmp_path: Path, cut: int) -> None:
    (tmp_path / "short.raucb").write_bytes(verity.read_bytes()[:-cut])
    with pytest.raises(ArtefactError, match=r"no RAUC bundle, or a truncated one|no whole number"):
        open_artefact(tmp_path / "short.raucb")


def test_bytes_missing_from_the_payload_are_noticed(verity: Path, tmp_path: Path) -> None:
    (tmp_path / "short.raucb").write_bytes(verity.read_bytes()[4096:])
    with pytest.raises(ArtefactError):
        open_artefact(tmp_path / "short.raucb")
