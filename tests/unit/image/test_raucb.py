"""RAUC bundles made and signed by rauc."""

import os
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.raucb import RaucBundle
from support.images import rauc_bundle, tool


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


@pytest.mark.parametrize("cut", [1, 8, 100, 5000])
def test_a_truncated_bundle_is_refused(verity: Path, tmp_path: Path, cut: int) -> None:
    (tmp_path / "short.raucb").write_bytes(verity.read_bytes()[:-cut])
    with pytest.raises(ArtefactError, match=r"no RAUC bundle, or a truncated one|no whole number"):
        open_artefact(tmp_path / "short.raucb")


def test_bytes_missing_from_the_payload_are_noticed(verity: Path, tmp_path: Path) -> None:
    (tmp_path / "short.raucb").write_bytes(verity.read_bytes()[4096:])
    with pytest.raises(ArtefactError):
        open_artefact(tmp_path / "short.raucb")
